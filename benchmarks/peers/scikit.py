"""scikit-learn's MLPClassifier: partial_fit for every batch, and one partial_fit over the rows of many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neural_network import MLPClassifier

from peers.base import Peer
from peers.task import Array


class Scikit(Peer):
    """Variants: "batch by batch", and "many a call", where the batches' rows are laid end to end and
    `batch_size` cuts them apart again: the same batches, but only the mean of their losses is known.
    """

    one_logit = True
    epsilon_hat = True
    gives_probabilities = True

    def prepare(self) -> None:
        self.net = MLPClassifier(
            self.task.sizes[1:-1],
            solver=self.task.optimizer,
            learning_rate_init=self.task.learning_rate,
            batch_size=self.task.batch,
            alpha=0,
            momentum=0,
            nesterovs_momentum=False,
            shuffle=False,
        )
        self.classes = np.arange(self.task.sizes[-1])
        first = self.rows[0]
        self.net.partial_fit(self.data.x[first], self.data.t[first], classes=self.classes)

    def reset(self, weights: list[Array]) -> None:
        for mine, given in zip(self.net.coefs_, weights[::2], strict=True):
            mine[:] = given
        for mine, given in zip(self.net.intercepts_, weights[1::2], strict=True):
            mine[:] = given
        vars(self.net).pop("_optimizer", None)  # the next partial_fit makes a new one
        self.net.n_iter_, self.net.t_, self.net.loss_curve_ = 0, 0, []

    def train(self, start: int, stop: int) -> list[float]:
        x, t, net = self.data.x, self.data.t, self.net
        if self.variant == "many a call":
            rows = self.rows[start:stop].ravel()
            return [float(net.partial_fit(x[rows], t[rows]).loss_)]
        return [float(net.partial_fit(x[rows], t[rows]).loss_) for rows in self.rows[start:stop]]

    def accuracy(self, x: Array, t: Array) -> float:
        return float(self.net.score(x, t))

    def predictor(self, rows: int) -> Callable[[], Array]:
        x, net = self.data.x_test[:rows], self.net
        return lambda: net.predict_proba(x)


PEER = Scikit
