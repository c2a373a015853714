"""What layers ask of their arguments, with errors that give the remedy."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.layers.base import Layer

Axes = int | Sequence[int] | None


def number(
    layer: Layer,
    name: str,
    value: float,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
) -> float:
    """The value as a float, or ArgumentError when it isn't a finite number in the range."""
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and above < value < below and at_least <= value <= at_most:
        return float(value)
    limits = [
        f"above {above:g}" if above > -math.inf else "",
        f"at least {at_least:g}" if at_least > -math.inf else "",
        f"at most {at_most:g}" if at_most < math.inf else "",
        f"below {below:g}" if below < math.inf else "",
    ]
    wanted = " and ".join(limit for limit in limits if limit)
    raise ArgumentError(
        f"{type(layer).__name__}: expected {name} to be a finite number{' ' + wanted if wanted else ''}, "
        f"got {value!r}"
    )


def count(layer: Layer, name: str, value: int) -> int:
    """The value as a positive int, or ArgumentError."""
    try:
        whole = operator.index(value)
    except TypeError:
        whole = 0
    if whole < 1 or isinstance(value, bool):
        raise ArgumentError(
            f"{type(layer).__name__}: expected {name} to be a whole number of at least 1, got {value!r}"
        )
    return whole


def whole_numbers(layer: Layer, name: str, values: int | Sequence[int]) -> tuple[int, ...]:
    """One int or several as a tuple of ints, or ArgumentError."""
    try:
        return (operator.index(values),)  # type: ignore[arg-type]
    except TypeError:
        pass
    try:
        return tuple(operator.index(each) for each in values)  # type: ignore[union-attr]
    except TypeError:
        raise ArgumentError(
            f"{type(layer).__name__}: expected {name} to be a whole number or a tuple of them, got {values!r}"
        ) from None


def axes_of(layer: Layer, axes: tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes (None: all), counted from the front, in ascending order; ShapeError for a missing one."""
    if axes is None:
        return tuple(range(ndim))
    found = sorted({axis + ndim if axis < 0 else axis for axis in axes})
    if found and (found[0] < 0 or found[-1] >= ndim):
        wrong = next(axis for axis in axes if not -ndim <= axis < ndim)
        raise ShapeError(
            f"{layer!r}: expected an array that has axis {wrong}, got one with {ndim} axes; "
            + (f"use an axis from {-ndim} to {ndim - 1}" if ndim else "a single number has no axes")
        )
    if len(found) != len(axes):
        raise ShapeError(
            f"{layer!r}: axis {axes} names one axis twice in an array with {ndim} axes; name it once"
        )
    return tuple(found)
