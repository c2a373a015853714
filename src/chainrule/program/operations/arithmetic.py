"""Arithmetic between two nodes that broadcast."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.graph import Constant, Parameter
from chainrule.layers import Layer
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_forward
from chainrule.program.operations.reductions import SUM_BATCH, SUM_ROWS, sum_within_rows, whole_numbers_of
from chainrule.program.table import Instruction, Operation, Place

# In NumPy: the layer's own forward and backward --------------------------------------------------------------


def gradient_of(which: int, step: Step, each: Instruction, dy: Array, *operands: Array) -> None:
    """The gradient of one input of a layer, by its backward."""
    needs = which == 0, which == 1
    asks = step.layers[each.layer].signature.backward_asks
    operands[-1][...] = step.backward(each.layer, dy, **({"needs": needs} if "needs" in asks else {}))[which]


# Operations --------------------------------------------------------------------------------------------------


def _reads_inside(place: Place | None, div: int, mod: int) -> bool:
    """Whether the elements (j / div) % mod are within a row, or within what does not grow with the batch."""
    return place is not None and mod <= place.size


def _fits(each: Instruction, first: int) -> bool:
    numbers = whole_numbers_of(each, 4)
    if numbers is None or len(each.numbers) != 4:
        return False
    a, b = each.operands[first : first + 2]
    return _reads_inside(a, *numbers[:2]) and _reads_inside(b, *numbers[2:])


def _fits_whole(each: Instruction, first: int) -> bool:
    """The same where nothing grows with the batch: dy and y have as many numbers as the result."""
    if any(place is None or place.is_batch for place in each.operands):
        return False
    sizes = {place.size for k, place in enumerate(each.operands) if place and k not in (first, first + 1)}
    return len(sizes) == 1 and _fits(each, first)


def _value(kernel: str) -> Operation:
    printed = f"{{2}} = {kernel}({{0}}, {{1}})"
    fits = partial(_fits, first=0)
    return Operation(kernel, ("any", "any", "=B D"), printed, kernel=kernel, statement=own_forward, fits=fits)


def _of_two(kernel: str, which: int) -> Operation:
    """The gradient of one operand from dy and the other."""
    return Operation(
        f"{kernel}_gradient",
        ("any", "any", "=B D"),
        f"{{2}} = {kernel}({{0}}, {{1}})",
        kernel=kernel,
        statement=partial(gradient_of, which),
        fits=partial(_fits, first=0),
    )


def _of_all(kernel: str, which: int) -> Operation:
    """The gradient of one operand from dy, both operands and y."""
    return Operation(
        kernel,
        ("B D", "any", "any", "B D", "=B D"),
        f"{{4}} = {kernel}({{0}}, {{1}}, {{2}}, {{3}})",
        kernel=kernel,
        statement=partial(gradient_of, which),
        fits=partial(_fits, first=1),
    )


@dataclass(frozen=True)
class Arithmetic:
    """The operation of a layer, and those of its two gradients; None where that is dy itself."""

    value: Operation
    gradients: tuple[Operation | None, Operation | None]
    other: tuple[int | None, int | None] = (None, None)
    """What the gradient of each reads beside dy: one of the operands, or (None) all that there is."""


NEGATED = Operation(
    "negated",
    ("any", "any", "=B D"),
    "{2} = {0} * {1}",
    kernel="multiply",
    statement=lambda step, each, dy, minus, out: np.multiply(dy, minus[0], out=out),
    fits=partial(_fits, first=0),
)
ARITHMETIC: dict[type[Layer], Arithmetic] = {
    layers.Add: Arithmetic(_value("add"), (None, None)),
    layers.Subtract: Arithmetic(_value("subtract"), (None, NEGATED)),
    layers.Multiply: Arithmetic(_value("multiply"), (_of_two("multiply", 0), _of_two("multiply", 1)), (1, 0)),
    layers.Divide: Arithmetic(
        _value("divide"), (_of_two("divide", 0), _of_all("divisor_gradient", 1)), (1, None)
    ),
    layers.Power: Arithmetic(_value("power"), (_of_all("base_gradient", 0), _of_all("exponent_gradient", 1))),
}


def _whole(operation: Operation) -> Operation:
    """The same operation where nothing grows with the batch."""
    first = len(operation.operands) // 2 - 1  # of the two operands: behind dy, where there is one
    return replace(
        operation,
        operands=("any",) * (len(operation.operands) - 1) + ("=any",),
        turn="columns",
        fits=partial(_fits_whole, first=first),
    )


#: Each operation, where nothing grows with the batch.
WHOLE: dict[Operation, Operation] = {
    each: _whole(each)
    for kind in ARITHMETIC.values()
    for each in (kind.value, *kind.gradients)
    if each is not None
}


def pattern_of(shape: Shape, full: Shape) -> tuple[int, int] | None:
    """How an operand is broadcast within a row: as (j / div) % mod; None where it is not so simple.

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


