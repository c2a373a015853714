"""Layers that move elements and compute nothing: backward moves gradients to where the elements came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.arguments import as_whole, whole_number, whole_numbers
from chainrule.arrays import Array, Shape
from chainrule.errors import ArgumentError, ShapeError
from chainrule.layers.axes import axes_of
from chainrule.layers.base import Layer
from chainrule.layers.indices import add_rows, check_indices


class Reshape(Layer):
    """y = the elements of x, in order, in another shape,    dL/dx = dL/dy in x's shape.

    Shapes: x any -> y of the shape given, the batch axis included; one length may be -1, which is then
    inferred.
    Raises: ArgumentError for a shape that can't be; ShapeError when x has another number of elements.
    """

    moves_elements = True

    def __init__(self, shape: int | Sequence[int]) -> None:
        self.shape = whole_numbers("shape", shape, owner=self)
        if min(self.shape, default=0) < -1 or self.shape.count(-1) > 1:
            raise ArgumentError(
                f"Reshape: expected lengths of 0 or more and at most one -1, got {self.shape}"
            )

    def forward(self, x: Array) -> tuple[Array, Shape]:
        try:
            return x.reshape(self.shape), x.shape
        except ValueError:
            size = f"{abs(math.prod(self.shape))}{' * n' if -1 in self.shape else ''}"
            raise ShapeError(
                f"{self!r}: expected x of {size} elements, got {x.shape} with {x.size}; "
                f"let one length be -1, or use Flatten() to keep the batch axis"
            ) from None

    def backward(self, dy: Array, shape: Shape) -> Array:
        return dy.reshape(shape)


class Flatten(Layer):
    """y = each sample of x as one row,    dL/dx = dL/dy in x's shape.

    Shapes: x (N, ...) -> y (N, D), D the product of the other axes; N may be 0.
    Raises: ShapeError when x has no axes.
    """

    moves_elements = True

    def forward(self, x: Array) -> tuple[Array, Shape]:
        if x.ndim == 0:
            raise ShapeError("Flatten(): expected x of shape (N, ...), got (); put a batch axis before it")
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape

    def backward(self, dy: Array, shape: Shape) -> Array:
        return dy.reshape(shape)


class Transpose(Layer):
    """y = x with its axes in another order,    dL/dx = dL/dy with the order undone.

    Shapes: x any -> y, whose axis i is x's axis axes[i]; reversed when axes is None.
    Raises: ShapeError when axes doesn't name each axis of x once.
    """

    moves_elements = True

    def __init__(self, axes: Sequence[int] | None = None) -> None:
        self.axes = None if axes is None else whole_numbers("axes", axes, owner=self)

    def forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        axes = tuple(reversed(range(x.ndim))) if self.axes is None else self.axes
        if len(axes) != x.ndim or len(axes_of(self, axes, x.ndim)) != x.ndim:
            raise ShapeError(
                f"{self!r}: expected x with {len(axes)} axes, got {x.shape}; name each axis of x once"
            )
        return x.transpose(axes), axes

    def backward(self, dy: Array, axes: tuple[int, ...]) -> Array:
        return dy.transpose(np.argsort([axis % dy.ndim for axis in axes])) if axes else dy


class Concatenate(Layer):
    """y = the inputs one after the other along an axis,    each gradient = its piece of dL/dy.

    Shapes: any number of arrays, equal but along the axis -> y, as long there as all of them together.
    Raises: ShapeError for no inputs, or for inputs that differ in another axis.
    """

    moves_elements = True

    def __init__(self, axis: int = -1) -> None:
        self.axis = whole_number("axis", axis, owner=self)

    def forward(self, *inputs: Array) -> tuple[Array, tuple[int, list[int]]]:
        if not inputs:
            raise ShapeError(f"{self!r}: expected at least one input, got none; hand it the arrays to join")
        (axis,) = axes_of(self, (self.axis,), inputs[0].ndim)
        others = {x.shape[:axis] + x.shape[axis + 1 :] if x.ndim > axis else x.shape for x in inputs}
        if len(others) > 1 or len({x.ndim for x in inputs}) > 1:
            raise ShapeError(
                f"{self!r}: expected shapes that are equal but along axis {axis}, "
                f"got {', '.join(str(x.shape) for x in inputs)}; Reshape() them, or use another axis"
            )
        ends = np.cumsum([x.shape[axis] for x in inputs])
        return np.concatenate(inputs, axis=axis), (axis, [int(end) for end in ends[:-1]])

    def backward(self, dy: Array, saved: tuple[int, list[int]]) -> tuple[Array, ...]:
        axis, ends = saved
        return tuple(np.split(dy, ends, axis=axis))


class Index(Layer):
    """y = x[key],    dL/dx = 0, with dL/dy added at [key], several times where an element was taken so.

    The key is fixed: an int, slice, ellipsis, None, list of ints or bools, or a tuple of these. Indices that
    are data, and change from batch to batch, are for `Take` and `Embedding`.

    Shapes: x any -> y as NumPy's indexing makes it.
    Raises: ArgumentError for another kind of key; ShapeError when x has no such elements.
    """

    moves_elements = True

    def __init__(self, key: Any) -> None:
        self.key = tuple(_key_part(part) for part in key) if isinstance(key, tuple) else _key_part(key)
        parts = self.key if isinstance(self.key, tuple) else (self.key,)
        self._repeats = any(isinstance(part, np.ndarray) for part in parts)

    def forward(self, x: Array) -> tuple[Array, Shape]:
        try:
            return np.asarray(x[self.key]), x.shape
        except IndexError as error:
            raise ShapeError(
                f"{self!r}: x of shape {x.shape} has no such elements ({error}); change the key"
            ) from None

    def backward(self, dy: Array, shape: Shape) -> Array:
        dx = np.zeros(shape, dy.dtype)
        if self._repeats:
            np.add.at(dx, self.key, dy)
        else:
            dx[self.key] = dy  # slices take no element twice, and this is faster
        return dx


class Take(Layer):
    """y = the slices of x along an axis at `indices`,    dL/dx = sum of dL/dy over the uses of each slice.

    Shapes: x (A, S, B) with S at the axis, indices (...) whole numbers from 0 to S - 1 -> y (A, ..., B).
    Raises: DataError for indices that aren't whole numbers or are out of range; ShapeError when x has no such
    axis.
    """

    moves_elements = True
    index_inputs = frozenset({"indices"})

    def __init__(self, axis: int = 0) -> None:
        self.axis = whole_number("axis", axis, owner=self)

    def forward(self, x: Array, indices: Array) -> tuple[Array, tuple[Shape, int, Array]]:
        (axis,) = axes_of(self, (self.axis,), x.ndim)
        check_indices(self, "indices", indices, x.shape[axis])
        return x.take(indices, axis=axis), (x.shape, axis, indices)

    def backward(self, dy: Array, saved: tuple[Shape, int, Array]) -> tuple[Array, None]:
        shape, axis, indices = saved
        before, after = shape[:axis], shape[axis + 1 :]
        pieces = dy.reshape(math.prod(before), indices.size, math.prod(after))
        rows = pieces.transpose(1, 0, 2).reshape(indices.size, math.prod(before) * math.prod(after))
        summed = add_rows(rows, indices.ravel(), shape[axis])  # (S, A * B)
        return np.moveaxis(summed.reshape(shape[axis], *before, *after), 0, axis), None


def _key_part(part: Any) -> Any:
    """One part of a key; a list becomes an array of its own, so that changing the list changes no layer."""
    if part is None or part is Ellipsis or isinstance(part, slice):
        return part
    if not isinstance(part, np.ndarray) and (whole := as_whole(part)) is not None:  # True would add an axis
        return whole
    if isinstance(part, (list, np.ndarray)):
        array = np.array(part)
        if array.size == 0 and isinstance(part, list):  # NumPy takes [] for floats
            array = array.astype(np.intp)
        if array.dtype.kind in "iub":
            array.flags.writeable = False
            return array
    raise ArgumentError(
        f"Index: expected a key of ints, slices, ..., None and lists of ints or bools, got {part!r}; "
        f"for indices that are data use Take()"
    )
