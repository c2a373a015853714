"""A few rows to run a model on: named data, those it was trained on, or random numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule import datasets
from chainrule.arrays import Array
from chainrule.cli.data import Notes, load_for_model
from chainrule.cli.texts import clean
from chainrule.datasets.images import Split
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.network import Network

ROWS = 10
"""So many rows a model is checked on, and drawn with."""
AT_HAND: dict[str, Callable[[], Split]] = {
    "digits": datasets.load_digits,
    "mnist": partial(datasets.load_mnist, download=False),
    "fashion-mnist": partial(datasets.load_fashion_mnist, download=False),
}
"""The named data, where it needs no download."""


def batch_for(
    network: Network, data: str | None, target: str | None, rows: int, seed: int
) -> tuple[str, dict[str, Array]]:
    """The first rows of the data, those a model was trained on, or random numbers; and what they are, in words."""
    if data is not None:
        table = load_for_model(data, network, target, with_target=True)
        if table.t is None:
            raise ArgumentError(
                f"{data}: there are no answers to compare with; name their column with --target"
            )
        x, t = table.x[:rows], table.t[:rows]
        network.loss(x, t)  # whose message says what does not fit
        return f"{len(x)} rows of {clean(data)}", feeds(network, x, t)
    if target is not None:
        raise ArgumentError("--target names a column of DATA; say which data, too")
    noted = network.metadata.get("data")
    if isinstance(noted, str) and noted in AT_HAND and Notes.of(network).columns is None:
        with contextlib.suppress(ChainruleError):  # it is not at hand, or the note is wrong
            _, (x, t) = AT_HAND[noted]()
            x, t = x[:rows], t[:rows]
            network.loss(x, t)
            return f"{len(x)} rows of {noted}", feeds(network, x, t)
    where = f"{rows} rows of random numbers (seed {seed}), since no data was named"
    return where, _random_batch(network, rows, np.random.default_rng(seed))


def feeds(network: Network, x: Array, t: Array) -> dict[str, Array]:
    """A batch by the names of the network's inputs."""
    return dict(zip(network.graph.inputs, (x, t), strict=False))


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
        batch["t"] = network.loss_layer.example_targets((rows, *network.output_shape), np.float64, rng)
    return batch
