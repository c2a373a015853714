"""Reductions over the batch: sums and means of all rows, which do not grow with it."""

from __future__ import annotations

import math

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.layers.axes import axes_of
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.operations.arithmetic import pattern_of
from chainrule.program.operations.own import own_backward, own_forward
from chainrule.program.operations.reductions import whole_numbers_of
from chainrule.program.table import Instruction, Operation


def _spread_more(step: Step, each: Instruction, dy: Array, dx: Array) -> None:
    dx += step.backward(each.layer, dy)


def _fits(each: Instruction, adds: int | None = None) -> bool:
    """Whether each number of a row of x belongs to one of y; a gradient has them the other way round."""
    x, y = each.operands if adds is None else each.operands[::-1]
    numbers, more = whole_numbers_of(each, 2), () if adds is None else (float(adds),)
    if numbers is None or x is None or y is None or each.numbers[2:] not in ((0, *more), (1, *more)):
        return False
    div, mod = numbers
    return not y.is_batch and y.size == mod and x.width > 0 and x.width % (div * mod) == 0


REDUCE_BATCH = Operation(
    "reduce_batch",
    ("B D", "=any"),
    "{1} = reduce_batch({0})",
    turn="columns",
    kernel="sum_batch",
    statement=own_forward,
    fits=_fits,
)
SPREAD_BATCH = Operation(
    "spread_batch",
    ("any", "=B D"),
    "{1} = spread_batch({0})",
    kernel="spread_batch",
    statement=own_backward,
    fits=lambda each: _fits(each, 0),
)
SPREAD_MORE = Operation(
    "spread_batch",
    ("any", "~B D"),
    "{1} += spread_batch({0})",
    kernel="spread_batch",
    statement=_spread_more,
    fits=lambda each: _fits(each, 1),
)


class BatchReductionRule:
    """Sum and Mean over the batch, alone or with axes of its rows, in training."""

    def takes(self, walk: Walk, i: int) -> bool:
        layer = walk.layer(i)
        if type(layer) not in (layers.Sum, layers.Mean) or not walk.may_be_whole(i):
            return False
        row = walk.shapes.get(walk.sources(i)[0], (0,))
        if math.prod(row) == 0 or 0 not in self._axes(walk, i):
            return False
        return pattern_of(self._shape(walk, i, keepdims=True), row) is not None

    def forward(self, walk: Walk, i: int) -> None:
        walk.put_whole(i, self._shape(walk, i))
        walk.emit(
            REDUCE_BATCH,
            walk.value(walk.sources(i)[0]),
            walk.value(i),
            numbers=self._numbers(walk, i),
            layer=i,
        )

    def backward(self, walk: Walk, i: int) -> None:
        x = walk.sources(i)[0]
        if not walk.needed[x]:
            return
        dy, dx, numbers = walk.gradient(i), walk.gradient(x), self._numbers(walk, i)
        first = walk.starts(dx)
        operation, adds = (SPREAD_BATCH, 0) if first else (SPREAD_MORE, 1)
        walk.emit(operation, dy, dx, numbers=(*numbers, adds), layer=i)

    def _axes(self, walk: Walk, i: int) -> tuple[int, ...]:
        layer = walk.layer(i)
        assert isinstance(layer, (layers.Sum, layers.Mean))
        return axes_of(layer, layer.axes, 1 + len(walk.shapes[walk.sources(i)[0]]))

    def _shape(self, walk: Walk, i: int, keepdims: bool | None = None) -> Shape:
        """The shape of the value; with `keepdims`, that of one row of it, with all axes."""
        axes, row = self._axes(walk, i), walk.shapes[walk.sources(i)[0]]
        if keepdims:
            return tuple(1 if axis in axes else length for axis, length in enumerate(row, start=1))
        if walk.layer(i).keepdims:  # type: ignore[union-attr]
            return (1, *self._shape(walk, i, keepdims=True))
        return tuple(length for axis, length in enumerate(row, start=1) if axis not in axes)

    def _numbers(self, walk: Walk, i: int) -> tuple[int, int, int]:
        """How it is broadcast to a row, and whether it is a mean."""
        found = pattern_of(self._shape(walk, i, keepdims=True), walk.shapes[walk.sources(i)[0]])
        assert found is not None
        return *found, int(type(walk.layer(i)) is layers.Mean)
