"""Whether numbers are on a scale that a network learns on, about 1: what is far from it trains badly, or diverges.

The size of a column is its root mean square, of mean and standard deviation together. A column is too large where
that is above 1,500, as of years. It is too small where all its numbers are well below a thousandth: a pixel that is
seldom lit is not. Sizes nearer to 1 may do harm, too; they are said where a training learnt hardly anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

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
from chainrule.sparse import SparseRows

if TYPE_CHECKING:
    from chainrule.network.network import Network

LARGE, SMALL = 1.5e3, 3e-4
DOUBTFUL, FAR = (0.05, 20.0), 5.0  # of such sizes, or so many deviations from 0, little may be learnt
ENOUGH, HARDLY = 50, 0.9  # iterations, and the share of the loss of one answer for all
ROWS = 250  # that are looked at, evenly from all of them
SCALE_SPARSE = "scale its columns first, as scikit-learn's MaxAbsScaler does"
_ARITHMETIC = (Add, Subtract, Multiply, Divide)


def warn_of_scales(network: Network, data: Mapping[str, Array]) -> None:
    """Warn of a column of inputs, or of a regression's targets, that is too large, too small or too fine."""
    graph, badly = network.graph, "is on a scale that networks learn badly on"
    for name in unscaled_inputs(graph, data):
        if found := _oddest(data[name]):
            first = "cr.Network(cr.Standardize.of(x), ...)" if name == "x" else _first(name)
            how = SCALE_SPARSE if isinstance(data[name], SparseRows) else f"standardize it first: {first}"
            warn(f"{name} {badly}: {found}; {how}")
    if has_unscaled_targets(network.output, network.loss_layer) and (found := _oddest(data["t"])):
        warn(
            f"t {badly}: {found}; bring predictions to it by the last layer: "
            f"cr.Network(..., cr.Standardize.of(t, invert=True))"
        )
    for name in data:
        is_dense = name in graph.inputs and not isinstance(data[name], SparseRows)
        if is_dense and data[name].dtype.kind == "f" and (found := _finest(data[name], network.dtype)):
            warn(
                f"{name} differs from row to row by too little beside its size for {network.dtype}: {found}; "
                f"subtract what all rows share, or make the network with dtype='float64'"
            )


def warn_of_nothing_learnt(network: Network, data: Mapping[str, Array], measured: float | None) -> None:
    """Warn where a training ended hardly better than one answer for all, and the scale of its numbers may be why.

    `measured` is the loss over all the training data at the end.
    """
    loss, t = network.loss_layer, data["t"]
    if (
        loss is None
        or measured is None
        or network.iterations < ENOUGH
        or not np.ptp(_sample(t), axis=0).any()
    ):
        return
    dense = [name for name in unscaled_inputs(network.graph, data) if not isinstance(data[name], SparseRows)]
    doubtful = [name for name in dense if _is_doubtful(data[name])]
    if has_unscaled_targets(network.output, loss) and _is_doubtful(t):
        doubtful.append("t")
    if not doubtful or measured < HARDLY * _of_one_answer(network, data):
        return
    sizes = []
    for name in doubtful:
        size, column = largest_column(data[name])
        where = column_of(data[name], column)
        sizes.append(f"{name} is about {size:.2g}{f' in {where}' if where else ''}")
    last = "cr.Standardize.of(t, invert=True) last"
    layers = [last if name == "t" else f"{_first(name)} first" for name in doubtful]
    warn(
        f"the network is hardly better than one answer for all, and {' and '.join(sizes)}, where numbers of about "
        f"1, around 0, are learnt best: put {' and '.join(layers)}"
    )


def _of_one_answer(network: Network, data: Mapping[str, Array]) -> float:
    """The loss of the best answer that is the same for all samples, or about that."""
    t, loss = data["t"], network.loss_layer
    if loss is not None and loss.task == "regression":
        return network.loss_of(np.broadcast_to(t.mean(axis=0), t.shape), data)
    if loss is not None and loss.task == "classification" and t.ndim == 1:
        shares = np.bincount(t) / len(t)
        return float(-np.sum(shares * np.log(shares, where=shares > 0, out=np.zeros_like(shares))))
    return np.inf


