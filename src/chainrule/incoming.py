"""The one place that turns what people hand in into an array of numbers: lists, frames, sparse and masked arrays.

What has a plain meaning is converted. What has none is a DataError, which names the row, the column by its own name
where it has one, the value, and the remedy.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from decimal import Decimal
from numbers import Complex, Real
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike
from chainrule.errors import DataError, ShapeError

_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_MISSING = frozenset(["NoneType", "NAType", "NaTType"])  # None, pandas.NA, pandas.NaT
_DATES = frozenset(
    ["date", "datetime", "time", "timedelta", "Timestamp", "Timedelta", "Period", "datetime64"]
)
_OF_LABELS = "number text labels with np.unique(labels, return_inverse=True)"
_OF_CATEGORIES = (
    "give each category a column of 0 and 1, such as pandas.get_dummies makes, or a number of its own"
)


def numbers(value: Any, name: str, *, labels: bool = False) -> Array:
    """An array of real numbers, not copied when it is one already. Text among `labels` has a remedy of its own.

    Raises: ShapeError for rows of different lengths, DataError for what is no number, or missing.
    """
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    try:
        return _converted(value, name, "an array of numbers", labels)
    except _RaggedError as error:
        raise ShapeError(f"{name}: the rows have different lengths, which makes no array: {error}") from None


def as_numbers(value: ArrayLike, whose: str, *, copy: bool | None = None) -> Array:
    """The value as an array of real numbers; DataError, which says whose it is, for anything else."""
    wanted = "a number or an array of numbers"
    try:
        return np.array(_converted(value, whose, wanted), copy=copy)
    except _RaggedError as error:
        raise DataError(f"{whose}: expected {wanted}, got a ragged one: {error}") from None


class _RaggedError(ValueError):
    """Rows of different lengths."""


def _converted(value: Any, whose: str, wanted: str, labels: bool = False) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        _refuse_masked(value, whose)
    elif isinstance(value, (list, tuple)):
        for k, each in enumerate(value):
            if isinstance(each, np.ma.MaskedArray):
                _refuse_masked(each, f"{whose}, in the array at {k},")
    elif hasattr(value, "toarray") and hasattr(value, "nnz"):  # a sparse matrix of SciPy
        value = value.toarray()
    elif hasattr(value, "columns") and hasattr(value, "shape"):  # a frame of pandas or polars
        return _of_frame(value, whose, wanted)
    array = _as_array(value)
    if array.dtype.kind in "biuf" and not _is_category(value):
        return array

    def wrong(each: Any, index: tuple[int, ...]) -> DataError:
        type_of = "" if wanted == "an array of numbers" else f"{type(value).__name__}, "
        problem = _problem(each, labels, _is_category(value))
        return DataError(
            f"{whose}: expected {wanted}, got {type_of}dtype {array.dtype}; "
            f"{_shown(each)}{_place(index)} is {problem}"
        )

    if array.dtype.kind in "US" and not isinstance(value, (np.ndarray, np.generic)):
        array = np.array(value, dtype=object)  # NumPy makes text of the numbers beside text
    return _of_objects(array, wrong, _is_category(value))


def _as_array(value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of lists of several lengths
        raise _RaggedError(str(error)) from None


def _of_frame(frame: Any, whose: str, wanted: str) -> Array:
    """The columns of a frame beside each other, as numbers of one dtype."""
    columns = []
    for k, name in enumerate(frame.columns):
        series = frame.iloc[:, k] if hasattr(frame, "iloc") else frame[name]
        array, is_category = np.asarray(series), _is_category(series)

        def wrong(
            each: Any, index: tuple[int, ...], name: Any = name, is_category: bool = is_category
        ) -> DataError:
            return DataError(
                f"{whose}: expected {wanted}, got {_shown(each)} at row {index[0]}, column {name!r}, which is "
                f"{_problem(each, False, is_category)}"
            )

        if array.dtype.kind not in "biuf" or is_category:
            array = _of_objects(array, wrong, is_category)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array))[0])
            raise wrong(array[row].item(), (row,))
        columns.append(array)
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _of_objects(
    array: Array, wrong: Callable[[Any, tuple[int, ...]], DataError], refused: bool = False
) -> Array:
    """Numbers that are objects of Python: bools, whole numbers or floats where all are, else floats."""
    if array.dtype.kind != "O" or refused:
        first = (0,) * array.ndim
        raise wrong(array[first] if array.size else None, first)
    for index, each in np.ndenumerate(array):
        if not isinstance(each, (Real, Decimal, np.bool_)):
            raise wrong(each, index)
    flat = array.reshape(-1).tolist()
    if flat and all(isinstance(each, (bool, np.bool_)) for each in flat):
        return array.astype(bool)
    whole = all(isinstance(each, (int, np.integer, np.bool_)) for each in flat)
    try:
        return array.astype(np.int64 if whole and flat else np.float64)
    except OverflowError:
        for index, each in np.ndenumerate(array):
            if isinstance(each, int) and abs(each) > sys.float_info.max:
                raise wrong(each, index) from None
        return array.astype(np.float64)


def _refuse_masked(value: Any, whose: str) -> None:
    mask = np.ma.getmaskarray(value)
    if mask.dtype.names is None and mask.any():
        index = tuple(int(i) for i in np.argwhere(mask)[0])
        raise DataError(
            f"{whose} is masked{_place(index)}: fill such values in, as .filled(...) does, or leave the rows out"
        )


def _problem(each: Any, labels: bool, is_category: bool) -> str:
    """What a value is that is no number, and the remedy."""
    kind = type(each).__name__
    if is_category:
        return f"a category: {_OF_LABELS if labels else _OF_CATEGORIES}"
    if kind in _MISSING or (isinstance(each, float) and each != each):
        return "missing: fill it in, or leave the row out"
    if isinstance(each, float):
        return "not finite: correct it, or leave the row out"
    if isinstance(each, int):
        return "too large for a float: correct it, or leave the row out"
    if isinstance(each, (str, bytes)):
        text = each.decode(errors="replace") if isinstance(each, bytes) else each
        if _NUMBER.fullmatch(text):
            return "a number written as text: make numbers of such text first, as .astype(float) does"
        return f"text: {_OF_LABELS if labels else _OF_CATEGORIES}"
    if kind in _DATES or isinstance(each, (np.datetime64, np.timedelta64)):
        return "a date or time: make numbers of them first, such as the days since the first"
    if isinstance(each, Complex):
        return "complex: give the real and the imaginary part as numbers of their own"
    if isinstance(each, np.void):
        return "a record of several fields: give one field, or np.column_stack of several"
    if isinstance(each, (np.ndarray, list, tuple)):
        return "itself an array: stack them into one, np.stack(list_of_arrays)"
    return f"a {kind}, no number: leave it out, or make a number of it"


def _is_category(value: Any) -> bool:
    return type(getattr(value, "dtype", None)).__name__ == "CategoricalDtype"


def _shown(each: Any) -> str:
    text = repr(each.item() if isinstance(each, (np.str_, np.bytes_, np.number)) else each)
    return text if len(text) <= 60 else f"{text[:57]}..."


def place(index: tuple[int, ...]) -> str:
    """The place of a value in words: row 3, column 2, with a number for each axis after the first."""
    columns = f", column {', '.join(map(str, index[1:]))}" if index[1:] else ""
    return f"row {index[0]}{columns}" if index else "its only place"


def _place(index: tuple[int, ...]) -> str:
    return f" at {place(index)}" if index else ""
