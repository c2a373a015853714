"""What a report is made from: the record of a training, and what is known beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape, as_floats
from chainrule.evaluation import Answers
from chainrule.loop import History
from chainrule.network import Network
from chainrule.saving.evaluations import About
from chainrule.saving.run_parts import Standing

USUAL_EPOCHS = 20
"""How long a training is taken to be that stopped before its end and does not say."""


@dataclass(frozen=True)
class LayerHealth:
    """One layer (or parameter) over time: a number for each examination, NaN where there was none."""

    name: str
    kind: str
    measures: dict[str, Array]

    def last(self, measure: str) -> float:
        """The last value of a measure, NaN without one."""
        values = self.measures.get(measure)
        return math.nan if values is None or not len(values) else float(values[-1])

    def first(self, measure: str) -> float:
        """The value of a measure before training, NaN without one."""
        values = self.measures.get(measure)
        return math.nan if values is None or not len(values) else float(values[0])

    def middle(self, measure: str) -> float:
        """The median of a measure after the first examination, which is before training; NaN without one."""
        values = self.measures.get(measure, np.zeros(0))
        values = values[1:] if len(values) > 1 else values
        values = values[np.isfinite(values)]
        return float(np.median(values)) if len(values) else math.nan

    def largest(self, measure: str) -> float:
        """The largest value of a measure; NaN without one."""
        values = self.measures.get(measure, np.zeros(0))
        values = values[np.isfinite(values)]
        return float(values.max()) if len(values) else math.nan


@dataclass(frozen=True)
class TrainingRun:
    """A training run, as far as it is known. Whatever is None, or empty, is left out of the page."""

    name: str
    history: History
    about: About
    network: Network | None = None
    answers: Answers | None = None
    #: The gradient check, as `checking.CheckReport.to_dict` gives it.
    check: dict[str, Any] | None = None
    image_shape: Shape | None = None
    #: A few rows of input and their targets, to draw the network with.
    sample: tuple[Any, Any] | None = None
    #: What could not be read, and what the page lacks for it.
    missing: tuple[str, ...] = ()
    #: Where it is kept, and how it stands by its record there, if it has one.
    folder: Path | None = None
    #: Where the page of the network is, from where the report is; "" for none.
    graph: str = ""
    standing: Standing | None = None

    @cached_property
    def loss(self) -> Array:
        """The loss of every batch."""
        return as_floats(self.history.loss)

    @cached_property
    def rates(self) -> Array:
        """The learning rate of every batch."""
        return as_floats(self.history.learning_rate)

    @cached_property
    def iterations(self) -> Array:
        """Iterations done at each examination of the layers."""
        return as_floats(self.history.health.get("iterations", []))

    @cached_property
    def layers(self) -> list[LayerHealth]:
        """The layers that were examined, in the order of the forward run."""
        return list(_records(self.history.health.get("layers"), len(self.iterations)))

    @cached_property
    def parameters(self) -> list[LayerHealth]:
        """The parameters that were examined. Their kind is the name of the layer that they belong to."""
        return list(_records(self.history.health.get("parameters"), len(self.iterations)))

    @property
    def epoch_length(self) -> int:
        """The iterations of an epoch; 0 where that is not known."""
        settings = self.history.settings
        samples, size = settings.get("samples"), settings.get("batch_size")
        if self.history.unit == "epoch":
            return 1
        if not isinstance(samples, int) or not isinstance(size, int) or samples < 1 or size < 1:
            return 0
        is_last_smaller = settings.get("sampling") != "replacement" and "last_batch" not in settings
        return max(samples // size + (is_last_smaller and samples % size > 0), 1)

    @property
    def epochs(self) -> int:
        """The epochs that were asked for; 0 for a training that was counted in iterations."""
        asked, length = self.history.settings.get("epochs"), self.epoch_length
        if isinstance(asked, int):
            return asked
        if self.history.unit == "epoch":
            return len(self.loss)
        if not length or "iterations" in self.history.settings:
            return 0
        if self.history.stopped != "finished":
            return max(math.ceil(len(self.loss) / length), USUAL_EPOCHS)
        return 0 if len(self.loss) % length else len(self.loss) // length

    def when(self, place: int) -> str:
        """When the measures of this place were taken, as whoever made the run counts: "epoch 7"."""
        at = self.history.measured_at
        done = at[place] if place < len(at) else place + 1
        if not self.counts_epochs:
            return f"iteration {done:,}"
        return f"epoch {math.ceil(done / self.epoch_length) if self.epoch_length else place + 1}"

    @property
    def counts_epochs(self) -> bool:
        """Whether the training was asked for in epochs, as far as it is known."""
        return self.epochs > 0 or not (self.epoch_length or "iterations" in self.history.settings)

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return float(as_floats(self.history.seconds[-1:])[0]) if self.history.seconds else 0.0

    def latest(self, measure: str) -> float | None:
        """The value of a measure over all the data that the weights of the run have: the last, or that of the epoch
        whose weights early stopping put back. None when there is none.
        """
        values, at = getattr(self.history, measure), self.history.measured_at
        kept = self.history.settings.get("weights_after_iteration")
        if kept in at and len(at) == len(values):
            values = values[: at.index(kept) + 1]
        return float(as_floats(values[-1:])[0]) if values else None

    def measured(self, measure: str) -> tuple[Array, Array] | None:
        """After which iterations, and the values, of a measure over all the data; None when there is none."""
        at, values = as_floats(self.history.measured_at), as_floats(getattr(self.history, measure))
        if not len(values) or len(at) != len(values):
            return None
        there = np.isfinite(at)
        return at[there], values[there]


def _records(found: Any, length: int) -> Iterator[LayerHealth]:
    if not isinstance(found, dict):
        return
    for name, measures in found.items():
        if not isinstance(measures, dict):
            continue
        numbers = {
            str(each): as_floats(values)
            for each, values in measures.items()
            if isinstance(values, list) and len(values) == length
        }
        yield LayerHealth(str(name), str(measures.get("kind") or measures.get("layer") or ""), numbers)
