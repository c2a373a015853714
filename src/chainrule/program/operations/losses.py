"""Losses: the mean over the batch and its gradient in one pass, and how many answers are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import cast

import numpy as np

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.errors import DataError
from chainrule.graph import Input
from chainrule.layers import Layer, Loss
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Operation, Place, Table, written

SAMPLE_WEIGHTS = 3  # the operand of a weighted loss
CLASSES = 1  # the number that says how many there are

# Statements --------------------------------------------------------------------------------------------------


def _loss(step: Step, each: Instruction, x: Array, t: Array, dx: Array, *weights: Array) -> None:
    """The layer's own forward and backward. What is not a sample weight, it has itself."""
    layer = step.layers[each.layer]
    weighted = any(each.operands[SAMPLE_WEIGHTS : SAMPLE_WEIGHTS + 1])
    loss, saved = layer.forward(x, t, *(weights[:1] if weighted else ()))
    step.loss = float(loss)
    dx[...] = layer.backward(np.ones_like(loss), saved)[0]


def _total(step: Step, each: Instruction, total: Array, t: Array, *weights: Array) -> None:
    """The sum over samples, T rows of each, and K classes. The layer's own forward finds it again."""
    _, target, samples, classes = each.operands
    if target is not None and target.space == "labels":
        shares = np.ones(t.shape, total.dtype) if classes is None else weights[-1][t]
    else:
        shares = t.reshape(len(t), -1, int(each.numbers[CLASSES]))
        shares = shares if classes is None else shares * weights[-1]
    shares = shares.reshape(len(t), -1)
    total[0] = (shares if samples is None else shares * weights[0].reshape(-1, 1)).sum()


def _total_of_weights(step: Step, each: Instruction, total: Array, weights: Array) -> None:
    total[0] = weights.sum()


def _count_right(step: Step, each: Instruction, x: Array, t: Array) -> None:
    """As the layer says, but a row that is not all finite has no right answer."""
    right = cast(Array, cast(Loss, step.layers[each.layer]).correct(x, t))
    finite = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
    assert step.call.right is not None
    step.call.right[step.number] = np.count_nonzero((right.T & finite).T)


# Operations --------------------------------------------------------------------------------------------------


def _fits_labels(each: Instruction) -> bool:
    """Whether x has rows of K logits, one for each label, and the labels are below K."""
    x, t = each.operands[:2]
    if x is None or t is None or t.width < 1 or x.width < 1 or x.width % t.width:
        return False
    return t.below <= x.width // t.width


def _fits_classes(each: Instruction) -> bool:
    """Whether the last axis of x, or of distributions, is divided into K classes, as the number says."""
    place, classes = each.operands[0], each.numbers[CLASSES : CLASSES + 1]
    fits = place is not None and len(classes) == 1 and 1 <= classes[0] <= place.width
    return fits and classes[0] == int(classes[0]) and place.width % int(classes[0]) == 0  # type: ignore[union-attr]


def _fits_weighted_labels(each: Instruction) -> bool:
    if not _fits_labels(each) or not _fits_classes(each):
        return False
    x, t, *_, classes, _ = each.operands
    K = int(each.numbers[CLASSES])
    return x.width == t.width * K and (classes is None or classes.width == K)  # type: ignore[union-attr]


def _fits_distributions(each: Instruction) -> bool:
    classes = each.operands[4]
    return _fits_classes(each) and (classes is None or classes.width == int(each.numbers[CLASSES]))


def _fits_total_of_labels(each: Instruction) -> bool:
    t, classes = each.operands[1], each.operands[3]
    return t is not None and (classes is None or t.below <= classes.width)


def _fits_total_of_distributions(each: Instruction) -> bool:
    _, t, _, classes = each.operands
    moved = Instruction(each.operation, (t,), each.numbers)
    return _fits_classes(moved) and (classes is None or classes.width == int(each.numbers[CLASSES]))


Fits = Callable[[Instruction], bool]


def _operation(name: str, target: str, fits: Fits | None = None) -> Operation:
    printed = f"loss, {{2}} = {name}({{0}}, {{1}})"
    return Operation(name, ("B D", target, "=B D"), printed, kernel=name, statement=_loss, fits=fits)


def _weighted(name: str, target: str, own: str, fits: Fits | None = None) -> Operation:
    """With sample weights, weights of classes or columns, and the total of the weights."""
    operands = ("B D", target, "=B D", "?B 1", own, "?1")
    printed = f"loss, {{2}} = {name}({{0}}, {{1}}, {{3}})"
    return Operation(name, operands, printed, kernel=name, statement=_loss, fits=fits)


def _counting(kernel: str, target: str, fits: Fits | None = None) -> Operation:
    printed = f"right = {kernel}({{0}}, {{1}})"
    return Operation(kernel, ("B D", target), printed, kernel=kernel, statement=_count_right, fits=fits)


