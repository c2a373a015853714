"""scikit-learn's MLPClassifier: partial_fit for every batch, one partial_fit over the rows of many, and fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from peers.base import Peer
from peers.task import Array, Task


class Scikit(Peer):
    """Variants: "batch by batch", and "many a call", where the batches' rows are laid end to end and
    `batch_size` cuts them apart again: the same batches, but only the mean of their losses is known. And "fit",
    for a network from nothing.
    """

    one_logit = True
    epsilon_hat = True
    gives_probabilities = True

    def prepare(self) -> None:
        if self.variant == "fit":  # which makes its own
            return
        self.net = _network(self.task, shuffle=False)
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

    def fit_new(self, epochs: int) -> None:
        """All the epochs: nothing ends it early."""
        self.net = _network(self.task, max_iter=epochs, n_iter_no_change=epochs + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.net.fit(self.data.x, self.data.t)
        if self.net.n_iter_ != epochs:
            raise RuntimeError(f"{self.net.n_iter_} epochs instead of {epochs}")

    def accuracy(self, x: Array, t: Array) -> float:
        return float(self.net.score(x, t))

    def predictor(self, rows: int) -> Callable[[], Array]:
        x, net = self.data.x_test[:rows], self.net
        return lambda: net.predict_proba(x)


def _network(task: Task, **options: Any) -> MLPClassifier:
    return MLPClassifier(
        task.sizes[1:-1],
        solver=task.optimizer,
        learning_rate_init=task.learning_rate,
        batch_size=task.batch,
        alpha=0,
        momentum=0,
        nesterovs_momentum=False,
        **options,
    )


PEER = Scikit
