"""Normalization: BatchNorm, over the rows of a batch, and LayerNorm, within each row."""

from __future__ import annotations

from math import prod
from typing import cast

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Parameter
from chainrule.layers.axes import axes_of
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Operation, Place

# In NumPy: the layer's own forward and backward -------------------------------------------------------------


def _batch_norm(
    step: Step, each: Instruction, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *out: Array
) -> None:
    layer = cast(layers.BatchNorm, step.layers[each.layer])
    statistics = {"running_mean": mean, "running_var": var}
    y, saved, new = layer.forward(x, gamma, beta, training=step.call.training, state=statistics)
    out[-1][...], step.saved[each.layer] = y, (saved, new)


def _batch_norm_gradient(
    step: Step, each: Instruction, dy: Array, x: Array, gamma: Array, kept: Array, *into: Array
) -> None:
    dx, dgamma, dbeta = step.layers[each.layer].backward(dy, step.saved[each.layer][0])
    for place, gradient in zip(into, (dgamma, dbeta, dx), strict=False):
        place[...] = gradient


def _running_statistics(step: Step, each: Instruction, kept: Array, mean: Array, var: Array) -> None:
    if step.call.training:
        _, new = step.saved[each.layer]
        mean[...], var[...] = new["running_mean"], new["running_var"]


def _layer_norm(step: Step, each: Instruction, x: Array, gamma: Array, beta: Array, *out: Array) -> None:
    out[-1][...] = step.forward(each.layer, x, gamma, beta)


def _layer_norm_gradient(
    step: Step, each: Instruction, dy: Array, x: Array, gamma: Array, kept: Array, dx: Array
) -> None:
    dx[...] = step.backward(each.layer, dy)[0]


def _layer_norm_parameters(
    step: Step, each: Instruction, dy: Array, x: Array, kept: Array, dgamma: Array, dbeta: Array
) -> None:
    _, dgamma[...], dbeta[...] = step.backward(each.layer, dy)


# What an instruction must satisfy ---------------------------------------------------------------------------


def _has_channels(each: Instruction, inner: float) -> bool:
    """Whether a row of the first operand is made of as many channels as the third has, of `inner` numbers each."""
    x, _, vector = each.operands[:3]
    assert x is not None
    assert vector is not None
    if inner != int(inner) or not 1 <= inner <= max(x.width, 1) or vector.width < 1:
        return False
    return x.width % (vector.width * int(inner)) == 0


def _is_batch_norm(each: Instruction) -> bool:
    return len(each.numbers) == 2 and _has_channels(each, each.numbers[1])


def _is_batch_norm_gradient(each: Instruction) -> bool:
    return len(each.numbers) == 1 and _has_channels(each, each.numbers[0])


