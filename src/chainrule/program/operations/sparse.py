"""Products with sparse data: y = x W and dW = xᵀ dy, of rows that are read where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DataError
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.table import Instruction, Place
from chainrule.sparse import SparseRows


def not_sparse_rows(place: Place, row: int) -> DataError:
    """The error for a row of sparse data that leads outside of its arrays when it is read."""
    return DataError(
        f"{place.source}: expected row {row} of the sparse matrix to have columns from 0 to {place.width - 1} in "
        f"rising order; was the matrix changed after it was handed over?"
    )


def _rows(
    step: Step, each: Instruction, indptr: Array, indices: Array, values: Array, dtype: np.dtype[Any]
) -> SparseRows:
    """The rows of the batch, checked: SciPy's products trust every number."""
    place = each.operands[0]
    assert place is not None
    numbers = np.arange(len(indptr) - 1)[step.rows]
    first, end = indptr[numbers], indptr[numbers + 1]
    wrong = (first < 0) | (end < first) | (end > min(len(indices), len(values)))
    if not wrong.any():
        starts = np.append(0, np.cumsum(end - first))
        kept = np.arange(starts[-1]) + np.repeat(first - starts[:-1], end - first)
        columns, row = indices[kept], np.repeat(np.arange(len(numbers)), end - first)
        outside = (columns < 0) | (columns >= place.width)
        outside[1:] |= (columns[1:] <= columns[:-1]) & (row[1:] == row[:-1])
        if not outside.any():
            return SparseRows(starts, columns, values[kept].astype(dtype, copy=False), place.width)
        wrong[row[outside]] = True
    raise not_sparse_rows(place, int(numbers[wrong][0]))


def _sparse_matmul(
    step: Step, each: Instruction, indptr: Array, indices: Array, values: Array, W: Array, y: Array
) -> None:
    y[...] = _rows(step, each, indptr, indices, values, W.dtype) @ W


def _sparse_transposed_matmul(
    step: Step, each: Instruction, indptr: Array, indices: Array, values: Array, dy: Array, dW: Array
) -> None:
    dW[...] = _rows(step, each, indptr, indices, values, dW.dtype).T @ dy


def _are_of_one(operands: tuple[Place, ...]) -> bool:
    """Whether the three parts are those of the same data."""
    return len({place.source for place in operands[:3]}) == 1


SPARSE_MATMUL = operation(
    "sparse_matmul",
    "indptr K, indices K, values K, K N, =B N",
    _sparse_matmul,
    printed="{4} = sparse_matmul({0}, rows, {3})",
    is_product=True,
    fits=_are_of_one,
)
SPARSE_TRANSPOSED_MATMUL = operation(
    "sparse_transposed_matmul",
    "indptr K, indices K, values K, B N, =K N",
    _sparse_transposed_matmul,
    printed="{4} = sparse_transposed_matmul({0}, rows, {3})",
    turn="gradients",
    is_product=True,
    fits=_are_of_one,
)
