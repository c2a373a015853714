"""Arithmetic between two nodes that broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.layers import Layer
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.broadcasting import pattern_of, sum_where_broadcast
from chainrule.program.operations.own import own_forward, own_gradient
from chainrule.program.table import Instruction, Operation, Place

NUMBERS = {"div_a": int, "mod_a": int, "div_c": int, "mod_c": int}  # how each operand is broadcast to a row


def _fits(A: int, C: int, mod_a: int, mod_c: int) -> bool:
    """Whether elements are read within a row, or within what does not grow with the batch."""
    return mod_a <= A and mod_c <= C


def arithmetic_operation(
    kernel: str, statement: Callable[..., None], operands: str = "any A, any C, =B D"
) -> Operation:
    """An operation of two operands, each of which may be broadcast within a row."""
    return operation(kernel, operands, statement, numbers=NUMBERS, fits=_fits)


def _of_all(kernel: str, which: int) -> Operation:
    """The gradient of one operand from dy, both operands and y."""
    return arithmetic_operation(kernel, own_gradient(which), "B D, any A, any C, B D, =B D")


@dataclass(frozen=True)
class Arithmetic:
    """The operation of a layer, and those of its two gradients; None where that is dy itself."""

    value: Operation
    gradients: tuple[Operation | None, Operation | None]
    other: tuple[int | None, int | None] = (None, None)
    """What the gradient of each reads beside dy: one of the operands, or (None) all that there is."""


def _negated(step: Step, each: Instruction, dy: Array, minus: Array, out: Array) -> None:
    np.multiply(dy, minus[0], out=out)


NEGATED = operation(
    "negated",
    "any A, any C, =B D",
    _negated,
    printed="{2} = {0} * {1}",
    kernel="multiply",
    numbers=NUMBERS,
    fits=_fits,
)
_of_a, _of_b = (arithmetic_operation("multiply", own_gradient(which)) for which in (0, 1))
_quotient = arithmetic_operation("divide", own_gradient(0))
ARITHMETIC: dict[type[Layer], Arithmetic] = {
    layers.Add: Arithmetic(arithmetic_operation("add", own_forward), (None, None)),
    layers.Subtract: Arithmetic(arithmetic_operation("subtract", own_forward), (None, NEGATED)),
    layers.Multiply: Arithmetic(arithmetic_operation("multiply", own_forward), (_of_a, _of_b), (1, 0)),
    layers.Divide: Arithmetic(
        arithmetic_operation("divide", own_forward), (_quotient, _of_all("divisor_gradient", 1)), (1, None)
    ),
    layers.Power: Arithmetic(
        arithmetic_operation("power", own_forward),
        (_of_all("base_gradient", 0), _of_all("exponent_gradient", 1)),
    ),
}


class ArithmeticRule:
    """Add, Subtract, Multiply, Divide and Power, of arrays of the batch, its reductions, parameters and constants.

    What the batch is reduced to does not grow with it; nor does its combination with such a value, or with a
    parameter or constant.
    """

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in ARITHMETIC:
            return False
        if i not in walk.shapes and not (walk.may_be_whole(i) and any(map(walk.is_whole, walk.sources(i)))):
            return False
        shapes = self._shapes(walk, i)
        if not shapes:
            return False
        full = self._full(walk, i, shapes)
        return math.prod(full) > 0 and all(pattern_of(shape, full) is not None for shape in shapes)

    def forward(self, walk: Walk, i: int) -> None:
        if i not in walk.shapes:
            walk.put_whole(i, self._full(walk, i, self._shapes(walk, i)))
        numbers = *self._pattern(walk, i, 0), *self._pattern(walk, i, 1)
        operands = map(walk.operand, walk.sources(i))
        walk.emit(self._kind(walk, i).value, *operands, walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        for which, source in enumerate(walk.sources(i)):
            if walk.needed[source]:
                self._backward(walk, i, which, source)

    def _backward(self, walk: Walk, i: int, which: int, source: int) -> None:
        """The gradient as if nothing was broadcast, then summed where something was."""
        dy, own, operation = walk.gradient(i), walk.gradient(source), self._kind(walk, i).gradients[which]
        is_full = own.space == dy.space and own.size == dy.size
        if operation is None and is_full:
            walk.pass_on(dy, source)
            return
        into, pattern = walk.destination(source), self._pattern(walk, i, which)
        if operation is NEGATED and dy.is_batch and walk.is_whole(source):
            summed = walk.spare(
                f"{into.name} (summed)", into.shape
            )  # the sum is negated, not each of its terms
            sum_where_broadcast(walk, dy, summed, own, pattern)
            self._emit_gradient(walk, i, which, summed, into)
        else:
            full = dy
            if operation is not None:
                full = into if is_full else self._unsummed(walk, dy, into)
                self._emit_gradient(walk, i, which, dy, full)
            if not is_full:
                sum_where_broadcast(walk, full, into, own, pattern)
        walk.arrived(source, into)

    def _emit_gradient(self, walk: Walk, i: int, which: int, dy: Place, out: Place) -> None:
        kind, sources = self._kind(walk, i), walk.sources(i)
        operation, other = kind.gradients[which], kind.other[which]
        assert operation is not None
        if operation is NEGATED:
            minus = walk.constant("-1", np.full(1, -1.0))
            walk.emit(operation, dy, minus, out, numbers=(1, dy.size, 1, 1), layer=i)
        elif other is not None:
            numbers = 1, dy.size, *self._pattern(walk, i, other)
            walk.emit(operation, dy, walk.operand(sources[other]), out, numbers=numbers, layer=i)
        else:
            numbers = *self._pattern(walk, i, 0), *self._pattern(walk, i, 1)
            operands = map(walk.operand, sources)
            walk.emit(operation, dy, *operands, walk.value(i), out, numbers=numbers, layer=i)

    def _unsummed(self, walk: Walk, dy: Place, into: Place) -> Place:
        name = f"{into.name} (unsummed)"
        return Place(name, "arena", dy.row) if dy.is_batch else walk.spare(name, dy.shape)

    def _kind(self, walk: Walk, i: int) -> Arithmetic:
        return ARITHMETIC[type(walk.layer(i))]  # type: ignore[index]  # `takes` looked there

    def _shapes(self, walk: Walk, i: int) -> list[Shape]:
        """The shapes of both operands, for a batch of one; none where one has no place, or its rows are others."""
        shapes = []
        for source in walk.sources(i):
            shape = walk.fixed_shape(source)
            if source in walk.shapes and i in walk.shapes and len(walk.shapes[source]) == len(walk.shapes[i]):
                shape = 1, *walk.shapes[source]
            if shape is None:
                return []
            shapes.append(shape)
        return shapes

    def _full(self, walk: Walk, i: int, shapes: list[Shape]) -> Shape:
        """The shape of node i, for a batch of one."""
        return (1, *walk.shapes[i]) if i in walk.shapes else np.broadcast_shapes(*shapes)

    def _pattern(self, walk: Walk, i: int, which: int) -> tuple[int, int]:
        """How an operand is broadcast within a row of node i."""
        shapes = self._shapes(walk, i)
        found = pattern_of(shapes[which], self._full(walk, i, shapes))
        assert found is not None
        return found
