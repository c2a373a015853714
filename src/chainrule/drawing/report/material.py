"""What a report is made from: the record of a training, and what is known beside it."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import __version__
from chainrule.arrays import Array, Shape
from chainrule.drawing.report.words import floats
from chainrule.evaluation import Answers
from chainrule.layers import MeanSquaredError, Standardize
from chainrule.loop import History
from chainrule.network import Network
from chainrule.saving.run_parts import Standing


@dataclass(frozen=True)
class About:
    """What is told of a run beside its numbers: the data, the network, how to repeat it."""

    data: str = ""
    samples: int | None = None
    test_samples: int | None = None
    network: str = ""
    parameters: int | None = None
    #: The shell's command that repeats the run.
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    columns: list[str] | None = None
    #: What the losses are in, such as "share of the target's variance".
    loss_unit: str = ""
    #: R², RMSE and MAE of a regression on the data that it was trained on, as `Network.evaluate` names them.
    on_training: Mapping[str, float] = field(default_factory=dict)
    #: What was found in reading a table, a line each.
    notes: list[str] = field(default_factory=list)


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
class Material:
    """A run as its report sees it. Whatever is None, or empty, is left out of the page."""

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
    standing: Standing | None = None

    @cached_property
    def loss(self) -> Array:
        """The loss of every batch."""
        return floats(self.history.loss)

    @cached_property
    def iterations(self) -> Array:
        """Iterations done at each examination of the layers."""
        return floats(self.history.health.get("iterations", []))

    @cached_property
    def layers(self) -> list[LayerHealth]:
        """The layers that were examined, in the order of the forward run."""
        return list(_records(self.history.health.get("layers"), len(self.iterations)))

    @cached_property
    def parameters(self) -> list[LayerHealth]:
        """The parameters that were examined. Their kind is the name of the layer that they belong to."""
        return list(_records(self.history.health.get("parameters"), len(self.iterations)))

    @property
    def seconds(self) -> float:
        """How long the training took."""
        return float(floats(self.history.seconds[-1:])[0]) if self.history.seconds else 0.0

    def latest(self, measure: str) -> float | None:
        """The value of a measure over all the data that the weights of the run have: the last, or that of the epoch
        whose weights early stopping put back. None when there is none.
        """
        values, at = getattr(self.history, measure), self.history.measured_at
        kept = self.history.settings.get("weights_after_iteration")
        if kept in at and len(at) == len(values):
            values = values[: at.index(kept) + 1]
        return float(floats(values[-1:])[0]) if values else None

    def measured(self, measure: str) -> tuple[Array, Array] | None:
        """After which iterations, and the values, of a measure over all the data; None when there is none."""
        at, values = floats(self.history.measured_at), floats(getattr(self.history, measure))
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
            str(each): floats(values)
            for each, values in measures.items()
            if isinstance(values, list) and len(values) == length
        }
        yield LayerHealth(str(name), str(measures.get("kind") or measures.get("layer") or ""), numbers)


def loss_unit_of(network: Network) -> str:
    """What the losses of a network are in, beside the square of the target's unit; "" for nothing to say."""
    units = network.output.layer
    is_squared = isinstance(network.loss_layer, MeanSquaredError)
    is_in_shares = is_squared and isinstance(units, Standardize) and units.invert
    return "share of the target's variance in the training data" if is_in_shares else ""


def versions() -> dict[str, str]:
    """What the numbers of a run may depend on."""
    return {
        "chainrule": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def described(network: Network) -> str:
    """The network in a few words: '64 → 50 → 10, ReLU'."""
    graph = network.graph
    nodes = [graph.nodes[i] for i in graph.ancestors(graph.position(network.output))]
    inside = [node.layer for node in nodes if node.layer is not None]
    units = [layer.units for layer in inside if layer.units is not None]
    kinds = [type(layer) for layer in inside if layer.is_activation]
    shapes = [_shown(shape) for shape in network.input_shapes.values()]
    ends = [_shown(network.output_shape)] if not units or units[-1] != math.prod(network.output_shape) else []
    path = " → ".join([", ".join(shapes), *map(str, units), *ends])
    return ", ".join([path, *dict.fromkeys(kind.__name__ for kind in kinds)])


def _shown(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "1"
