"""Plain NumPy in float32 that checks nothing: the formula of a prediction, one line a layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers.base import Peer
from peers.task import Array


class Plain(Peer):
    """It predicts, and does not train."""

    def prepare(self) -> None:
        pass

    def reset(self, weights: list[Array]) -> None:
        self.weights = weights

    def train(self, start: int, stop: int) -> list[float]:
        raise NotImplementedError("it only predicts")

    def predictor(self, rows: int) -> Callable[[], Array]:
        x = self.data.x_test[:rows]
        *hidden, (last_w, last_b) = zip(self.weights[::2], self.weights[1::2], strict=True)

        def predict() -> Array:
            y = x
            for w, b in hidden:
                y = np.maximum(y @ w + b, 0)
            result: Array = y @ last_w + last_b
            return result

        return predict


PEER = Plain
