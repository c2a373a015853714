"""What a peer can be asked: train so many steps, do the whole job, fit a network from nothing, predict."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from peers.task import Array, Data, Task


@dataclass
class Job:
    """The record of a whole training: the loss of every iteration, the accuracies of every epoch."""

    seconds: float
    losses: list[float]
    train_accuracy: list[float]
    test_accuracy: list[float]


class Peer(ABC):
    """One program in one variant, ready to do one task. Whatever can be made ready is made ready in advance."""

    one_logit = False
    """Whether a network for two classes has one output, the logit of the second class."""
    epsilon_hat = False
    """Whether its Adam adds epsilon before the second moment's bias is corrected, the paper's other form."""
    gives_probabilities = False
    """Whether it predicts probabilities, not logits."""

    def __init__(self, task: Task, data: Data, rows: Array, variant: str, threads: int) -> None:
        self.task, self.data, self.rows, self.variant, self.threads = task, data, rows, variant, threads
        self.set_threads()
        self.prepare()

    def set_threads(self) -> None:
        """Let the matrix products use so many threads. Called before every measurement, not timed."""
        threadpool_limits(limits=self.threads, user_api="blas")

    @abstractmethod
    def prepare(self) -> None:
        """Make the network and move the data to where the program wants them."""

    @abstractmethod
    def reset(self, weights: list[Array]) -> None:
        """Put the start weights, and an optimizer that has done nothing."""

    @abstractmethod
    def train(self, start: int, stop: int) -> list[float]:
        """Train on the batches `start` to `stop`, and return the loss of each (of all, if only that is known)."""

    def accuracy(self, x: Any, t: Any) -> float:
        """The share of right answers over all rows."""
        raise NotImplementedError

    def halves(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """The training and the test data as `accuracy` takes them."""
        return (self.data.x, self.data.t), (self.data.x_test, self.data.t_test)

    @abstractmethod
    def predictor(self, rows: int) -> Callable[[], Any]:
        """A function that predicts the first rows of the test data and waits for the result."""

    def step_seconds(self, steps: int) -> float:
        """The time of one step, over so many."""
        start = time.perf_counter()
        self.train(0, steps)
        return (time.perf_counter() - start) / steps

    def predict_seconds(self, rows: int, calls: int) -> float:
        """The time of one prediction, over so many."""
        predict = self.predictor(rows)
        predict()
        start = time.perf_counter()
        for _ in range(calls):
            predict()
        return (time.perf_counter() - start) / calls

    def job(self, iterations: int, epoch: int) -> Job:
        """Train, keep every loss, and measure both accuracies every epoch and at the end."""
        halves = self.halves()
        record = Job(0.0, [], [], [])
        begin = time.perf_counter()
        for start in range(0, iterations, epoch):
            record.losses += self.train(start, min(start + epoch, iterations))
            record.train_accuracy.append(self.accuracy(*halves[0]))
            record.test_accuracy.append(self.accuracy(*halves[1]))
        record.seconds = time.perf_counter() - begin
        return record

    @classmethod
    def placed(cls, data: Data) -> Data:
        """The data where the program wants them. Not timed."""
        return data

    def fit_new(self, epochs: int) -> None:
        """Make a network and train it through so many epochs, each over all the rows in a new order.

        The rows are a multiple of the batch. A peer with a `fit` of its own calls that.
        """
        rng = np.random.default_rng(0)
        orders = [rng.permutation(len(self.data.x)).reshape(-1, self.task.batch) for _ in range(epochs)]
        self.rows = np.concatenate(orders)
        self.prepare()
        self.reset(self.task.weights())
        for start in range(0, len(self.rows), len(orders[0])):
            self.train(start, start + len(orders[0]))

    def fit_seconds(self, epochs: int) -> float:
        """The time of one such fit."""
        start = time.perf_counter()
        self.fit_new(epochs)
        return time.perf_counter() - start
