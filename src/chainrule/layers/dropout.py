"""Noise that keeps units from relying on each other."""

from __future__ import annotations

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array
from chainrule.layers.base import Layer
from chainrule.randomness import kept


class Dropout(Layer):
    """y = x * keep / (1 - rate),    dL/dx = dL/dy * keep / (1 - rate), keep 0 with probability rate, else 1.

    Only while training; when predicting, y = x. The division keeps the mean ("inverted dropout"), so that
    nothing is left to do when predicting. `chainrule.randomness.kept` says which elements are kept.

    Shapes: x any -> y the same. float32 or float64, kept; one generator drops the same elements in both.
    Raises: ArgumentError unless 0 <= rate < 1.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, Dropout (2014), sections 4 and 10.
    """

    moves_elements = True

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = number("rate", rate, "[0, 1)", owner=self)

    def forward(self, x: Array, *, training: bool, rng: np.random.Generator) -> tuple[Array, Array | None]:
        if not training or self.rate == 0:
            return x, None
        keep = kept(rng, x.shape, self.rate)
        return np.where(keep, x / (1 - self.rate), 0), keep

    def backward(self, dy: Array, keep: Array | None) -> Array:
        return dy if keep is None else np.where(keep, dy / (1 - self.rate), 0)
