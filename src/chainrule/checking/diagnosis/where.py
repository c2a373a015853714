"""Where in an array something is wrong: in which rows, heads, tiles, or in the last, partial block."""

from __future__ import annotations

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.context import Check
from chainrule.checking.diagnosis.case import Case, Diagnosis
from chainrule.text import counted

#: The lengths of tiles that kernels have.
TILES = (128, 64, 32, 16, 8)


def where(wrong: Array, looked_at: Array | None = None) -> str:
    """A sentence about the places where `wrong` is true, among those looked at; nothing where they are all over."""
    seen = np.ones(wrong.shape, bool) if looked_at is None else looked_at
    if wrong.ndim == 0 or not wrong.any() or wrong[seen].mean() > 0.95:
        return ""
    found = []
    for axis, length in enumerate(wrong.shape):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        of, bad = np.asarray(seen.any(axis=others)), np.asarray((wrong & seen).any(axis=others))
        if length < 2 or bad[of].all():
            continue
        found.append(_along(axis, length, np.flatnonzero(bad), np.flatnonzero(of)))
    if not found:
        share = 100 * wrong[seen].mean()
        return f"It is off at {share:.0f} % of the places, in no block of them."
    return f"It is off only {', and '.join(found)}."


def _along(axis: int, length: int, bad: Array, seen: Array) -> str:
    first, last = int(bad[0]), int(bad[-1])
    whole = np.isin(seen[(seen >= first) & (seen <= last)], bad).all()
    if whole and last == seen[-1] and tail_of(length, first) and len(bad) > 0:
        count, tile = length - first, tail_of(length, first)
        behind = counted(first // tile, f"block of {tile}", f"blocks of {tile}")
        return f"in the last {count} of {length} along axis {axis}, behind {behind}"
    if len(bad) == 1:
        return f"at {first} of {length} along axis {axis}"
    if whole:
        return f"from {first} to {last} of {length} along axis {axis}"
    steps = np.diff(bad)
    if (steps == steps[0]).all():
        return f"at {first}, {bad[1]}, ..., {last} of {length} along axis {axis}"
    named = ", ".join(map(str, bad[:6])) + (", ..." if len(bad) > 6 else "")
    return f"at {named} of {length} along axis {axis}"


def tail_of(length: int, first: int) -> int:
    """The length of the tiles of which the last, partial one begins there; 0 where that is none."""
    return next((tile for tile in TILES if length % tile and 0 < first == length - length % tile), 0)


def places(check: Check, name: str) -> tuple[Array, Array]:
    """Where a gradient is wrong, and where it was compared."""
    wrong, seen = np.zeros(check.shape(name), bool), np.zeros(check.shape(name), bool)
    for each in check.compared.get(name, []):
        seen.flat[each.index] = True
        wrong.flat[each.index] = not each.agrees and not each.kink
    return wrong, seen


def in_the_tail(case: Case) -> Diagnosis | None:
    """Wrong in the last, partial block of an axis, or 0 in all of its last slices, and nowhere else."""
    wrong, seen = places(case.check, case.name)
    if wrong.sum() < 2:
        return None
    for axis, length in enumerate(wrong.shape):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        bad, of = np.flatnonzero(wrong.any(axis=others)), np.flatnonzero(seen.any(axis=others))
        first = int(bad[0])
        last = np.moveaxis(wrong & (case.analytic == 0), axis, 0)[first:]
        is_unfilled = first > 0 and 2 * first >= length and last.size >= 3 and last.all()
        if is_unfilled or (tail_of(length, first) and np.isin(of[of >= first], bad).all()):
            return Diagnosis("tail", 0.85)
    return None
