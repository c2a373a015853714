"""Layers that give values zero mean and unit variance, and then a scale and a shift of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.arguments import number, whole_number, whole_numbers
from chainrule.arrays import Array, Shape
from chainrule.errors import ShapeError
from chainrule.initializers import Ones, Zeros
from chainrule.layers.axes import axes_of
from chainrule.layers.base import Layer, ParameterSpec

Triple = tuple[Array, Array, Array]


class BatchNorm(Layer):
    """y = gamma * z + beta, z = (x - mean) / sqrt(var + epsilon), each channel by itself.

    While training, mean and (biased) variance are the batch's, taken over all axes but `axis`:
        dL/dgamma = sum dL/dy z,    dL/dbeta = sum dL/dy,
        dL/dx = gamma / sqrt(var + epsilon) * (dL/dy - mean of dL/dy - z * mean of (dL/dy z)).
    When predicting they are running statistics, which are constants: dL/dx = dL/dy * gamma / sqrt(var +
    epsilon). In training each becomes momentum * running + (1 - momentum) * batch, where the batch's variance
    is the unbiased one (the biased one, zero, for a single value per channel). PyTorch's momentum is one
    minus this one.

    Shapes: x (N, C, ...) with C at the axis; gamma, beta, running_mean, running_var (C,) -> y as x.
    dtype: float32 or float64, kept.
    Raises: ArgumentError unless 0 <= momentum <= 1 and epsilon > 0; ShapeError when x lacks the axis, has
    other channels than the parameters, or is empty while training.
    Source: Ioffe, Szegedy, Batch normalization (2015), algorithms 1 and 2.
    """

    def __init__(self, axis: int = 1, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        self.axis = whole_number("axis", axis, owner=self)
        self.momentum = number("momentum", momentum, "[0, 1]", owner=self)
        self.epsilon = number("epsilon", epsilon, "(0, inf)", owner=self)

    def parameters(self) -> dict[str, ParameterSpec]:
        return {
            "gamma": ParameterSpec(self._channels, Ones(), decay=False),
            "beta": ParameterSpec(self._channels, Zeros(), decay=False),
        }

    def state(self) -> dict[str, ParameterSpec]:
        return {
            "running_mean": ParameterSpec(self._channels, Zeros(), decay=False),
            "running_var": ParameterSpec(self._channels, Ones(), decay=False),
        }

    def least_rows(self, x: Shape) -> int:
        """Two where a row has one value in each channel: a single value is its own mean, and its z is 0."""
        return 2 if math.prod(x) == x[self.axis] else 1

    def forward(
        self, x: Array, gamma: Array, beta: Array, *, training: bool, state: dict[str, Array]
    ) -> tuple[Array, tuple[Array, Array, Array, bool], dict[str, Array]]:
        (axis,) = axes_of(self, (self.axis,), x.ndim)
        if gamma.shape != (x.shape[axis],):
            raise ShapeError(
                f"{self!r}: expected x with {gamma.size} channels at axis {axis}, got {x.shape}; "
                f"give it the channels that its parameters were made for, or use another axis"
            )
        others = tuple(i for i in range(x.ndim) if i != axis)
        shape = tuple(-1 if i == axis else 1 for i in range(x.ndim))  # of a value per channel, beside x
        if training:
            n = math.prod(x.shape[i] for i in others)
            if n == 0:
                raise ShapeError(
                    f"{self!r}: expected at least one sample while training, got x of shape {x.shape}; "
                    f"leave empty batches out"
                )
            mean, var = x.mean(axis=others), x.var(axis=others)
            state = {
                "running_mean": self._running(state["running_mean"], mean),
                "running_var": self._running(state["running_var"], var * (n / max(n - 1, 1))),
            }
        else:
            state = dict(state)
            mean, var = state["running_mean"].astype(x.dtype), state["running_var"].astype(x.dtype)
        inverse = (1 / np.sqrt(var + self.epsilon)).reshape(shape)
        z = (x - mean.reshape(shape)) * inverse
        scale = gamma.reshape(shape)
        return scale * z + beta.reshape(shape), (z, scale, inverse, training), state

    def backward(self, dy: Array, saved: tuple[Array, Array, Array, bool]) -> Triple:
        z, scale, inverse, training = saved
        others = tuple(i for i in range(z.ndim) if i != self.axis % z.ndim)
        dbeta = dy.sum(axis=others)
        dgamma = (dy * z).sum(axis=others)
        if not training:
            return dy * (scale * inverse), dgamma, dbeta
        n = z.size // max(scale.size, 1)
        dx = scale * inverse * (dy - (dbeta.reshape(scale.shape) + z * dgamma.reshape(scale.shape)) / n)
        return dx, dgamma, dbeta

    def _channels(self, x: Shape) -> Shape:
        (axis,) = axes_of(self, (self.axis,), len(x))
        return (x[axis],)

    def _running(self, old: Array, new: Array) -> Array:
        return (self.momentum * old + (1 - self.momentum) * new).astype(old.dtype)


class LayerNorm(Layer):
    """y = gamma * z + beta, z = (x - mean) / sqrt(var + epsilon), each sample by itself.

    Mean and variance are taken over `axis`, one axis or several; training and predicting are the same.
        dL/dgamma = sum dL/dy z,    dL/dbeta = sum dL/dy (over the other axes), and with g = gamma dL/dy
        dL/dx = (g - mean of g - z * mean of (g z)) / sqrt(var + epsilon).

    Shapes: x any; gamma, beta of x's lengths along `axis`, in ascending order of the axes -> y as x.
    dtype: float32 or float64, kept.
    Raises: ArgumentError unless epsilon > 0; ShapeError when x lacks an axis, has other lengths than the
    parameters, or no elements along the axes.
    Source: Ba, Kiros, Hinton, Layer normalization (2016), eq. 3 and 4.
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-5) -> None:
        self.axes = whole_numbers("axis", axis, owner=self)
        self.epsilon = number("epsilon", epsilon, "(0, inf)", owner=self)

    def parameters(self) -> dict[str, ParameterSpec]:
        return {
            "gamma": ParameterSpec(self._lengths, Ones(), decay=False),
            "beta": ParameterSpec(self._lengths, Zeros(), decay=False),
        }

    def forward(self, x: Array, gamma: Array, beta: Array) -> tuple[Array, tuple[Array, Array, Array, Shape]]:
        axes = axes_of(self, self.axes, x.ndim)
        lengths = self._lengths(x.shape)
        if gamma.shape != lengths or 0 in lengths:
            raise ShapeError(
                f"{self!r}: expected x of lengths {gamma.shape} along axes {axes}, got {x.shape}; "
                f"give it the features that its parameters were made for, at least one, or use another axis"
            )
        shape = tuple(x.shape[i] if i in axes else 1 for i in range(x.ndim))  # of gamma, beside x
        inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + self.epsilon)
        z = (x - x.mean(axis=axes, keepdims=True)) * inverse
        scale = gamma.reshape(shape)
        return scale * z + beta.reshape(shape), (z, scale, inverse, lengths)

    def backward(self, dy: Array, saved: tuple[Array, Array, Array, Shape]) -> Triple:
        z, scale, inverse, lengths = saved
        axes = axes_of(self, self.axes, z.ndim)
        others = tuple(i for i in range(z.ndim) if i not in axes)
        g = scale * dy
        g_mean, gz_mean = g.mean(axis=axes, keepdims=True), (g * z).mean(axis=axes, keepdims=True)
        dx = inverse * (g - g_mean - z * gz_mean)
        return dx, (dy * z).sum(axis=others).reshape(lengths), dy.sum(axis=others).reshape(lengths)

    def _lengths(self, x: Shape) -> Shape:
        return tuple(x[i] for i in axes_of(self, self.axes, len(x)))
