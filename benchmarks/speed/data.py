"""The files that all workers read: MNIST, a table, and the row numbers of every batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification

import chainrule as cr
from chainrule.loop import Batches
from peers.task import Array
from speed.workloads import ITERATIONS, TABLE, TASKS, W1

SEED = 0


def write_data(folder: Path) -> None:
    """MNIST as float32 in [0, 1] and int64 labels, one array a file; the table; the rows that `fit` will draw."""
    (x, t), test = cr.datasets.load_mnist()
    _write(folder, x, t, *test)
    write_table(folder)
    for task in TASKS.values():
        batches = Batches(task.samples or len(x), task.batch, "replacement", SEED)
        many = ITERATIONS if task == W1 else 400
        epochs = -(-many // batches.epoch_length)
        rows = np.concatenate([batches.of_epoch(epoch) for epoch in range(epochs)])
        np.save(folder / f"rows-{task.name}.npy", rows[:many])


def write_table(folder: Path) -> None:
    """3,200 rows of 20 columns in two classes, and as many to test on."""
    x, t = make_classification(6400, 20, n_informative=10, class_sep=1.5, random_state=SEED)
    x = x.astype(np.float32)
    _write(folder / TABLE.files, x[:3200], t[:3200], x[3200:], t[3200:])


def write_fits(folder: Path) -> bool:
    """The data of the whole fits alone. Whether the images are MNIST; else they are ten noisy patterns."""
    write_table(folder)
    try:
        train, test = cr.datasets.load_mnist(download=False)
    except cr.FileError:
        rng = np.random.default_rng(SEED)
        t = rng.integers(10, size=70_000)
        x = (rng.random((10, 784), np.float32)[t] + rng.random((70_000, 784), np.float32)) / 2
        _write(folder, x[:60_000], t[:60_000], x[60_000:], t[60_000:])
        return False
    _write(folder, *train, *test)
    return True


def _write(folder: Path, *arrays: Array) -> None:
    folder.mkdir(exist_ok=True)
    for name, array in zip(("x", "t", "x_test", "t_test"), arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
