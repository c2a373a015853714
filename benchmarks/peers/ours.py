"""chainrule, through its public calls: `net.fit` and `net.predict`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import chainrule as cr
from chainrule.optimizers import Optimizer
from chainrule.training import Run
from peers.base import Job, Peer
from peers.task import Array

SEED = 0  # of the batches; the others are given the rows that `fit` draws with it


class Pauses(cr.Callback):
    """How long the measuring after each epoch takes."""

    every_iteration = False

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._since = 0.0

    def on_iteration(self, run: Run) -> None:
        self._since = time.perf_counter()

    def on_epoch(self, run: Run) -> None:
        self.seconds.append(time.perf_counter() - self._since)


class Ours(Peer):
    """A network in float32. Variants: "compiled" and "in NumPy", which `fit` can be told, and "as it comes",
    where it chooses by itself, for the whole job.
    """

    def prepare(self) -> None:
        layers: list[cr.layers.Layer] = []
        for width in self.task.sizes[1:]:
            layers += [cr.Affine(width), cr.ReLU()]
        self.layers = layers[:-1]
        self.net = self._network()

    def _network(self) -> cr.Network:
        return cr.Network(
            *self.layers, input_shape=self.task.sizes[:1], loss=cr.SoftmaxCrossEntropy(), seed=SEED
        )

    def reset(self, weights: list[Array]) -> None:
        self.net = self._network()  # whose iterations start at 0, so that `fit` draws the same rows again
        for name, value in zip(self.net.params, weights, strict=True):
            self.net.params[name] = value

    def _optimizer(self) -> Optimizer:
        rate = self.task.learning_rate
        return cr.SGD(rate) if self.task.optimizer == "sgd" else cr.Adam(rate)

    def _fit(self, iterations: int, **options: Any) -> cr.History:
        if self.variant != "as it comes":
            options |= {"compile": self.variant == "compiled", "threads": self.threads}
        return self.net.fit(
            self.data.x,
            self.data.t,
            optimizer=self._optimizer(),
            iterations=iterations,
            batch_size=self.task.batch,
            sampling="replacement",
            seed=SEED,
            progress=False,
            **options,
        )

    def train(self, start: int, stop: int) -> list[float]:
        return self._fit(stop - start).loss

    def step_seconds(self, steps: int) -> float:
        """From the end of the first step to that of the last one, as the history has it, without measuring.

        Loss and accuracy over all the data, which `fit` measures after every epoch, are no part of a step, and
        the others measure nothing. An epoch of made-up data is as short as one step.
        """
        pauses = Pauses()
        seconds = self._fit(steps, callbacks=[pauses]).seconds
        return (seconds[-1] - seconds[0] - sum(pauses.seconds[:-1])) / (
            steps - 1
        )  # the last follows all steps

    def job(self, iterations: int, epoch: int) -> Job:
        start = time.perf_counter()
        history = self._fit(iterations, validation=(self.data.x_test, self.data.t_test))
        seconds = time.perf_counter() - start
        return Job(seconds, history.loss, history.train_accuracy, history.test_accuracy)

    def predictor(self, rows: int) -> Callable[[], Array]:
        x, net = self.data.x_test[:rows], self.net
        return lambda: net.predict(x)


PEER = Ours
