"""Whether numbers are on a scale that a network learns on, about 1: what is far from it trains badly, or diverges.

The size of a column is its root mean square, of mean and standard deviation together. A column is too large where
that is above 1,500, as of years. It is too small where all its numbers are well below a thousandth: a pixel that is
seldom lit is not. Sizes nearer to 1 may do harm, too; they are said where a regression learnt nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import warn
from chainrule.graph import Constant, Graph, Node
from chainrule.layers import (
    Add,
    BatchNorm,
    Divide,
    Exp,
    Layer,
    LayerNorm,
    Loss,
    Multiply,
    Standardize,
    Subtract,
)
from chainrule.optimizers import Adam, Optimizer

if TYPE_CHECKING:
    from chainrule.network.network import Network

LARGE, SMALL = 1.5e3, 3e-4
DOUBTFUL = 0.05, 20.0  # a regression of inputs or targets of such sizes may learn nothing
SMALLEST = 1e-7  # squares of gradients in smaller units vanish in float32
ROWS = 500  # that are looked at, evenly from all of them: a hundredth of an epoch of 60,000 x 784
_ARITHMETIC = (Add, Subtract, Multiply, Divide)


def warn_of_scales(graph: Graph, output: Node, loss: Loss | None, data: Mapping[str, Array]) -> None:
    """Warn of an input, or of the targets of a regression, with a column that is too large or too small."""
    for name in unscaled_inputs(graph, data):
        if found := _oddest(data[name]):
            first = "cr.Network(cr.Standardize.of(x), ...)"
            if name != "x":
                first = f"cr.Standardize.of(x[{name!r}])({name})"
            warn(f"{name} is on a scale that networks learn badly on: {found}; standardize it first: {first}")
    if has_unscaled_targets(output, loss) and (found := _oddest(data["t"])):
        warn(
            f"t is on a scale that networks learn badly on: {found}; bring predictions to it by the last layer: "
            f"cr.Network(..., cr.Standardize.of(t, invert=True))"
        )


def warn_of_nothing_learnt(network: Network, data: Mapping[str, Array], measured: float | None) -> None:
    """Warn where a regression ended no better than always answering the mean, for the scale of its numbers.

    `measured` is the loss over all the training data at the end.
    """
    loss, t = network.loss_layer, data["t"]
    if loss is None or loss.task != "regression" or measured is None:
        return
    doubtful = [name for name in unscaled_inputs(network.graph, data) if _is_doubtful(data[name])]
    if has_unscaled_targets(network.output, loss) and _is_doubtful(t):
        doubtful.append("t")
    if not doubtful or measured < network.loss_of(np.broadcast_to(t.mean(axis=0), t.shape), data):
        return
    name = doubtful[0]
    size, column = largest_column(data[name])
    where = column_of(data[name], column)
    layer = "cr.Standardize.of(t, invert=True) last" if name == "t" else f"cr.Standardize.of({name}) first"
    warn(
        f"the network answers no better than the mean of t: {name} is on a scale that this training did not learn "
        f"on, about {size:.2g}{f' in {where}' if where else ''}; put {layer} into the network"
    )


def unscaled_inputs(graph: Graph, data: Mapping[str, Array]) -> Iterator[str]:
    """The inputs among the data that hold numbers, no indices, and are not scaled by the first layer on them."""
    indices = graph.index_leaves()
    for name, node in graph.inputs.items():
        if node.shape is None or name not in data or graph.position(name) in indices:
            continue
        if not all(map(_scales, _users(graph, graph.position(name)))):
            yield name


def has_unscaled_targets(output: Node, loss: Loss | None) -> bool:
    """Whether the loss is of a regression whose predictions are not brought to the scale of the targets."""
    if loss is None or loss.task != "regression":
        return False
    last = _last(output)
    return not (_scales(last) or isinstance(last.layer, Exp))


def inverted(output: Node) -> float:
    """The largest standard deviation of the inverted Standardize that the output comes from; 0 for none."""
    layer = _last(output).layer
    return float(layer.std.max()) if isinstance(layer, Standardize) and layer.invert else 0.0


def for_units_of(output: Node, optimizer: Optimizer) -> Optimizer:
    """The default optimizer for predictions in the units of an inverted Standardize.

    Where these are small, gradients are smaller by the square of the deviation, and so is Adam's epsilon then.
    """
    deviation = max(inverted(output), SMALLEST)
    if not isinstance(optimizer, Adam) or not inverted(output) or deviation >= 1:
        return optimizer
    return replace(optimizer, epsilon=optimizer.epsilon * deviation**2)


def largest_column(array: Array) -> tuple[float, int]:
    """The size of the largest column, and which it is, of the flattened rows."""
    rows = _sample(array)
    if not rows.size:
        return 0.0, 0
    with np.errstate(all="ignore"):
        sizes = np.sqrt(np.einsum("ij,ij->j", rows, rows) / len(rows))
    column = int(sizes.argmax())
    return float(sizes[column]), column


def column_of(array: Array, column: int) -> str:
    """A column in words: its place in a row of the array; "" where there is one only."""
    shape = array.shape[1:]
    if array[:1].size < 2:
        return ""
    return f"column {', '.join(str(int(i)) for i in np.unravel_index(column, shape))}"


def _is_doubtful(array: Array) -> bool:
    """Whether its size may do harm, and was not said before the training."""
    return not DOUBTFUL[0] < largest_column(array)[0] < DOUBTFUL[1] and not _oddest(array)


def _oddest(array: Array) -> str:
    """What is wrong with the column that is too large, or too small; "" where none is."""
    size, column = largest_column(array)
    rows = _sample(array)
    if size < LARGE:
        if not rows.size:
            return ""
        most, least = rows.max(axis=0), rows.min(axis=0)
        small = (most < SMALL) & (least > -SMALL) & (most > least)
        if not small.any():
            return ""
        column = int(np.argmax(small))
    values = rows[:, column]
    where = column_of(array, column) or "it"
    with np.errstate(all="ignore"):
        return f"{where} has mean {values.mean():.2g} and standard deviation {values.std():.2g}"


def _sample(array: Array) -> Array:
    """Some of the rows, flattened, in float64."""
    rows = array[:: max(1, -(-len(array) // ROWS))]
    return rows.reshape(len(rows), -1).astype(np.float64)


def _scales(node: Node) -> bool:
    """Whether a node brings numbers to another scale by what is fixed, or measured from them."""
    if isinstance(node.layer, (Standardize, BatchNorm, LayerNorm)):
        return True
    return isinstance(node.layer, _ARITHMETIC) and any(isinstance(each, Constant) for each in node.inputs)


def _users(graph: Graph, position: int) -> Iterator[Node]:
    """The first nodes that compute with a node's value: those that only move its elements are passed over."""
    for i, node in enumerate(graph.nodes):
        if node.layer is not None and position in graph.source_positions(i):
            if _moves(node.layer):
                yield from _users(graph, i)
            else:
                yield node


def _last(output: Node) -> Node:
    """The node that the output's numbers come from."""
    while output.layer is not None and _moves(output.layer) and len(output.inputs) == 1:
        output = output.inputs[0]
    return output


def _moves(layer: Layer) -> bool:
    return layer.moves_elements
