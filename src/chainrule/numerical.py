"""Differentiation by finite differences: slow, simple, and what backpropagation is held against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.errors import ArgumentError, DataError


def numerical_gradient(f: Callable[[Array], float], x: Array, h: float | None = None) -> Array:
    """df/dx[i] = (f(x + h e_i) - f(x - h e_i)) / 2h, one element at a time, by central differences.

    `f` returns one number. `x` itself is changed by h, one element at a time, and put back, so `f` may read
    it under another name, as in `numerical_gradient(lambda _: net.loss(x, t), net.params["W1"])`. A read-only
    or whole-number `x` is copied first. Without `h` each element gets cbrt(machine epsilon) * max(1, |x[i]|),
    which balances the truncation error, of order h^2, against rounding, of order epsilon / h.

    Shapes: x any -> the same.
    dtype: float64 is recommended; float32 is kept, with about three right digits.
    Raises: ArgumentError for an h that is not positive; DataError when x holds no numbers.
    Source: Press et al., Numerical Recipes (2007), 5.7.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"numerical_gradient: expected an array of numbers, got dtype {x.dtype}")
    if h is not None and not h > 0:
        raise ArgumentError(f"numerical_gradient: expected a positive h, got {h}")
    if not is_float(x):
        x = x.astype(np.float64)
    elif not x.flags.writeable:
        x = x.copy()
    gradient = np.empty_like(x)
    relative = float(np.cbrt(np.finfo(x.dtype).eps))
    for i in np.ndindex(x.shape):
        kept = x[i]
        step = relative * max(1.0, abs(float(kept))) if h is None else h
        try:
            x[i] = kept + step
            above, f_above = float(x[i]), float(f(x))
            x[i] = kept - step
            below, f_below = float(x[i]), float(f(x))
        finally:
            x[i] = kept
        gradient[i] = (f_above - f_below) / (above - below)  # the step as it was really taken
    return gradient
