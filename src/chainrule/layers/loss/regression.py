"""Losses between numbers and numbers. Their targets have x's shape: nothing is broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array, Shape
from chainrule.errors import DataError
from chainrule.layers.loss.base import SameShapeLoss, outputs_of

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


class HalfSquaredError(SameShapeLoss):
    """y = mean over the samples of sum_k r_k^2 / 2, r = x - t,    dL/dx = dL/dy * r / N,    dL/dt = -dL/dx.

    It is summed over the outputs of a sample, so that its gradient with respect to x is the residual itself. With
    sample weights s, the mean is sum of s_i (...)_i / sum of s.

    Shapes: x (N, ...), t the same, sample_weight (N,) -> y (). dtype: x's.
    Raises: ShapeError when t has another shape; DataError for no samples, or targets that aren't finite.
    Source: Bishop, Pattern Recognition and Machine Learning (2006), equation 5.14.
    """

    task = "regression"

    def forward(self, x: Array, t: Array, sample_weight: Array | None = None) -> tuple[Array, Saved]:
        t, share, asks = self._prepare(x, t, sample_weight)
        r, share = x - t, share * outputs_of(x)
        return np.asarray(np.sum(share * r * r) / 2), (r, share, asks)

    def backward(self, dy: Array, saved: Saved) -> Gradients:
        r, share, (float_targets, weighted) = saved
        dx = dy * share * r
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


class Quantile(SameShapeLoss):
    """y = mean of max(q r, (q - 1) r), r = t - x,    dL/dx = dL/dy * (1 - q where x > t, -q where x < t) / n.

    The pinball loss, whose smallest value is reached by the q-quantile of the targets: 0.5 is the median, and half
    the mean absolute error. n is the number of elements; dL/dt = -dL/dx, and both are 0 where x = t. With sample
    weights s, the mean is weighted with s, counted for each element of its sample.

    Shapes: x any, t the same, sample_weight (N,) -> y (). dtype: x's.
    Raises: ArgumentError unless 0 < q < 1; ShapeError when t has another shape; DataError for no samples, or
    targets that aren't finite.
    Source: Koenker, Bassett, Regression Quantiles (1978).
    """

    task = "regression"

    def __init__(self, q: float = 0.5) -> None:
        self.q = number("q", q, "(0, 1)", owner=self, remedy="try 0.9; 0.5 is the median")

    def forward(self, x: Array, t: Array, sample_weight: Array | None = None) -> tuple[Array, Saved]:
        t, share, asks = self._prepare(x, t, sample_weight)
        r = x - t
        slope = np.where(r > 0, 1 - self.q, np.where(r < 0, -self.q, r)).astype(x.dtype)
        return np.asarray(np.sum(share * slope * r)), (slope, share, asks)

    def backward(self, dy: Array, saved: Saved) -> Gradients:
        slope, share, (float_targets, weighted) = saved
        dx = dy * share * slope
        return self._gradients(dx, -dx if float_targets else None, weighted)


class HalfPoissonDeviance(SameShapeLoss):
    """y = mean over the samples of sum_k (exp(x_k) - t_k + t_k (log t_k - x_k)).

    dL/dx = dL/dy * (exp(x) - t) / N; dL/dt = dL/dy * (log t - x) / N, taken as 0 where t is 0. For counts t, of
    which exp(x) is the expected number: x is its logarithm. It is summed over the outputs of a sample, and 0 where
    exp(x) = t. With sample weights s, the mean is sum of s_i (...)_i / sum of s.

    Shapes: x (N, ...), t the same, sample_weight (N,) -> y (). dtype: x's.
    Raises: ShapeError when t has another shape; DataError for no samples, and for targets that are negative or not
    finite.
    Source: McCullagh, Nelder, Generalized Linear Models (1989), 2.3.
    """

    def check_targets(self, t: Array, output_shape: Shape) -> None:
        super().check_targets(t, output_shape)
        if (t < 0).any():
            where = tuple(int(k) for k in np.argwhere(t < 0)[0])
            raise DataError(
                f"{self!r}: expected counts of at least 0, got {t[where]} in row {where[0] if where else 0}; "
                f"correct it, or choose another loss"
            )

    def example_targets(
        self, output_shape: Shape, dtype: Any, rng: np.random.Generator | None = None
    ) -> Array:
        return np.abs(super().example_targets(output_shape, dtype, rng))

    def forward(
        self, x: Array, t: Array, sample_weight: Array | None = None
    ) -> tuple[Array, tuple[Array, Array, Array, tuple[bool, bool]]]:
        t, share, asks = self._prepare(x, t, sample_weight)
        share = share * outputs_of(x)
        expected = np.exp(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            surplus = np.where(t > 0, np.log(t) - x, 0)
            terms = expected - t + t * surplus
        return np.asarray(np.sum(share * terms)), (expected - t, surplus, share, asks)

    def backward(self, dy: Array, saved: tuple[Array, Array, Array, tuple[bool, bool]]) -> Gradients:
        r, surplus, share, (float_targets, weighted) = saved
        scale = dy * share
        return self._gradients(scale * r, scale * surplus if float_targets else None, weighted)
