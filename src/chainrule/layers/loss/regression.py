"""Losses between numbers and numbers. Their targets have x's shape: nothing is broadcast."""

from __future__ import annotations

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array
from chainrule.layers.loss.base import SameShapeLoss

Gradients = tuple[Array | None, ...]
Saved = tuple[Array, Array, tuple[bool, bool]]


class MeanSquaredError(SameShapeLoss):
    """y = mean of r^2, r = x - t,    dL/dx = dL/dy * 2 r / n,    dL/dt = -dL/dx.

    n is the number of elements. With sample weights s, the mean is sum of s r^2 / sum of s, s counted for
    each element of its sample.

    Shapes: x any, t the same, sample_weight (N,) -> y (). dtype: x's.
    Raises: ShapeError when t has another shape; DataError for no samples, or targets that aren't finite.
    """

    task = "regression"

    def forward(self, x: Array, t: Array, sample_weight: Array | None = None) -> tuple[Array, Saved]:
        t, share, asks = self._prepare(x, t, sample_weight)
        r = x - t
        return np.asarray(np.sum(share * r * r)), (r, share, asks)

    def backward(self, dy: Array, saved: Saved) -> Gradients:
        r, share, (float_targets, weighted) = saved
        dx = dy * share * 2 * r
        return self._gradients(dx, -dx if float_targets else None, weighted)


class MeanAbsoluteError(SameShapeLoss):
    """y = mean of |r|, r = x - t,    dL/dx = dL/dy * sign(r) / n (0 where r is 0),    dL/dt = -dL/dx.

    n is the number of elements. With sample weights s, the mean is sum of s |r| / sum of s, s counted for
    each element of its sample.

    Shapes: x any, t the same, sample_weight (N,) -> y (). dtype: x's.
    Raises: ShapeError when t has another shape; DataError for no samples, or targets that aren't finite.
    """

    task = "regression"

    def forward(self, x: Array, t: Array, sample_weight: Array | None = None) -> tuple[Array, Saved]:
        t, share, asks = self._prepare(x, t, sample_weight)
        r = x - t
        return np.asarray(np.sum(share * np.abs(r))), (r, share, asks)

    def backward(self, dy: Array, saved: Saved) -> Gradients:
        r, share, (float_targets, weighted) = saved
        dx = dy * share * np.sign(r)
        return self._gradients(dx, -dx if float_targets else None, weighted)


class Huber(SameShapeLoss):
    """y = mean of (r^2 / 2 where |r| <= delta, else delta * (|r| - delta / 2)), r = x - t.

    dL/dx = dL/dy * r / n, with r cut off at -delta and delta, n the number of elements; dL/dt = -dL/dx. With
    sample weights s, the mean is weighted with s, counted for each element of its sample.

    Shapes: x any, t the same, sample_weight (N,) -> y (). dtype: x's.
    Raises: ArgumentError unless delta > 0; ShapeError when t has another shape; DataError for no samples, or
    targets that aren't finite.
    Source: Huber, Robust estimation of a location parameter (1964).
    """

    task = "regression"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = number("delta", delta, "(0, inf)", owner=self)

    def forward(self, x: Array, t: Array, sample_weight: Array | None = None) -> tuple[Array, Saved]:
        t, share, asks = self._prepare(x, t, sample_weight)
        r = x - t
        near = np.clip(r, -self.delta, self.delta)
        return np.asarray(np.sum(share * near * (r - near / 2))), (near, share, asks)

    def backward(self, dy: Array, saved: Saved) -> Gradients:
        near, share, (float_targets, weighted) = saved
        dx = dy * share * near
        return self._gradients(dx, -dx if float_targets else None, weighted)
