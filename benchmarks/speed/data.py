"""The files that all workers read: MNIST, and the row numbers of every batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.training import Plan
from speed.workloads import ITERATIONS, TASKS, W1

SEED = 0


def write_data(folder: Path) -> None:
    """MNIST as float32 in [0, 1] and int64 labels, one array a file; the rows that `fit` will draw."""
    (x, t), (x_test, t_test) = cr.datasets.load_mnist()
    for name, array in {"x": x, "t": t, "x_test": x_test, "t_test": t_test}.items():
        np.save(folder / f"{name}.npy", array)
    for task in TASKS.values():
        plan = Plan.make(
            task.samples or len(x),
            epochs=None,
            iterations=ITERATIONS if task == W1 else 400,
            batch_size=task.batch,
            sampling="replacement",
            seed=SEED,
        )
        np.save(folder / f"rows-{task.name}.npy", np.array(list(plan.batches())))
