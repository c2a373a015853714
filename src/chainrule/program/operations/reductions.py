"""Reductions: sums, means and maxima of rows and over the batch; and softmaxes, along an axis as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.layers import Layer
from chainrule.layers.arguments import axes_of
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.broadcasting import LINES, MEANS, PATTERN, pattern_of, reduces, sums_to
from chainrule.program.operations.own import own_forward, own_gradient
from chainrule.program.table import Instruction, Operation, Place


def _has_lines(x: Place, *more: int) -> bool:
    n, inner = more[-2:]
    return x.width > 0 and x.width % (n * inner) == 0


REDUCE = operation("reduce", "B D, =B K", own_forward, kernel="sum_axis", numbers=MEANS, fits=reduces)
SPREAD = operation(
    "spread",
    "B K, =B D",
    own_gradient(0),
    kernel="spread_axis",
    numbers=MEANS,
    fits=lambda dy, dx, *numbers: reduces(dx, dy, *numbers),
)
MAX = operation("max", "B D, =B K", own_forward, kernel="max_axis", numbers=MEANS, fits=reduces)
MAX_GRADIENT = operation(
    "max_gradient",
    "B K, B D, B K, =B D",
    own_gradient(0),
    kernel="max_axis_gradient",
    numbers=MEANS,
    fits=lambda dy, x, y, dx, *numbers: reduces(x, y, *numbers),
)


@dataclass(frozen=True)
class AlongAxes:
    """The operations of a layer, and what that of its gradient reads beside dy."""

    forward: Operation
    backward: Operation
    reads_x: bool = False
    reads_y: bool = False


def _softmax(kernel: str) -> AlongAxes:
    forward = operation(kernel, "B D, =B D", own_forward, numbers=LINES, fits=_has_lines)
    backward = operation(
        f"{kernel}_gradient", "B D, B D, =B D", own_gradient(0), numbers=LINES, fits=_has_lines
    )
    return AlongAxes(forward, backward, reads_y=True)


KINDS: dict[type[Layer], AlongAxes] = {
    layers.Sum: AlongAxes(REDUCE, SPREAD),
    layers.Mean: AlongAxes(REDUCE, SPREAD),
    layers.Max: AlongAxes(MAX, MAX_GRADIENT, reads_x=True, reads_y=True),
    layers.Softmax: _softmax("softmax"),
    layers.LogSoftmax: _softmax("log_softmax"),
}


def numbers_of(layer: Layer, row: Shape) -> tuple[int, ...]:
    """How rows are divided by the layer's axes; none where these are the batch's, or no neighbours."""
    is_softmax = isinstance(layer, (layers.Softmax, layers.LogSoftmax))
    given = (layer.axis,) if is_softmax else layer.axes  # type: ignore[attr-defined]
    axes = axes_of(layer, given, 1 + len(row))
    if not axes or axes[0] == 0 or axes != tuple(range(axes[0], axes[-1] + 1)):
        return ()
    n, inner = math.prod(row[axes[0] - 1 : axes[-1]]), math.prod(row[axes[-1] :])
    return (n, inner) if is_softmax else (n, inner, n if type(layer) is layers.Mean else 1)


class AlongAxesRule:
    """Sum, Mean, Max, Softmax and LogSoftmax within rows."""

    def takes(self, walk: Walk, i: int) -> bool:
        layer = walk.layer(i)
        if layer is None or type(layer) not in KINDS or i not in walk.shapes:
            return False
        row = walk.shapes.get(walk.sources(i)[0], (0,))
        return math.prod(row) > 0 and numbers_of(layer, row) != ()

    def forward(self, walk: Walk, i: int) -> None:
        kind, x, numbers = self._of(walk, i)
        walk.emit(kind.forward, walk.value(x), walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        kind, x, numbers = self._of(walk, i)
        reads = [walk.value(x)] * kind.reads_x + [walk.value(i)] * kind.reads_y
        walk.emit_gradients(kind.backward, walk.gradient(i), *reads, of=(x,), numbers=numbers, layer=i)

    def _of(self, walk: Walk, i: int) -> tuple[AlongAxes, int, tuple[int, ...]]:
        layer, (x,) = walk.layer(i), walk.sources(i)
        assert layer is not None
        return KINDS[type(layer)], x, numbers_of(layer, walk.shapes[x])


# Over the batch: the result does not grow with it ------------------------------------------------------------


def _spread_more(step: Step, each: Instruction, dy: Array, dx: Array) -> None:
    dx += step.backward(each.layer, dy)


# Numbers: how y is broadcast to a row of x, whether it is a mean, and whether its gradient is added.
REDUCE_BATCH = operation(
    "reduce_batch",
    "B D, =any",
    own_forward,
    turn="columns",
    kernel="sum_batch",
    numbers=PATTERN,
    fits=sums_to,
)
SPREAD_BATCH = operation(
    "spread_batch",
    "any, =B D",
    own_gradient(0),
    numbers=(*PATTERN, float),
    fits=lambda dy, dx, *numbers: sums_to(dx, dy, *numbers[:3]) and numbers[3] == 0,
)
SPREAD_MORE = operation(
    "spread_batch",
    "any, ~B D",
    _spread_more,
    printed="{1} += spread_batch({0})",
    numbers=(*PATTERN, float),
    fits=lambda dy, dx, *numbers: sums_to(dx, dy, *numbers[:3]) and numbers[3] == 1,
)


class BatchReductionRule:
    """Sum and Mean over the batch, alone or with axes of its rows, in training."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in (layers.Sum, layers.Mean) or not walk.may_be_whole(i):
            return False
        row = walk.shapes.get(walk.sources(i)[0], (0,))
        return math.prod(row) > 0 and 0 in self._axes(walk, i) and self._pattern(walk, i) is not None

    def forward(self, walk: Walk, i: int) -> None:
        axes, kept = self._axes(walk, i), self._kept_shape(walk, i)
        keeps = walk.layer(i).keepdims  # type: ignore[union-attr]
        walk.put_whole(i, kept if keeps else tuple(n for axis, n in enumerate(kept) if axis not in axes))
        x = walk.value(walk.sources(i)[0])
        walk.emit(REDUCE_BATCH, x, walk.value(i), numbers=self._numbers(walk, i), layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        dx = walk.gradient(walk.sources(i)[0])
        adds = not walk.starts(dx)
        numbers = *self._numbers(walk, i), adds
        walk.emit(SPREAD_MORE if adds else SPREAD_BATCH, walk.gradient(i), dx, numbers=numbers, layer=i)

    def _axes(self, walk: Walk, i: int) -> tuple[int, ...]:
        layer = walk.layer(i)
        assert isinstance(layer, (layers.Sum, layers.Mean))
        return axes_of(layer, layer.axes, 1 + len(walk.shapes[walk.sources(i)[0]]))

    def _kept_shape(self, walk: Walk, i: int) -> Shape:
        """The shape of the value, with all axes."""
        axes, row = self._axes(walk, i), walk.shapes[walk.sources(i)[0]]
        return tuple(1 if axis in axes else length for axis, length in enumerate((1, *row)))

    def _pattern(self, walk: Walk, i: int) -> tuple[int, int] | None:
        """How the value is broadcast to a row."""
        return pattern_of(self._kept_shape(walk, i), (1, *walk.shapes[walk.sources(i)[0]]))

    def _numbers(self, walk: Walk, i: int) -> tuple[int, ...]:
        """This, and whether it is a mean."""
        return *(self._pattern(walk, i) or ()), type(walk.layer(i)) is layers.Mean
