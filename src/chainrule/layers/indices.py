"""What the layers that pick rows by number share: checking the numbers, adding gradients to the rows."""

from __future__ import annotations

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DataError
from chainrule.layers.base import Layer


def check_indices(layer: Layer, name: str, indices: Array, size: int) -> None:
    """DataError unless the indices are whole numbers from 0 to size - 1."""
    if indices.dtype.kind not in "iu":
        raise DataError(
            f"{layer!r}: expected {name} to be whole numbers, got {indices.dtype}; "
            f"convert them with {name}.astype(int)"
        )
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        place = tuple(int(i) for i in np.argwhere((indices < 0) | (indices >= size))[0])
        where = place[0] if len(place) == 1 else place
        raise DataError(
            f"{layer!r}: expected {name} from 0 to {size - 1}, got {indices[place]} at {where}; "
            + ("count from the front" if indices[place] < 0 else "correct it, or make room for it")
        )


def add_rows(gradient: Array, indices: Array, size: int) -> Array:
    """(size, D): row i is the sum of those rows of `gradient` (n, D) whose entry in `indices` (n,) is i."""
    # The product with a sparse one-hot matrix: 2 ms for 32,768 rows of 128, where np.bincount took 23,
    # np.add.at 47 and sorting 60.
    from scipy.sparse import csr_array

    n = len(indices)
    one_hot = csr_array((np.ones(n, gradient.dtype), indices, np.arange(n + 1)), shape=(n, size))
    summed: Array = one_hot.T @ gradient
    return summed
