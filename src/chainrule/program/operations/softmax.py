"""Softmax and LogSoftmax between layers; that of a loss is a part of the loss."""

from __future__ import annotations

from math import prod
from typing import cast

from chainrule import layers
from chainrule.layers import Layer
from chainrule.layers.axes import axes_of
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_backward, own_forward
from chainrule.program.operations.reductions import whole_numbers_of
from chainrule.program.table import Instruction, Operation


def _has_lines(each: Instruction) -> bool:
    """Whether a row is made of lines of n times `inner` numbers."""
    x, numbers = each.operands[0], whole_numbers_of(each, 2)
    if x is None or numbers is None or len(each.numbers) != 2:
        return False
    n, inner = numbers
    return x.width > 0 and x.width % (n * inner) == 0


def _operations(kernel: str) -> tuple[Operation, Operation]:
    """Forward and backward."""
    backward = f"{kernel}_gradient"
    return (
        Operation(
            kernel,
            ("B D", "=B D"),
            f"{{1}} = {kernel}({{0}})",
            kernel=kernel,
            statement=own_forward,
            fits=_has_lines,
        ),
        Operation(
            backward,
            ("B D", "B D", "=B D"),
            f"{{2}} = {backward}({{0}}, {{1}})",
            kernel=backward,
            statement=own_backward,
            fits=_has_lines,
        ),
    )


SOFTMAX, SOFTMAX_GRADIENT = _operations("softmax")
LOG_SOFTMAX, LOG_SOFTMAX_GRADIENT = _operations("log_softmax")
OPERATIONS: dict[type[Layer], dict[str, Operation]] = {
    layers.Softmax: {"forward": SOFTMAX, "backward": SOFTMAX_GRADIENT},
    layers.LogSoftmax: {"forward": LOG_SOFTMAX, "backward": LOG_SOFTMAX_GRADIENT},
}


class SoftmaxRule:
    """Softmax and LogSoftmax along any axis but the first."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in OPERATIONS:
            return False
        row = walk.shapes.get(i, ())
        if not row or 0 in row or walk.shapes.get(walk.sources(i)[0]) != row:
            return False
        return self._axis(walk, i) > 0

    def forward(self, walk: Walk, i: int) -> None:
        x = walk.value(walk.sources(i)[0])
        walk.emit(
            self._operation(walk, i, "forward"), x, walk.value(i), numbers=self._lines(walk, i), layer=i
        )

    def backward(self, walk: Walk, i: int) -> None:
        (x,) = walk.sources(i)
        if not walk.needed[x]:
            return
        into = walk.destination(x)
        walk.emit(
            self._operation(walk, i, "backward"),
            walk.gradient(i),
            walk.value(i),
            into,
            numbers=self._lines(walk, i),
            layer=i,
        )
        walk.arrived(x, into)

    def _operation(self, walk: Walk, i: int, way: str) -> Operation:
        return OPERATIONS[type(walk.layer(i))][way]  # type: ignore[index]  # `takes` looked there

    def _axis(self, walk: Walk, i: int) -> int:
        layer = cast(layers.Softmax | layers.LogSoftmax, walk.layer(i))
        return axes_of(layer, (layer.axis,), 1 + len(walk.shapes[i]))[0]

    def _lines(self, walk: Walk, i: int) -> tuple[int, int]:
        """How many numbers there are along the axis, and how far apart they lie."""
        axis, row = self._axis(walk, i), walk.shapes[i]
        return row[axis - 1], prod(row[axis:])