def _has_lines(x: Place | None, kept: Place | None, *vectors: Place | None) -> bool:
    """Whether a row of x is made of lines as long as each vector, and there is room for what is kept of each."""
    sizes = {-1 if v is None or v.length is None else v.width * v.length for v in vectors}
    assert x is not None
    size = min(sizes)
    if len(sizes) > 1 or size < 1 or x.width % size:
        return False
    return kept is None or kept.width == 2 * (x.width // size)


def _is_layer_norm(each: Instruction) -> bool:
    x, gamma, beta, kept, _ = each.operands
    return len(each.numbers) == 1 and _has_lines(x, kept, gamma, beta)


def _is_layer_norm_gradient(each: Instruction) -> bool:
    _, x, gamma, kept, _ = each.operands
    return _has_lines(x, kept, gamma)


def _is_layer_norm_parameters(each: Instruction) -> bool:
    _, x, kept, *gradients = each.operands
    return _has_lines(x, kept, *gradients)


BATCH_NORM = Operation(
    "batch_norm",
    ("B X", "C", "C", "C", "C", "=3 C", "=B X"),
    "{6}, {5} = batch_norm({0}, {1}, {2}, {3}, {4})",
    turn="columns",
    kernel="batch_norm",
    statement=_batch_norm,
    fits=_is_batch_norm,
)  # numbers: epsilon, and how many numbers of a channel lie together
BATCH_NORM_PREDICTING = Operation(
    "batch_norm",
    ("B X", "C", "C", "C", "C", "=B X"),
    "{5} = batch_norm({0}, {1}, {2}, {3}, {4})",
    kernel="batch_norm_predicting",
    statement=_batch_norm,
    fits=_is_batch_norm,
)
BATCH_NORM_GRADIENT = Operation(
    "batch_norm_gradient",
    ("B X", "B X", "C", "3 C", "=C", "=C", "=?B X"),
    "{4}, {5}, {6} = batch_norm_gradient({0}, {1}, {2}, {3})",
    turn="columns",
    kernel="batch_norm_gradient",
    statement=_batch_norm_gradient,
    fits=_is_batch_norm_gradient,
)
RUNNING_STATISTICS = Operation(
    "running_statistics",
    ("3 C", "~C", "~C"),
    "{1}, {2} = running_statistics({0})",
    turn="update",
    kernel="running_statistics",
    statement=_running_statistics,
    fits=lambda each: len(each.numbers) == 1,
)
LAYER_NORM = Operation(
    "layer_norm",
    ("B X", "any", "any", "=?B M", "=B X"),
    "{4}, {3} = layer_norm({0}, {1}, {2})",
    kernel="layer_norm",
    statement=_layer_norm,
    fits=_is_layer_norm,
)
LAYER_NORM_GRADIENT = Operation(
    "layer_norm_gradient",
    ("B X", "B X", "any", "B M", "=B X"),
    "{4} = layer_norm_gradient({0}, {1}, {2}, {3})",
    kernel="layer_norm_gradient",
    statement=_layer_norm_gradient,
    fits=_is_layer_norm_gradient,
)
LAYER_NORM_PARAMETERS = Operation(
    "layer_norm_parameters",
    ("B X", "B X", "B M", "=any", "=any"),
    "{3}, {4} = layer_norm_parameters({0}, {1}, {2})",
    turn="gradients",
    kernel="layer_norm_parameters",
    statement=_layer_norm_parameters,
    fits=_is_layer_norm_parameters,
)


def _is_plain(walk: Walk, i: int) -> bool:
    """Whether x and y have rows of one shape, not empty, and gamma and beta are parameters."""
    x, *parameters = walk.sources(i)
    row = walk.shapes.get(i, ())
    of_its_own = all(isinstance(walk.graph.nodes[source], Parameter) for source in parameters)
    return of_its_own and len(parameters) == 2 and bool(row) and 0 not in row and walk.shapes.get(x) == row


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
        x, *parameters = map(walk.value, walk.sources(i))
        running = self._statistics(walk, i)
        numbers = (layer.epsilon, self._inner(walk, i))
        if not walk.training:
            walk.emit(
                BATCH_NORM_PREDICTING, x, *parameters, *running, walk.value(i), numbers=numbers, layer=i
            )
            return
        kept = walk.spare(f"moments of {walk.graph.name_of(i)}", (3, parameters[0].width))
        walk.kept[i] = kept
        walk.emit(BATCH_NORM, x, *parameters, *running, kept, walk.value(i), numbers=numbers, layer=i)
        walk.emit(RUNNING_STATISTICS, kept, *running, numbers=(layer.momentum,), layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        x, gamma, beta = walk.sources(i)
        into = [walk.destination(source) for source in (gamma, beta)]
        dx = walk.destination(x) if walk.needed[x] else None
        walk.emit(
            BATCH_NORM_GRADIENT,
            walk.gradient(i),
            walk.value(x),
            walk.value(gamma),
            walk.kept[i],
            *into,
            dx,
            numbers=(self._inner(walk, i),),
            layer=i,
        )
        for source, place in zip((gamma, beta), into, strict=True):
            walk.arrived(source, place)
        if dx is not None:
            walk.arrived(x, dx)

    def _axis(self, walk: Walk, i: int) -> int:
        layer = cast(layers.BatchNorm, walk.layer(i))
        return axes_of(layer, (layer.axis,), 1 + len(walk.shapes[i]))[0]

    def _inner(self, walk: Walk, i: int) -> int:
        """How many numbers of a channel lie together."""
        return prod(walk.shapes[i][self._axis(walk, i) :])

    def _statistics(self, walk: Walk, i: int) -> list[Place]:
        layer, width = walk.layer(i), walk.shapes[i][self._axis(walk, i) - 1]
        assert layer is not None
        names = walk.graph.state_names(layer)
        shorts = ("running_mean", "running_var")
        return [Place(names[short], "statistics", (width,), 1, shape=(width,)) for short in shorts]


class LayerNormRule:
    """LayerNorm along the last axis, or the last ones, with parameters of its own."""

    def takes(self, walk: Walk, i: int) -> bool:
        layer = walk.layer(i)
        if type(layer) is not layers.LayerNorm or not _is_plain(walk, i):
            return False
        gamma, beta = walk.sources(i)[1:]
        if len(walk.gradient(gamma).shape) > 1 and len(walk.users[gamma]) + len(walk.users[beta]) > 2:
            return False  # its parts would be others than those that add up the gradients of several paths
        ndim = 1 + len(walk.shapes[i])
        axes = axes_of(layer, layer.axes, ndim)
        return axes == tuple(range(ndim - len(axes), ndim)) and 0 < len(axes) < ndim

    def forward(self, walk: Walk, i: int) -> None:
        layer = cast(layers.LayerNorm, walk.layer(i))
        x, gamma, beta = map(walk.value, walk.sources(i))
        if walk.training:
            lines = x.width // (gamma.width * (gamma.length or 1))
            walk.kept[i] = Place(f"moments of {walk.graph.name_of(i)}", "arena", (lines, 2))
        kept = walk.kept.get(i)
        walk.emit(LAYER_NORM, x, gamma, beta, kept, walk.value(i), numbers=(layer.epsilon,), layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        x, gamma, beta = walk.sources(i)
        dy, kept = walk.gradient(i), walk.kept[i]
        into = [walk.destination(source) for source in (gamma, beta)]
        walk.emit(LAYER_NORM_PARAMETERS, dy, walk.value(x), kept, *into, layer=i)
        for source, place in zip((gamma, beta), into, strict=True):
            walk.arrived(source, place)
        if walk.needed[x]:
            dx = walk.destination(x)
            walk.emit(LAYER_NORM_GRADIENT, dy, walk.value(x), walk.value(gamma), kept, dx, layer=i)
            walk.arrived(x, dx)
