"""Standardize: the arithmetic of two constants of each column."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.operations.arithmetic import arithmetic_operation
from chainrule.program.table import Instruction, Place


def _by(function: np.ufunc) -> Callable[..., None]:
    """The statement that combines every column with its constant."""

    def statement(step: Step, each: Instruction, x: Array, c: Array, y: Array) -> None:
        function(x.reshape(-1, c.size), c, out=y.reshape(-1, c.size))

    return statement


SUBTRACT = arithmetic_operation("subtract", _by(np.subtract))
DIVIDE = arithmetic_operation("divide", _by(np.divide))
MULTIPLY = arithmetic_operation("multiply", _by(np.multiply))
ADD = arithmetic_operation("add", _by(np.add))


class StandardizeRule:
    """Standardize, of rows of any shape."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) is not layers.Standardize:
            return False
        row = walk.shapes.get(i)
        return row is not None and 0 not in row and walk.shapes.get(walk.sources(i)[0]) == row

    def forward(self, walk: Walk, i: int) -> None:
        layer = self._layer(walk, i)
        x, y, name = walk.value(walk.sources(i)[0]), walk.value(i), walk.graph.name_of(i)
        mean, std = (
            walk.constant(f"{which} of {name}", numbers.reshape(-1))
            for which, numbers in (("mean", layer.mean), ("std", layer.std))
        )
        walk.kept[i] = std
        halfway = Place(f"{name} ({'scaled' if layer.invert else 'centred'})", "arena", y.row)
        first, second = ((MULTIPLY, std), (ADD, mean)) if layer.invert else ((SUBTRACT, mean), (DIVIDE, std))
        for (operation, constant), read, written in ((first, x, halfway), (second, halfway, y)):
            numbers = 1, read.width, 1, constant.size
            walk.emit(operation, read, constant, written, numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        std = walk.kept[i]
        numbers = 1, walk.value(i).width, 1, std.size
        operation = MULTIPLY if self._layer(walk, i).invert else DIVIDE
        walk.emit_gradients(operation, walk.gradient(i), std, of=walk.sources(i), numbers=numbers, layer=i)

    def _layer(self, walk: Walk, i: int) -> layers.Standardize:
        return cast(layers.Standardize, walk.layer(i))
