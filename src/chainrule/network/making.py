"""How a network is put together: its layers on one input, or a graph that was given; and made again."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.arrays import Shape
from chainrule.errors import ArgumentError
from chainrule.graph import Input, Node, checked_shape
from chainrule.layers import Layer, Loss


def checked_loss(loss: Loss | None) -> Loss | None:
    """The loss. Raises ArgumentError for what is none, or has parameters or statistics of its own."""
    if loss is None:
        return None
    if not isinstance(loss, Loss):
        raise ArgumentError(f"loss: expected a loss such as cr.SoftmaxCrossEntropy(), got {loss!r}")
    if loss.parameters() or loss.state():
        raise ArgumentError(
            f"loss: {loss!r} has parameters or running statistics; put them into a layer before it"
        )
    return loss


def chain(layers: Sequence[Layer], input_shape: Shape | int | None) -> Node:
    """The layers one after another, on one input named "x"."""
    if not layers:
        raise ArgumentError("a network needs layers, cr.Network(cr.Affine(50), ...), or output=, a node")
    if input_shape is None:
        raise ArgumentError("input_shape is missing: the shape of one sample, for example input_shape=(784,)")
    node: Node = Input("x", checked_shape(input_shape, "input_shape"))
    for layer in layers:
        if not isinstance(layer, Layer):
            hint = "; write it with parentheses, cr.ReLU()" if isinstance(layer, type) else ""
            raise ArgumentError(f"a network is made of layers, got {layer!r}{hint}")
        if isinstance(layer, Loss):
            raise ArgumentError(f"{layer!r} is a loss: pass it as loss={layer!r}, not among the layers")
        node = layer(node)
    return node


def given(output: Node, layers: Sequence[Layer], input_shape: Shape | int | None) -> Node:
    """The output node that was given, and nothing beside it."""
    if layers or input_shape is not None:
        raise ArgumentError(
            "pass either layers with input_shape=, or output=, whose inputs say their own shapes"
        )
    if not isinstance(output, Node):
        raise ArgumentError(f"output: expected a node of a graph, got {type(output).__name__}")
    return output
