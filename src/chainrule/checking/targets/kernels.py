"""Functions of tensors or of JAX arrays: the arrays that they take, by name, and all that they return, as one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from chainrule.arrays import Array, Shape, is_float
from chainrule.checking.randomness import fixed_randomness
from chainrule.checking.targets.places import moved
from chainrule.checking.targets.target import ANSWERS, Calls, Target, WrongCount, copies, refuse_infinite
from chainrule.errors import ArgumentError

AnyTarget = TypeVar("AnyTarget", bound=Target)
#: Maps the leaves of a structure of lists, tuples and dicts, by a function of a leaf's name and the leaf.
Mapper = Callable[[Any, str, Callable[[str, Any], Any]], Any]


@dataclass
class Arguments:
    """What a function is called with: arrays by name, in their places among all that stays as it is."""

    given: dict[str, Any]
    mapped: Mapper
    arrays: dict[str, Any] = field(default_factory=dict)

    def read(self, as_array: Callable[[str, Any], Any]) -> Arguments:
        """The same, with an array for each leaf of which `as_array` makes one, rather than None."""
        found: dict[str, Any] = {}

        def keep(name: str, leaf: Any) -> Any:
            array = as_array(name, leaf)
            if array is not None:
                found[name] = array
            return leaf

        for name, thing in self.given.items():
            self.mapped(thing, name, keep)
        return replace(self, arrays=found)

    def filled(self, arrays: Mapping[str, Any]) -> list[Any]:
        """The arguments with these arrays in their places."""
        return [
            self.mapped(thing, name, lambda path, leaf: arrays.get(path, leaf))
            for name, thing in self.given.items()
        ]


@dataclass(frozen=True)
class Outputs:
    """The names, shapes and dtypes of what a function returns and has gradients."""

    shapes: dict[str, Shape]
    dtypes: dict[str, str]

    def joined(self, arrays: Sequence[Array]) -> Array:
        """All of them as one array of float64: flat, unless there is one alone."""
        if len(arrays) == 1:
            return np.asarray(arrays[0], np.float64)
        return np.concatenate([np.ravel(np.asarray(each, np.float64)) for each in arrays])

    def split(self, dy: Any) -> list[Array]:
        """The parts of an upstream gradient of `joined`, in the shapes of the outputs."""
        flat, parts, start = np.asarray(dy, np.float64).reshape(-1), [], 0
        for shape in self.shapes.values():
            size = math.prod(shape)
            parts.append(flat[start : start + size].reshape(shape))
            start += size
        return parts

    def remarks(self) -> list[str]:
        """A sentence where there are several."""
        if len(self.shapes) < 2:
            return []
        named = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return [f"It returns {len(self.shapes)} arrays, which were compared as one: {named}."]


def mapped_builtin(thing: Any, name: str, each: Callable[[str, Any], Any]) -> Any:
    """A structure of lists, tuples and dicts, with `each(name, leaf)` in the place of each leaf."""
    if isinstance(thing, dict):
        made = copy.copy(thing)
        made.update({k: mapped_builtin(value, f"{name}[{k!r}]", each) for k, value in thing.items()})
        return made
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        parts = [mapped_builtin(v, f"{name}.{f}", each) for f, v in zip(thing._fields, thing, strict=True)]
        return type(thing)(*parts)
    if isinstance(thing, (list, tuple)):
        return type(thing)([mapped_builtin(value, f"{name}[{k}]", each) for k, value in enumerate(thing)])
    return each(name, thing)


def leaves(thing: Any) -> Iterator[Any]:
    """All that stands in lists, tuples and dicts."""
    found: list[Any] = []
    mapped_builtin(thing, "", lambda _, leaf: found.append(leaf))
    return iter(found)


def is_mask(array: Array) -> bool:
    """Whether it is added to mask something out: -infinity, and one other number beside it."""
    if not is_float(array) or np.isfinite(array).all():
        return False
    kept = array[array != -np.inf]
    return bool(np.isfinite(kept).all() and (kept == kept[:1]).all())


def checked_values(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays as they are, all of them finite, or DataError."""
    for name, array in arrays.items():
        refuse_infinite(array, name)
    return dict(arrays)


def answers_among(names: Sequence[str]) -> frozenset[str]:
    """The names that are those of answers or places, after the first input."""
    return frozenset(name for k, name in enumerate(names) if name in ANSWERS and k > 0)


def refuse_unknown_inputs(name: str, inputs: Sequence[Any], what: str = "a function", made: str = "") -> None:
    """ArgumentError where no inputs are given: they are not known of a function, nor of an object."""
    if not inputs:
        raise ArgumentError(
            f"check: {name} is {what} of unknown inputs; give them: cr.check({name}{made}, x, ...)"
        )


def first_that_runs(candidates: Sequence[AnyTarget]) -> tuple[AnyTarget, Any]:
    """The first target whose forward does not raise, and its calls; where all do, the first one, and None."""
    for target in candidates:
        calls = target.start()
        try:
            with np.errstate(all="ignore"), fixed_randomness(target.method):
                calls.forward(copies(target.values))
        except (Exception, SystemExit):  # the check itself will tell
            continue
        return target, calls
    return candidates[0], None


def without_effect(target: Target, calls: Calls) -> frozenset[str]:
    """The inputs whose gradient came as None, and rightly so: the output does not depend on them."""
    found: set[str] = set()
    try:
        with np.errstate(all="ignore"), fixed_randomness(target.method):
            y = calls.forward(copies(target.values))
            if not isinstance(y, np.ndarray):
                return frozenset()
            returned = calls.backward(np.ones_like(y))
            for name in target.differentiable:
                if returned.get(name) is None:
                    value = target.values[name]
                    another = moved(value, 0, np.random.default_rng(0))
                    other = target.start().forward({**copies(target.values), name: another})
                    if np.array_equal(other, y, equal_nan=True):
                        found.add(name)
    except (Exception, SystemExit, WrongCount):  # the check itself will tell
        return frozenset()
    return frozenset(found)
