"""What the losses share: the checks of targets and sample weights, and the average over a batch."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from chainrule.arrays import Array, Shape, first_not_finite, is_float
from chainrule.errors import DataError, ShapeError
from chainrule.layers.base import Layer

Task: TypeAlias = Literal["classification", "multilabel", "regression", ""]


def finite_or_nan(total: Any) -> Any:
    """A total of weights; NaN for an infinite one, by which all shares would be 0, and with them the loss."""
    return total if np.isfinite(total) else total * np.nan


def outputs_of(x: Array) -> int:
    """The number of outputs of each sample."""
    return math.prod(x.shape[1:])


class Loss(Layer):
    """A layer whose output is one number, to be made small: how wrong x is, given t, averaged over a batch.

    `forward(x, t, sample_weight=None)` takes predictions, targets and, if wanted, a weight for each sample;
    its output has no axes and x's dtype. `backward` returns dx, dt (None for targets of whole numbers) and,
    when weights were given, None for them.
    """

    #: What the loss is for: "classification" (one of several classes), "multilabel" (a yes or no for each output),
    #: "regression", or "" for anything else.
    task: ClassVar[Task] = ""

    def check_targets(self, t: Array, output_shape: Shape) -> None:
        """ShapeError or DataError unless t can be the targets of predictions of this shape.

        `forward` calls it for every batch; call it on a whole array to find a wrong target before training.
        """
        self._check_numbers(t)

    def example_targets(
        self, output_shape: Shape, dtype: Any, rng: np.random.Generator | None = None
    ) -> Array:
        """Targets for predictions of this shape: zeros, or random ones."""
        return np.zeros(output_shape, dtype) if rng is None else rng.normal(size=output_shape).astype(dtype)

    def probabilities(self, x: Array) -> Array | None:
        """The probabilities that x stands for, or None when it stands for none, as in regression."""
        return None

    def correct(self, x: Array, t: Array) -> Array | None:
        """Whether the likeliest answer for each sample is the target's; None when there is no such thing."""
        return None

    def useful_rows(self, t: Array) -> Array | None:
        """Which samples have a weight above 0 by their classes; None where the loss weighs no classes."""
        return None

    def nothing_to_average(self, *, of_samples: bool) -> DataError:
        """The error for a batch whose weights are all 0: those of its samples, or else with those of classes."""
        return DataError(
            f"{self!r}: expected a sample_weight above 0, got zeros only; leave such batches out"
            if of_samples
            else f"{self!r}: the weights of all samples in the batch are 0, so there is nothing to average; "
            f"leave such batches out, or weigh their classes above 0"
        )

    def _check_numbers(self, t: Array) -> None:
        if t.dtype.kind not in "iufb":
            raise DataError(
                f"{self!r}: expected t to hold numbers, got {t.dtype}; "
                f"number the labels with numpy.unique(labels, return_inverse=True)"
            )
        if (place := first_not_finite(t)) is not None:
            where = f" in row {place[0]}" if place else ""
            raise DataError(
                f"{self!r}: expected finite targets, got {t[place]}{where}; "
                f"leave that row out or fill the value in"
            )

    def _check_same_shape(self, t: Array, output_shape: Shape) -> None:
        if t.shape == tuple(output_shape):
            return
        remedy = "make them the same, since nothing is broadcast here"
        if output_shape and tuple(output_shape) == (*t.shape, 1):
            remedy = "use t[..., None]" if t.ndim != 1 else "use t.reshape(-1, 1)"
        elif t.shape == (*output_shape, 1):
            remedy = "use t[..., 0]" if t.ndim != 2 else "use t.ravel()"
        raise ShapeError(f"{self!r}: expected t of x's shape {tuple(output_shape)}, got {t.shape}; {remedy}")

    def _check_not_empty(self, x: Array) -> None:
        if x.size == 0:
            raise DataError(
                f"{self!r}: expected at least one sample, got x of shape {x.shape}; leave empty batches out"
            )

    def _spread(self, sample_weight: Array, x: Array, samples: Shape) -> Array:
        """The weights, in x's dtype, with axes of length 1 at the end, to stand beside the samples' axes."""
        w = np.asarray(sample_weight)
        if w.ndim == 0 or w.shape != samples[: w.ndim]:
            raise ShapeError(
                f"{self!r}: expected sample_weight of shape {samples[:1]}, got {w.shape}; "
                f"give one weight for each sample"
            )
        if w.dtype.kind not in "iufb" or not np.isfinite(w).all() or (w < 0).any():
            raise DataError(
                f"{self!r}: expected every sample_weight to be finite and at least 0; correct the others"
            )
        if not w.any():
            raise self.nothing_to_average(of_samples=True)
        return w.astype(x.dtype).reshape(w.shape + (1,) * (len(samples) - w.ndim))

    def _shares(self, x: Array, sample_weight: Array | None) -> Array:
        """How much each element of x counts in the average: numbers, beside x, of sum one."""
        if sample_weight is None:
            return np.asarray(1 / x.size, x.dtype)
        w = self._spread(sample_weight, x, x.shape)
        shares: Array = w / (finite_or_nan(w.sum()) * (x.size // w.size))
        return shares

    def _gradients(self, dx: Array, dt: Array | None, weighted: bool) -> tuple[Array | None, ...]:
        """One gradient per input that forward was given."""
        return (dx, dt, None) if weighted else (dx, dt)


class SameShapeLoss(Loss):
    """A loss that compares x with targets of the same shape, element by element."""

    def check_targets(self, t: Array, output_shape: Shape) -> None:
        self._check_numbers(t)
        self._check_same_shape(t, output_shape)

    def _prepare(
        self, x: Array, t: Array, sample_weight: Array | None
    ) -> tuple[Array, Array, tuple[bool, bool]]:
        """The targets in x's dtype, the shares, and what backward asks: are there dt, and weights?"""
        self.check_targets(t, x.shape)
        self._check_not_empty(x)
        asks = (is_float(t), sample_weight is not None)
        return t.astype(x.dtype, copy=False), self._shares(x, sample_weight), asks
