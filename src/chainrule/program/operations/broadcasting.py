"""Broadcasting: how an operand is read within a row, and gradients that are summed where it was read several times.

Element j of a row reads element (j / div) % mod of the operand.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Place


def pattern_of(shape: Shape, full: Shape) -> tuple[int, int] | None:
    """How an operand is broadcast within a row: div and mod; None where it is not so simple.

    Shapes: `shape` is broadcast to the row `full`; it may have fewer axes.
    """
    own = (1,) * (len(full) - len(shape)) + shape
    long = [axis for axis, length in enumerate(own) if length > 1]
    if not long:
        return math.prod(full), 1
    inside = range(long[0], long[-1] + 1)
    if any(own[axis] != full[axis] for axis in inside):
        return None
    return math.prod(full[long[-1] + 1 :]), math.prod(own)


def _sum_to(step: Step, each: Instruction, x: Array, y: Array) -> None:
    n, inner = map(int, each.numbers[:2])
    np.sum(x.reshape(len(x), -1, n, inner), axis=2, out=y.reshape(len(x), -1, inner))


def _sum_rows(step: Step, each: Instruction, x: Array, out: Array) -> None:
    div, mod = map(int, each.numbers[:2])
    np.sum(x.reshape(-1, mod, div), axis=(0, 2), out=out.reshape(mod))


LINES = {"n": int, "inner": int}  # for rows that are (outer, n, inner)
MEANS = {**LINES, "divisor": float}
PATTERN = {"div": int, "mod": int, "flag": float}


def reduces(D: int, K: int, n: int, inner: int) -> bool:
    """Whether rows of D numbers are (outer, n, inner), and those of K numbers (outer, inner)."""
    return D % (n * inner) == 0 and K * n == D


def sums_to(D: int, M: int, div: int, mod: int, flag: float) -> bool:
    """Whether each of D numbers belongs to one of M."""
    return D > 0 and D % (div * mod) == 0 and mod == M and flag in (0, 1)


SUM_TO = operation("sum_to", "B D, =B K", _sum_to, kernel="sum_axis", numbers=MEANS, fits=reduces)
SUM_ROWS = operation(
    "sum_rows", "any D, =whole M", _sum_rows, turn="gradients", numbers=PATTERN, fits=sums_to
)
SUM_BATCH = operation(
    "sum_batch",
    "any D, =whole M",
    _sum_rows,
    turn="columns",
    numbers=PATTERN,
    fits=lambda D, M, div, mod, flag: sums_to(D, M, div, mod, flag) and flag == 0,
)


def sum_where_broadcast(walk: Walk, full: Place, into: Place, own: Place, pattern: tuple[int, int]) -> None:
    """Sum a gradient of the whole row over all elements that read the same one of the operand of `own`."""
    if own.is_batch:
        _sum_within_rows(walk, full, into, *pattern)
    elif own.space == "gradient":
        walk.emit(SUM_ROWS, full, into, numbers=(*pattern, len(own.shape) != 1))
    else:
        walk.emit(SUM_BATCH, full, into, numbers=(*pattern, 0))


def _sum_within_rows(walk: Walk, full: Place, into: Place, div: int, mod: int) -> None:
    if full.width > div * mod and div > 1:
        halfway = Place(f"{into.name} (summed)", "arena", (div * mod,))
        walk.emit(SUM_TO, full, halfway, numbers=(full.width // (div * mod), div * mod, 1))
        full = halfway
    n, inner = (div, 1) if full.width == div * mod else (full.width // mod, mod)
    walk.emit(SUM_TO, full, into, numbers=(n, inner, 1), note="summed where it was broadcast")
