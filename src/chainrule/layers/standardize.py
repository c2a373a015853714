"""Standardize: columns brought to mean 0 and standard deviation 1 by fixed numbers, or back to their own units."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from chainrule.arrays import Array, ArrayLike, Shape, first_not_finite
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.incoming import as_numbers, place
from chainrule.layers.arithmetic import floats
from chainrule.layers.base import Layer

SHOWN = 3
"""So many numbers are written out."""


class Standardize(Layer):
    """y = (x - mean) / std,    dL/dx = dL/dy / std; inverted y = x * std + mean,    dL/dx = dL/dy * std.

    Mean and standard deviation are fixed numbers of each column, which training does not change; a deviation of 0
    counts as 1. `Standardize.of(x_train)` measures them: it belongs first in a network. For targets of a regression
    on a scale of their own, `Standardize.of(t_train, invert=True)` belongs last: the network then learns in units
    of a standard deviation and predicts in the targets' own.

    The loss of a regression whose last layer is an inverted one is of predictions and targets in standard
    deviations: it has the same size in any unit, several outputs count alike, and any optimizer trains as on
    targets of about 1. Of a mean squared error, 1 - loss is then R² on the data that the layer was made of.

    Shapes: x (N, ...), mean and std of the shape of one sample, or one number for all -> y as x.
    dtype: float32 or float64, kept. Measured in float64.
    Raises: ArgumentError unless mean and std are finite, of one shape, and std is not negative; ShapeError when x
    has other columns.
    """

    def __init__(self, mean: ArrayLike, std: ArrayLike, invert: bool = False) -> None:
        self.mean, self.std = (as_numbers(each, "Standardize").astype(np.float64) for each in (mean, std))
        if self.mean.shape != self.std.shape:
            raise ArgumentError(
                f"Standardize: expected mean and std of one shape, got {self.mean.shape} and {self.std.shape}"
            )
        if not (np.isfinite(self.mean) & np.isfinite(self.std) & (self.std >= 0)).all():
            raise ArgumentError("Standardize: expected finite mean and std, and no negative std")
        if not isinstance(invert, (bool, np.bool_)):
            raise ArgumentError(f"Standardize: expected invert to be True or False, got {invert!r}")
        self.std, self.invert = np.where(self.std == 0, 1.0, self.std), bool(invert)

    @classmethod
    def of(cls, data: ArrayLike, invert: bool = False) -> Self:
        """The layer with the mean and the standard deviation of each column of the data, over its rows.

        Raises: DataError for data without rows, or with NaN or infinity.
        """
        array = as_numbers(data, "Standardize.of")
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"Standardize.of: expected an array with rows, got shape {array.shape}")
        if (bad := first_not_finite(array)) is not None:
            raise DataError(
                f"Standardize.of: the data hold {array[bad]} at {place(bad)}: leave such rows out or fill them in"
            )
        if array.shape[1:] == (1,):
            array = array[:, 0]  # one number fits (N,) and (N, 1)
        mean = array.mean(axis=0, dtype=np.float64)
        std = np.where(array.max(axis=0) == array.min(axis=0), 0.0, array.std(axis=0, dtype=np.float64))
        return cls(mean.tolist(), std.tolist(), **({"invert": True} if invert else {}))

    def forward(self, x: Array) -> tuple[Array, None]:
        (x,) = floats(x)
        mean, std = self._fitting(x.shape, x.dtype)
        return (x * std + mean if self.invert else (x - mean) / std), None

    def backward(self, dy: Array, saved: None) -> Array:
        std = self.std.astype(dy.dtype)
        dx: Array = dy * std if self.invert else dy / std
        return dx

    def __repr__(self) -> str:
        mean, std = _in_brief(self.mean), _in_brief(self.std)
        return f"Standardize(mean={mean}, std={std}{', invert=True' if self.invert else ''})"

    def _fitting(self, shape: Shape, dtype: Any) -> tuple[Array, Array]:
        columns = self.mean.shape
        if columns and shape[1:][-len(columns) :] != columns:
            raise ShapeError(
                f"Standardize: expected x with columns of shape {columns}, as it was made for, got {shape}; "
                f"make it of the data that the network is given, cr.Standardize.of(x_train)"
            )
        return self.mean.astype(dtype), self.std.astype(dtype)


def _in_brief(values: Array) -> str:
    """The numbers of up to three columns; of more, the first and the last."""
    numbers = [f"{value:.4g}" for value in values.ravel().tolist()]
    if values.ndim == 0:
        return numbers[0]
    shown = numbers if len(numbers) <= SHOWN else [numbers[0], "...", numbers[-1]]
    return f"[{', '.join(shown)}]"
