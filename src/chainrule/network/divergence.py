"""Where a training went bad: the graph is run again on the batch, so that every value can be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DivergedError
from chainrule.network.feeds import row_slices, rows_of

if TYPE_CHECKING:
    from chainrule.network.network import Network

ROWS_AT_ONCE = 1024


def diverged_in_step(network: Network, feeds: Mapping[str, Array], iteration: int) -> DivergedError:
    """The error for a step on this batch whose loss or gradient is not finite."""
    graph = network.graph
    statistics = {name: array.copy() for name, array in network.state.items()}
    with np.errstate(all="ignore"):
        loss = network.one_number(graph.forward(dict(feeds), training=True, step=network.iterations))
        graph.backward()
    graph.keep_statistics(statistics)
    what = "a gradient became NaN or infinite" if np.isfinite(loss) else f"the loss became {loss}"
    return _error(network, iteration, what, "before the weights were changed")


def diverged_by_update(
    network: Network, data: Mapping[str, Array], iteration: int, loss: float
) -> DivergedError:
    """The error for an update after which the loss over all the data is not finite."""
    graph = network.graph
    with np.errstate(all="ignore"):
        for part in row_slices(rows_of(data), ROWS_AT_ONCE):
            graph.forward({name: array[part].copy() for name, array in data.items()})  # the graph keeps them
            if graph.first_not_finite() is not None:
                break
    return _error(
        network, iteration, f"its update made the loss over the training data {loss}", "after that update"
    )


def _error(network: Network, iteration: int, what: str, when: str) -> DivergedError:
    graph = network.graph
    where = graph.first_not_finite()
    if where is None:
        bad = [name for name, gradient in graph.gradients.items() if not np.isfinite(gradient).all()]
        where = bad[-1] if bad else graph.name_of(graph.output)  # gradients run from the last node back
        first = f"the first gradient that went bad, going backward, is that of {where!r}"
    else:
        first = f"the first node whose value went bad is {where!r}"
    return DivergedError(
        f"iteration {iteration}: {what}; {first}. Training stopped {when}; try a smaller learning rate, "
        f"clip_norm=1.0 in the optimizer, or inputs scaled to about 1",
        iteration=iteration,
        node=where,
    )
