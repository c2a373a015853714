"""Layers that make axes disappear: sums, means and maxima."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.arguments import whole_numbers
from chainrule.arrays import Array, Shape
from chainrule.errors import ShapeError
from chainrule.layers.axes import Axes, axes_of
from chainrule.layers.base import Layer


class _Reduction(Layer):
    """Over one axis, several, or (None) all of them; keepdims leaves axes of length 1 behind."""

    def __init__(self, axis: Axes = None, keepdims: bool = False) -> None:
        self.axes = None if axis is None else whole_numbers("axis", axis, owner=self)
        self.keepdims = bool(keepdims)

    def _axes_with_elements(self, x: Array) -> tuple[int, ...]:
        axes = axes_of(self, self.axes, x.ndim)
        if math.prod(x.shape[axis] for axis in axes) == 0:
            raise ShapeError(
                f"{self!r}: expected at least one element to reduce, got x of shape {x.shape}, where axes "
                f"{axes} hold none; leave empty batches out, or use Sum()"
            )
        return axes


class Sum(_Reduction):
    """y = sum of x over the axes,    dL/dx = dL/dy, spread over them.

    The sum of no elements is 0.

    Shapes: x any -> y without the axes (with 1 in their place if keepdims).
    Raises: ShapeError when x has no such axis.
    """

    symbol = "Σ"

    def forward(self, x: Array) -> tuple[Array, tuple[Shape, tuple[int, ...]]]:
        axes = axes_of(self, self.axes, x.ndim)
        return np.asarray(x.sum(axis=axes, keepdims=self.keepdims)), (x.shape, axes)

    def backward(self, dy: Array, saved: tuple[Shape, tuple[int, ...]]) -> Array:
        shape, axes = saved
        return np.broadcast_to(_with_axes(dy, shape, axes), shape)


class Mean(_Reduction):
    """y = sum of x over the axes / n,    dL/dx = dL/dy / n, spread over them, for n elements in each mean.

    Shapes: x any -> y without the axes (with 1 in their place if keepdims).
    Raises: ShapeError when x has no such axis, or no elements along it.
    """

    symbol = "mean"

    def forward(self, x: Array) -> tuple[Array, tuple[Shape, tuple[int, ...]]]:
        axes = self._axes_with_elements(x)
        return np.asarray(x.mean(axis=axes, keepdims=self.keepdims)), (x.shape, axes)

    def backward(self, dy: Array, saved: tuple[Shape, tuple[int, ...]]) -> Array:
        shape, axes = saved
        n = math.prod(shape[axis] for axis in axes)
        return np.broadcast_to(_with_axes(dy / n, shape, axes), shape)


class Max(_Reduction):
    """y = largest x over the axes,    dL/dx = dL/dy where x is the largest, shared equally by ties, else 0.

    NaN among the elements makes y NaN, and their gradients NaN.

    Shapes: x any -> y without the axes (with 1 in their place if keepdims).
    Raises: ShapeError when x has no such axis, or no elements along it.
    """

    symbol = "max"

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array, tuple[int, ...]]]:
        axes = self._axes_with_elements(x)
        y = np.asarray(x.max(axis=axes, keepdims=self.keepdims))
        return y, (x, y, axes)

    @np.errstate(invalid="ignore")
    def backward(self, dy: Array, saved: tuple[Array, Array, tuple[int, ...]]) -> Array:
        x, y, axes = saved
        largest = (x == _with_axes(y, x.shape, axes)).astype(dy.dtype)
        share: Array = largest / largest.sum(axis=axes, keepdims=True)
        return _with_axes(dy, x.shape, axes) * share


def _with_axes(y: Any, shape: Shape, axes: tuple[int, ...]) -> Array:
    """y with an axis of length 1 for each that was reduced."""
    return np.reshape(y, tuple(1 if axis in axes else length for axis, length in enumerate(shape)))
