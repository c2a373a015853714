"""The flat parameter vector, and its named views."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol

import numpy as np

from chainrule.arrays import Array, ArrayLike, Shape
from chainrule.errors import ArgumentError, ShapeError, did_you_mean
from chainrule.incoming import as_numbers


class Guard(Protocol):
    """Whoever knows whether another thread is training with the parameters."""

    @property
    def others_train(self) -> bool:
        """Whether one does: then the arrays are shown read-only."""

    def check_assignment(self) -> None:
        """Raise an error then."""


class Parameters(MutableMapping[str, Array]):
    """Arrays by name, each a writable view into one flat vector, `flat`.

    `params["W1"] -= 0.1 * grads["W1"]` changes the vector, and so the network. Assigning copies the numbers
    in; the shape must agree exactly. Gradients are held in the same form: the layouts agree.

    Shapes: `flat` is (size,), the names in order one after the other, each in C order.
    """

    def __init__(self, flat: Array, shapes: Mapping[str, Shape]) -> None:
        self._flat = flat
        self.shapes = dict(shapes)
        #: Who says whether parameters may be changed now.
        self.guard: Guard | None = None
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
        return self._shown(self._flat)

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
        return self._shown(self._views[name])

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        self._check_guard()
        view = self[name]
        array = as_numbers(value, f"parameter {name!r}")
        if array.shape != view.shape:
            raise ShapeError(
                f"parameter {name!r}: expected an array of shape {view.shape}, got {array.shape}"
            )
        view[...] = array

    def _shown(self, array: Array) -> Array:
        """The array, to be read only while another thread changes it."""
        if self.guard is not None and self.guard.others_train:
            array = array.view()
            array.flags.writeable = False
        return array

    def _check_guard(self) -> None:
        if self.guard is not None:
            self.guard.check_assignment()

    def __copy__(self) -> Parameters:
        made = Parameters(self._flat, self.shapes)
        made.guard = self.guard
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self._flat, self.shapes)

    def get(self, name: str, default: Any = None) -> Any:
        """The array, or `default` when there is no parameter of this name."""
        return self[name] if name in self._views else default

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


class Statistics(dict[str, Array]):
    """Running statistics by name. Assigning to one copies the numbers into its array, which stays the same one."""

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        array, held = as_numbers(value, name), self.get(name)
        if held is None or not held.flags.writeable:
            super().__setitem__(name, array)
        elif array.shape != held.shape:
            raise ShapeError(f"{name}: expected statistics of shape {held.shape}, got {array.shape}")
        else:
            held[...] = array

    def update(self, *others: Any, **named: Any) -> None:
        """Assign each."""
        for name, value in dict(*others, **named).items():
            self[name] = value

    def __ior__(self, other: Any) -> Statistics:  # type: ignore[override,misc]  # dict's takes pairs too, as this does
        self.update(other)
        return self

    def copy(self) -> Statistics:
        """The same arrays."""
        made = Statistics()
        for name, value in self.items():
            dict.__setitem__(made, name, value)
        return made