def _totalling(kernel: str, target: str, fits: Fits) -> Operation:
    operands, printed = ("=1", target, "?B 1", "?K"), f"{{0}} = {kernel}({{1}}, {{2}})"
    return Operation(kernel, operands, printed, "columns", kernel, _total, fits=fits)


@dataclass(frozen=True)
class LossKernels:
    """What stands for a loss: its plain mean, where there is one; its general form; the total that a weighted mean
    is divided by; and what counts right answers, nothing for a regression."""

    loss: Operation
    weighted: Operation
    total: Operation
    count: Operation | None = None


TOTAL_OF_WEIGHTS = Operation(
    "total_of_weights",
    ("=1", "B 1"),
    "{0} = total_of_weights({1})",
    turn="columns",
    kernel="total_of_weights",
    statement=_total_of_weights,
)
OF_LABELS = LossKernels(
    _operation("softmax_cross_entropy", "B labels T", _fits_labels),
    _weighted("weighted_softmax_cross_entropy", "B labels T", "?K", _fits_weighted_labels),
    _totalling("total_of_labels", "B labels T", _fits_total_of_labels),
    _counting("count_right_classes", "B labels T", _fits_labels),
)
_distributions = _weighted("softmax_cross_entropy_of_distributions", "B D", "?K", _fits_distributions)
OF_DISTRIBUTIONS = LossKernels(
    _distributions,
    _distributions,
    _totalling("total_of_distributions", "B D", _fits_total_of_distributions),
    _counting("count_likeliest_classes", "B D", _fits_classes),
)


def _of_numbers(name: str, own: str = "?D", count: Operation | None = None) -> LossKernels:
    weighted = _weighted(f"weighted_{name}", "B D", own)
    return LossKernels(_operation(name, "B D"), weighted, TOTAL_OF_WEIGHTS, count)


LOSSES: dict[type[Layer], LossKernels] = {
    layers.SoftmaxCrossEntropy: OF_LABELS,
    layers.MeanSquaredError: _of_numbers("mean_squared_error"),
    layers.MeanAbsoluteError: _of_numbers("mean_absolute_error"),
    layers.Huber: _of_numbers("huber"),
    layers.SigmoidCrossEntropy: _of_numbers(
        "sigmoid_cross_entropy", "D", _counting("count_right_labels", "B D")
    ),
}
COUNTS = [
    each.count for each in (*LOSSES.values(), OF_DISTRIBUTIONS) if each.count is not None
]  # of right answers


def answers_of(count: Instruction) -> int:
    """How many answers a sample has, that can be right."""
    t = count.operands[1]
    assert t is not None
    return t.width // int(count.numbers[CLASSES]) if count.operation is OF_DISTRIBUTIONS.count else t.width


def nothing_to_average(table: Table, of: Mapping[int, Layer], total: Place, of_samples: bool) -> DataError:
    """The error of a loss whose total is 0, in the layer's own words."""
    made = next(each for each in table.instructions if total in written(each))
    return cast(Loss, of[made.layer]).nothing_to_average(of_samples=of_samples)


# What a loss asks for ----------------------------------------------------------------------------------------


def kernels_of(layer: Layer | None, row: Shape, target: Array) -> LossKernels | None:
    """What stands for a loss of outputs with rows of this shape, for such targets; None without kernels."""
    if layer is None or type(layer) not in LOSSES or prod(row) == 0 or target.dtype.kind not in "iufb":
        return None
    if isinstance(layer, layers.SoftmaxCrossEntropy):
        return _kernels_of_classes(layer, row, target)
    if isinstance(layer, layers.SigmoidCrossEntropy) and layer.positive_weight.shape not in ((), row[-1:]):
        return None
    if isinstance(layer, layers.Huber) and not isfinite(layer.delta):
        return None
    return LOSSES[type(layer)] if target.shape[1:] == row and target.ndim > 0 else None


def _kernels_of_classes(layer: layers.SoftmaxCrossEntropy, row: Shape, target: Array) -> LossKernels | None:
    c = layer.class_weights
    if not row or (c is not None and len(c) != row[-1]):
        return None
    if target.ndim == len(row) and target.shape[1:] == row[:-1] and target.dtype.kind in "iu":
        return OF_LABELS
    return OF_DISTRIBUTIONS if target.ndim == len(row) + 1 and target.shape[1:] == row else None


def numbers_of(layer: Layer | None, row: Shape) -> tuple[float, ...]:
    """The numbers of a loss's instructions."""
    if isinstance(layer, layers.SoftmaxCrossEntropy):
        return layer.label_smoothing, float(row[-1])
    return (layer.delta,) if isinstance(layer, layers.Huber) else ()


