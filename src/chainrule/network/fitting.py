"""Whether an output fits its loss and its targets: an activation in the wrong place trains poorly, silently."""

from __future__ import annotations

import weakref

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import warn
from chainrule.graph import Node
from chainrule.layers import Layer, LeakyReLU, LogSoftmax, Loss, Softmax, SoftmaxCrossEntropy, Standardize

#: What a loss of logits may follow: what it does itself anyway, and what goes as low as it has to.
HARMLESS = (LogSoftmax, LeakyReLU)
FAR = 1e4
_WARNED: weakref.WeakSet[Node] = weakref.WeakSet()  # a copy of a network has the same nodes: once is enough


def misfit(output: Node, loss: Loss | None, output_shape: Shape) -> str:
    """What is wrong with the last activation, or a softmax over one output, and the remedy; "" when nothing is.

    SoftmaxCrossEntropy and SigmoidCrossEntropy take logits, any numbers from minus to plus infinity, and make
    probabilities of them themselves. The softmax of a single number is 1, whatever the number.
    """
    if output_shape[-1:] == (1,):
        if isinstance(loss, SoftmaxCrossEntropy):
            return (
                f"{loss!r} over one output is always 0, so the network learns nothing: use the loss "
                f'"binary_cross_entropy", or give the network an output for each class'
            )
        if isinstance(layer := output.layer, (Softmax, LogSoftmax)) and layer.axis in (-1, len(output_shape)):
            always = 1 if isinstance(layer, Softmax) else 0
            return (
                f"{layer!r} over one output is always {always}, so the network learns nothing: leave it out, or "
                f"give the network an output for each class"
            )
    if loss is None or loss.task not in ("classification", "multilabel"):
        return ""
    layer = last_activation(output)
    if layer is None or isinstance(layer, HARMLESS):
        return ""
    return (
        f"{layer!r} is the last layer before {loss!r}, which takes logits, numbers of any size and sign, and makes "
        f"probabilities of them itself; so the network learns slowly or not at all: leave {layer!r} out"
    )


def warn_of_misfit(output: Node, loss: Loss | None, output_shape: Shape) -> None:
    """Warn of what `misfit` says, once for each output."""
    text = misfit(output, loss, output_shape)
    if text and output not in _WARNED:
        _WARNED.add(output)
        warn(text)


def out_of_reach(output: Node, targets: Array) -> str:
    """What is wrong with numbers to estimate that the last activation never gives, and the remedy; or ""."""
    if isinstance(output.layer, Standardize) and output.layer.invert and targets.size:
        targets = Standardize(output.layer.mean, output.layer.std).forward(targets.astype(float))[0]
        output = output.inputs[0]
    layer = last_activation(output)
    if layer is None or not targets.size:
        return ""
    low, high = reach(layer)
    least, most = float(targets.min()), float(targets.max())
    if low <= least and most <= high:
        return ""
    between = f"from {low:.2g} to {high:.2g}" if high < FAR else f"of {low:.2g} or more"
    return (
        f"t goes from {least:.4g} to {most:.4g}, but the network's last layer, {layer!r}, gives numbers {between}: "
        f"leave it out, or bring the targets into that range"
    )


def last_activation(output: Node) -> Layer | None:
    """The activation that the output comes from, where nothing but a move of its elements is in between."""
    node = output
    while node.layer is not None and node.layer.moves_elements and len(node.inputs) == 1:
        node = node.inputs[0]
    return node.layer if node.layer is not None and node.layer.is_activation else None


def reach(layer: Layer) -> tuple[float, float]:
    """The least and the largest number that an activation gives, about."""
    if isinstance(layer, Softmax):
        return 0.0, 1.0
    away = np.geomspace(1e-3, FAR, 800)
    outputs = np.asarray(layer.forward(np.concatenate([-away[::-1], away]))[0])
    return float(np.floor(100 * outputs.min()) / 100), float(np.ceil(100 * outputs.max()) / 100)
