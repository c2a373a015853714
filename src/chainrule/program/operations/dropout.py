"""Dropout: it draws its own random numbers, so that a step needs nothing of Python."""

from __future__ import annotations

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_gradient
from chainrule.program.table import Instruction, Place
from chainrule.randomness import layer_key, layer_stream, threshold


def _dropout(step: Step, each: Instruction, x: Array, key: Array, m: Array, y: Array) -> None:
    """The layer's own forward."""
    rng = layer_stream(key.view(np.uint64), step.pass_.step)
    y[...] = step.forward(each.layer, x, training=step.pass_.training, rng=rng)


# Numbers: the threshold below which a word drops its element, and the factor for those that are kept.
DROPOUT = operation(
    "dropout",
    "B D, indices, =B D, =B D",
    _dropout,
    printed="{3}, {2} = dropout({0}, {1})",
    numbers={"below": float, "factor": float},
    fits=lambda operands, below: operands[1].size == 2 and 0 <= below < 2**32,
)
DROPOUT_GRADIENT = operation("dropout_gradient", "~B D, B D", own_gradient(0))


class DropoutRule:
    """Dropout while training; in a prediction its output is its input."""

    def takes(self, walk: Walk, i: int) -> bool:
        is_dropout = type(walk.layer(i)) is layers.Dropout
        return is_dropout and i in walk.shapes and walk.sources(i)[0] in walk.shapes

    def forward(self, walk: Walk, i: int) -> None:
        x, layer = walk.value(walk.sources(i)[0]), walk.layer(i)
        if not walk.training:
            walk.put_value(i, x)
            return
        assert isinstance(layer, layers.Dropout)
        name = walk.graph.name_of(i)
        key = walk.whole_numbers(f"key of {name}", layer_key(walk.graph.seed, i).view(np.int64))
        walk.kept[i] = Place(f"factors of {name}", "arena", walk.shapes[i])
        numbers = threshold(layer.rate), 1 / (1 - layer.rate)
        walk.emit(DROPOUT, x, key, walk.kept[i], walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        walk.emit(DROPOUT_GRADIENT, walk.gradient(i), walk.kept[i], layer=i)
        walk.pass_on(walk.gradient(i), walk.sources(i)[0])
