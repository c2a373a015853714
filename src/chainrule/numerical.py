"""Differentiation by finite differences: slow, simple, and what backpropagation is held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array, is_float
from chainrule.errors import ArgumentError, DataError
from chainrule.incoming import as_numbers


def numerical_gradient(f: Callable[[Array], float], x: Array, h: float | None = None) -> Array:
    """df/dx[i] = (f(x + h e_i) - f(x - h e_i)) / 2h, one element at a time, by central differences.

    `f` returns one number. `x` itself is changed by h, one element at a time, and put back, so `f` may read
    it under another name, as in `numerical_gradient(lambda _: net.loss(x, t), net.params["W1"])`. So `x` has to
    be an array that can be changed by h: a copy of any other would be changed where `f` does not look. Where
    `x` is a plain number, `f` has to use its argument. Without `h` each element gets cbrt(machine epsilon) *
    max(1, |x[i]|), which balances the truncation error, of order h^2, against rounding, of order epsilon / h.

    Shapes: x any -> the same.
    dtype: float64 is recommended; float32 is kept, with about three right digits.
    Raises: ArgumentError for an h that is not positive or too small beside x, and for an f that returns
    several numbers; DataError when x holds no numbers, or is a list or an array that is read-only or of whole
    numbers.
    Source: Press et al., Numerical Recipes (2007), 5.7.
    """
    x = _writable(x)
    if h is not None:
        h = number("h", h, "(0, inf)", owner="numerical_gradient")
    gradient = np.empty_like(x)
    relative = float(np.cbrt(np.finfo(x.dtype).eps))
    for i in np.ndindex(x.shape):
        kept = x[i]
        middle = float(kept)
        step = relative * max(1.0, abs(middle)) if h is None else h
        try:
            x[i] = middle + step
            above, f_above = float(x[i]), _number(f(x))
            x[i] = middle - step
            below, f_below = float(x[i]), _number(f(x))
        finally:
            x[i] = kept
        if above == below:
            raise ArgumentError(
                f"numerical_gradient: h = {h} is lost beside x{list(i)} = {kept} in {x.dtype}; "
                f"leave h out, and one that fits is taken"
            )
        gradient[i] = (f_above - f_below) / (above - below)  # the step as it was really taken
    return gradient


def _writable(x: Any) -> Array:
    """The array itself, never a copy that f does not see; of a number, which nothing can change, a new one."""
    array = as_numbers(x, "numerical_gradient: x")
    if not isinstance(x, np.ndarray) and array.ndim == 0:
        return np.array(array if is_float(array) else array.astype(np.float64))
    came = ""
    if not isinstance(x, np.ndarray):
        came, remedy = type(x).__name__, "np.array(x, float)"
    elif not is_float(array):
        came, remedy = f"one of {array.dtype}", "x.astype(float)"
    elif not array.flags.writeable:
        came, remedy = "a read-only one", "x.astype(float)"
    if came:
        raise DataError(
            f"numerical_gradient: x: expected a writable float array, since f may read it under another name, "
            f"got {came}; pass {remedy}"
        )
    return array


def _number(value: Any) -> float:
    array = as_numbers(value, "numerical_gradient: what f returns")
    if array.size != 1:
        raise ArgumentError(
            f"numerical_gradient: expected f to return one number, got an array of shape {array.shape}; "
            f"let it return a sum, weighted with an upstream gradient"
        )
    return float(array.item())
