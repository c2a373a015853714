"""What every peer is asked to do: a network, its data, its start weights, its batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Task:
    """Train, or predict with, a network of affine layers with ReLU between them and softmax at the end.

    `sizes` are the widths, inputs and classes included. `std` is that of the start weights, None for He's.
    `samples` rows of made-up data, or None for those in files: MNIST's, or in a folder of their own, `files`.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    optimizer: Literal["sgd", "adam"]
    learning_rate: float
    std: float | None = None
    samples: int | None = None
    files: str = ""

    def weights(self) -> list[Array]:
        """W1, b1, W2, b2, ... as every peer starts from them, float32."""
        rng = np.random.default_rng(0)
        result = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            std = (2 / inputs) ** 0.5 if self.std is None else self.std
            result.append(rng.normal(0, std, (inputs, outputs)).astype(np.float32))
            result.append(np.zeros(outputs, np.float32))
        return result

    def products(self, rows: int, training: bool) -> list[tuple[Array, Array, Array]]:
        """The matrix products of one step, or of one prediction: (left, right, result) each.

        Forward for every layer; backward dW = x^T dy for every layer and dx = dy W^T for all but the first.
        """
        rng = np.random.default_rng(1)

        def matrix(height: int, width: int) -> Array:
            return rng.standard_normal((height, width), np.float32)

        result = []
        for number, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            x, w, dy = matrix(rows, inputs), matrix(inputs, outputs), matrix(rows, outputs)
            result.append((x, w, np.empty_like(dy)))
            if training:
                result.append((x.T, dy, np.empty_like(w)))
            if training and number:
                result.append((dy, w.T, np.empty_like(x)))
        return result


@dataclass(frozen=True)
class Data:
    """Rows to train on and rows to test on: x float32 (N, D), t int64 (N,)."""

    x: Array
    t: Array
    x_test: Array
    t_test: Array

    @classmethod
    def of(cls, task: Task, folder: Path, only: int | None = None) -> Data:
        """The data of the task: from files, at most `only` rows, or made up."""
        if task.samples is None:
            paths = [folder / task.files / f"{name}.npy" for name in ("x", "t", "x_test", "t_test")]
            if only is None:
                return cls(*(np.load(path) for path in paths))
            return cls(*(np.array(np.load(path, mmap_mode="r")[:only]) for path in paths))  # reads no others
        rng = np.random.default_rng(2)
        x = rng.standard_normal((task.samples, task.sizes[0]), np.float32)
        t = (x @ rng.standard_normal((task.sizes[0], task.sizes[-1]), np.float32)).argmax(axis=1)
        return cls(x, t, x, t)


def rows_of(task: Task, folder: Path) -> Array:
    """The row numbers of the task's batches, (iterations, batch), the same for every peer."""
    rows: Array = np.load(folder / f"rows-{task.name}.npy")
    return rows
