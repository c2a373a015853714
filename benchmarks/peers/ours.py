"""chainrule, through its public calls: `net.fit` and `net.predict`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import chainrule as cr
from chainrule.loop import Run
from chainrule.optimizers import Optimizer
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
    """A network in float32. Variants: "machine" and "NumPy", which the environment of the process decides, with a
    stated number of threads; and "as it comes", the machine with as many as it likes.
    """

    net: cr.Network

    def prepare(self) -> None:
        layers: list[cr.layers.Layer] = []
        for width in self.task.sizes[1:]:
            layers += [cr.Affine(width), cr.ReLU()]
        self.layers = layers[:-1]

    def _make(self) -> None:
        self.net = cr.Network(
            *self.layers, input_shape=self.task.sizes[:1], loss=cr.SoftmaxCrossEntropy(), seed=SEED
        )

    def reset(self, weights: list[Array]) -> None:
        self._make()  # a new one, whose iterations start at 0, so that `fit` draws the same rows again
        for name, value in zip(self.net.params, weights, strict=True):
            self.net.params[name] = value

    def _optimizer(self) -> Optimizer:
        rate = self.task.learning_rate
        return cr.SGD(rate) if self.task.optimizer == "sgd" else cr.Adam(rate)

    def _fit(self, **options: Any) -> cr.History:
        if self.variant != "as it comes":
            options["threads"] = self.threads
        return self.net.fit(
            self.data.x,
            self.data.t,
            optimizer=self._optimizer(),
            batch_size=self.task.batch,
            seed=SEED,
            progress=False,
            **options,
        )

    def _train(self, iterations: int, **options: Any) -> cr.History:
        return self._fit(iterations=iterations, sampling="replacement", **options)

    def train(self, start: int, stop: int) -> list[float]:
        return self._train(stop - start).loss

    def step_seconds(self, steps: int) -> float:
        """From the end of the first step to that of the last one, as the history has it, without measuring.

        Loss and accuracy over all the data, which `fit` measures after every epoch, are no part of a step, and
        the others measure nothing. An epoch of made-up data is as short as one step.
        """
        pauses = Pauses()
        seconds = self._train(steps, callbacks=[pauses]).seconds
        return (seconds[-1] - seconds[0] - sum(pauses.seconds[:-1])) / (
            steps - 1
        )  # the last follows all steps

    def job(self, iterations: int, epoch: int) -> Job:
        start = time.perf_counter()
        history = self._train(iterations, validation=(self.data.x_test, self.data.t_test))
        seconds = time.perf_counter() - start
        return Job(seconds, history.loss, history.train_accuracy, history.test_accuracy)

    def fit_new(self, epochs: int) -> None:
        self._make()
        self._fit(epochs=epochs)

    def accuracy(self, x: Array, t: Array) -> float:
        return self.net.accuracy(x, t)

    def predictor(self, rows: int) -> Callable[[], Array]:
        x, net = self.data.x_test[:rows], self.net
        return lambda: net.predict(x)


PEER = Ours
