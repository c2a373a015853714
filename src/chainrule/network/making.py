"""How a network is put together: its layers on one input, or a graph that was given; and made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import optimizers
from chainrule.arguments import is_number
from chainrule.arrays import Array, Shape
from chainrule.configured import constructor_of
from chainrule.elsewhere import activation_here, called_here
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph import Before, Graph, Input, Node, checked_shape
from chainrule.layers import Layer, Loss, Standardize
from chainrule.layers import loss as losses
from chainrule.loop import Callback
from chainrule.optimizers import Optimizer
from chainrule.parameters import Guard, Parameters


def checked_loss(loss: Loss | str | None) -> Loss | None:
    """The loss, or that of the name. ArgumentError for what is none, or has parameters or statistics of its own."""
    if loss is None:
        return None
    if isinstance(loss, str):
        return losses.get(loss)
    if not isinstance(loss, Loss):
        raise ArgumentError(
            f'loss: expected a loss such as cr.SoftmaxCrossEntropy(), or its name, "cross_entropy", got {loss!r}'
            f"{parentheses(loss)}"
        )
    if loss.parameters() or loss.state():
        raise ArgumentError(
            f"loss: {loss!r} has parameters or running statistics; put them into a layer before it"
        )
    return loss


def checked_optimizer(optimizer: Optimizer | str) -> Optimizer:
    """The optimizer, or that of the name. Raises ArgumentError for what is none."""
    if isinstance(optimizer, str):
        return optimizers.get(optimizer)
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f'optimizer: expected one such as cr.Adam(), or its name, "adam", got {optimizer!r}'
            f"{parentheses(optimizer)}"
        )
    return optimizer


OWN_CALLBACK = (
    "make the function a method of a class of your own, class Mine(cr.Callback): def on_epoch(self, run): ..."
)


def checked_callbacks(callbacks: Callback | Sequence[Callback]) -> list[Callback]:
    """The callbacks as a list; a single one needs none. Raises ArgumentError for what are none."""
    for each in callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]:
        if isinstance(each, Callback) and each.keeps:
            name = type(each).__name__
            raise ArgumentError(f"callbacks: {name} is given as fit(..., checkpoint=cr.{name}(folder))")
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, Sequence) or not all(isinstance(each, Callback) for each in callbacks):
        kinds = [callbacks, *callbacks] if isinstance(callbacks, (list, tuple)) else [callbacks]
        raise ArgumentError(
            f"callbacks: expected a list such as [cr.EarlyStopping()], got {callbacks!r}"
            f"{next(filter(None, map(_remedy, kinds)), '')}"
        )
    return list(callbacks)


def _remedy(given: object) -> str:
    """What to write in place of a class or a function among the callbacks, or ""."""
    is_function = callable(given) and not isinstance(given, type)
    return f"; {OWN_CALLBACK}" if is_function else parentheses(given)


def made_elsewhere(name: str, value: object) -> str:
    """Where an argument of `fit` belongs that is one of the optimizer or of the loss; "" for any other."""
    if name.lower().replace("_", "") in ("classweight", "classweights"):
        return (
            "the loss weighs classes: make the network with loss=cr.SoftmaxCrossEntropy(class_weights=[...]), one "
            "number for each class in the order of the outputs; of one output, "
            "loss=cr.SigmoidCrossEntropy(positive_weight=...)"
        )
    meant = called_here(name) or name
    kinds: list[type[Optimizer]] = [optimizers.Adam, *optimizers.KINDS.values()]
    for kind in kinds:
        if meant in constructor_of(kind).parameters:
            given = repr(value) if is_number(value) else "..."
            return f"it belongs to the optimizer, optimizer=cr.{kind.__name__}({meant}={given})"
    return ""


def parentheses(value: object) -> str:
    """The end of a message about a class where an object belongs, or ""."""
    return f"; write it with parentheses, cr.{value.__name__}()" if isinstance(value, type) else ""


def chain(layers: Sequence[Layer | Sequence[Layer]], input_shape: Shape | int | None) -> Node:
    """The layers one after another, or those of one list, on one input named "x"."""
    if len(layers) == 1 and isinstance(layers[0], (list, tuple)):
        layers = layers[0]
    if not layers:
        raise ArgumentError("a network needs layers, cr.Network(cr.Affine(50), ...), or output=, a node")
    if input_shape is None:
        raise ArgumentError("input_shape is missing: the shape of one sample, for example input_shape=(784,)")
    node: Node = Input("x", checked_shape(input_shape, "input_shape"))
    for layer in layers:
        if isinstance(layer, str):
            meant = f"write cr.{activation_here(layer)}() as the next layer"
            raise ArgumentError(f"a network is made of layers, got the text {layer!r}; {meant}")
        if not isinstance(layer, Layer):
            raise ArgumentError(f"a network is made of layers, got {layer!r}{parentheses(layer)}")
        if isinstance(layer, Loss):
            raise ArgumentError(f"{layer!r} is a loss: pass it as loss={layer!r}, not among the layers")
        node = layer(node)
    return node


def given(output: Node, layers: Sequence[Any], input_shape: Shape | int | None) -> Node:
    """The output node that was given, and nothing beside it."""
    if layers or input_shape is not None:
        raise ArgumentError(
            "pass either layers with input_shape=, or output=, whose inputs say their own shapes"
        )
    if not isinstance(output, Node):
        raise ArgumentError(f"output: expected a node of a graph, got {type(output).__name__}")
    return output


def with_loss(output: Node, loss: Loss | None, of: Node | None = None) -> Node:
    """The node of the loss of an output, with inputs "t" and, where the loss takes weights, "sample_weight".

    Behind an inverted Standardize the loss of a regression is of predictions and targets in standard deviations, so
    that it has the same size in any unit. `of` is the network's output where `output` only stands for it.
    """
    if loss is None:
        return output
    units = (output if of is None else of).layer
    inputs: list[Node] = [output, Input("t")]
    if loss.task == "regression" and isinstance(units, Standardize) and units.invert:
        inputs = [Standardize(units.mean, units.std)(each) for each in inputs]
    if "sample_weight" in loss.signature.inputs:
        inputs.append(Input("sample_weight", optional=True))
    node: Node = loss(*inputs, name="loss")
    return node


def input_shapes(graph: Graph, output: Node) -> dict[str, Shape]:
    """The shape of one sample of each input that the output depends on, by name."""
    needed = set(graph.ancestors(graph.position(output)))
    shapes: dict[str, Shape] = {}
    for name, node in graph.inputs.items():
        if graph.position(name) in needed:
            if node.shape is None:
                raise ArgumentError(
                    f"the input {name!r} has no shape: a network needs that of one sample, "
                    f"cr.Input({name!r}, shape=(784,))"
                )
            shapes[name] = node.shape
    if not shapes:
        raise GraphError("the output of the network depends on no cr.Input")
    return shapes


@dataclass(frozen=True)
class Values:
    """What a network begins with instead of initial values, by name; on `rows` the shape of its output is found."""

    params: Mapping[str, Array]
    state: Mapping[str, Array]
    rows: int = 2


def shape_of_output(
    graph: Graph, output: Node, inputs: Mapping[str, Shape], rows: int = 2, before: Before | None = None
) -> Shape:
    """The shape of the output of one sample, found by a run on zeros, which makes every parameter, too.

    Of 0 rows it computes nothing that depends on the inputs. `before` is called before each layer.
    """
    from chainrule.native.blas import one_thread

    zeros = {name: np.zeros((rows, *shape), dtype=int) for name, shape in inputs.items()}
    last = graph.position(output)
    with np.errstate(all="ignore"), one_thread():
        value = graph.run(zeros, last, training=False, step=0, keep_saved=False, before=before).values[last]
    assert value is not None
    if value.ndim == 0 or len(value) != rows:
        raise ShapeError(
            f"the output of a network has one row for each sample, (N, ...); for {rows} samples it has shape "
            f"{value.shape}"
        )
    shape: Shape = value.shape[1:]
    return shape


def flat_parameters(graph: Graph, guard: Guard) -> Parameters:
    """The graph's parameters, moved into one flat vector."""
    values = {name: graph.parameter_value(name) for name in graph.parameters}
    params = Parameters.empty({name: value.shape for name, value in values.items()}, graph.dtype)
    params.guard = guard
    for name, value in values.items():
        params[name] = value
        graph.bind(name, params[name])
    return params


def where_decayed(graph: Graph, params: Parameters) -> Array:
    """Whether weight decay applies to each number of the flat vector."""
    decays = [np.full(params[name].size, node.decay) for name, node in graph.parameters.items()]
    return np.concatenate(decays) if decays else np.zeros(0, dtype=bool)
