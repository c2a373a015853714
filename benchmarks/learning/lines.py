"""Plain linear regressions, 3 x + 2 with noise, from many seeds: what every default must be able to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from learning.trials import WORST, score

COLUMNS = (1, 3, 10, 30)
UNITS = (50, 100, 200)
SEEDS = range(12)
ROWS, TEST_ROWS, EPOCHS = 320, 1_000, 20


@dataclass(frozen=True)
class Line:
    """One such regression, and the network's hidden units."""

    columns: int
    units: int
    seed: int


def learnt(line: Line, **options: Any) -> float:
    """R² on rows that were not trained on, after 20 epochs of 320 rows; of `fit`, the options given."""
    rng = np.random.default_rng(line.seed)
    x = rng.normal(size=(ROWS + TEST_ROWS, line.columns))
    t = (3 * x + 2).sum(axis=1, keepdims=True) + 0.1 * rng.normal(size=(len(x), 1))
    t = (t - t[:ROWS].mean()) / t[:ROWS].std()
    layers = [cr.Affine(line.units), cr.ReLU(), cr.Affine(1)]
    net = cr.Network(*layers, input_shape=line.columns, loss=cr.MeanSquaredError(), seed=line.seed)
    try:
        net.fit(x[:ROWS], t[:ROWS], epochs=EPOCHS, progress=False, threads=1, **options)
    except cr.errors.DivergedError:
        return WORST
    return score(net.predict(x[ROWS:]), t[ROWS:])
