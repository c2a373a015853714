"""What functions and methods read besides their arguments: the variables around them, and those of their module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.targets.naming import Path
from chainrule.checking.targets.places import is_floats, is_holder, walk


def captured(thing: Any) -> dict[Path, Array]:
    """The arrays of floats that the functions of a thing, and its methods, may read in closures and in modules."""
    return dict(floats_in(_captured(thing, set())))


def held(function: Any) -> dict[Path, Array]:
    """All arrays of floats that a function may read besides its arguments, those of its object among them."""
    return dict(floats_in(walk(function))) | captured(function)


def floats_in(found: Iterator[tuple[Path, Any]]) -> Iterator[tuple[Path, Array]]:
    """The arrays of floats among these things."""
    return ((p, v) for p, v in found if isinstance(v, np.ndarray) and is_floats(v) and v.size)


def _captured(thing: Any, seen: set[int]) -> Iterator[tuple[Path, Any]]:
    for path, each in walk(thing):
        for way, function in _functions(each):
            if id(function) in seen:
                continue
            seen.add(id(function))
            for name, value in _variables(function):
                start = (*path, *way, name)
                for inside in (walk(value), _captured(value, seen)):
                    yield from (((*start, *inner), found) for inner, found in inside)


def _functions(thing: Any) -> Iterator[tuple[Path, FunctionType]]:
    """A function itself, or the methods of an object that may keep something."""
    if isinstance(thing, FunctionType):
        yield (), thing
    elif isinstance(thing, MethodType):
        yield from _functions(thing.__func__)
    elif is_holder(thing):
        for cls in type(thing).__mro__:
            for name, member in vars(cls).items():
                function = getattr(member, "fget", getattr(member, "__func__", member))
                if isinstance(function, FunctionType):
                    yield (name,), function


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function finds under a name that is not its own: around it, and in its module."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # an empty one
            yield name, cell.cell_contents
    there = function.__globals__
    for name in _names(function.__code__):
        value = there.get(name)
        is_elsewhere = isinstance(value, FunctionType) and value.__globals__ is not there
        if value is not None and not is_elsewhere:
            yield name, value


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function looks up, and those that functions within it do."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)
