"""The flat parameter vector, and its named views."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike, Shape, as_numbers
from chainrule.errors import ArgumentError, ShapeError, did_you_mean


class Parameters(MutableMapping[str, Array]):
    """Arrays by name, each a writable view into one flat vector, `flat`.

    `params["W1"] -= 0.1 * grads["W1"]` changes the vector, and so the network. Assigning copies the numbers
    in; the shape must agree exactly. Gradients are held in the same form: the layouts agree.

    Shapes: `flat` is (size,), the names in order one after the other, each in C order.
    """

    def __init__(self, flat: Array, shapes: Mapping[str, Shape]) -> None:
        self._flat = flat
        self.shapes = dict(shapes)
        #: Called before an assignment; it raises an error where nothing may be assigned now.
        self.guard: Callable[[], None] | None = None
        size = _size_of(self.shapes)
        if flat.shape != (size,):
            raise ShapeError(
                f"expected a flat vector of shape ({size},) for these parameters, got {flat.shape}"
            )
        self._views: dict[str, Array] = {}
        start = 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            self._views[name] = flat[start:end].reshape(shape)
            start = end

    @property
    def flat(self) -> Array:
        """The vector that all the arrays are views into. Assigning to it copies the numbers in."""
        return self._flat

    @flat.setter
    def flat(self, value: ArrayLike) -> None:
        array = as_numbers(value, "params.flat")
        if array.shape != self._flat.shape:
            raise ShapeError(f"params.flat: expected shape {self._flat.shape}, got {array.shape}")
        self._check_guard()
        self._flat[...] = array

    @classmethod
    def empty(cls, shapes: Mapping[str, Shape], dtype: Any) -> Parameters:
        """Zeros in the layout of `shapes`."""
        return cls(np.zeros(_size_of(shapes), dtype), shapes)

    def like(self, flat: Array) -> Parameters:
        """The views, in this layout, of another flat vector."""
        return Parameters(flat, self.shapes)

    def __getitem__(self, name: str) -> Array:
        if name not in self._views:
            raise ArgumentError(f"there is no parameter {name!r}; {did_you_mean(str(name), self._views)}")
        return self._views[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        view = self[name]
        array = as_numbers(value, f"parameter {name!r}")
        if array.shape != view.shape:
            raise ShapeError(
                f"parameter {name!r}: expected an array of shape {view.shape}, got {array.shape}"
            )
        self._check_guard()
        view[...] = array

    def _check_guard(self) -> None:
        if self.guard is not None:
            self.guard()

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self._flat, self.shapes)

    def get(self, name: str, default: Any = None) -> Any:
        """The array, or `default` when there is no parameter of this name."""
        return self._views.get(name, default)

    def __delitem__(self, name: str) -> None:
        raise ArgumentError(f"parameter {name!r} belongs to the network and cannot be deleted")

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {shape}" for name, shape in self.shapes.items())
        return f"<{len(self)} arrays in one {self.flat.dtype} vector of {self.flat.size}: {inside}>"


def _size_of(shapes: Mapping[str, Shape]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())
