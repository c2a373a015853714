"""Dropout drops nothing in a prediction, where its output is its input."""

from __future__ import annotations

from chainrule import layers
from chainrule.program.lowering import Walk


class DropoutRule:
    """Dropout in a prediction. In training it has no kernel yet, and runs in Python."""

    def takes(self, walk: Walk, i: int) -> bool:
        is_dropout = type(walk.layer(i)) is layers.Dropout and not walk.training
        return is_dropout and i in walk.shapes and walk.sources(i)[0] in walk.shapes

    def forward(self, walk: Walk, i: int) -> None:
        walk.put_value(i, walk.value(walk.sources(i)[0]))

    def backward(self, walk: Walk, i: int) -> None:
        raise AssertionError("a prediction has no run backward")
