"""How far the predictions of a regression are off: R², RMSE and MAE, in the targets' own unit."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from chainrule.arrays import Array


class Errors(NamedTuple):
    """The errors of each output; all NaN where there is no sample, and R² where the target has one value only.

    R² is the share of the target's variance that is explained, 1 - mean squared error / variance; RMSE the root of
    the mean squared error; MAE the mean absolute error.

    Shapes: (outputs,). dtype: float64.
    """

    r2: Array
    rmse: Array
    mae: Array

    def means(self) -> dict[str, float]:
        """The mean of each over the outputs, by name. NaN where it is NaN for one of them."""
        return {name: float(values.mean()) for name, values in self._asdict().items()}


def errors_of(output: Array, t: Array, weight: Array | None = None) -> Errors:
    """The errors of predictions, in float64. `weight` counts the samples.

    Shapes: output and t (N, ...), weight (N,).
    """
    given, true = (
        each.reshape(len(each), math.prod(each.shape[1:])).astype(np.float64) for each in (output, t)
    )
    if weight is not None:
        counts = weight > 0
        given, true, weight = given[counts], true[counts], weight[counts]
    if not len(true):
        nothing = np.full(given.shape[1], np.nan)
        return Errors(nothing, nothing, nothing)
    error = given - true
    with np.errstate(all="ignore"):
        squared = np.average(error**2, axis=0, weights=weight)
        variance = np.average((true - np.average(true, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
        varies = np.ptp(true, axis=0) > 0  # a constant does not, whatever its mean is rounded to
        r2 = np.where(varies, 1 - squared / variance, np.nan)
        return Errors(r2, np.sqrt(squared), np.average(np.abs(error), axis=0, weights=weight))
