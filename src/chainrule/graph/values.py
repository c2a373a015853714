"""What a pass computed: values and gradients by the name of their node, and how broadcasting is undone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import GraphError, NotComputedError, ShapeError
from chainrule.graph.nodes import Node
from chainrule.graph.structure import Structure
from chainrule.sparse import SparseRows


@dataclass
class Pass:
    """What one pass forward computed: by position, the values and what each layer saved."""

    dtype: Any
    training: bool
    step: int
    values: list[Array | None]
    saved: list[Any]
    state: dict[str, Array] = field(default_factory=dict)


def copied(
    pass_: Pass | None, gradients: Sequence[Array | None] | None
) -> tuple[Pass | None, Sequence[Array | None] | None]:
    """A pass and its gradients with arrays of their own, which nothing changes that is done with the graph later.

    What a layer saved and cannot be copied stays as it is.
    """
    if pass_ is not None:
        pass_ = replace(
            pass_, values=[_copy(value) for value in pass_.values], saved=[_copy(s) for s in pass_.saved]
        )
    return pass_, None if gradients is None else [_copy(gradient) for gradient in gradients]


def _copy(held: Any) -> Any:
    """The same with arrays of its own, read-only where they were."""
    if isinstance(held, np.ndarray):
        made = held.copy()
        made.flags.writeable = held.flags.writeable
        return made
    if type(held) in (tuple, list):
        return type(held)(_copy(each) for each in held)
    if type(held) is dict:
        return {key: _copy(each) for key, each in held.items()}
    try:
        return deepcopy(held)
    except Exception:  # a layer of one's own may save anything: a file, a lock
        return held


class NodeArrays(Mapping[str, Any]):
    """Arrays by the name of their node, or by the node itself. They are shown read-only."""

    def __init__(self, structure: Structure, arrays: Sequence[Array | None], missing: str) -> None:
        self._structure, self._arrays, self._missing = structure, arrays, missing

    def __getitem__(self, key: str | Node) -> Any:
        position = self._structure.position(key)
        array = self._arrays[position] if self._arrays else None
        if array is None:
            raise NotComputedError(f"{self._structure.name_of(position)!r}: {self._missing}")
        return shown(array)

    def get(self, key: str | Node, default: Any = None) -> Any:
        """The array, or `default` when there is none."""
        try:
            return self[key]
        except GraphError:
            return default

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]  # anything may be asked for; what is no name is not in here
        except GraphError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return (self._structure.name_of(i) for i, array in enumerate(self._arrays) if array is not None)

    def __len__(self) -> int:
        return sum(array is not None for array in self._arrays)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {value!r}" for name, value in self.items()) + "}"


def unbroadcast(gradient: Array, shape: Shape) -> Array:
    """Sum a gradient over the axes along which an input of `shape` was broadcast.

    Shapes: gradient is any shape that `shape` broadcasts to -> `shape`.
    Raises: ShapeError when `shape` does not broadcast to the gradient's shape.
    """
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = list(range(extra))
    fits = extra >= 0
    for axis, (have, want) in enumerate(zip(gradient.shape[max(extra, 0) :], shape, strict=False)):
        if want == 1 and have != 1:
            axes.append(extra + axis)
        fits &= want in (1, have)
    if not fits:
        raise ShapeError(f"a gradient of shape {gradient.shape} does not fit an input of shape {shape}")
    return np.asarray(gradient.sum(axis=tuple(axes), keepdims=True).reshape(shape))


def shown(array: Array) -> Any:
    """A read-only view, or a NumPy number where there is just one."""
    if isinstance(array, SparseRows):
        return array
    if array.ndim == 0:
        return array[()]
    view = array.view()
    view.flags.writeable = False
    return view
