"""Losses between logits and classes. Each contains its softmax or sigmoid, to stay exact where that is 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array, Shape, is_float
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.incoming import as_numbers
from chainrule.layers.activation import log_softmax, sigmoid, softmax
from chainrule.layers.arithmetic import floats
from chainrule.layers.loss.base import Loss, SameShapeLoss, finite_or_nan, outputs_of

#: How far from 1 the sum of a distribution may be, by the number of bytes of its dtype.
SUM_TOLERANCE = {2: 1e-2, 4: 1e-4, 8: 1e-5}


def _weights(value: Any) -> Array:
    """Weights in float64; NaN, which their checks refuse, for what holds no numbers."""
    try:
        return as_numbers(value, "weights").astype(np.float64)
    except DataError:
        return np.array(np.nan)


class SoftmaxCrossEntropy(Loss):
    """y = -sum_i s_i sum_k c_k t'_ik log p_ik / D,  p = softmax(x),  t' = (1 - e) t + e / K.

    Here D = sum_i s_i sum_k c_k t_ik; t is the distribution over the classes that a label stands for
    (one-hot) or that was given; s are sample weights, c class weights (1 if not given) and e is
    `label_smoothing`. With w_ik = s_i c_k t'_ik / D:
        dL/dx_ik = dL/dy * (p_ik * sum_j w_ij - w_ik), which is dL/dy * (p - t) / N in the plain case,
        dL/dt_ik = dL/dy * s_i c_k / D * (-(1 - e) log p_ik - y), for a float distribution.
    Labels and distributions are distinguished by their number of axes. The logarithm is taken of the softmax,
    not of its rounded value plus an epsilon: the loss is finite for any finite x, and the gradient is the
    loss's.

    Shapes: x (N, ..., K), t (N, ...) whole numbers from 0 to K - 1, or (N, ..., K) distributions,
    sample_weight (N,) or (N, ...) -> y (). dtype: x's.
    Raises: ArgumentError unless 0 <= label_smoothing < 1 and all class_weights are finite and at least 0;
    ShapeError when the shapes don't fit; DataError for no samples, labels out of range, rows that aren't
    distributions, or weights that leave nothing (D = 0).
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.2.2.3; label smoothing: Szegedy, Vanhoucke,
    Ioffe, Shlens, Wojna, Rethinking the Inception architecture (2016), section 7.
    """

    task = "classification"
    index_inputs = frozenset({"t"})

    def __init__(
        self, label_smoothing: float = 0.0, class_weights: Sequence[float] | Array | None = None
    ) -> None:
        self.label_smoothing = number("label_smoothing", label_smoothing, "[0, 1)", owner=self)
        self.class_weights = None if class_weights is None else _weights(class_weights)
        c = self.class_weights
        if c is not None and (c.ndim != 1 or not np.isfinite(c).all() or (c < 0).any() or not c.any()):
            raise ArgumentError(
                f"SoftmaxCrossEntropy: expected class_weights to be one number of at least 0 for each class, "
                f"and not all of them 0, got {class_weights!r}"
            )

    def forward(
        self, x: Array, t: Array, sample_weight: Array | None = None
    ) -> tuple[Array, tuple[Any, ...]]:
        (x,) = floats(x)
        self.check_targets(t, x.shape)
        self._check_not_empty(x)
        log_p = log_softmax(x)  # (N, ..., K)
        labels = t.ndim < x.ndim
        if labels and sample_weight is None and self.class_weights is None and not self.label_smoothing:
            picked = np.take_along_axis(log_p, t[..., None].astype(np.intp), axis=-1)
            return np.asarray(-picked.mean()), ("labels", log_p, t)
        K = x.shape[-1]
        weight = np.ones((), x.dtype)
        if sample_weight is not None:
            weight = self._spread(sample_weight, x, x.shape[:-1])[..., None]
        if self.class_weights is not None:
            weight = weight * self.class_weights.astype(x.dtype)
        distribution = (t[..., None] == np.arange(K)) if labels else t
        distribution = distribution.astype(x.dtype, copy=False)
        total = finite_or_nan((weight * distribution).sum())  # D
        if total == 0:
            raise self.nothing_to_average(of_samples=False)
        e = self.label_smoothing
        w = weight / total * ((1 - e) * distribution + e / K)
        y = np.asarray(-(w * np.where(w == 0, 0, log_p)).sum())  # 0 * -infinity would be NaN
        share = weight / total if is_float(t) else None
        return y, ("weighted", log_p, w, y, share, sample_weight is not None)

    def backward(self, dy: Array, saved: tuple[Any, ...]) -> tuple[Array | None, ...]:
        if saved[0] == "labels":
            _, log_p, t = saved
            dx = np.exp(log_p)
            place = t[..., None].astype(np.intp)
            np.put_along_axis(dx, place, np.take_along_axis(dx, place, axis=-1) - 1, axis=-1)
            dx *= dy / t.size
            return dx, None
        _, log_p, w, y, share, weighted = saved
        dx = dy * (np.exp(log_p) * w.sum(axis=-1, keepdims=True) - w)
        dt = None
        if share is not None:
            dt = dy * share * ((self.label_smoothing - 1) * np.where(share == 0, 0, log_p) - y)
        return self._gradients(dx, dt, weighted)

    def check_targets(self, t: Array, output_shape: Shape) -> None:
        if len(output_shape) < 2:
            raise ShapeError(
                f"{self!r}: expected an output of shape (N, ..., K), got {tuple(output_shape)}; put a batch axis "
                f"before it, or use SigmoidCrossEntropy() for one logit a sample"
            )
        self._check_numbers(t)
        K = output_shape[-1]
        if self.class_weights is not None and len(self.class_weights) != K:
            raise ShapeError(
                f"{self!r}: expected an output with {len(self.class_weights)} classes on its last axis, one for "
                f"each of class_weights, got {tuple(output_shape)}; give {K} weights"
            )
        if t.shape == tuple(output_shape):
            self._check_distributions(t)
        elif t.shape == tuple(output_shape[:-1]):
            self._check_labels(t, K)
        else:
            remedy = "give one label for each sample"
            if t.shape == (*output_shape[:-1], 1):
                remedy = "use t.ravel()" if t.ndim == 2 else "use t[..., 0]"
            raise ShapeError(
                f"{self!r}: expected labels of shape {tuple(output_shape[:-1])} or distributions of shape "
                f"{tuple(output_shape)}, got t of shape {t.shape}; {remedy}"
            )

    def example_targets(
        self, output_shape: Shape, dtype: Any, rng: np.random.Generator | None = None
    ) -> Array:
        """Labels: zeros, or random ones. They are whole numbers, whatever the dtype of x."""
        *shape, K = output_shape
        return np.zeros(shape, dtype=int) if rng is None else rng.integers(0, K, shape)

    def probabilities(self, x: Array) -> Array:
        """The softmax of x over its last axis."""
        return softmax(x)

    def correct(self, x: Array, t: Array) -> Array:
        """Whether the class of the largest logit is the label, or the distribution's most likely class."""
        return np.asarray(x.argmax(axis=-1) == (t if t.ndim < x.ndim else t.argmax(axis=-1)))

    def useful_rows(self, t: Array) -> Array | None:
        """Whether the class of a sample's label has a weight above 0; None for anything but one label a sample."""
        if self.class_weights is None or t.ndim != 1:
            return None
        return np.asarray(self.class_weights[t] > 0)

    def _check_labels(self, t: Array, K: int) -> None:
        if t.dtype.kind not in "iu":
            raise DataError(
                f"{self!r}: expected labels to be whole numbers, got {t.dtype}; "
                f"convert them with t.astype(int)"
            )
        if t.size and (t.min() < 0 or t.max() >= K):
            place = tuple(int(i) for i in np.argwhere((t < 0) | (t >= K))[0])
            raise DataError(
                f"{self!r}: expected labels from 0 to {K - 1}, got {t[place]} in row {place[0]}; correct it, "
                + (
                    "or use SigmoidCrossEntropy() for one logit a sample"
                    if K == 1
                    else "or give the network a logit"
                )
                + ("" if K == 1 else " for each class")
            )

    def _check_distributions(self, t: Array) -> None:
        sums = t.sum(axis=-1, dtype=np.float64)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE.get(t.dtype.itemsize if is_float(t) else 8, 1e-5)
        wrong |= (t < 0).any(axis=-1)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"{self!r}: expected each row of t to be a distribution, numbers of at least 0 that sum to "
                f"1, got {t[place]} in row {place[0]}; divide by the sum, or use SigmoidCrossEntropy() for "
                f"classes that don't exclude each other"
            )


