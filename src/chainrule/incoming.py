"""The one place that turns what people hand in into an array of numbers: lists, frames, sparse and masked arrays.

What has a plain meaning is converted. What has none is a DataError, which names the row, the column by its own name
where it has one, the value, and the remedy.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from numbers import Complex, Real
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike, first_not_finite
from chainrule.errors import DataError, ShapeError

_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
#: The types of what stands for no value: None, pandas.NA, pandas.NaT.
MISSING_TYPES = frozenset(["NoneType", "NAType", "NaTType"])
#: The words for a missing value that files hold most, in the case that they have there; and all, in lower case.
USUAL_MISSING = ("", "NA", "NaN", "nan", "N/A", "null", "NULL")
_FURTHER = """
? - -- . .. \u2013 \u2014 none nat (null) (blank) missing unknown n.a. n.d. k.a. <na> #na #n/a -nan +nan \\n
#div/0! #value! #ref! #num! #name? #nv #wert! #bezug!
"""
_MISSING = frozenset([word.lower() for word in USUAL_MISSING] + _FURTHER.split())
#: Words for a missing number that a text may be: sodium is Na, a fence may be none. None is what Python writes.
_VALUES_AS_TEXT, _VALUES_IN_ANY_CASE = frozenset(["none", "Na"]), frozenset(["missing", "unknown"])
_LONGEST = 9  # characters of a word for missing, with a space within
_DATES = frozenset(
    ["date", "datetime", "time", "timedelta", "Timestamp", "Timedelta", "Period", "datetime64"]
)
_OF_CATEGORIES = (
    "give each category a column of 0 and 1, as cr.datasets.load_table(frame, target) does, or a number of its "
    "own"
)


def numbers(value: Any, name: str) -> Array:
    """An array of real numbers, not copied when it is one already.

    Raises: ShapeError for rows of different lengths, DataError for what is no number, or missing.
    """
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    try:
        return _converted(value, name, "an array of numbers")
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


def _converted(value: Any, whose: str, wanted: str) -> Array:
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
    if array.dtype.kind in "biuf" and not is_category(value):
        return array

    def wrong(each: Any, index: tuple[int, ...]) -> DataError:
        type_of = "" if wanted == "an array of numbers" else f"{type(value).__name__}, "
        problem = _problem(each, is_category(value))
        return DataError(
            f"{whose}: expected {wanted}, got {type_of}dtype {array.dtype}; "
            f"{_shown(each)}{_place(index)} is {problem}"
        )

    if array.dtype.kind in "US" and not isinstance(value, (np.ndarray, np.generic)):
        array = np.array(value, dtype=object)  # NumPy makes text of the numbers beside text
    return _of_objects(array, wrong, is_category(value))


def _as_array(value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of lists of several lengths
        raise _RaggedError(str(error)) from None


def _of_frame(frame: Any, whose: str, wanted: str) -> Array:
    """The columns of a frame beside each other, as numbers of one dtype."""
    if all(map(_is_plain, getattr(frame, "dtypes", [None]))) and hasattr(frame, "to_numpy"):
        plain = np.ascontiguousarray(frame.to_numpy())
        if plain.dtype.kind in "iuf" and first_not_finite(plain) is None:
            return plain
    columns = []
    for k, name in enumerate(frame.columns):
        series = frame.iloc[:, k] if hasattr(frame, "iloc") else frame[name]
        array, categories = np.asarray(series), is_category(series)

        def wrong(
            each: Any, index: tuple[int, ...], name: Any = name, categories: bool = categories
        ) -> DataError:
            return DataError(
                f"{whose}: expected {wanted}, got {_shown(each)} at row {index[0]}, column {name!r}, which is "
                f"{_problem(each, categories)}"
            )

        if array.dtype.kind not in "biuf" or categories:
            array = _of_objects(array, wrong, categories)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array))[0])
            raise wrong(array[row].item(), (row,))
        columns.append(array)
    return np.column_stack(columns) if columns else np.zeros((len(frame), 0))


def _is_plain(dtype: Any) -> bool:
    """Whether a column of this dtype, of NumPy or of polars, holds numbers and nothing else."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "iuf"
    return hasattr(dtype, "is_integer") and bool(dtype.is_integer() or dtype.is_float())


def column_names(frame: Any) -> list[str] | None:
    """The names of the columns of a frame of pandas or polars; None unless they are different texts."""
    if isinstance(frame, np.ndarray) or not (hasattr(frame, "columns") and hasattr(frame, "shape")):
        return None
    names = list(frame.columns)
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return None
    return [str(name) for name in names]


