"""Node: one use of a layer in a graph, with its inputs. Leaves are Input, Parameter and Constant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from chainrule.arguments import as_whole
from chainrule.arrays import Array, ArrayLike, Shape, is_float
from chainrule.errors import ArgumentError, GraphError, LayerError, did_you_mean
from chainrule.incoming import as_numbers
from chainrule.layers import (
    Add,
    Divide,
    Index,
    Layer,
    MatMul,
    Multiply,
    Negative,
    ParameterSpec,
    Power,
    Subtract,
)

#: What NumPy calls when an array or one of its numbers stands on the left of a node.
_OPERATORS: dict[Any, type[Layer]] = {
    np.add: Add,
    np.subtract: Subtract,
    np.multiply: Multiply,
    np.divide: Divide,
    np.power: Power,
    np.matmul: MatMul,
    np.negative: Negative,
}

#: What to write instead of a function of NumPy.
_INSTEAD = {
    "np.exp": "the layer: cr.Exp()(node)",
    "np.expm1": "the layer: cr.Exp()(node) - 1",
    "np.exp2": "the operator: 2**node",
    "np.log": "the layer: cr.Log()(node)",
    "np.log1p": "the layer: cr.Log()(1 + node)",
    "np.sqrt": "the layer: cr.Sqrt()(node)",
    "np.tanh": "the layer: cr.Tanh()(node)",
    "np.square": "the operator: node**2",
    "np.reciprocal": "the operator: 1 / node",
    "np.maximum": "the layer: cr.ReLU()(node), which is the maximum of node and 0",
    "np.add.reduce": "the layer: cr.Sum()(node)",
    "np.maximum.reduce": "the layer: cr.Max()(node)",
    "expit": "the layer: cr.Sigmoid()(node)",
}


class Node:
    """One use of a layer, with the nodes it takes its inputs from.

    Nodes are made by calling a layer on nodes, or by the operators `+ - * / ** @`, unary `-` and `[...]`.
    Plain numbers and arrays beside a node become constants. A node holds no values: a Graph computes them.
    """

    __iter__ = None  # [...] is defined, but a node is no sequence

    def __init__(self, layer: Layer | None, inputs: tuple[Node, ...], name: str | None = None) -> None:
        self.layer = layer
        self.inputs = inputs
        self.name = None if name is None else _checked_name(name)

    def named(self, name: str) -> Self:
        """Give the node a name and return it: `total = (price * count).named("total")`."""
        self.name = _checked_name(name)
        return self

    def _apply_layer(self, layer: Layer, inputs: tuple[Any, ...], name: str | None) -> Node:
        _check_inputs(layer, len(inputs))
        return Node(layer, tuple(_as_node(value) for value in inputs), name)

    def __repr__(self) -> str:
        kind = type(self).__name__ if self.layer is None else repr(self.layer)
        of = ", ".join(getattr(node, "name", None) or "?" for node in self.inputs)
        return f"<{kind}{f' of {of}' if of else ''}{f', named {self.name!r}' if self.name else ''}>"

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """What NumPy makes of `array * node`: a node. Of its functions that are no operators, a GraphError."""
        in_place = "out" in options and options["out"][0] is inputs[0] and len(options) == 1  # array *= node
        if ufunc in _OPERATORS and method == "__call__" and (not options or in_place):
            return self._apply_layer(_OPERATORS[ufunc](), inputs, None)
        if ufunc in (np.equal, np.not_equal) and method == "__call__":
            return ufunc is np.not_equal  # a node is equal to itself only
        name = ufunc.__name__ if getattr(np, ufunc.__name__, None) is not ufunc else f"np.{ufunc.__name__}"
        if method != "__call__":
            name += f".{method}"
        found = _INSTEAD.get(name)
        remedy = f"use {found}" if found else "write it with the layers there are, or as a layer of your own"
        raise GraphError(f"{name} does not take nodes of a graph; {remedy}")

    def __add__(self, other: Any) -> Node:
        return self._apply_layer(Add(), (self, other), None)

    def __radd__(self, other: Any) -> Node:
        return self._apply_layer(Add(), (other, self), None)

    def __sub__(self, other: Any) -> Node:
        return self._apply_layer(Subtract(), (self, other), None)

    def __rsub__(self, other: Any) -> Node:
        return self._apply_layer(Subtract(), (other, self), None)

    def __mul__(self, other: Any) -> Node:
        return self._apply_layer(Multiply(), (self, other), None)

    def __rmul__(self, other: Any) -> Node:
        return self._apply_layer(Multiply(), (other, self), None)

    def __truediv__(self, other: Any) -> Node:
        return self._apply_layer(Divide(), (self, other), None)

    def __rtruediv__(self, other: Any) -> Node:
        return self._apply_layer(Divide(), (other, self), None)

    def __pow__(self, other: Any) -> Node:
        return self._apply_layer(Power(), (self, other), None)

    def __rpow__(self, other: Any) -> Node:
        return self._apply_layer(Power(), (other, self), None)

    def __matmul__(self, other: Any) -> Node:
        return self._apply_layer(MatMul(), (self, other), None)

    def __rmatmul__(self, other: Any) -> Node:
        return self._apply_layer(MatMul(), (other, self), None)

    def __neg__(self) -> Node:
        return self._apply_layer(Negative(), (self,), None)

    def __getitem__(self, key: Any) -> Node:
        return self._apply_layer(Index(key), (self,), None)


class Input(Node):
    """A place for data, fed by name at every run: `graph.forward(x=...)`.

    `shape` is that of one sample, without the batch axis; a Network needs it. An `optional` input may be left
    out, and then the layers that take it get None.
    """

    def __init__(self, name: str, shape: Shape | int | None = None, *, optional: bool = False) -> None:
        super().__init__(None, (), name)
        self.shape = None if shape is None else checked_shape(shape, f"Input({name!r})")
        self.optional = optional


class Parameter(Node):
    """A value that training changes. Whole numbers become float64; floats keep their dtype."""

    def __init__(self, name: str, value: ArrayLike, *, decay: bool = True) -> None:
        super().__init__(None, (), name)
        self.value = _as_floats(value, f"Parameter({name!r})")
        self.decay = decay


class LayerParameter(Parameter):
    """A parameter that a graph made for a layer. It has no value until the layer's input shape is known."""

    def __init__(self, name: str, layer: Layer, spec: ParameterSpec) -> None:
        Node.__init__(self, None, (), name)
        self.owner = layer
        self.spec = spec
        self.decay = spec.decay


