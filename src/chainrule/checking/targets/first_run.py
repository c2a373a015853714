"""The first runs of an object, on copies: what forward and backward write, and where forward makes parameters."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arrays import is_float
from chainrule.checking.targets.calling import written, written_gradients
from chainrule.checking.targets.naming import OUTPUTS, Path
from chainrule.checking.targets.objects import ObjectTarget
from chainrule.checking.targets.places import Original, is_floats, is_same, look, moved, numbers_of, walk
from chainrule.checking.targets.reading import read_by
from chainrule.checking.targets.target import copies


@dataclass
class FirstRun:
    """What one forward and one backward of a copy did."""

    target: ObjectTarget
    #: The copy, as it is now, and what its backward returned.
    thing: Any
    result: Any = None
    #: The numbers that forward wrote, and those that backward did.
    by_forward: set[Path] = field(default_factory=set)
    by_backward: set[Path] = field(default_factory=set)
    failed: bool = False


def first_run(target: ObjectTarget) -> FirstRun:
    """Forward and backward of a copy; what forward raises is raised, what backward raises is remembered."""
    calls, original = target.start(), target.original.thing
    before = _state(calls.object)
    y = calls.output(target.values)
    between, lengths = _state(calls.object), _lengths(calls.object)
    run = FirstRun(target, calls.object, by_forward=_differences(before, between))
    try:
        run.result = calls.result(np.ones_like(y))
    except (Exception, SystemExit):
        run.failed = True
        return run
    run.by_backward = _differences(between, _state(calls.object))
    later = _lengths(calls.object)
    stacks = tuple(
        path
        for path, length in lengths.items()
        if length > later.get(path, length) and length > len(look(original, path) or ())
    )
    kept: Mapping[str, Path] = {}
    if run.result is None:
        inputs = [name for name, value in target.values.items() if is_float(value)]
        kept = written_gradients(original, calls.object, inputs)
    run.target = replace(target, stacks=stacks, calling=replace(target.calling, kept=kept))
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


def started(target: ObjectTarget) -> ObjectTarget:
    """The same, from after a first forward, where that makes parameters: what does not depend on the inputs."""
    calls = target.start()
    with np.errstate(all="ignore"):
        if calls.forward(copies(target.values)) is None:
            output = written(target.original.thing, calls.object, OUTPUTS)
            target = replace(target, calling=replace(target.calling, output=output))
    warm = calls.object
    later = replace(target, original=Original(warm))
    made = [
        path
        for path, value in later.original.numbers.items()
        if isinstance(value, (np.ndarray, list)) and is_floats(value) and path not in target.original.numbers
    ]
    if not made:
        return target
    rng = np.random.default_rng(0)
    others = {name: moved(v, 1, rng) if is_float(v) else v for name, v in target.values.items()}
    elsewhere, again = _after(replace(target, values=others)), _after(target)
    used = later.start()
    before = _state(used.object)
    used.output(target.values)
    by_forward = _differences(before, _state(used.object))
    kept = []
    for path in made:
        is_random = not is_same(look(again, path), look(warm, path))
        if path not in by_forward and (is_random or is_same(look(elsewhere, path), look(warm, path))):
            kept.append(path)
    return later if kept and read_by(later, kept) else target


def _after(target: ObjectTarget) -> Any:
    """A copy after a forward, also one that failed on the way."""
    calls = target.start()
    with suppress(Exception, SystemExit):
        calls.output(target.values)
    return calls.object
