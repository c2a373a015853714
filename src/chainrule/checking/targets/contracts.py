"""What a backward does on purpose: add into its gradients, update its parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.targets.calling import clearing_methods, rate_on
from chainrule.checking.targets.first_run import Runs
from chainrule.checking.targets.naming import Path
from chainrule.checking.targets.places import look, put
from chainrule.checking.targets.target import in_order_and_by_name

#: How much smaller another learning rate is, to see whether dx depends on it.
SMALLER = 1e-3


@dataclass(frozen=True)
class Adding:
    """The gradients that backward adds to, and those of them where that is meant: all, or its only one, perhaps."""

    paths: tuple[Path, ...] = ()
    meant: tuple[Path, ...] = ()
    cleared: str = ""
    alone: bool = False


def adding(runs: Runs, gradients: Collection[Path]) -> Adding:
    """Which gradients backward adds to on purpose: those that are cleared, or all, where all start at zero."""
    try:
        trial = runs.original.copy()
        runs.backward(trial, runs.forward(trial))
        from_zero, _ = _backward_from(runs, trial, gradients, 0.0)
        from_one, by_forward = _backward_from(runs, trial, gradients, 1.0)
    except (Exception, SystemExit):
        return Adding()
    adds = [p for p in gradients if _is_one_more(from_zero.get(p), from_one.get(p))]
    if not adds:
        return Adding()
    by_method, methods = _cleared_by_methods(trial, adds)
    cleared = [path for path in adds if path in by_method or path in by_forward]
    if cleared:
        how = (
            f"call {' and '.join(f'{name}()' for name in methods[:2])}"
            if by_method
            else "forward sets them to 0"
        )
        return Adding(tuple(adds), tuple(cleared), how)
    start = [look(runs.original.thing, path) for path in adds]
    at_zero = not any(value is not None and np.any(value) for value in start)
    if len(adds) == len(gradients) > 1 and at_zero:
        return Adding(tuple(adds), tuple(adds), "set them to 0")
    return Adding(tuple(adds), alone=len(gradients) == 1 and at_zero)


def _backward_from(
    runs: Runs, thing: Any, paths: Iterable[Path], start: float
) -> tuple[dict[Path, Array], set[Path]]:
    """The gradients after a backward that found a number in each of them; those that forward had set to 0."""
    _fill(thing, paths, start)
    y = runs.forward(thing)
    by_forward = {path for path in paths if not np.any(look(thing, path))}
    _fill(thing, paths, start)
    runs.backward(thing, y)
    return {path: np.array(look(thing, path), np.float64) for path in paths}, by_forward


def _fill(thing: Any, paths: Iterable[Path], number: float) -> None:
    for path in paths:
        present = look(thing, path)
        if present is not None:
            put(thing, path, np.full(np.shape(present), number))


def _is_one_more(one: Array | None, other: Array | None) -> bool:
    return one is not None and other is not None and one.shape == other.shape and np.allclose(other, one + 1)


def _cleared_by_methods(thing: Any, paths: Collection[Path]) -> tuple[set[Path], list[str]]:
    _fill(thing, paths, 1.0)
    methods = list(clearing_methods(thing))
    for _, method in methods:
        with suppress(Exception, SystemExit):
            method()
    cleared = {path for path in paths if look(thing, path) is None or not np.any(look(thing, path))}
    return cleared, [name for name, _ in methods]


@dataclass(frozen=True)
class Updating:
    """The parameters that backward updates: with the rate where it is a multiple of the gradient, else None."""

    rates: dict[Path, float | None]
    #: Whether what it returns depends on the rate: it was computed with the updated parameters. None: not known.
    early: bool | None = False


def updating(runs: Runs, paths: Iterable[Path]) -> Updating:
    """How backward updates the parameters at these places."""
    rates: dict[Path, float | None] = {}
    for path in paths:
        holder = look(runs.original.thing, path[:-1]) if path[:-1] else runs.original.thing
        kept = rate_on(holder) or rate_on(runs.original.thing)
        rate = runs.calling.rate[1] if runs.calling.rate else None if kept is None else kept[1]
        rates[path] = rate
    if not rates:
        return Updating({})
    try:
        multiples = _multiples(runs, list(rates)) if any(rates.values()) else set()
        early = _is_early(runs)
    except (Exception, SystemExit):  # not every backward can be called again
        return Updating(dict.fromkeys(rates), None)
    return Updating({path: rate if path in multiples else None for path, rate in rates.items()}, early)


def _multiples(runs: Runs, paths: Collection[Path]) -> set[Path]:
    """Where the update is the same again, and three times as large for three times the upstream gradient."""
    trial = runs.original.copy()
    before = {path: np.array(look(trial, path), np.float64) for path in paths}
    updates = []
    for times in (1.0, 1.0, 3.0) if runs.calling.has_upstream else (1.0, 1.0, 1.0):
        runs.backward(trial, runs.forward(trial), times)
        updates.append(
            {path: (before[path] - np.array(look(trial, path), np.float64)) / times for path in paths}
        )
        for path, value in before.items():
            put(trial, path, value)
    first = updates[0]
    size = {path: float(np.abs(first[path]).max(initial=0)) for path in paths}
    return {p for p in paths if all(np.allclose(each[p], first[p], atol=1e-9 * size[p]) for each in updates)}


def _is_early(runs: Runs) -> bool | None:
    """Whether what backward returns depends on the learning rate; None where that has no place to change it."""
    if runs.calling.rate is not None:
        name, rate = runs.calling.rate
        slower = Runs(runs.original, runs.values, runs.plain)
        slower.calling = replace(runs.calling, rate=(name, SMALLER * rate))
        first, second = runs.original.copy(), runs.original.copy()
    else:
        found = rate_on(runs.original.thing)
        if found is None:
            return None
        slower, first, second = runs, runs.original.copy(), runs.original.copy()
        put(second, found[0], np.asarray(SMALLER * found[1]))
    one = in_order_and_by_name(runs.backward(first, runs.forward(first)))[0]
    other = in_order_and_by_name(slower.backward(second, slower.forward(second)))[0]
    pairs = zip(one, other, strict=False)
    return not all(a is None or np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)