class Constant(Node):
    """A value that nothing changes."""

    def __init__(self, value: ArrayLike, name: str | None = None) -> None:
        super().__init__(None, (), name)
        self.value = as_numbers(value, name or "a constant beside a node", copy=True)


def checked_shape(shape: Any, whose: str) -> Shape:
    """A shape as a tuple of positive ints; a single int is a vector's length."""
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    found = [as_whole(size) or 0 for size in sizes]
    if not all(size > 0 for size in found):
        raise ArgumentError(
            f"{whose}: expected a shape of positive whole numbers without the batch axis, such as (784,), "
            f"got {shape!r}"
        )
    return tuple(found)


def _as_node(value: Any) -> Node:
    return value if isinstance(value, Node) else Constant(value)


def _as_floats(value: ArrayLike, whose: str) -> Array:
    array = as_numbers(value, whose, copy=True)
    return array if is_float(array) else array.astype(np.float64)


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise ArgumentError(f"the name of a node is a string that is not empty, got {name!r}")
    return name


def _check_inputs(layer: Layer, given: int) -> None:
    signature = layer.signature
    own = layer.parameters()
    if unknown := [name for name in own if name not in signature.inputs]:
        raise LayerError(
            f"{layer!r} declares a parameter {unknown[0]!r}, which its forward does not take; "
            f"{did_you_mean(unknown[0], signature.inputs)}"
        )
    needed = sum(name not in own for name in signature.inputs[: signature.required])
    most = len(signature.inputs)
    if signature.variadic:
        if given < max(needed, 1):
            raise LayerError(f"{layer!r} takes at least {max(needed, 1)} inputs, got {given}")
    elif not needed <= given <= most:
        raise LayerError(
            f"{layer!r} takes {needed if needed == most else f'{needed} to {most}'} inputs "
            f"({', '.join(signature.inputs)}), got {given}"
        )
    made = [name in own for name in signature.inputs[given:]]
    if not all(made[: sum(made)]) or given + sum(made) < signature.required:
        raise LayerError(
            f"{layer!r}: the graph hands the parameters it makes ({', '.join(own)}) to forward after the data it "
            f"is given; forward takes ({', '.join(signature.inputs)}), so give it the inputs before them, or put "
            f"them last"
        )
