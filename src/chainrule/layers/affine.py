"""The fully connected layer."""

from __future__ import annotations

import math
from typing import Any

from chainrule.arguments import whole_number
from chainrule.arrays import Array, Shape
from chainrule.errors import ArgumentError, ShapeError
from chainrule.initializers import He, Initializer, Zeros
from chainrule.layers.arithmetic import floats
from chainrule.layers.base import Layer, ParameterSpec
from chainrule.sparse import SparseRows

_HALF_HE, _ZEROS = He(gain=0.5), Zeros()


class Affine(Layer):
    """y = x W + b,    dL/dx = dL/dy W^T,    dL/dW = x^T dL/dy,    dL/db = dL/dy summed over the samples.

    `units` is M, the number of outputs. Without a bias, y = x W. Weights start as `He(gain=0.5)`, half of
    He's: networks of a few layers learn better so. In those of ten and more, `He()` keeps values from fading.

    Shapes: x (..., D), W (D, M), b (M,) -> y (..., M). x may be `SparseRows`, (N, D).
    dtype: float32 or float64, kept; whole numbers become floats.
    Raises: ArgumentError unless units is a positive whole number, and weights and biases are initializers;
    ShapeError when x doesn't have D features.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.5.6.
    """

    matrix_input = "W"
    units: int

    def __init__(
        self, units: int, *, bias: bool = True, weights: Initializer = _HALF_HE, biases: Initializer = _ZEROS
    ) -> None:
        self.units = whole_number("units", units, 1, owner=self)
        self.bias = bool(bias)
        self.weights = initializer(self, "weights", weights)
        self.biases = initializer(self, "biases", biases)

    def parameters(self) -> dict[str, ParameterSpec]:
        found = {"W": ParameterSpec(self._weights_shape, self.weights)}
        if self.bias:
            found["b"] = ParameterSpec((self.units,), self.biases, decay=False)
        return found

    def forward(self, x: Array, W: Array, b: Array | None = None) -> tuple[Array, tuple[Array, Array, bool]]:
        if not isinstance(x, SparseRows):
            x, W = floats(x, W)
        if x.ndim == 0 or W.shape != (x.shape[-1], self.units):
            raise self._wrong_shape(x.shape, W.shape)
        if b is not None and (b := floats(b)[0]).shape != (self.units,):
            raise ShapeError(
                f"{self!r}: expected b of shape ({self.units},), got {b.shape}; make the parameters anew"
            )
        y = x @ W
        if b is not None:
            y += b
        return y, (x, W, b is not None)

    def backward(
        self,
        dy: Array,
        saved: tuple[Array, Array, bool],
        *,
        needs: tuple[bool, ...] = (True, True, True),
    ) -> tuple[Array | None, ...]:
        x, W, bias = saved
        rows = math.prod(x.shape[:-1])  # -1 could not be inferred for an empty batch
        dy2 = dy.reshape(rows, self.units)
        dx = dy @ W.T if needs[0] else None
        x2 = x if isinstance(x, SparseRows) else x.reshape(rows, W.shape[0])
        dW = x2.T @ dy2 if needs[1] else None
        if not bias:
            return dx, dW
        return dx, dW, dy2.sum(axis=0) if needs[2] else None

    def _weights_shape(self, x: Shape) -> Shape:
        if not x:
            raise self._wrong_shape(x, ("D", self.units))
        return x[-1], self.units

    def _wrong_shape(self, x: Shape, W: tuple[object, ...]) -> ShapeError:
        D = W[0] if W else "D"
        if W[1:] != (self.units,):
            return ShapeError(
                f"{self!r}: expected W of shape (D, {self.units}), got {W}; make the parameters anew"
            )
        if math.prod(x[1:]) == D and len(x) != 2:
            remedy = "put Flatten() before it"
        elif x == () or math.prod(x) == D:
            remedy = "put a batch axis before it, as in x[None, :]"
        elif len(x) == 2 and x[0] == D:
            remedy = "put Transpose() before it"
        else:
            remedy = f"give it the {D} features that its weights were made for"
        return ShapeError(f"Affine({D} -> {self.units}): expected x of shape (N, {D}), got {x}; {remedy}")


def initializer(layer: Layer, name: str, value: Any) -> Initializer:
    """The value, or ArgumentError when it isn't an initializer."""
    if isinstance(value, Initializer):
        return value
    example, parameter = ("Zeros", "b1") if name == "biases" else ("He", "W1")
    came = repr(value) if isinstance(value, (str, type)) else type(value).__name__
    raise ArgumentError(
        f"{type(layer).__name__}: expected {name} to be an initializer, such as cr.initializers.{example}(), "
        f'got {came}; to start from an array, set net.params["{parameter}"] = array afterwards'
    )
