"""Losses: the mean over the batch and its gradient in one pass, and how many answers are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.layers import Layer, Loss
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Operation, Place


def _loss(step: Step, each: Instruction, x: Array, t: Array, dx: Array) -> None:
    """The layer's own forward and backward."""
    layer = step.layers[each.layer]
    loss, saved = layer.forward(x, t)
    step.loss = float(loss)
    dx[...] = layer.backward(np.ones_like(loss), saved)[0]


def _count_right(step: Step, each: Instruction, x: Array, t: Array) -> None:
    """As the layer says, but a row that is not all finite has no right answer."""
    right = cast(Array, cast(Loss, step.layers[each.layer]).correct(x, t))
    finite = np.isfinite(x).all(axis=1)
    assert step.call.right is not None
    step.call.right[step.number] = np.count_nonzero((right.T & finite).T)


def _operation(name: str, target: str) -> Operation:
    printed = f"loss, {{2}} = {name}({{0}}, {{1}})"
    return Operation(name, ("B K", target, "=B K"), printed, kernel=name, statement=_loss)


def _counting(kernel: str, target: str) -> Operation:
    return Operation(
        kernel, ("B K", target), f"right = {kernel}({{0}}, {{1}})", kernel=kernel, statement=_count_right
    )


@dataclass(frozen=True)
class LossKernels:
    """What stands for a loss, and what counts right answers: nothing for a regression."""

    loss: Operation
    count: Operation | None = None


CLASSES = LossKernels(
    _operation("softmax_cross_entropy", "B labels 1"), _counting("count_right_classes", "B labels 1")
)
LOSSES: dict[type[Layer], LossKernels] = {
    layers.SoftmaxCrossEntropy: CLASSES,
    layers.MeanSquaredError: LossKernels(_operation("mean_squared_error", "B K")),
    layers.MeanAbsoluteError: LossKernels(_operation("mean_absolute_error", "B K")),
    layers.SigmoidCrossEntropy: LossKernels(
        _operation("sigmoid_cross_entropy", "B K"), _counting("count_right_labels", "B K")
    ),
}


def has_kernel(layer: Layer | None, target: Array) -> bool:
    """Whether a loss has a kernel for targets such as these, without sample weights."""
    if type(layer) is layers.SoftmaxCrossEntropy:
        plain = layer.class_weights is None and not layer.label_smoothing
        return plain and target.ndim == 1 and target.dtype.kind in "iu"
    if type(layer) is layers.SigmoidCrossEntropy and layer.arguments.get("positive_weight") is not None:
        return False
    return type(layer) in LOSSES and target.ndim == 2


class LossRule:
    """A loss at the end of the graph, whose upstream gradient is 1."""

    def takes(self, walk: Walk, i: int) -> bool:
        if walk.target is None or walk.weighted or i != len(walk.graph) - 1:
            return False
        x = walk.sources(i)[0]
        alone = not walk.training or (walk.users[x] == [i] and walk.needed[x])
        return alone and len(walk.shapes.get(x, ())) == 1 and has_kernel(walk.layer(i), walk.target)

    def forward(self, walk: Walk, i: int) -> None:
        x = walk.sources(i)[0]
        z, dx = walk.value(x), walk.gradient(x)
        kernels = LOSSES[type(walk.layer(i))]  # type: ignore[index]  # has_kernel looked there
        t = self.target_place(walk, i)
        walk.emit(kernels.loss, z, t, dx, layer=i, note="fused: loss and its gradient")
        walk.starts(dx)
        if not walk.training and kernels.count is not None:
            walk.emit(kernels.count, z, t, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        """Its gradient is there already."""

    def target_place(self, walk: Walk, i: int) -> Place:
        """Where the targets of a batch are gathered to."""
        t = walk.sources(i)[1]
        if walk.value(t).space == "python":
            row = walk.shapes[walk.sources(i)[0]]
            if type(walk.layer(i)) is layers.SoftmaxCrossEntropy:
                walk.put_value(t, Place(walk.graph.name_of(t), "labels", below=row[0], is_input=True))
            else:
                walk.put_value(t, Place(walk.graph.name_of(t), "arena", row, is_input=True))
        return walk.value(t)