def _first(name: str) -> str:
    """The layer to put first, on this input."""
    return "cr.Standardize.of(x)" if name == "x" else f"cr.Standardize.of(x[{name!r}])({name})"


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


def largest_column(array: Array) -> tuple[float, int]:
    """The size of the largest column, and which it is, of the flattened rows."""
    if isinstance(array, SparseRows):
        rows = array[:: _step(array)]
        columns, which = np.unique(rows.indices, return_inverse=True)
        if not columns.size:
            return 0.0, 0
        sums = np.bincount(which, np.square(rows.values, dtype=np.float64))
        return float(np.sqrt(sums.max() / len(rows))), int(columns[sums.argmax()])
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
    if math.prod(shape) < 2:
        return ""
    return f"column {', '.join(str(int(i)) for i in np.unravel_index(column, shape))}"


def _is_doubtful(array: Array) -> bool:
    """Whether a column's size, or its distance from 0, may do harm, and was not said before the training."""
    rows = _sample(array)
    mean, deviation = _mean_and_deviation(rows)
    is_far = (np.abs(mean) > FAR * deviation) & (np.abs(mean) > 1) & (deviation > 0)
    size = largest_column(array)[0]
    return bool(not DOUBTFUL[0] < size < DOUBTFUL[1] or is_far.any()) and not _oddest(array)


def _finest(array: Array, dtype: np.dtype[Any]) -> str:
    """What is wrong with a column whose differences the dtype does not hold; "" where there is none."""
    rows = _sample(array)
    fine = _too_fine(rows, dtype)
    if not fine.any():
        return ""
    column = int(np.argmax(fine))
    mean, deviation = _mean_and_deviation(rows[:, column])
    where = column_of(array, column) or "it"
    return f"{where} has mean {mean:.4g} and standard deviation {deviation:.2g}"


def out_of_range(rows: Array, dtype: Any) -> tuple[int, str] | None:
    """A column whose numbers a network of this dtype cannot compute with, and why; None where there is none.

    Shapes: rows (N, D).
    """
    rows, limits = rows.astype(np.float64, copy=False), np.finfo(dtype)
    mean, deviation = _mean_and_deviation(rows)
    varies = np.ptp(rows, axis=0) > 0
    large = ~np.isfinite(mean) | ~np.isfinite(deviation) | (np.abs(rows).max(axis=0) >= limits.max)
    for wrong, problem in (
        (large, "holds numbers too large to compute with; give it in a larger unit"),
        (
            varies & (deviation < limits.tiny),
            "holds numbers too small to compute with; give it in a smaller unit",
        ),
        (
            _too_fine(rows, dtype),
            "differs from row to row by too little beside its size; subtract what all rows share",
        ),
    ):
        if wrong.any():
            return int(np.argmax(wrong)), problem
    return None


def _too_fine(rows: Array, dtype: Any) -> Array:
    """Which columns differ from row to row by so little beside their size that the dtype does not hold it."""
    mean, deviation = _mean_and_deviation(rows)
    fine: Array = (np.abs(mean) * np.finfo(dtype).eps > deviation / 100) & (np.ptp(rows, axis=0) > 0)
    return fine


def _oddest(array: Array) -> str:
    """What is wrong with the column that is too large, or too small; "" where none is."""
    size, column = largest_column(array)
    if isinstance(array, SparseRows):
        if size < LARGE and not 0 < float(np.abs(array.values).max(initial=0)) < SMALL:
            return ""
        values = array[:: _step(array)].csr[:, [column]].toarray().ravel()
    else:
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
    mean, deviation = _mean_and_deviation(values)
    return f"{where} has mean {mean:.2g} and standard deviation {deviation:.2g}"


def _mean_and_deviation(rows: Array) -> tuple[Array, Array]:
    """Of each column, infinite where numbers are too large to be squared."""
    with np.errstate(all="ignore"):
        return rows.mean(axis=0), rows.std(axis=0)


def _step(array: Array) -> int:
    return max(1, -(-len(array) // ROWS))


def _sample(array: Array) -> Array:
    """Some of the rows, flattened, in float64."""
    rows = array[:: _step(array)]
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
