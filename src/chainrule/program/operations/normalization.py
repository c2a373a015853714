"""Normalization: BatchNorm, over the rows of a batch, and LayerNorm, within each row."""

from __future__ import annotations

from math import prod
from typing import cast

from chainrule import layers
from chainrule.arrays import Array
from chainrule.layers.axes import axes_of
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_forward, own_gradient
from chainrule.program.table import Instruction, Place, whole_place

# In NumPy: the layer's own forward and backward, and the statistics that it hands on --------------------------


def _batch_norm(
    step: Step, each: Instruction, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *out: Array
) -> None:
    layer = cast(layers.BatchNorm, step.layers[each.layer])
    statistics = {"running_mean": mean, "running_var": var}
    made = layer.forward(x, gamma, beta, training=step.call.training, state=statistics)
    out[-1][...], step.saved[each.layer], step.statistics[each.layer] = made


def _running_statistics(step: Step, each: Instruction, kept: Array, mean: Array, var: Array) -> None:
    if step.call.training:
        new = step.statistics[each.layer]
        mean[...], var[...] = new["running_mean"], new["running_var"]


# Operations ---------------------------------------------------------------------------------------------------


def _has_channels(X: int, C: int, inner: int) -> bool:
    """Whether a row of x is made of C channels, of `inner` numbers each that lie together."""
    return C > 0 and X % (C * inner) == 0