def own_weights(layer: Layer | None, row: Shape) -> Array | None:
    """Weights that a loss has itself: of each class, or of each column of the positive labels."""
    if isinstance(layer, layers.SoftmaxCrossEntropy):
        return layer.class_weights
    if isinstance(layer, layers.SigmoidCrossEntropy):
        return np.broadcast_to(layer.positive_weight, row)
    return None


def is_plain(layer: Layer | None, kernels: LossKernels) -> bool:
    """Whether the loss, without sample weights, is the plain mean that its first kernel finds."""
    if isinstance(layer, layers.SoftmaxCrossEntropy):
        return kernels is OF_LABELS and layer.class_weights is None and not layer.label_smoothing
    return not isinstance(layer, layers.SigmoidCrossEntropy) or bool((layer.positive_weight == 1).all())


class LossRule:
    """A loss at the end of the graph, whose upstream gradient is 1."""

    def takes(self, walk: Walk, i: int) -> bool:
        if walk.target is None or i != len(walk.graph) - 1:
            return False
        x, t, *weights = walk.sources(i)
        alone = not walk.training or (walk.users[x] == [i] and walk.needed[x])
        if not alone or x not in walk.shapes or (walk.weighted and len(weights) != 1):
            return False
        if not all(self._is_free(walk, i, source) for source in (t, *weights)):
            return False
        layer = walk.layer(i)
        kernels = kernels_of(layer, walk.shapes[x], walk.target)
        if kernels is OF_DISTRIBUTIONS and not _exact(walk):
            return False
        # in a prediction, means of its steps are averaged: no weights may decide how much each counts
        averaged = not isinstance(layer, layers.SoftmaxCrossEntropy) or layer.class_weights is None
        return kernels is not None and (walk.training or averaged)

    def _is_free(self, walk: Walk, i: int, source: int) -> bool:
        """Whether a source is an input that the loss alone reads, and may be put where the loss wants it."""
        is_input = isinstance(walk.graph.nodes[source], Input) and source not in walk.shapes
        return is_input and walk.users[source] == [i]

    def forward(self, walk: Walk, i: int) -> None:
        x, layer = walk.sources(i)[0], walk.layer(i)
        row = walk.shapes[x]
        assert walk.target is not None
        kernels = kernels_of(layer, row, walk.target)
        assert kernels is not None
        z, dx, numbers = walk.value(x), walk.gradient(x), numbers_of(layer, row)
        t = self._target_place(walk, i, kernels)
        if is_plain(layer, kernels) and not walk.weighted:
            walk.emit(kernels.loss, z, t, dx, numbers=numbers, layer=i, note="fused: loss and its gradient")
        else:
            self._emit_weighted(walk, i, kernels, t)
        walk.starts(dx)
        if not walk.training and kernels.count is not None:
            walk.emit(kernels.count, z, t, numbers=numbers, layer=i)

    def _emit_weighted(self, walk: Walk, i: int, kernels: LossKernels, t: Place) -> None:
        x, layer, name = walk.sources(i)[0], walk.layer(i), walk.graph.name_of(i)
        own, numbers = own_weights(layer, walk.shapes[x]), numbers_of(layer, walk.shapes[x])
        s = self._place(walk, walk.sources(i)[2], ()) if walk.weighted else None
        c = None if own is None else walk.constant(f"weights of {name}", own)
        total = None
        of_classes = isinstance(layer, layers.SoftmaxCrossEntropy)
        if s is not None or kernels is OF_DISTRIBUTIONS or (of_classes and c is not None):
            total = walk.spare(f"total of {name}", (1,))
            places = (t, s, c) if of_classes else (s,)
            walk.emit(kernels.total, total, *places, numbers=numbers, layer=i)
        operands = walk.value(x), t, walk.gradient(x), s, c, total
        walk.emit(kernels.weighted, *operands, numbers=numbers, layer=i, note="fused: loss and its gradient")

    def backward(self, walk: Walk, i: int) -> None:
        """Its gradient is there already."""

    def _target_place(self, walk: Walk, i: int, kernels: LossKernels) -> Place:
        """Where the targets of a batch are gathered to."""
        x, t = walk.sources(i)[:2]
        row = walk.shapes[x]
        if kernels is not OF_LABELS:
            return self._place(walk, t, row)
        place = Place(walk.graph.name_of(t), "labels", row[:-1], below=row[-1], is_input=True)
        walk.put_value(t, place)
        return place

    def _place(self, walk: Walk, source: int, row: Shape) -> Place:
        place = Place(walk.graph.name_of(source), "arena", row, is_input=True)
        walk.put_value(source, place)
        return place


def _exact(walk: Walk) -> bool:
    """Whether the targets are no less exact than the parameters, so that sums are held to the same tolerance."""
    assert walk.target is not None
    sizes = [walk.graph.parameter_value(name).itemsize for name in walk.graph.parameters]
    return walk.target.dtype.kind != "f" or all(walk.target.itemsize >= size for size in sizes)