class ArithmeticRule:
    """Add, Subtract, Multiply, Divide and Power, of arrays of the batch, its reductions, parameters and constants.

    What the batch is reduced to does not grow with it; nor does its combination with such a value, or with a
    parameter or constant.
    """

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in ARITHMETIC:
            return False
        shape = self._shape(walk, i)
        if shape is None or math.prod(shape) == 0:
            return False
        return all(self._pattern(walk, i, source) is not None for source in walk.sources(i))

    def forward(self, walk: Walk, i: int) -> None:
        if i not in walk.shapes:
            shape = self._shape(walk, i)
            assert shape is not None
            walk.put_whole(i, shape)
        a, b = walk.sources(i)
        numbers = (*self._found(walk, i, a), *self._found(walk, i, b))
        operation = self._kind(walk, i).value
        self._emit(
            walk,
            operation,
            walk.operand(a),
            walk.operand(b),
            walk.value(i),
            numbers=numbers,
            layer=i,
        )

    def backward(self, walk: Walk, i: int) -> None:
        for which, source in enumerate(walk.sources(i)):
            if walk.needed[source]:
                self._backward(walk, i, which, source)

    def _backward(self, walk: Walk, i: int, which: int, source: int) -> None:
        """The gradient as if nothing was broadcast, then summed where something was."""
        dy, operation = walk.gradient(i), self._kind(walk, i).gradients[which]
        own = walk.gradient(source)
        is_full = own.space == dy.space and own.size == dy.size
        if operation is None and is_full:
            walk.pass_on(dy, source)
            return
        if operation is NEGATED and dy.is_batch and walk.is_whole(source):
            self._negate_sum(walk, i, source)
            return
        into = walk.destination(source)
        full = dy
        if operation is not None:
            full = into if is_full else self._unsummed(walk, dy, into)
            self._emit_gradient(walk, i, which, operation, full)
        if not is_full:
            div, mod = self._found(walk, i, source)
            if own.is_batch:
                sum_within_rows(walk, full, into, div, mod)
            elif own.space == "gradient":
                walk.emit(SUM_ROWS, full, into, numbers=(div, mod, len(own.shape) != 1))
            else:
                walk.emit(SUM_BATCH, full, into, numbers=(div, mod, 0))
        walk.arrived(source, into)

    def _negate_sum(self, walk: Walk, i: int, source: int) -> None:
        """The gradient of what is subtracted from every row: the sum is negated, not each of its terms."""
        into = walk.destination(source)
        summed = walk.spare(f"{into.name} (summed)", into.shape)
        walk.emit(SUM_BATCH, walk.gradient(i), summed, numbers=(*self._found(walk, i, source), 0))
        minus, numbers = walk.constant("-1", np.full(1, -1.0)), (1, into.size, 1, 1)
        self._emit(walk, NEGATED, summed, minus, into, numbers=numbers, layer=i)
        walk.arrived(source, into)

    def _emit_gradient(self, walk: Walk, i: int, which: int, operation: Operation, out: Place) -> None:
        dy, (a, b) = walk.gradient(i), walk.sources(i)
        all_of_dy = 1, dy.size
        other = self._kind(walk, i).other[which]
        if operation is NEGATED:
            minus = walk.constant("-1", np.full(1, -1.0))
            self._emit(walk, operation, dy, minus, out, numbers=(*all_of_dy, 1, 1), layer=i)
        elif other is not None:
            numbers = *all_of_dy, *self._found(walk, i, (a, b)[other])
            self._emit(walk, operation, dy, walk.operand((a, b)[other]), out, numbers=numbers, layer=i)
        else:
            numbers = *self._found(walk, i, a), *self._found(walk, i, b)
            places = dy, walk.operand(a), walk.operand(b), walk.value(i), out
            self._emit(walk, operation, *places, numbers=numbers, layer=i)

    def _emit(
        self, walk: Walk, operation: Operation, *places: Place, numbers: tuple[int, ...], layer: int
    ) -> None:
        """Write an operation down, in its form for what does not grow with the batch where that is the result."""
        form = operation if places[-1].is_batch else WHOLE[operation]
        walk.emit(form, *places, numbers=numbers, layer=layer)

    def _unsummed(self, walk: Walk, dy: Place, into: Place) -> Place:
        name = f"{into.name} (unsummed)"
        return Place(name, "arena", dy.row) if dy.is_batch else walk.spare(name, dy.shape)

    def _kind(self, walk: Walk, i: int) -> Arithmetic:
        return ARITHMETIC[type(walk.layer(i))]  # type: ignore[index]  # `takes` looked there

    def _found(self, walk: Walk, i: int, source: int) -> tuple[int, int]:
        found = self._pattern(walk, i, source)
        assert found is not None
        return found

    def _shape(self, walk: Walk, i: int) -> Shape | None:
        """The shape of a row of the node, or of all of it where it does not grow with the batch."""
        if i in walk.shapes:
            return walk.shapes[i]
        sources = walk.sources(i)
        if not (walk.may_be_whole(i) and any(walk.is_whole(source) for source in sources)):
            return None
        shapes = [self._own_shape(walk, source) for source in sources]
        known = [shape for shape in shapes if shape is not None]
        return np.broadcast_shapes(*known) if len(known) == len(shapes) else None

    def _own_shape(self, walk: Walk, source: int) -> Shape | None:
        """The shape of what does not grow with the batch; None where it has no place."""
        node = walk.graph.nodes[source]
        if isinstance(node, Constant):
            return node.value.shape if node.value.dtype.kind in "buif" else None
        return walk.value(source).shape if isinstance(node, Parameter) or walk.is_whole(source) else None

    def _pattern(self, walk: Walk, i: int, source: int) -> tuple[int, int] | None:
        """How a source is broadcast within a row of node i; None where it has no place, or cannot be."""
        row = self._shape(walk, i)
        assert row is not None
        if source in walk.shapes:
            own = walk.shapes[source]
            return pattern_of(own, row) if len(own) == len(row) else None  # else the batch axis is elsewhere
        shape = self._own_shape(walk, source)
        if shape is None or len(shape) > len(row) + 1 or (len(shape) > len(row) and shape[0] != 1):
            return None
        return pattern_of(shape[1:] if len(shape) > len(row) else shape, row)
