"""Sparse data: the rows of a matrix of which few numbers are not 0, in the CSR form of SciPy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NoReturn, Protocol

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class SparseRows:
    """A matrix that is asked and indexed as an array with a row for each sample, and is never made dense.

    The numbers of row r are `values[indptr[r] : indptr[r + 1]]`, in the columns `indices` of the same places, which
    rise within a row. The arrays are the caller's own where they have that form already.

    Shapes: (N, K).
    dtype: float32 or float64.
    """

    indptr: Array
    indices: Array
    values: Array
    columns: int

    ndim: ClassVar[int] = 2
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)"""
        return len(self), self.columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the numbers."""
        return self.values.dtype

    @property
    def size(self) -> int:
        """How many numbers are kept."""
        return self.values.size

    @cached_property
    def csr(self) -> Any:
        """The same arrays as SciPy takes them."""
        from scipy.sparse import csr_array

        return csr_array((self.values, self.indices, self.indptr), shape=self.shape, copy=False)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __getitem__(self, rows: Any) -> SparseRows:
        return _parts_of(self.csr[rows])

    def __matmul__(self, other: Array) -> Array:
        return np.asarray(self.csr @ other)

    @property
    def T(self) -> Any:
        """The transposed matrix, as SciPy has it."""
        return self.csr.T

    def astype(self, dtype: Any) -> SparseRows:
        """The same with numbers of another dtype."""
        return SparseRows(self.indptr, self.indices, self.values.astype(dtype, copy=False), self.columns)

    def copy(self) -> SparseRows:
        """The same in arrays of its own."""
        return SparseRows(self.indptr.copy(), self.indices.copy(), self.values.copy(), self.columns)

    def index_of(self, k: int) -> tuple[int, int]:
        """The row and the column of the number at `values[k]`."""
        return int(np.searchsorted(self.indptr, k, side="right")) - 1, int(self.indices[k])

    def fingerprint(self) -> str:
        """Shape, dtype and a hash of the content, as `arrays.fingerprint` says them of an array."""
        content = hashlib.sha256()
        for part in (self.indptr.astype(np.int64), self.indices.astype(np.int64), self.values):
            content.update(np.ascontiguousarray(part).view(np.uint8).data)
        return f"{self.shape} {self.dtype} sparse {content.hexdigest()[:16]}"

    def __repr__(self) -> str:
        return f"<SparseRows {self.shape}, {self.size:,} numbers of {self.dtype}>"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a sparse matrix is never made dense unasked: give x.toarray() where it fits")


class SparseMatrix(Protocol):
    """A sparse matrix or array of SciPy, in any form."""

    @property
    def nnz(self) -> int:
        """How many numbers are kept."""

    def tocsr(self) -> Any:
        """The same in CSR form."""


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix, of SciPy or made by `sparse_rows`."""
    is_of_scipy = hasattr(value, "tocsr") and hasattr(value, "nnz") and getattr(value, "ndim", 0) == 2
    return isinstance(value, SparseRows) or is_of_scipy


def sparse_rows(value: Any, name: str) -> SparseRows:
    """The rows of a sparse matrix. Nothing of the caller's is changed, and what has the form already not copied.

    Raises: DataError for what holds no real numbers, or whose parts do not fit together.
    """
    if isinstance(value, SparseRows):
        return value
    if value.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected a sparse matrix of real numbers, got dtype {value.dtype}")
    try:
        rows = _parts_of(value.tocsr())
    except ValueError as error:
        raise DataError(f"{name}: the sparse matrix cannot be read: {error}; make it anew") from None
    if problem := _problem(rows):
        raise DataError(f"{name}: the sparse matrix is damaged: {problem}; make it anew")
    if not _is_in_order(rows):
        ordered = rows.copy().csr
        ordered.sum_duplicates()
        rows = _parts_of(ordered)
    return rows


def with_sparse_rows(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same data, in which each sparse matrix is in the form that programs take."""
    return {name: sparse_rows(each, name) if is_sparse(each) else each for name, each in data.items()}


def sparse_names(data: Mapping[str, Any]) -> frozenset[str]:
    """The names of those that are sparse."""
    return frozenset(name for name, each in data.items() if isinstance(each, SparseRows))


def numbers_in(value: Any) -> Array:
    """The numbers that are kept of a sparse matrix, or the array itself."""
    return value.values if isinstance(value, SparseRows) else value


def index_in(value: Any, kept: tuple[int, ...]) -> tuple[int, ...]:
    """The index in an array, or in a sparse matrix, of what has this index in `numbers_in` of it."""
    return value.index_of(kept[0]) if isinstance(value, SparseRows) else kept


def dense_only(name: str, reader: str) -> DataError:
    """The error for a sparse matrix at an input that another layer than Affine reads."""
    return DataError(
        f"{name}: a sparse matrix can be read by Affine layers only, and {reader} reads this input; give "
        f"{name}.toarray(), if that fits into memory"
    )


def is_readable(rows: SparseRows) -> bool:
    """Whether the parts have the form that the machine reads."""
    return (
        len(rows.indptr) > 0
        and _is_plain(rows.indptr, "i")
        and _is_plain(rows.indices, "i")
        and _is_plain(rows.values, "f")
    )


def _is_plain(part: Array, kind: str) -> bool:
    is_vector = part.ndim == 1 and part.flags.c_contiguous and part.flags.aligned
    return is_vector and part.dtype.kind == kind and part.dtype.itemsize in (4, 8) and part.dtype.isnative


def _parts_of(csr: Any) -> SparseRows:
    """The parts of a CSR matrix of SciPy, each in a form that the machine reads."""
    data = csr.data
    if data.dtype.kind != "f" or data.dtype.itemsize not in (4, 8) or not data.dtype.isnative:
        is_short = data.dtype.itemsize <= 2
        data = data.astype(np.float32 if is_short else np.float64)
    indptr, indices = (
        np.require(
            each, each.dtype.newbyteorder("=") if each.dtype.itemsize in (4, 8) else np.int64, ["C", "A"]
        )
        for each in (csr.indptr, csr.indices)
    )
    return SparseRows(indptr, indices, np.require(data, None, ["C", "A"]), int(csr.shape[1]))


def _problem(rows: SparseRows) -> str:
    """What is wrong with the parts; "" where nothing is."""
    indptr, indices = rows.indptr, rows.indices
    if not len(indptr) or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        return "indptr does not rise from 0"
    if indptr[-1] > min(len(indices), len(rows.values)):
        return f"indptr ends at {indptr[-1]}, behind the end of the {min(len(indices), len(rows.values))} numbers"
    used = indices[: indptr[-1]]
    if used.size and not (used.min() >= 0 and used.max() < rows.columns):
        return f"indices are not from 0 to {rows.columns - 1}"
    return ""


def _is_in_order(rows: SparseRows) -> bool:
    """Whether the columns rise within every row."""
    used = rows.indices[: rows.indptr[-1]]
    rises = used[1:] > used[:-1]
    borders = rows.indptr[1:-1]
    rises[borders[(borders > 0) & (borders < len(used))] - 1] = True
    return bool(rises.all())
