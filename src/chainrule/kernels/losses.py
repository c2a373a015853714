"""Kernels of losses: the value, and in the same pass the gradient. The upstream gradient of a loss is 1.

They take some rows of a batch, and its whole length, so that the results of its parts add up to the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.kernels.constants import FAR, FLOAT, HALF, ONE, TINY, ZERO
from chainrule.layers import Layer

Scalar = Any


def softmax_cross_entropy(z: Array, t: Array, batch: int, dz: Array) -> float:
    """z (rows, K) logits, t (rows,) labels -> the sum of -log softmax(z)[t] / batch; dz (rows, K) its gradient."""
    rows, classes = z.shape
    share = ONE / FLOAT(batch)
    total = 0.0
    for i in range(rows):
        largest = z[i, 0]
        for k in range(1, classes):
            largest = z[i, k] if z[i, k] > largest else largest
        exponentials = ZERO
        for k in range(classes):
            below = largest - z[i, k]
            e = ZERO if below > FAR else np.exp(-below)
            dz[i, k] = e
            exponentials += e
        total += np.log(exponentials) - (z[i, t[i]] - largest)
        scale = share / exponentials
        for k in range(classes):
            p = dz[i, k] * scale
            dz[i, k] = ZERO if p < TINY else p
        dz[i, t[i]] -= share
    return float(total / batch)


def mean_loss(x: Array, t: Array, batch: int, dx: Array) -> float:
    """x, t (rows, D) -> the sum of loss_value(x, t) / (batch D); dx (rows, D) its gradient."""
    rows, columns = x.shape
    share = ONE / FLOAT(batch * columns)
    total = 0.0
    for i in range(rows):
        for j in range(columns):
            total += loss_value(x[i, j], t[i, j])
            dx[i, j] = share * loss_gradient(x[i, j], t[i, j])
    return float(total / (batch * columns))


def squared_error(x: Scalar, t: Scalar) -> Scalar:
    return (x - t) * (x - t)


def squared_error_gradient(x: Scalar, t: Scalar) -> Scalar:
    return (x - t) + (x - t)


def absolute_error(x: Scalar, t: Scalar) -> Scalar:
    return abs(x - t)


def absolute_error_gradient(x: Scalar, t: Scalar) -> Scalar:
    r = x - t
    return ONE if r > ZERO else (-ONE if r < ZERO else r)


def binary_cross_entropy(x: Scalar, t: Scalar) -> Scalar:
    a = abs(x)
    return (x if x > ZERO else ZERO) - x * t + (ZERO if a > FAR else np.log1p(np.exp(-a)))


def binary_cross_entropy_gradient(x: Scalar, t: Scalar) -> Scalar:
    a = abs(x)
    e = ZERO if a > FAR else np.exp(-a)
    return (ONE if x >= ZERO else e) / (ONE + e) - t


def count_right(z: Array, t: Array) -> int:
    """In how many rows of z (rows, K), all finite, the largest logit is that of the label t (rows,)."""
    right = 0
    for i in range(z.shape[0]):
        largest, finite = 0, True
        for k in range(z.shape[1]):
            finite = finite and bool(np.isfinite(z[i, k]))
            largest = k if z[i, k] > z[i, largest] else largest
        right += 1 if finite and largest == t[i] else 0
    return right


def count_right_labels(x: Array, t: Array) -> int:
    """How many of x (rows, D) are on their label's side, t (rows, D) being 0 or 1; none in a row not all finite."""
    right = 0
    for i in range(x.shape[0]):
        here, finite = 0, True
        for j in range(x.shape[1]):
            finite = finite and bool(np.isfinite(x[i, j]))
            here += 1 if (x[i, j] > ZERO) == (t[i, j] > HALF) else 0
        right += here if finite else 0
    return right


loss_value: Callable[..., Any] = squared_error  # in mean_loss, each program's own loss stands here
loss_gradient: Callable[..., Any] = squared_error_gradient


@dataclass(frozen=True)
class LossKernel:
    """The kernels of a loss that is a mean over elements; softmax cross-entropy has a kernel of its own."""

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    right: Callable[..., Any] | None = None  # counts right answers


LOSSES: dict[type[Layer], LossKernel] = {
    layers.MeanSquaredError: LossKernel(squared_error, squared_error_gradient),
    layers.MeanAbsoluteError: LossKernel(absolute_error, absolute_error_gradient),
    layers.SigmoidCrossEntropy: LossKernel(
        binary_cross_entropy, binary_cross_entropy_gradient, count_right_labels
    ),
}


def counting_of(layer: Layer | None) -> Callable[..., Any] | None:
    """The kernel that counts right answers; None for a regression."""
    if type(layer) is layers.SoftmaxCrossEntropy:
        return count_right
    known = LOSSES.get(type(layer)) if layer is not None else None
    return known.right if known is not None else None
