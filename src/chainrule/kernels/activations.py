"""Kernels of activations: functions of one number, and what they do to its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule import layers
from chainrule.kernels.constants import (
    FAR,
    GELU_CUBIC,
    GELU_SCALE,
    HALF,
    INVERSE_SQRT_2PI,
    ONE,
    SQRT_HALF,
    THREE,
    ZERO,
)
from chainrule.layers import Layer

Scalar = Any  # a number in the dtype of the arrays


def relu(x: Scalar) -> Scalar:
    return ZERO if x <= ZERO else x


def relu_gradient(dy: Scalar, y: Scalar) -> Scalar:
    return dy if y > ZERO else ZERO


def leaky_relu(x: Scalar, slope: Scalar) -> Scalar:
    return x if x > ZERO else slope * x


def leaky_relu_gradient(dy: Scalar, x: Scalar, slope: Scalar) -> Scalar:
    return dy if x > ZERO else slope * dy


def elu(x: Scalar, alpha: Scalar) -> Scalar:
    return x if x > ZERO else alpha * np.expm1(x)


def elu_gradient(dy: Scalar, x: Scalar, alpha: Scalar) -> Scalar:
    return dy if x > ZERO else dy * (ZERO if x < -FAR else alpha * np.exp(x))


def gelu(x: Scalar) -> Scalar:
    return x * (HALF * math.erfc(-x * SQRT_HALF))


def gelu_gradient(dy: Scalar, x: Scalar) -> Scalar:
    return dy * (HALF * math.erfc(-x * SQRT_HALF) + x * np.exp(-HALF * x * x) * INVERSE_SQRT_2PI)


def gelu_tanh(x: Scalar) -> Scalar:
    return x * HALF * (ONE + np.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x)))


def gelu_tanh_gradient(dy: Scalar, x: Scalar) -> Scalar:
    t = np.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x))
    du = GELU_SCALE * (ONE + THREE * GELU_CUBIC * x * x)
    return dy * (HALF * (ONE + t) + HALF * x * (ONE - t * t) * du)


def silu(x: Scalar) -> Scalar:
    a = abs(x)
    e = ZERO if a > FAR else np.exp(-a)
    return x * ((ONE if x >= ZERO else e) / (ONE + e))


def silu_gradient(dy: Scalar, x: Scalar) -> Scalar:
    a = abs(x)
    e = ZERO if a > FAR else np.exp(-a)
    s = (ONE if x >= ZERO else e) / (ONE + e)
    return dy * s * (ONE + x * (ONE - s))


def softplus(x: Scalar) -> Scalar:
    a = abs(x)
    return (x if x > ZERO else ZERO) + (ZERO if a > FAR else np.log1p(np.exp(-a)))


def softplus_gradient(dy: Scalar, x: Scalar) -> Scalar:
    a = abs(x)
    e = ZERO if a > FAR else np.exp(-a)
    return dy * ((ONE if x >= ZERO else e) / (ONE + e))


def sigmoid(x: Scalar) -> Scalar:
    a = abs(x)
    e = ZERO if a > FAR else np.exp(-a)
    return (ONE if x >= ZERO else e) / (ONE + e)


def sigmoid_gradient(dy: Scalar, y: Scalar) -> Scalar:
    return dy * y * (ONE - y)


def tanh(x: Scalar) -> Scalar:
    return np.tanh(x)


def tanh_gradient(dy: Scalar, y: Scalar) -> Scalar:
    return dy * (ONE - y * y)


@dataclass(frozen=True)
class Activation:
    """The kernels of a layer that acts on each element by itself.

    `gradient` takes the upstream gradient and the layer's input or output, whichever it `keeps`. Both take the
    layer's own `numbers`, its attributes by name, behind.
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    keeps: Literal["input", "output"]
    numbers: tuple[str, ...] = ()


ACTIVATIONS: dict[type[Layer], Activation] = {
    layers.ReLU: Activation(relu, relu_gradient, "output"),
    layers.LeakyReLU: Activation(leaky_relu, leaky_relu_gradient, "input", ("slope",)),
    layers.ELU: Activation(elu, elu_gradient, "input", ("alpha",)),
    layers.GELU: Activation(gelu, gelu_gradient, "input"),
    layers.SiLU: Activation(silu, silu_gradient, "input"),
    layers.Softplus: Activation(softplus, softplus_gradient, "input"),
    layers.Sigmoid: Activation(sigmoid, sigmoid_gradient, "output"),
    layers.Tanh: Activation(tanh, tanh_gradient, "output"),
}
_GELU_TANH = Activation(gelu_tanh, gelu_tanh_gradient, "input")


def activation_of(layer: Layer | None) -> Activation | None:
    """The kernels of a layer, or None. A subclass of a layer has none: it may compute something else."""
    if isinstance(layer, layers.GELU) and type(layer) is layers.GELU and layer.approximate:
        return _GELU_TANH
    return None if layer is None else ACTIVATIONS.get(type(layer))