def _has_lines(X: int, G: int, M: int | None) -> bool:
    """Whether a row of x is made of lines as long as gamma, and there is room for what is kept of each."""
    return G > 0 and X % G == 0 and M in (None, 2 * (X // G))


BATCH_NORM = operation(
    "batch_norm",
    "B X, C, C, C, C, =3 C, =B X",
    _batch_norm,
    printed="{6}, {5} = batch_norm({0}, {1}, {2}, {3}, {4})",
    turn="columns",
    numbers={"epsilon": float, "inner": int},
    fits=_has_channels,
)
BATCH_NORM_PREDICTING = operation(
    "batch_norm",
    "B X, C, C, C, C, =B X",
    _batch_norm,
    kernel="batch_norm_predicting",
    numbers={"epsilon": float, "inner": int},
    fits=_has_channels,
)
BATCH_NORM_GRADIENT = operation(
    "batch_norm_gradient",
    "B X, B X, C, 3 C, =C, =C, =?B X",
    own_gradient(1, 2, 0),
    turn="columns",
    numbers={"inner": int},
    fits=_has_channels,
)
RUNNING_STATISTICS = operation(
    "running_statistics",
    "3 C, ~C, ~C",
    _running_statistics,
    printed="{1}, {2} = running_statistics({0})",
    turn="update",
    numbers={"momentum": float},
)
LAYER_NORM = operation(
    "layer_norm",
    "B X, whole G, whole G, =?B M, =B X",
    own_forward,
    printed="{4}, {3} = layer_norm({0}, {1}, {2})",
    numbers={"epsilon": float},
    fits=_has_lines,
)
LAYER_NORM_GRADIENT = operation(
    "layer_norm_gradient", "B X, B X, whole G, B M, =B X", own_gradient(0), fits=_has_lines
)
LAYER_NORM_PARAMETERS = operation(
    "layer_norm_parameters",
    "B X, B X, B M, =whole G, =whole G",
    own_gradient(1, 2),
    turn="gradients",
    fits=_has_lines,
)


def _is_plain(walk: Walk, i: int) -> bool:
    """Whether x and y have rows of one shape, not empty, and gamma and beta are parameters."""
    x, *parameters = walk.sources(i)
    row = walk.shapes.get(i, ())
    return walk.are_parameters(*parameters) and bool(row) and 0 not in row and walk.shapes.get(x) == row


class BatchNormRule:
    """BatchNorm along any axis but the first, with parameters and statistics of its own.

    In training it is done where the rows of the batch meet, and the statistics move with the update.
    """

    def takes(self, walk: Walk, i: int) -> bool:
        layer = walk.layer(i)
        if type(layer) is not layers.BatchNorm or not _is_plain(walk, i):
            return False
        if sum(node.layer is layer for node in walk.graph.nodes) > 1 or self._axis(walk, i) == 0:
            return False
        gamma = walk.graph.parameter_value(walk.graph.name_of(walk.sources(i)[1]))
        states = [walk.graph.state.get(name) for name in walk.graph.state_names(layer).values()]
        return all(s is not None and (s.shape, s.dtype) == (gamma.shape, gamma.dtype) for s in states)

    def forward(self, walk: Walk, i: int) -> None:
        layer = cast(layers.BatchNorm, walk.layer(i))
        x, gamma, beta = map(walk.value, walk.sources(i))
        names = walk.graph.state_names(layer)
        running = [
            whole_place(names[of], "statistics", gamma.shape) for of in ("running_mean", "running_var")
        ]
        reads, y, numbers = (x, gamma, beta, *running), walk.value(i), (layer.epsilon, self._inner(walk, i))
        if not walk.training:
            walk.emit(BATCH_NORM_PREDICTING, *reads, y, numbers=numbers, layer=i)
            return
        walk.kept[i] = kept = walk.spare(f"moments of {walk.graph.name_of(i)}", (3, gamma.width))
        walk.emit(BATCH_NORM, *reads, kept, y, numbers=numbers, layer=i)
        walk.emit(RUNNING_STATISTICS, kept, *running, numbers=(layer.momentum,), layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        x, gamma, beta = walk.sources(i)
        reads = walk.gradient(i), walk.value(x), walk.value(gamma), walk.kept[i]
        numbers = (self._inner(walk, i),)
        walk.emit_gradients(BATCH_NORM_GRADIENT, *reads, of=(gamma, beta, x), numbers=numbers, layer=i)

    def _axis(self, walk: Walk, i: int) -> int:
        layer = cast(layers.BatchNorm, walk.layer(i))
        return axes_of(layer, (layer.axis,), 1 + len(walk.shapes[i]))[0]

    def _inner(self, walk: Walk, i: int) -> int:
        """How many numbers of a channel lie together."""
        return prod(walk.shapes[i][self._axis(walk, i) :])


class LayerNormRule:
    """LayerNorm along the last axis, or the last ones, with parameters of its own."""

    def takes(self, walk: Walk, i: int) -> bool:
        layer = walk.layer(i)
        if type(layer) is not layers.LayerNorm or not _is_plain(walk, i):
            return False
        _, gamma, beta = walk.sources(i)
        if len(walk.gradient(gamma).shape) > 1 and len(walk.users[gamma]) + len(walk.users[beta]) > 2:
            return False  # its parts would be others than those that add up the gradients of several paths
        ndim = 1 + len(walk.shapes[i])
        axes = axes_of(layer, layer.axes, ndim)
        return axes == tuple(range(ndim - len(axes), ndim)) and 0 < len(axes) < ndim

    def forward(self, walk: Walk, i: int) -> None:
        layer = cast(layers.LayerNorm, walk.layer(i))
        x, gamma, beta = map(walk.value, walk.sources(i))
        if walk.training:
            lines = x.width // gamma.size
            walk.kept[i] = Place(f"moments of {walk.graph.name_of(i)}", "arena", (lines, 2))
        kept = walk.kept.get(i)
        walk.emit(LAYER_NORM, x, gamma, beta, kept, walk.value(i), numbers=(layer.epsilon,), layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        x, gamma, beta = walk.sources(i)
        dy, kept = walk.gradient(i), walk.kept[i]
        walk.emit_gradients(LAYER_NORM_PARAMETERS, dy, walk.value(x), kept, of=(gamma, beta), layer=i)
        reads = dy, walk.value(x), walk.value(gamma), kept
        walk.emit_gradients(LAYER_NORM_GRADIENT, *reads, of=(x,), layer=i)
