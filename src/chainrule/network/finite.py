"""Outputs that are NaN or infinite though the input is finite: which parameter, or node, they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from chainrule.arrays import Array, first_not_finite
from chainrule.errors import warn
from chainrule.incoming import place
from chainrule.sparse import numbers_in

if TYPE_CHECKING:
    from chainrule.network.network import Network


def warn_unless_finite(network: Network, inputs: Mapping[str, Array], output: Array) -> None:
    """Warn of an output that is not finite, and say what it comes from."""
    bad = first_not_finite(output)
    if bad is not None:
        warn(
            f"the network's output is {output[bad]} at {place(bad)}, though its input is finite: "
            f"{_source(network, {name: array[bad[0] : bad[0] + 1] for name, array in inputs.items()})}"
        )


def not_finite(arrays: Mapping[str, Array]) -> str:
    """Which of these arrays holds NaN or infinity first, and where; "" when none does."""
    for name, array in arrays.items():
        if (bad := first_not_finite(array)) is not None:
            value = "NaN" if np.isnan(array[bad]) else "infinity"
            where = f" at {', '.join(map(str, bad))}" if bad else ""
            return f"{name} holds {value}{where}"
    return ""


def _source(network: Network, row: Mapping[str, Array]) -> str:
    if held := not_finite({**network.params, **network.state}):
        return f"{held}; go back to weights from before, or make the network anew and train it"
    node = _first_node(network, row)
    if network.dtype == np.float32 and node and _first_node(network.astype("float64"), row) != node:
        return (
            f"{node} overflows float32; scale the input, cr.Standardize.of(x_train) first in the network, or "
            f'compute with net.astype("float64")'
        )
    if not node:
        return "no node of the graph is; if the weights changed meanwhile, predict again"
    return f"{node} is the first node that is not finite; look at what it computes, such as a logarithm of 0"


def _first_node(network: Network, row: Mapping[str, Array]) -> str:
    """The name of the first node whose value for this row is not finite; "" for none."""
    graph = network.graph
    with np.errstate(all="ignore"):
        values = graph.run(dict(row), graph.position(network.output), training=False, step=0).values
    for i, value in enumerate(values):
        if value is not None and value.dtype.kind == "f" and not np.isfinite(numbers_in(value)).all():
            return graph.name_of(i)
    return ""
