"""A call of a program: what it is given, what it does in one go, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.graph.values import Pass
from chainrule.layers import Layer
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.program.table import Place


@dataclass
class Update:
    """How a step changes the parameters: the optimizer, its state, and the arrays that its instruction names."""

    optimizer: Optimizer
    state: OptimizerState
    arrays: Mapping[str, Array]


@dataclass
class Call:
    """Many training steps on batches of `rows`, or a prediction of `total` rows one after another.

    `data` are the arrays that rows are taken from, by the name of the input; `iteration` is the number of the first
    step, which decides what random numbers are drawn.
    """

    data: Mapping[str, Array]
    batch: int
    steps: int
    rows: Array | None = None
    """Of a training: the row numbers of the batches, (steps, batch), or one batch after another with `starts`."""
    total: int = 0
    starts: Array | None = None
    """Where each batch begins in `rows`, and where the last one ends: (steps + 1,). `batch` is then the largest."""
    rates: Array = field(default_factory=lambda: np.zeros(1))
    weights: Array | None = None
    """Of each step: the sum of its rows' weights, for a penalty; by default the number of rows."""
    losses: Array = field(default_factory=lambda: np.zeros(1))
    right: Array | None = None
    result: Array | None = None
    training: bool = False
    iteration: int = 0
    update: Update | None = None
    statistics: Mapping[str, Array] = field(default_factory=dict)
    """What layers keep from step to step, by name."""
    threads: int | None = None
    """The most threads to use; by default as `program.threads` says."""
    measured: bool = True
    """Of a prediction: whether to find the loss too."""
    is_doubtful: bool = False
    """Whether an array that is watched was not finite."""
    held: list[Array] = field(default_factory=list)
    """Arrays that the machine uses, and that nobody else may keep."""
    origin: Array | None = None
    """Of a part of another call, on a copy of some rows: which rows of its data they are."""

    def given(self, place: Place) -> Array:
        """The array of the caller at a place that is known only in a call."""
        if place.space == "data":
            data = self.data[place.source]
            part: Array = getattr(data, place.part) if place.part else data
            return part
        if place.space == "statistics":
            return self.statistics[place.name]
        assert self.update is not None
        return self.update.arrays[place.name]

    def rows_of(self, step: int) -> Any:
        """The rows of the data that a step takes: their numbers, or a slice."""
        if self.rows is not None:
            return self.rows.ravel()[self._first_of(step) : self._first_of(step + 1)]
        first = step * self.batch
        return slice(first, min(first + self.batch, self.total))

    def length_of(self, step: int) -> int:
        """How many they are."""
        if self.rows is not None:
            return self._first_of(step + 1) - self._first_of(step)
        return min(self.batch, self.total - step * self.batch)

    def _first_of(self, step: int) -> int:
        """Where the batch of a step begins in `rows`."""
        return step * self.batch if self.starts is None else int(self.starts[step])


@dataclass
class Step:
    """One step of a call, as the NumPy statements and Python's layers see it."""

    call: Call
    number: int
    layers: Mapping[int, Layer]
    pass_: Pass
    values: dict[Place, Any] = field(default_factory=dict)
    """Of places in Python's space."""
    saved: dict[int, Any] = field(default_factory=dict)
    """What the forward of a node kept for its backward, by position."""
    statistics: dict[int, Any] = field(default_factory=dict)
    """What the running statistics of a node's layer become, by position."""
    loss: float = 0.0
    stopped: bool = False
    """Whether the loss, or a gradient, is NaN or infinite."""

    def forward(self, i: int, *inputs: Any, **asked: Any) -> Any:
        """The output of the forward of the layer at node i; what it saves is kept."""
        output, self.saved[i] = self.layers[i].forward(*inputs, **asked)
        return output

    def backward(self, i: int, dy: Any, **asked: Any) -> Any:
        """What the backward of the layer at node i returns."""
        return self.layers[i].backward(dy, self.saved[i], **asked)

    @property
    def weight(self) -> float:
        """The sum of its rows' weights."""
        weights = self.call.weights
        return float(self.call.length_of(self.number) if weights is None else weights[self.number])

    @property
    def rows(self) -> Any:
        """The rows of the data that it takes."""
        return self.call.rows_of(self.number)
