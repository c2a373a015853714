"""Reductions: sums, means and maxima of rows and over the batch; and softmaxes, along an axis as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.layers import Layer
from chainrule.layers.axes import axes_of
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.broadcasting import LINES, MEANS, PATTERN, pattern_of, reduces, sums_to
from chainrule.program.operations.own import own_forward, own_gradient
from chainrule.program.table import Instruction, Operation

REDUCE = operation("reduce", "B D, =B K", own_forward, kernel="sum_axis", numbers=MEANS, fits=reduces)
SPREAD = operation("spread", "B K, =B D", own_gradient(0), kernel="spread_axis", numbers=MEANS, fits=reduces)
MAX = operation("max", "B D, =B K", own_forward, kernel="max_axis", numbers=MEANS, fits=reduces)
MAX_GRADIENT = operation(
    "max_gradient",
    "B K, B D, B K, =B D",
    own_gradient(0),
    kernel="max_axis_gradient",
    numbers=MEANS,
    fits=reduces,
)


def _has_lines(D: int, n: int, inner: int) -> bool:
    return D > 0 and D % (n * inner) == 0


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


def numbers_of(layer: Layer | None, row: Shape) -> tuple[int, ...]:
    """How rows are divided by the layer's axes; none where these are the batch's, or no neighbours."""
    is_softmax = isinstance(layer, (layers.Softmax, layers.LogSoftmax))
    given = (layer.axis,) if is_softmax else layer.axes  # type: ignore[union-attr]  # the kinds have one or the other
    axes = axes_of(layer, given, 1 + len(row))  # type: ignore[arg-type]  # as above
    if not axes or axes[0] == 0 or axes != tuple(range(axes[0], axes[-1] + 1)):
        return ()
    n, inner = math.prod(row[axes[0] - 1 : axes[-1]]), math.prod(row[axes[-1] :])
    return (n, inner) if is_softmax else (n, inner, n if type(layer) is layers.Mean else 1)


class AlongAxesRule:
    """Sum, Mean, Max, Softmax and LogSoftmax within rows."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in KINDS or i not in walk.shapes:
            return False
        row = walk.shapes.get(walk.sources(i)[0], (0,))
        return math.prod(row) > 0 and numbers_of(walk.layer(i), row) != ()

    def forward(self, walk: Walk, i: int) -> None:
        kind, x, numbers = self._of(walk, i)
        walk.emit(kind.forward, walk.value(x), walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        kind, x, numbers = self._of(walk, i)
        reads = [walk.value(x)] * kind.reads_x + [walk.value(i)] * kind.reads_y
        walk.emit_gradients(kind.backward, walk.gradient(i), *reads, of=(x,), numbers=numbers, layer=i)

    def _of(self, walk: Walk, i: int) -> tuple[AlongAxes, int, tuple[int, ...]]:
        layer, (x,) = walk.layer(i), walk.sources(i)
        return KINDS[type(layer)], x, numbers_of(layer, walk.shapes[x])  # type: ignore[index]  # a rule takes its kinds only


# Over the batch: the result does not grow with it ------------------------------------------------------------


def _spread_more(step: Step, each: Instruction, dy: Array, dx: Array) -> None:
    dx += step.backward(each.layer, dy)


# Numbers: how y is broadcast to a row of x, whether it is a mean, and whether its gradient is added.
REDUCE_BATCH = operation(
    "reduce_batch",
    "B D, =whole M",
    own_forward,
    turn="columns",
    kernel="sum_batch",
    numbers=PATTERN,
    fits=sums_to,
)


def _spreading(operands: str, statement: Callable[..., None], adding: bool, printed: str = "") -> Operation:
    return operation(
        "spread_batch",
        operands,
        statement,
        printed=printed,
        numbers={**PATTERN, "adds": float},
        fits=lambda D, M, div, mod, flag, adds: sums_to(D, M, div, mod, flag) and adds == adding,
    )


SPREAD_BATCH = _spreading("whole M, =B D", own_gradient(0), False)
SPREAD_MORE = _spreading("whole M, ~B D", _spread_more, True, "{1} += spread_batch({0})")


def over_batch(layer: Layer | None, row: Shape) -> tuple[Shape, tuple[int, int, bool]] | None:
    """The shape of a sum or mean over the batch, and its numbers; None where rows are not broadcast so simply."""
    assert isinstance(layer, (layers.Sum, layers.Mean))
    axes = axes_of(layer, layer.axes, 1 + len(row))
    kept = tuple(1 if axis in axes else length for axis, length in enumerate((1, *row)))
    shape = kept if layer.keepdims else tuple(kept[axis] for axis in range(len(kept)) if axis not in axes)
    pattern = pattern_of(kept, (1, *row))
    return None if 0 not in axes or pattern is None else (shape, (*pattern, type(layer) is layers.Mean))


class BatchReductionRule:
    """Sum and Mean over the batch, alone or with axes of its rows, in training."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in (layers.Sum, layers.Mean) or not walk.may_be_whole(i):
            return False
        row = walk.shapes.get(walk.sources(i)[0], (0,))
        return math.prod(row) > 0 and over_batch(walk.layer(i), row) is not None

    def forward(self, walk: Walk, i: int) -> None:
        x, shape, numbers = self._of(walk, i)
        walk.put_whole(i, shape)
        walk.emit(REDUCE_BATCH, walk.value(x), walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        x, _, numbers = self._of(walk, i)
        dx = walk.gradient(x)
        adds = not walk.starts(dx)
        kind = SPREAD_MORE if adds else SPREAD_BATCH
        walk.emit(kind, walk.gradient(i), dx, numbers=(*numbers, adds), layer=i)

    def _of(self, walk: Walk, i: int) -> tuple[int, Shape, tuple[int, int, bool]]:
        (x,) = walk.sources(i)
        found = over_batch(walk.layer(i), walk.shapes[x])
        assert found is not None
        return x, *found
