"""The floor: the matrix products of the step and nothing else, by NumPy, into arrays that are there already."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers.base import Peer
from peers.task import Array


class Floor(Peer):
    """What no program that uses these matrix products can go below. It learns nothing.

    Variants: "np.matmul" and "np.dot". They end in the same BLAS, but dot has less to do on the way, and matmul
    does not go there with a batch of one.
    """

    def prepare(self) -> None:
        self.multiply: Callable[..., Array] = np.dot if self.variant == "np.dot" else np.matmul
        self.products = self.task.products(self.task.batch, training=True)

    def reset(self, weights: list[Array]) -> None:
        pass

    def train(self, start: int, stop: int) -> list[float]:
        multiply = self.multiply
        for _ in range(start, stop):
            for left, right, result in self.products:
                multiply(left, right, out=result)
        return []

    def predictor(self, rows: int) -> Callable[[], None]:
        products, multiply = self.task.products(rows, training=False), self.multiply

        def predict() -> None:
            for left, right, result in products:
                multiply(left, right, out=result)

        return predict


PEER = Floor
