"""How often one random projection, and how often the whole of `cr.check`, misses a single wrong element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import chainrule as cr
from mutations.measuring import Advance
from mutations.targets import Array

SIZES = (100, 1_000, 10_000, 40_000)
ERRORS = (1e-3, 1e-2, 1e-1, 1.0)

#: PyTorch's checker holds one random projection against a difference with this tolerance in its fast mode.
RELATIVE = 1e-3
ABSOLUTE = 1e-5


@dataclass
class Missed:
    """Of so many tries with n elements, one wrong by `error`: how many were missed."""

    n: int
    error: float
    tries: int
    by_one_projection: int
    by_check: int
    check_tries: int


class OneWrong(cr.Layer):
    """y = tanh(x), with one element of dL/dx wrong by a fraction of it."""

    def __init__(self, index: int, error: float) -> None:
        self.index, self.error = index, error

    def forward(self, x: Array) -> tuple[Array, Array]:
        y = np.tanh(x)
        return y, y

    def backward(self, dy: Array, y: Array) -> Array:
        dx: Array = dy * (1 - y * y)
        dx.flat[self.index] *= 1 + self.error
        return dx


def run_projection(tries: int, check_tries: int, advance: Advance = lambda name: None) -> list[Missed]:
    """The table: every size with every error."""
    table = []
    for n in SIZES:
        for error in ERRORS:
            rng = np.random.default_rng([n, round(1 / error)])
            alone = sum(not _caught(n, error, rng) for _ in range(tries))
            whole = 0
            for seed in range(check_tries):
                x = rng.uniform(-1, 1, (n // 100, 100))
                layer = OneWrong(int(rng.integers(n)), error)
                whole += cr.check(layer, x, seed=seed).passed
            table.append(Missed(n, error, tries, alone, whole, check_tries))
            advance(f"{n:,} elements, one wrong by {error:g}")
    return table


def _caught(n: int, error: float, rng: np.random.Generator) -> bool:
    """One projection: v·(dL/dx) against (L(x + hv) - L(x - hv)) / 2h, with a random unit vector v and random dy."""
    x, dy, v = rng.uniform(-1, 1, n), rng.normal(size=n), rng.normal(size=n)
    v /= np.linalg.norm(v)
    layer = OneWrong(int(rng.integers(n)), error)
    _, saved = layer.forward(x)
    claimed = float(v @ layer.backward(dy, saved))
    h = 1e-6
    found = float(dy @ (np.tanh(x + h * v) - np.tanh(x - h * v))) / (2 * h)
    return abs(claimed - found) > ABSOLUTE + RELATIVE * abs(found)
