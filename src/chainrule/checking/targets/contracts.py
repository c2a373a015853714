"""What a backward does on purpose: add into its gradients, update its parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.targets.calling import clearing_methods, rate_on
from chainrule.checking.targets.naming import Path
from chainrule.checking.targets.objects import Adding, ObjectCalls, ObjectTarget, Updating
from chainrule.checking.targets.places import fill, look, put
from chainrule.checking.targets.target import in_order_and_by_name

#: How much smaller another learning rate is, to see whether dx depends on it.
SMALLER = 1e-3


def adding(target: ObjectTarget, gradients: Collection[Path]) -> Adding:
    """Which gradients backward adds to on purpose: those that are cleared, or all, where all start at zero."""
    try:
        calls = target.start()
        calls.result(np.ones_like(calls.output(target.values)))
        from_zero, _ = _backward_from(calls, gradients, 0.0)
        from_one, by_forward = _backward_from(calls, gradients, 1.0)
    except (Exception, SystemExit):
        return Adding()
    adds = [p for p in gradients if _is_one_more(from_zero[p], from_one[p])]
    if not adds:
        return Adding()
    by_method, methods = _cleared_by_methods(calls.object, adds)
    cleared = [path for path in adds if path in by_method or path in by_forward]
    if cleared:
        how = (
            f"call {' and '.join(f'{name}()' for name in methods[:2])}"
            if by_method
            else "forward sets them to 0"
        )
        return Adding(tuple(adds), tuple(cleared), how)
    start = [look(target.original.thing, path) for path in adds]
    at_zero = not any(value is not None and np.any(value) for value in start)
    if len(adds) == len(gradients) > 1 and at_zero:
        return Adding(tuple(adds), tuple(adds), "set them to 0")
    return Adding(tuple(adds), alone=len(gradients) == 1 and at_zero)


def _backward_from(
    calls: ObjectCalls, paths: Collection[Path], start: float
) -> tuple[dict[Path, Array], set[Path]]:
    """The gradients after a backward that found a number in each of them; those that forward had set to 0."""
    fill(calls.object, paths, start)
    y = calls.output(calls.target.values)
    by_forward = {path for path in paths if not np.any(look(calls.object, path))}
    fill(calls.object, paths, start)
    calls.result(np.ones_like(y))
    return {path: np.array(look(calls.object, path), np.float64) for path in paths}, by_forward


def _is_one_more(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.allclose(other, one + 1)


def _cleared_by_methods(thing: Any, paths: Collection[Path]) -> tuple[set[Path], list[str]]:
    fill(thing, paths, 1.0)
    methods = list(clearing_methods(thing))
    for _, method in methods:
        with suppress(Exception, SystemExit):
            method()
    cleared = {path for path in paths if look(thing, path) is None or not np.any(look(thing, path))}
    return cleared, [name for name, _ in methods]


def updating(target: ObjectTarget, paths: Iterable[Path]) -> Updating:
    """How backward updates the parameters at these places."""
    thing, given = target.original.thing, target.calling.rate
    rates: dict[Path, float | None] = {}
    for path in paths:
        kept = given or rate_on(look(thing, path[:-1])) or rate_on(thing)
        rates[path] = None if kept is None else kept[1]
    if not rates:
        return Updating()
    try:
        multiples = _multiples(target, list(rates)) if any(rates.values()) else set()
        early = _is_early(target)
    except (Exception, SystemExit):  # not every backward can be called again
        return Updating(dict.fromkeys(rates), None)
    return Updating({path: rate if path in multiples else None for path, rate in rates.items()}, early)


def _multiples(target: ObjectTarget, paths: Collection[Path]) -> set[Path]:
    """Where the update is the same again, and three times as large for three times the upstream gradient."""
    calls = target.start()
    before = {path: np.array(look(calls.object, path), np.float64) for path in paths}
    updates = []
    for times in (1.0, 1.0, 3.0) if target.calling.has_upstream else (1.0, 1.0, 1.0):
        calls.result(times * np.ones_like(calls.output(target.values)))
        updates.append({p: (start - np.array(look(calls.object, p))) / times for p, start in before.items()})
        for path, value in before.items():
            put(calls.object, path, value)
    first = updates[0]
    size = {path: float(np.abs(first[path]).max(initial=0)) for path in paths}
    return {p for p in paths if all(np.allclose(each[p], first[p], atol=1e-9 * size[p]) for each in updates)}


def _is_early(target: ObjectTarget) -> bool | None:
    """Whether what backward returns depends on the learning rate; None where that has no place to change it."""
    calls, slower = target.start(), target.start()
    if target.calling.rate is not None:
        name, rate = target.calling.rate
        calling = replace(target.calling, rate=(name, SMALLER * rate))
        slower = replace(target, calling=calling).start()
    else:
        found = rate_on(target.original.thing)
        if found is None:
            return None
        put(slower.object, found[0], np.asarray(SMALLER * found[1]))
    one, other = (
        in_order_and_by_name(each.result(np.ones_like(each.output(target.values))))[0]
        for each in (calls, slower)
    )
    pairs = zip(one, other, strict=False)
    return not all(a is None or np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)
