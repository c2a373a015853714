"""Losses: the mean over the batch and its gradient in one pass, and how many answers are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, cast

import numpy as np

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.errors import DataError
from chainrule.graph import Input
from chainrule.layers import Layer, Loss
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Operation, Place, Space, Table, written

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


def _has_labels(operands: tuple[Place, ...], D: int, T: int) -> bool:
    """Whether a row holds K logits for each of T labels, and the labels are below K."""
    return T > 0 and D > 0 and D % T == 0 and operands[1].below <= D // T


def _has_classes(D: int, K: int | None, classes: int) -> bool:
    """Whether a row holds `classes` classes, each with a weight where there are K."""
    return classes <= D and D % classes == 0 and K in (None, classes)


def _has_classes_of_labels(operands: tuple[Place, ...], D: int, T: int, K: int | None, classes: int) -> bool:
    return _has_labels(operands, D, T) and T * classes == D and K in (None, classes)


def _has_weights_of_labels(operands: tuple[Place, ...], K: int | None) -> bool:
    return K is None or operands[1].below <= K


def _loss_operation(name: str, target: str, weights: str = "", **more: Any) -> Operation:
    """A loss; in its general form with sample weights, weights of its own, and the total of the weights."""
    operands = f"B D, {target}, =B D" + (f", ?B 1, {weights}, ?1" if weights else "")
    printed = f"loss, {{2}} = {name}({{0}}, {{1}}{', {3}' if weights else ''})"
    return operation(name, operands, _loss, printed=printed, **more)


def _counting(name: str, target: str, **more: Any) -> Operation:
    return operation(name, f"B D, {target}", _count_right, printed=f"right = {name}({{0}}, {{1}})", **more)


def _totalling(name: str, target: str, **more: Any) -> Operation:
    printed = f"{{0}} = {name}({{1}}, {{2}})"
    return operation(name, f"=1, {target}, ?B 1, ?K", _total, turn="columns", printed=printed, **more)


@dataclass(frozen=True)
class LossKernels:
    """The operations of a loss: its plain mean, its general form, the total that a weighted mean is divided by, and
    what counts right answers, nothing for a regression."""

    loss: Operation
    weighted: Operation
    total: Operation
    count: Operation | None = None


TOTAL_OF_WEIGHTS = operation("total_of_weights", "=1, B 1", _total_of_weights, turn="columns")
SMOOTHED = {"smoothing": float, "classes": int}  # the numbers of losses of classes
OF_LABELS = LossKernels(
    _loss_operation("softmax_cross_entropy", "B labels T", fits=_has_labels),
    _loss_operation(
        "weighted_softmax_cross_entropy",
        "B labels T",
        "?K",
        numbers=SMOOTHED,
        fits=_has_classes_of_labels,
    ),
    _totalling("total_of_labels", "B labels T", fits=_has_weights_of_labels),
    _counting("count_right_classes", "B labels T", fits=_has_labels),
)
_distributions = _loss_operation(
    "softmax_cross_entropy_of_distributions", "B D", "?K", numbers=SMOOTHED, fits=_has_classes
)
OF_DISTRIBUTIONS = LossKernels(
    _distributions,
    _distributions,
    _totalling("total_of_distributions", "B D", numbers=SMOOTHED, fits=_has_classes),
    _counting("count_likeliest_classes", "B D", numbers=SMOOTHED, fits=_has_classes),
)


def _of_numbers(name: str, weights: str = "?D", count: Operation | None = None) -> LossKernels:
    weighted = _loss_operation(f"weighted_{name}", "B D", weights)
    return LossKernels(_loss_operation(name, "B D"), weighted, TOTAL_OF_WEIGHTS, count)


LOSSES: dict[type[Layer], LossKernels] = {
    layers.SoftmaxCrossEntropy: OF_LABELS,
    layers.MeanSquaredError: _of_numbers("mean_squared_error"),
    layers.MeanAbsoluteError: _of_numbers("mean_absolute_error"),
    layers.HalfSquaredError: _of_numbers("half_squared_error"),
    layers.Huber: _of_numbers("huber"),
    layers.Quantile: _of_numbers("quantile"),
    layers.HalfPoissonDeviance: _of_numbers("half_poisson_deviance"),
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


# Lowering ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """How a loss is found: its operations, their numbers, and weights of its own, of classes or of columns."""

    kernels: LossKernels
    numbers: tuple[float, ...] = ()
    weights: Array | None = None
    is_plain: bool = True
    """Whether, without sample weights, it is the plain mean that its first operation finds."""


def form_of(layer: Layer | None, row: Shape, target: Array) -> Form | None:
    """How the machine finds a loss of outputs with rows of this shape, for such targets; None where it does not."""
    if type(layer) not in LOSSES or prod(row) == 0 or target.dtype.kind not in "iufb" or target.ndim == 0:
        return None
    if isinstance(layer, layers.SoftmaxCrossEntropy):
        return _form_of_classes(layer, row, target)
    if target.shape[1:] != row:
        return None
    kernels = LOSSES[type(layer)]  # type: ignore[index]  # a rule takes its kinds only
    if isinstance(layer, layers.SigmoidCrossEntropy):
        weights = layer.positive_weight
        if weights.shape not in ((), row[-1:]):
            return None
        numbers = (0.0, float(layer.sum_labels))
        return Form(kernels, numbers, np.broadcast_to(weights, row), bool((weights == 1).all()))
    if isinstance(layer, layers.Huber):
        return Form(kernels, (layer.delta,)) if isfinite(layer.delta) else None
    if isinstance(layer, layers.Quantile):
        return Form(kernels, (layer.q,))
    if isinstance(layer, (layers.HalfSquaredError, layers.HalfPoissonDeviance)):
        return Form(kernels, (0.0, 1.0))
    return Form(kernels)


def _form_of_classes(layer: layers.SoftmaxCrossEntropy, row: Shape, target: Array) -> Form | None:
    weights = layer.class_weights
    if not row or (weights is not None and len(weights) != row[-1]):
        return None
    numbers = layer.label_smoothing, float(row[-1])
    if target.shape[1:] == row[:-1] and target.dtype.kind in "iu":
        return Form(OF_LABELS, numbers, weights, weights is None and not layer.label_smoothing)
    return Form(OF_DISTRIBUTIONS, numbers, weights, False) if target.shape[1:] == row else None


class LossRule:
    """A loss at the end of the graph, whose upstream gradient is 1."""

    def takes(self, walk: Walk, i: int) -> bool:
        if walk.target is None or i != len(walk.graph) - 1:
            return False
        x, t, *weights = walk.sources(i)
        alone = not walk.training or (walk.users[x] == [i] and walk.needed[x])
        if not alone or x not in walk.shapes or (walk.weighted and len(weights) != 1):
            return False
        computed = walk.shapes.get(t) == walk.shapes[x] and not isinstance(walk.graph.nodes[t], Input)
        if not all(self._is_free(walk, i, source) for source in weights):
            return False
        if not computed and not self._is_free(walk, i, t):
            return False
        form = form_of(walk.layer(i), walk.shapes[x], walk.target)
        if form is None or (form.kernels is OF_DISTRIBUTIONS and not _exact(walk)):
            return False
        # in a prediction, means of its steps are averaged: no weights may decide how much each counts
        return walk.training or form.kernels.total is TOTAL_OF_WEIGHTS or form.weights is None

    def _is_free(self, walk: Walk, i: int, source: int) -> bool:
        """Whether a source is an input that the loss alone reads, and may be put where the loss wants it."""
        is_input = isinstance(walk.graph.nodes[source], Input) and source not in walk.shapes
        return is_input and walk.users[source] == [i]

    def forward(self, walk: Walk, i: int) -> None:
        x, t, *weights = walk.sources(i)
        row, name, note = walk.shapes[x], walk.graph.name_of(i), "fused: loss and its gradient"
        assert walk.target is not None
        form = form_of(walk.layer(i), row, walk.target)
        assert form is not None
        kernels, numbers = form.kernels, form.numbers
        labels = kernels is OF_LABELS
        if t in walk.shapes:
            target = walk.value(t)
        else:
            target = self._gathered(walk, t, row[:-1], row[-1]) if labels else self._gathered(walk, t, row)
        operands = walk.value(x), target, walk.gradient(x)
        walk.starts(walk.gradient(x))
        if form.is_plain and not walk.weighted:
            walk.emit(kernels.loss, *operands, numbers=numbers, layer=i, note=note)
        else:
            s = self._gathered(walk, weights[0], ()) if walk.weighted else None
            c = None if form.weights is None else walk.constant(f"weights of {name}", form.weights)
            total, of_classes = None, kernels.total is not TOTAL_OF_WEIGHTS
            if s is not None or kernels is OF_DISTRIBUTIONS or (of_classes and c is not None):
                total = walk.spare(f"total of {name}", (1,))
                counted = (target, s, c) if of_classes else (s,)
                walk.emit(kernels.total, total, *counted, numbers=numbers, layer=i)
            walk.emit(kernels.weighted, *operands, s, c, total, numbers=numbers, layer=i, note=note)
        if not walk.training and kernels.count is not None:
            walk.emit(kernels.count, walk.value(x), target, numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        """Its gradient is there already."""

    def _gathered(self, walk: Walk, source: int, row: Shape, below: int = 0) -> Place:
        """Where targets or weights of a batch are gathered to; labels `below` a number to a space of their own."""
        space: Space = "labels" if below else "arena"
        place = Place(walk.graph.name_of(source), space, row, below=below, is_input=True)
        walk.put_value(source, place)
        return place


def _exact(walk: Walk) -> bool:
    """Whether the targets are no less exact than the parameters, so that sums are held to the same tolerance."""
    assert walk.target is not None
    sizes = [walk.graph.parameter_value(name).itemsize for name in walk.graph.parameters]
    return walk.target.dtype.kind != "f" or all(walk.target.itemsize >= size for size in sizes)
