"""The axes that a layer is given."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.errors import ShapeError
from chainrule.layers.base import Layer

Axes = int | Sequence[int] | None


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
