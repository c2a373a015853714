"""The first runs of an object, on copies: what forward and backward write, and where forward makes parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.randomness import fixed_randomness
from chainrule.checking.targets.calling import (
    as_given,
    calling_of,
    written_gradients,
    written_output,
)
from chainrule.checking.targets.naming import Path
from chainrule.checking.targets.parameters import read_by
from chainrule.checking.targets.places import (
    Original,
    is_floats,
    is_same,
    look,
    numbers_of,
    walk,
)


class Runs:
    """Copies of one object, called on the inputs that it is checked at."""

    def __init__(self, original: Original, values: Mapping[str, Array], plain: frozenset[str]) -> None:
        self.original, self.values, self.plain = original, values, plain
        self.calling = calling_of(original.thing, list(values))

    def forward(self, thing: Any, values: Mapping[str, Array] | None = None) -> Array:
        """The output of a copy, in float64."""
        given = {name: value.copy() for name, value in (values or self.values).items()}
        with np.errstate(all="ignore"), fixed_randomness(thing.forward):
            y = thing.forward(*as_given(given, self.plain))
        if y is None:
            self.calling = replace(self.calling, output=written_output(self.original.thing, thing))
            y = None if self.calling.output is None else look(thing, self.calling.output)
        return np.array(y, np.float64)

    def backward(self, thing: Any, y: Array, times: float = 1.0) -> Any:
        """What backward returns, for an upstream gradient of ones, or some times that."""
        dy = times * np.ones(y.shape) if y.ndim else times
        arguments, options = self.calling.arguments(dy, as_given(self.values, self.plain))
        with np.errstate(all="ignore"), fixed_randomness(thing.backward):
            return thing.backward(*arguments, **options)


@dataclass
class FirstRun:
    """What one forward and one backward of a copy did."""

    runs: Runs
    thing: Any
    y: Array
    result: Any = None
    #: The numbers that forward wrote, and those that backward did.
    by_forward: set[Path] = field(default_factory=set)
    by_backward: set[Path] = field(default_factory=set)
    #: Lists that forward makes longer and backward shorter again: of the inputs of all calls.
    stacks: tuple[Path, ...] = ()
    failed: bool = False
    #: The gradients of inputs that backward left on the object, and does not return.
    kept: Mapping[str, Path] = field(default_factory=dict)


def first_run(runs: Runs) -> FirstRun:
    """Forward and backward of a copy; what forward raises is raised, what backward raises is remembered."""
    trial = runs.original.copy()
    before = _state(trial)
    y = runs.forward(trial)
    between = _state(trial)
    run = FirstRun(runs, trial, y, by_forward=_differences(before, between))
    held = _lengths(trial)
    try:
        run.result = runs.backward(trial, y)
    except (Exception, SystemExit):
        run.failed = True
        return run
    run.by_backward = _differences(between, _state(trial))
    lengths = _lengths(trial)
    run.stacks = tuple(
        path
        for path, length in held.items()
        if length > lengths.get(path, length) and length > len(look(runs.original.thing, path) or ())
    )
    if run.result is None:
        inputs = [name for name, value in runs.values.items() if is_float(value)]
        run.kept = written_gradients(runs.original.thing, trial, inputs)
    return run


def _state(thing: Any) -> dict[Path, tuple[Any, Any]]:
    """All numbers that an object keeps: the very array or number, and its value."""
    return {
        path: (v, np.array(v) if not isinstance(v, float) else v) for path, v in numbers_of(thing).items()
    }


def _differences(before: Mapping[Path, Any], after: Mapping[Path, Any]) -> set[Path]:
    """Where another array stands, or other numbers do."""
    return {
        path
        for path, (value, numbers) in after.items()
        if path not in before
        or (isinstance(value, np.ndarray) and value is not before[path][0])
        or not is_same(numbers, before[path][1])
    }


def _lengths(thing: Any) -> dict[Path, int]:
    return {path: len(each) for path, each in walk(thing) if path and isinstance(each, (list, deque))}


def started(runs: Runs) -> Runs:
    """The same, from after a first forward, where that makes parameters: what does not depend on the inputs."""
    warm = runs.original.copy()
    runs.forward(warm)
    made = [
        path
        for path, value in numbers_of(warm).items()
        if isinstance(value, (np.ndarray, list)) and is_floats(value) and path not in runs.original.numbers
    ]
    if not made:
        return runs
    elsewhere, again = _after(runs, _turned(runs.values)), _after(runs, runs.values)
    later = Runs(Original(warm), runs.values, runs.plain)
    later.calling = runs.calling
    used = later.original.copy()
    before = _state(used)
    later.forward(used)
    written = _differences(before, _state(used))
    kept = []
    for path in made:
        is_random = not is_same(look(again, path), look(warm, path))
        if path not in written and (is_random or is_same(look(elsewhere, path), look(warm, path))):
            kept.append(path)
    return later if kept and read_by(later.forward, later.original, kept) else runs


def _after(runs: Runs, values: Mapping[str, Array]) -> Any:
    """A copy after a forward, also one that failed on the way."""
    thing = runs.original.copy()
    with suppress(Exception, SystemExit):
        runs.forward(thing, values)
    return thing


def _turned(values: Mapping[str, Array]) -> dict[str, Array]:
    return {
        n: np.asarray(-0.7 * v.reshape(-1)[::-1].reshape(v.shape)) if is_float(v) else v
        for n, v in values.items()
    }
