"""Where a training went bad, and why: the graph is run again on the batch, so that every value can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DivergedError
from chainrule.network.feeds import row_slices, rows_of
from chainrule.network.scales import (
    LARGE,
    SCALE_SPARSE,
    column_of,
    has_unscaled_targets,
    largest_column,
    unscaled_inputs,
)
from chainrule.optimizers import SGD, Optimizer
from chainrule.sparse import SparseRows

if TYPE_CHECKING:
    from chainrule.network.network import Network

ROWS_AT_ONCE = 1024
#: Sizes of data that a usual learning rate may diverge with, and up to where a rate is usual.
NOTABLE, USUAL = 10, 1
#: The size of a weight that no network needs.
GROWN = 1e3


def diverged_in_step(
    network: Network, feeds: Mapping[str, Array], iteration: int, optimizer: Optimizer, rate: float
) -> DivergedError:
    """The error for a step on this batch whose loss or gradient is not finite."""
    graph = network.graph
    statistics = {name: array.copy() for name, array in network.state.items()}
    with np.errstate(all="ignore"):
        loss = network.one_number(graph.forward(dict(feeds), training=True, step=network.iterations))
        graph.backward()
    graph.keep_statistics(statistics)
    what = "a gradient became NaN or infinite" if np.isfinite(loss) else f"the loss became {loss}"
    cause = cause_of(network, feeds, optimizer, rate, first=network.iterations == 0)
    return _error(network, iteration, what, "before the weights were changed", cause)


def diverged_by_update(
    network: Network,
    data: Mapping[str, Array],
    iteration: int,
    loss: float,
    optimizer: Optimizer,
    rate: float,
) -> DivergedError:
    """The error for an update after which the loss over all the data is not finite."""
    graph = network.graph
    with np.errstate(all="ignore"):
        for part in row_slices(rows_of(data), ROWS_AT_ONCE):
            graph.forward({name: array[part].copy() for name, array in data.items()})  # the graph keeps them
            if graph.first_not_finite() is not None:
                break
    cause = cause_of(network, data, optimizer, rate, updated=True)
    what = f"its update made the loss over the training data {loss}"
    return _error(network, iteration, what, "after that update", cause)


def cause_of(
    network: Network,
    data: Mapping[str, Array],
    optimizer: Optimizer,
    rate: float,
    updated: bool = False,
    first: bool = False,
) -> tuple[str, str]:
    """What a divergence comes from, and the remedy in words.

    "targets" or "inputs" of a large scale, the larger of them; "weights" that are not finite before the step, or
    start too large; the "rate", where it is unusually large or weights have grown; else the "node" itself.
    """
    sizes: dict[str, float] = {}
    texts: dict[str, str] = {}
    if has_unscaled_targets(network.output, network.loss_layer):
        size, _ = largest_column(data["t"])
        sizes["targets"] = size
        texts["targets"] = (
            f"the targets are about {size:.0e}: scale them, cr.Standardize.of(t, invert=True) last in the network"
        )
    for name in unscaled_inputs(network.graph, data):
        size, column = largest_column(data[name])
        if size > sizes.get("inputs", 0):
            sizes["inputs"] = size
            place = ", ".join(filter(None, ["" if name == "x" else name, column_of(data[name], column)]))
            how = f"scale them, cr.Standardize.of({'x' if name == 'x' else f'x[{name!r}]'}) first in the network"
            how = SCALE_SPARSE if isinstance(data[name], SparseRows) else how
            texts["inputs"] = f"the inputs are about {size:.0e}{f' ({place})' if place else ''}: {how}"
    larger = max(sizes, key=lambda each: sizes[each], default="")
    if larger and sizes[larger] > (NOTABLE if rate <= USUAL else LARGE):
        return larger, texts[larger]
    if not updated:
        for name, value in network.params.items():
            if not np.isfinite(value).all():
                return "weights", f"{name} was not finite before: make the network anew, or load it"
            if first and value.size and (size := float(np.abs(value).max())) > GROWN:
                return "weights", (
                    f"{name} starts with numbers of about {size:.0e}: start smaller, weights=cr.initializers.He()"
                )
    flat = network.params.flat
    if updated or rate > USUAL or not flat.size or float(np.abs(flat).max()) > GROWN:
        smaller = min(rate / 10, 0.1 if isinstance(optimizer, SGD) else 0.01)
        clipped = optimizer.clip_norm is not None or optimizer.clip_value is not None
        return "rate", (
            f"the learning rate {rate:.4g} is too large: try a smaller learning rate, such as {smaller:.4g}"
            + ("" if clipped else ", or clip_norm=1.0 in the optimizer")
        )
    return "node", (
        "neither the data nor the weights are large: look at what that node computes, such as a logarithm of 0; "
        "else try a smaller learning rate"
    )


def _error(network: Network, iteration: int, what: str, when: str, cause: tuple[str, str]) -> DivergedError:
    graph = network.graph
    where = graph.first_not_finite()
    if where is None:
        bad = [name for name, gradient in graph.gradients.items() if not np.isfinite(gradient).all()]
        where = bad[-1] if bad else graph.name_of(graph.output)  # gradients run from the last node back
        first = f"the first gradient that went bad, going backward, is that of {where!r}"
    else:
        first = f"the first node whose value went bad is {where!r}"
    name, remedy = cause
    return DivergedError(
        f"iteration {iteration}: {what}; {first}. Training stopped {when}",
        iteration=iteration,
        node=where,
        cause=name,
        remedy=remedy,
    )
