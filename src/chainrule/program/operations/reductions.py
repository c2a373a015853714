"""Reductions: sums, means and maxima within a row."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.layers import Layer
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_backward, own_forward
from chainrule.program.table import Instruction, Operation, Place

LONGEST = 2**31 - 1  # so that the product of two lengths is a whole number in C


def _sum_to(step: Step, each: Instruction, x: Array, y: Array) -> None:
    n, inner = map(int, each.numbers[:2])
    np.sum(x.reshape(len(x), -1, n, inner), axis=2, out=y.reshape(len(x), -1, inner))


def _sum_rows(step: Step, each: Instruction, x: Array, out: Array) -> None:
    div, mod = map(int, each.numbers[:2])
    np.sum(x.reshape(-1, mod, div), axis=(0, 2), out=out.reshape(mod))


def whole_numbers_of(each: Instruction, count: int) -> list[int] | None:
    """The first numbers of an instruction, where they are lengths: whole ones of at least 1; else None."""
    numbers = each.numbers[:count]
    lengths = all(float(number).is_integer() and 1 <= number <= LONGEST for number in numbers)
    return [int(number) for number in numbers] if lengths and len(numbers) == count else None


def _fits(each: Instruction, long: int, short: int) -> bool:
    """Whether n and inner divide the rows of the long operand, and leave those of the short one."""
    numbers, x, y = whole_numbers_of(each, 2), each.operands[long], each.operands[short]
    if numbers is None or x is None or y is None or len(each.numbers) != 3:
        return False
    n, inner = numbers
    return x.width % (n * inner) == 0 and y.width * n == x.width


def _fits_rows(each: Instruction) -> bool:
    numbers, (x, out) = whole_numbers_of(each, 2), each.operands
    if numbers is None or x is None or out is None or len(each.numbers) != 3 or each.numbers[2] not in (0, 1):
        return False
    div, mod = numbers
    return not out.is_batch and out.size == mod and x.size > 0 and x.size % (div * mod) == 0


REDUCE = Operation(
    "reduce",
    ("B D", "=B K"),
    "{1} = reduce({0})",
    kernel="sum_axis",
    statement=own_forward,
    fits=lambda each: _fits(each, 0, 1),
)
SPREAD = Operation(
    "spread",
    ("B K", "=B D"),
    "{1} = spread({0})",
    kernel="spread_axis",
    statement=own_backward,
    fits=lambda each: _fits(each, 1, 0),
)
MAX = Operation(
    "max",
    ("B D", "=B K"),
    "{1} = max({0})",
    kernel="max_axis",
    statement=own_forward,
    fits=lambda each: _fits(each, 0, 1),
)
MAX_GRADIENT = Operation(
    "max_gradient",
    ("B K", "B D", "B K", "=B D"),
    "{3} = max_gradient({0}, {1}, {2})",
    kernel="max_axis_gradient",
    statement=own_backward,
    fits=lambda each: _fits(each, 1, 0),
)
SUM_TO = Operation(
    "sum_to",
    ("B D", "=B K"),
    "{1} = sum_to({0})",
    kernel="sum_axis",
    statement=_sum_to,
    fits=lambda each: _fits(each, 0, 1),
)
SUM_ROWS = Operation(
    "sum_rows",
    ("any", "=any"),
    "{1} = sum_rows({0})",
    turn="gradients",
    kernel="sum_rows",
    statement=_sum_rows,
    fits=_fits_rows,
)  # into the gradient of a parameter
SUM_BATCH = Operation(
    "sum_batch",
    ("any", "=any"),
    "{1} = sum_batch({0})",
    turn="columns",
    kernel="sum_batch",
    statement=_sum_rows,
    fits=lambda each: _fits_rows(each) and each.numbers[2] == 0,
)  # into another gradient that does not grow with the batch


@dataclass(frozen=True)
class Reduction:
    """How the rows of x are reduced: (outer, n, inner) to (outer, inner)."""

    n: int
    inner: int
    divisor: int

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Those of the instruction."""
        return self.n, self.inner, self.divisor


def reduction_of(layer: Layer | None, row: Shape) -> Reduction | None:
    """How a layer reduces rows of this shape; None where it reduces the batch, or axes that are not neighbours."""
    if type(layer) not in (layers.Sum, layers.Mean, layers.Max):
        return None
    given = layer.axes  # type: ignore[union-attr]
    if given is None:
        return None
    axes = sorted(axis % (len(row) + 1) for axis in given)
    if not axes or axes[0] == 0 or axes != list(range(axes[0], axes[-1] + 1)):
        return None
    n, inner = math.prod(row[axes[0] - 1 : axes[-1]]), math.prod(row[axes[-1] :])
    return Reduction(n, inner, n if type(layer) is layers.Mean else 1)


class ReductionRule:
    """Sum, Mean and Max over neighbouring axes of a row."""

    def takes(self, walk: Walk, i: int) -> bool:
        sources = walk.sources(i)
        if i not in walk.shapes or not sources or sources[0] not in walk.shapes:
            return False
        row = walk.shapes[sources[0]]
        return math.prod(row) > 0 and reduction_of(walk.layer(i), row) is not None

    def forward(self, walk: Walk, i: int) -> None:
        kind = MAX if type(walk.layer(i)) is layers.Max else REDUCE
        x = walk.sources(i)[0]
        walk.emit(kind, walk.value(x), walk.value(i), numbers=self._of(walk, i).numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        x = walk.sources(i)[0]
        if not walk.needed[x]:
            return
        into, numbers = walk.destination(x), self._of(walk, i).numbers
        if type(walk.layer(i)) is layers.Max:
            dy, y = walk.gradient(i), walk.value(i)
            walk.emit(MAX_GRADIENT, dy, walk.value(x), y, into, numbers=numbers, layer=i)
        else:
            walk.emit(SPREAD, walk.gradient(i), into, numbers=numbers, layer=i)
        walk.arrived(x, into)

    def _of(self, walk: Walk, i: int) -> Reduction:
        found = reduction_of(walk.layer(i), walk.shapes[walk.sources(i)[0]])
        assert found is not None
        return found


def sum_within_rows(walk: Walk, full: Place, into: Place, div: int, mod: int) -> None:
    """Sum the gradient of a row over all elements that read the same one of an operand: (j / div) % mod."""
    if full.width > div * mod and div > 1:
        halfway = Place(f"{into.name} (summed)", "arena", (div * mod,))
        walk.emit(SUM_TO, full, halfway, numbers=(full.width // (div * mod), div * mod, 1))
        full = halfway
    n, inner = (div, 1) if full.width == div * mod else (full.width // mod, mod)
    walk.emit(SUM_TO, full, into, numbers=(n, inner, 1), note="summed where it was broadcast")