class SigmoidCrossEntropy(SameShapeLoss):
    """y = -mean of (p t log s(x) + (1 - t) log s(-x)), s(x) = 1 / (1 + exp(-x)), p = `positive_weight` or 1.

    dL/dx = dL/dy * ((1 - t) s(x) - p t s(-x)) / n, which is dL/dy * (s(x) - t) / n for p = 1, and
    dL/dt = dL/dy * (log s(-x) - p log s(x)) / n, n the number of elements. With sample weights s_i the mean
    is weighted with s_i, counted for each element of its sample. `positive_weight` is one number or one per
    class. With `sum_labels` the loss of a sample is the sum over its labels, not their mean: K times as much.
    Computed from -log s(x) = max(-x, 0) + log(1 + exp(-|x|)), which is exact and finite for any finite x.

    Shapes: x (N,), (N, 1) or (N, K) of labels that don't exclude each other, t the same with 0 <= t <= 1,
    sample_weight (N,) -> y (). dtype: x's.
    Raises: ArgumentError unless positive_weight is finite and at least 0; ShapeError when t has another
    shape; DataError for no samples, or targets outside 0 to 1.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.2.2.2.
    """

    task = "multilabel"

    def __init__(
        self, positive_weight: float | Sequence[float] | Array | None = None, sum_labels: bool = False
    ) -> None:
        self.sum_labels = bool(sum_labels)
        self.positive_weight = _weights(1.0 if positive_weight is None else positive_weight)
        p = self.positive_weight
        if p.ndim > 1 or not np.isfinite(p).all() or (p < 0).any():
            raise ArgumentError(
                f"SigmoidCrossEntropy: expected positive_weight to be a number of at least 0, or one for "
                f"each class, got {positive_weight!r}"
            )

    def forward(
        self, x: Array, t: Array, sample_weight: Array | None = None
    ) -> tuple[Array, tuple[Any, ...]]:
        (x,) = floats(x)
        t, share, asks = self._prepare(x, t, sample_weight)
        share = share * outputs_of(x) if self.sum_labels else share
        p = self.positive_weight.astype(x.dtype)
        tail = np.log1p(np.exp(-np.abs(x)))
        each = (1 - t) * (np.maximum(x, 0) + tail) + p * t * (np.maximum(-x, 0) + tail)
        return np.asarray(np.sum(share * each)), (x, t, p, share, asks)

    def backward(self, dy: Array, saved: tuple[Any, ...]) -> tuple[Array | None, ...]:
        x, t, p, share, (float_targets, weighted) = saved
        dx = dy * share * ((1 - t) * sigmoid(x) - p * t * sigmoid(-x))  # neither term cancels the other
        dt = None
        if float_targets:
            tail = np.log1p(np.exp(-np.abs(x)))
            dt = dy * share * (p * (np.maximum(-x, 0) + tail) - (np.maximum(x, 0) + tail))
        return self._gradients(dx, dt, weighted)

    def check_targets(self, t: Array, output_shape: Shape) -> None:
        super().check_targets(t, output_shape)
        if self.positive_weight.ndim and output_shape[-1:] != self.positive_weight.shape:
            raise ShapeError(
                f"{self!r}: expected an output with {self.positive_weight.size} classes on its last axis, one for "
                f"each positive_weight, got {tuple(output_shape)}; give a weight for each class"
            )
        if t.size and (t.min() < 0 or t.max() > 1):
            place = tuple(int(i) for i in np.argwhere((t < 0) | (t > 1))[0])
            raise DataError(
                f"{self!r}: expected targets from 0 to 1, got {t[place]} in row {place[0]}; "
                f"use SoftmaxCrossEntropy() for labels of several classes"
            )

    def example_targets(
        self, output_shape: Shape, dtype: Any, rng: np.random.Generator | None = None
    ) -> Array:
        """Zeros, or zeros and ones at random."""
        return np.zeros(output_shape, dtype) if rng is None else rng.integers(0, 2, output_shape)

    def probabilities(self, x: Array) -> Array:
        """The sigmoid of x: for each element, how likely its label is to hold."""
        return sigmoid(x)

    def correct(self, x: Array, t: Array) -> Array:
        """Whether each label of each sample is right: of x's shape, so that its mean is over labels."""
        return np.asarray((x > 0) == (t > 0.5))
