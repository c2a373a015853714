"""A few rows to run a model on: named data, those it was trained on, or random numbers."""

from __future__ import annotations

import contextlib

import numpy as np

from chainrule.arrays import Array, first_not_finite
from chainrule.cli.data import NAMED, Notes, load_answered, load_named
from chainrule.cli.reading import TableOptions
from chainrule.errors import ArgumentError, ChainruleError, DataError
from chainrule.network import Network

ROWS = 10
"""So many rows a model is checked on, and drawn with."""


def batch_for(
    network: Network, data: str | None, target: str | None, rows: int, seed: int, reading: TableOptions
) -> tuple[str, dict[str, Array]]:
    """The first rows of the data, those a model was trained on, or random numbers; and what they are, in words."""
    if data is not None:
        try:
            x, t = (values[:rows] for values in load_answered(data, network, target, reading))
        except ArgumentError as error:
            if " for the target" not in str(error) and "answers" not in str(error):
                raise
            raise ArgumentError(
                f"gradients flow back from a loss, which needs the answers: {error}"
            ) from None
        network.loss(x, t)  # whose message says what does not fit
        return f"{len(x)} rows of {data}", feeds(network, x, t)
    if target is not None:
        raise ArgumentError("--target names a column of DATA; say which data, too")
    reading.refuse("DATA, and none is named: say which")
    noted = network.metadata.get("data")
    if isinstance(noted, str) and noted in NAMED and Notes.of(network).columns is None:
        with contextlib.suppress(ChainruleError):  # it is not at hand, or the note is wrong
            known = load_named(noted, download=False)
            x, t = known.x_test[:rows], known.t_test[:rows]
            network.loss(x, t)
            return f"{len(x)} rows of {noted}", feeds(network, x, t)
    where = f"{rows} rows of random numbers (seed {seed}), since no data was named"
    return where, _random_batch(network, rows, np.random.default_rng(seed))


def feeds(network: Network, x: Array, t: Array) -> dict[str, Array]:
    """A batch by the names of the network's inputs."""
    return dict(zip(network.graph.inputs, (x, t), strict=False))


def unlearned(t: Array, rows: int) -> Array:
    """For each of the first rows, the target of a row that has another.

    The gradients of a network that has learned its targets are nearly 0, and a check of them is lost in rounding.
    """
    flat = t.reshape(len(t), -1)
    return t[[int((flat != row).any(axis=1).argmax()) for row in flat[:rows]]]


def outputs_of(network: Network, x: Array, data: str) -> Array:
    """The model's outputs. NaN is no answer: it comes from a training that diverged, or data far out of range."""
    outputs = network.output_of(x, warns=False)
    bad = first_not_finite(outputs)
    if bad is not None:
        raise DataError(
            f"{data}: the model's output for row {bad[0] + 1} is {outputs[bad]}; the model diverged in "
            f"training, or the data are far from what it was trained on"
        )
    return outputs


def _random_batch(network: Network, rows: int, rng: np.random.Generator) -> dict[str, Array]:
    """Numbers for each input, below the vocabulary where it takes indices, and targets that suit the loss."""
    graph = network.graph
    below: dict[str, int] = {}
    for i, node in enumerate(graph.nodes):
        if node.layer is not None and node.layer.index_inputs:
            for source, name in zip(graph.source_positions(i), node.layer.signature.inputs, strict=False):
                if name in node.layer.index_inputs:
                    below[graph.name_of(source)] = getattr(node.layer, "vocabulary", 2)
    batch: dict[str, Array] = {}
    for name, shape in network.input_shapes.items():
        full = (rows, *shape)
        batch[name] = rng.integers(0, below[name], full) if name in below else rng.normal(size=full)
    if network.loss_layer is not None:
        example = network.loss_layer.example_targets((rows, *network.output_shape), np.float64, rng)
        batch["t"] = network.labels.named(example)
    return batch
