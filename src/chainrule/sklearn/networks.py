"""The network of an estimator: its layers, its loss, and the values that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

from chainrule import layers
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, warn
from chainrule.graph import Input, Node
from chainrule.layers import Affine, Layer, Loss
from chainrule.network import Network
from chainrule.network.making import Values
from chainrule.sklearn.suggestions import meant_by

#: The activations by scikit-learn's names; None computes nothing.
ACTIVATIONS: dict[str, type[Layer] | None] = {
    "identity": None,
    "logistic": layers.Sigmoid,
    "tanh": layers.Tanh,
    "relu": layers.ReLU,
}
#: The library's own, by their names in lower case.
OTHERS: dict[str, type[Layer]] = {
    kind.__name__.lower(): kind
    for kind in (layers.LeakyReLU, layers.ELU, layers.GELU, layers.SiLU, layers.Softplus)
}


def hidden_sizes(given: Any) -> list[int]:
    """The numbers of units of the hidden layers. Raises ValueError unless all are above 0."""
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activation_of(given: Any) -> Layer | None:
    """An activation by its name, or the layer itself."""
    if isinstance(given, Layer):
        if given.parameters():
            raise ArgumentError(
                f"activation: expected a layer without parameters, got {given!r}; put it into layers"
            )
        return given
    kinds = {**ACTIVATIONS, **OTHERS}
    if not isinstance(given, str) or given not in kinds:
        meant = meant_by("activation", given, [StrOptions(set(kinds))])
        raise InvalidParameterError(
            f"activation: expected names from {', '.join(kinds)}, or layers such as cr.GELU(). "
            f"Got {given!r}.{meant}"
        )
    kind = kinds[given]
    return None if kind is None else kind()


def each_of(name: str, given: Any, count: int) -> list[Any]:
    """One for each hidden layer, of a list or of a single one for all."""
    if not isinstance(given, (list, tuple)):
        return [given] * count
    if len(given) != count:
        raise ValueError(
            f"{name}: expected one for each of the {count} hidden layers, got {len(given)}; or give one for all"
        )
    return list(given)


def hidden_layers(
    sizes: Sequence[int], activation: Any, dropout: Any = 0.0, batch_norm: Any = False
) -> list[Layer]:
    """The layers before the last: of each size an Affine, then BatchNorm, the activation and Dropout."""
    found: list[Layer] = []
    parts = (each_of(name, given, len(sizes)) for name, given in
             (("activation", activation), ("dropout", dropout), ("batch_norm", batch_norm)))  # fmt: skip
    for size, function, rate, normalizes in zip(sizes, *parts, strict=True):
        active = activation_of(function)
        found += [Affine(size), *([layers.BatchNorm()] if normalizes else []), *([active] if active else [])]
        found += [layers.Dropout(rate)] if rate else []
    return found


Build = Callable[[Node], Node]


def output_of(hidden: Sequence[Layer] | Build, features: int, outputs: int, is_given: bool = False) -> Node:
    """The hidden layers, or what a function makes of the input, and an Affine behind them.

    `is_given` tells layers that somebody has written, whose last one is looked at, from those of the parameters.
    """
    node: Node = Input("x", (features,))
    if callable(hidden):
        node = hidden(node)
        if not isinstance(node, Node):
            raise ArgumentError(
                f"layers: expected the function to return a node of the graph, got a {type(node).__name__}"
            )
    else:
        for layer in hidden:
            if not isinstance(layer, Layer):
                raise ArgumentError(f"layers: expected layers such as cr.Affine(50), got {layer!r}")
            node = layer(node)
    if is_given:
        check_last(node.layer, outputs)
    last: Node = Affine(outputs)(node)
    return last


def check_last(layer: Layer | None, outputs: int) -> None:
    """Raise InvalidParameterError where `layers` hold the output layer, too; warn of an Affine right before it."""
    follows = f"the output layer, Affine({outputs}), follows by itself"
    if isinstance(layer, (layers.Softmax, layers.LogSoftmax)):
        raise InvalidParameterError(
            f"layers end with {layer!r}, but {follows}, and its loss computes the softmax; leave both out"
        )
    if isinstance(layer, Affine) and layer.units == outputs:
        raise InvalidParameterError(f"layers end with {layer!r}, but {follows}; leave it out")
    if isinstance(layer, Affine):
        warn(
            f"layers end with {layer!r}, and {follows}: two Affine layers in a row compute no more than one; "
            f"leave it out, or put an activation behind it"
        )


def glorot(
    sizes: Sequence[int], activation: Any, random_state: np.random.RandomState, dtype: Any
) -> tuple[list[Array], list[Array]]:
    """Weights and biases of scikit-learn's own beginning: uniform within sqrt(f / (fan_in + fan_out)).

    f is 2 for "logistic" and 6 for any other activation; the last layer has that of the layer before.
    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), 16.
    """
    weights, biases = [], []
    each = each_of("activation", activation, len(sizes) - 2) if len(sizes) > 2 else [activation]
    for (before, after), function in zip(pairwise(sizes), [*each, each[-1]], strict=False):
        is_logistic = isinstance(function, layers.Sigmoid) or function == "logistic"
        bound = np.sqrt((2.0 if is_logistic else 6.0) / (before + after))
        weights.append(random_state.uniform(-bound, bound, (before, after)).astype(dtype, copy=False))
        biases.append(random_state.uniform(-bound, bound, after).astype(dtype, copy=False))
    return weights, biases


def network_with(
    weights: Sequence[Array], biases: Sequence[Array], hidden: Sequence[Layer], loss: Loss, seed: int
) -> Network:
    """A chain of Affine layers and others without parameters, with these values."""
    output = output_of(hidden, weights[0].shape[0], weights[-1].shape[1])
    values = {f"W{k}": W for k, W in enumerate(weights, 1)} | {f"b{k}": b for k, b in enumerate(biases, 1)}
    return Network.with_values(output, loss, seed, weights[0].dtype, Values(values, {}))


def parameters_of(network: Network) -> tuple[list[Array], list[Array]]:
    """The weights and the biases of the Affine layers, in order: views into the flat vector."""
    weights, biases = [], []
    for k, node in enumerate(network.graph):
        if isinstance(node.layer, Affine):
            names = [network.graph.name_of(i) for i in network.graph.source_positions(k)[1:]]
            weights.append(network.params[names[0]])
            biases += [network.params[name] for name in names[1:]]
    return weights, biases