def in_columns(frame: Any, columns: list[str], whose: str) -> Any:
    """The columns of these names, in this order, of a frame that has names of columns; anything else unchanged.

    Raises: DataError where one is missing.
    """
    names = column_names(frame)
    if names is None or names == columns:
        return frame
    if missing := [name for name in columns if name not in names]:
        shown = ", ".join(map(repr, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise DataError(
            f"{whose}: expected a frame with the columns that the network was trained on, got none named {shown}; "
            f"name the columns alike, or give an array, frame.to_numpy(), whose columns are in the same order"
        )
    return frame[columns]


def looks_missing(text: str, *, among_signs: bool = False, in_numbers: bool = False) -> bool:
    """Whether text stands for a missing value: NA, None, ?, - and their like.

    Among signs no sign but "?" does. Among numbers also the words do that may be a value of text, such as "none".
    """
    word = text.strip()
    if len(word) > _LONGEST:
        return False
    lower = word.lower().replace(". ", ".")
    if lower not in _MISSING or (among_signs and lower not in ("", "?") and are_signs([lower])):
        return False
    return in_numbers or (word not in _VALUES_AS_TEXT and lower not in _VALUES_IN_ANY_CASE)


def are_signs(texts: Iterable[str]) -> bool:
    """Whether no text has a letter or a digit, as "+" and "-"."""
    return not any(character.isalnum() for text in texts for character in text)


def without_case(text: str) -> str:
    """The same text for texts that differ by capitals or spaces only."""
    return "".join(text.split()).casefold()


def with_article(noun: str) -> str:
    """The noun after "a" or "an"."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


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
    for dtype in (np.int64, np.float64) if whole and flat else (np.float64,):
        with contextlib.suppress(OverflowError):
            return array.astype(dtype)
    raise next(wrong(each, index) for index, each in np.ndenumerate(array) if _is_too_large(each))


def _is_too_large(each: Any) -> bool:
    try:
        float(each)
    except OverflowError:
        return True
    return False


def _refuse_masked(value: Any, whose: str) -> None:
    mask = np.ma.getmaskarray(value)
    if mask.dtype.names is None and mask.any():
        index = tuple(int(i) for i in np.argwhere(mask)[0])
        raise DataError(
            f"{whose} is masked{_place(index)}: fill such values in, as .filled(...) does, or leave the rows out"
        )


def _problem(each: Any, categories: bool) -> str:
    """What a value is that is no number, and the remedy."""
    kind = type(each).__name__
    if categories:
        return f"a category: {_OF_CATEGORIES}"
    if kind in MISSING_TYPES or (isinstance(each, float) and each != each):
        return "missing: fill it in, or leave the row out"
    if isinstance(each, float):
        return "not finite: correct it, or leave the row out"
    if isinstance(each, (str, bytes)):
        text = each.decode(errors="replace") if isinstance(each, bytes) else each
        if _NUMBER.fullmatch(text):
            return "a number written as text: make numbers of such text first, as .astype(float) does"
        return f"text: {_OF_CATEGORIES}"
    if kind in _DATES or isinstance(each, (np.datetime64, np.timedelta64)):
        return "a date or time: make numbers of them first, such as the days since the first"
    if isinstance(each, Real):
        return f"too large for a float, which ends at {np.finfo(np.float64).max:.2g}: correct it, or scale the data"
    if isinstance(each, Complex):
        return "complex: give the real and the imaginary part as numbers of their own"
    if isinstance(each, np.void):
        return "a record of several fields: give one field, or np.column_stack of several"
    if isinstance(each, (np.ndarray, list, tuple)):
        return "itself an array: stack them into one, np.stack(list_of_arrays)"
    return f"{with_article(kind)}, no number: leave it out, or make a number of it"


def is_category(value: Any) -> bool:
    """Whether the value is a column of categories of pandas."""
    return type(getattr(value, "dtype", None)).__name__ == "CategoricalDtype"


def _shown(each: Any) -> str:
    if isinstance(each, int) and each.bit_length() > 1000:  # Python refuses to write thousands of digits
        return f"a whole number of {each.bit_length():,} bits"
    text = repr(each.item() if isinstance(each, (np.str_, np.bytes_, np.number)) else each)
    return text if len(text) <= 60 else f"{text[:57]}..."


def place(index: tuple[int, ...]) -> str:
    """The place of a value in words: row 3, column 2, with a number for each axis after the first."""
    columns = f", column {', '.join(map(str, index[1:]))}" if index[1:] else ""
    return f"row {index[0]}{columns}" if index else "its only place"


def _place(index: tuple[int, ...]) -> str:
    return f" at {place(index)}" if index else ""
