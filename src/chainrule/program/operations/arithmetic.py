"""Sums, views and scales."""

from __future__ import annotations

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Constant
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.sums import COPY
from chainrule.program.table import Instruction, Operation


def _add(step: Step, each: Instruction, a: Array, b: Array, out: Array) -> None:
    np.add(a, b, out=out)


def _scale_columns(step: Step, each: Instruction, x: Array, factor: Array, shift: Array, y: Array) -> None:
    np.multiply(x, factor, out=y)
    y += shift


ADD = Operation("add", ("B D", "B D", "=B D"), "{2} = add({0}, {1})", kernel="add", statement=_add)
SCALE_COLUMNS = Operation(
    "scale_columns",
    ("B D", "D", "D", "=B D"),
    "{3} = scale_columns({0}, {1}, {2})",
    kernel="scale_columns",
    statement=_scale_columns,
)


class AddRule:
    """The sum of two arrays of one shape."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) is not layers.Add or i not in walk.shapes:
            return False
        return all(walk.shapes.get(source) == walk.shapes[i] for source in walk.sources(i))

    def forward(self, walk: Walk, i: int) -> None:
        walk.emit(ADD, *(walk.value(source) for source in walk.sources(i)), walk.value(i))

    def backward(self, walk: Walk, i: int) -> None:
        for source in walk.sources(i):
            walk.pass_on(walk.gradient(i), source)


class ViewRule:
    """The same numbers in rows of another shape."""

    def takes(self, walk: Walk, i: int) -> bool:
        is_view = type(walk.layer(i)) in (layers.Flatten, layers.Reshape)
        return is_view and i in walk.shapes and walk.sources(i)[0] in walk.shapes

    def forward(self, walk: Walk, i: int) -> None:
        x = walk.value(walk.sources(i)[0])
        walk.emit(COPY, x, walk.value(i), note="the same numbers in another shape")

    def backward(self, walk: Walk, i: int) -> None:
        walk.pass_on(walk.gradient(i), walk.sources(i)[0])


class ScaleRule:
    """x + c, x - c, x * c, x / c or c * x, for a constant with one number for each column, or for all."""

    def takes(self, walk: Walk, i: int) -> bool:
        kinds = (layers.Add, layers.Subtract, layers.Multiply, layers.Divide)
        if type(walk.layer(i)) not in kinds or i not in walk.shapes or len(walk.sources(i)) != 2:
            return False
        x, c = self._scaled(walk, i)
        constant = walk.graph.nodes[c]
        if len(walk.shapes.get(x, ())) != 1 or not isinstance(constant, Constant):
            return False
        return constant.value.shape in ((), walk.shapes[x]) and self._is_exact(walk, i)

    def _is_exact(self, walk: Walk, i: int) -> bool:
        """Whether the factors are ordinary numbers in the network's dtype: 1 / c may be too large, or denormal."""
        dtype = walk.graph.dtype or np.dtype(np.float64)
        with np.errstate(all="ignore"):
            factor = abs(self._scale(walk, i)[0].astype(dtype))
        tiny, largest = np.finfo(dtype).tiny, np.finfo(dtype).max
        return bool((((factor >= tiny) & (factor <= largest)) | (factor == 0)).all())

    def forward(self, walk: Walk, i: int) -> None:
        self._emit(walk, i, walk.value(self._scaled(walk, i)[0]), walk.value(i), *self._scale(walk, i))

    def backward(self, walk: Walk, i: int) -> None:
        x = self._scaled(walk, i)[0]
        factor, _ = self._scale(walk, i)
        into = walk.destination(x)
        self._emit(walk, i, walk.gradient(i), into, factor, np.zeros_like(factor))
        walk.arrived(x, into)

    def _emit(self, walk: Walk, i: int, x: object, y: object, factor: Array, shift: Array) -> None:
        name = walk.graph.name_of(i)
        places = walk.constant(f"factor of {name}", factor), walk.constant(f"shift of {name}", shift)
        walk.emit(SCALE_COLUMNS, x, *places, y, note="constant")  # type: ignore[arg-type]

    def _scaled(self, walk: Walk, i: int) -> tuple[int, int]:
        """What is scaled, and the constant it is scaled with."""
        x, c = walk.sources(i)
        swap = type(walk.layer(i)) is layers.Multiply and isinstance(walk.graph.nodes[x], Constant)
        return (c, x) if swap else (x, c)

    def _scale(self, walk: Walk, i: int) -> tuple[Array, Array]:
        """The factor and the shift for each column."""
        constant = walk.graph.nodes[self._scaled(walk, i)[1]]
        assert isinstance(constant, Constant)
        value = np.broadcast_to(constant.value.astype(np.float64), walk.shapes[i])
        one, zero = np.ones_like(value), np.zeros_like(value)
        kind = type(walk.layer(i))
        if kind is layers.Add:
            return one, value
        if kind is layers.Subtract:
            return one, -value
        with np.errstate(all="ignore"):
            return (value if kind is layers.Multiply else 1 / value), zero
