"""The columns of a frame of pandas or polars, as those of a file."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column, Form, Kind
from chainrule.datasets.tables.raw import RawTable, refuse_absent
from chainrule.datasets.tables.recognize import recognize
from chainrule.errors import ArgumentError, DataError, did_you_mean
from chainrule.incoming import is_category

_NUMBERS: tuple[tuple[Kind, tuple[type, ...]], ...] = (
    ("boolean", (bool, np.bool_)),
    ("number", (Real, Decimal)),
)
DAY = np.timedelta64(1, "D").astype("timedelta64[us]").astype(float)


def is_frame(value: Any) -> bool:
    """Whether it is a frame of pandas or polars."""
    return not isinstance(value, np.ndarray) and hasattr(value, "columns") and hasattr(value, "shape")


def read_frame(
    frame: Any,
    target: str | None,
    forms: Mapping[str, Form] | None,
    missing: tuple[str, ...],
    drop: tuple[str, ...],
    columns: Sequence[str] | None = None,
) -> RawTable:
    """The columns of a frame; of text what it stands for, as in a file. `forms` are those to read, in their form,
    `columns` those to read in any."""
    series = {_name(key, k): frame[key] for k, key in enumerate(frame.columns)}
    if len(series) < len(frame.columns):
        twice = [name for name, count in Counter(map(str, frame.columns)).items() if count > 1]
        raise DataError(
            f"the frame: expected different names of columns, got {', '.join(map(repr, twice[:3]))} twice"
        )
    if target is not None and target not in series:
        raise ArgumentError(
            f"the frame: no column {target!r} for the target; {did_you_mean(target, series)}; target=None reads "
            f"features only"
        )
    for name in drop:
        if name not in series:
            raise ArgumentError(
                f"the frame: there is no column {name!r} to drop; {did_you_mean(name, series)}"
            )
    if forms is not None:
        refuse_absent("the frame", forms, series)
    asked = forms if forms is not None else columns
    wanted = [
        name for name in series if name != target and name not in drop and (asked is None or name in asked)
    ]
    read = [_column(series[name], name, (forms or {}).get(name), missing) for name in wanted]
    left = {*wanted, target, *drop}
    values = None if target is None else _cells(series[target])
    return RawTable(len(frame), read, target, values, further=[name for name in series if name not in left])


def _name(key: Any, place: int) -> str:
    """A column's name as a file would have it: pandas calls those without one "Unnamed: 0"."""
    name = str(key).strip()
    return f"column {place + 1}" if name in ("", f"Unnamed: {place}") else name


def _column(series: Any, name: str, form: Form | None, missing: tuple[str, ...]) -> Column:
    array = np.asarray(series)
    is_text = is_category(series) or (form is not None and form.kind == "text")
    if array.dtype.kind == "O" and type(getattr(series, "dtype", None)).__name__ == "DatetimeTZDtype":
        array = np.asarray(series.dt.tz_convert("UTC").dt.tz_localize(None))
    if array.dtype.kind in "mM" and not is_text:
        return Column(name, Form("date" if array.dtype.kind == "M" else "number"), _days(array))
    if array.dtype.kind in "biuf" and not is_text:
        kind: Kind = "boolean" if array.dtype.kind == "b" else "number"
        return _of_numbers(name, kind, array.astype(np.float64), form, missing)
    cells = _cells(series)
    if not is_text:
        present = [each for each in cells.tolist() if each is not None]
        for kind, types in _NUMBERS:
            if present and all(isinstance(each, types) for each in present):
                values = [np.nan if each is None else _float(each) for each in cells.tolist()]
                return _of_numbers(name, kind, np.array(values), form, missing)
    texts = np.array([_as_text(each, name, k) for k, each in enumerate(cells.tolist(), 1)], object)
    return recognize(name, texts, "the frame", Form("text") if is_text else form, missing=missing)


def _of_numbers(name: str, kind: Kind, values: Array, form: Form | None, missing: Sequence[str]) -> Column:
    """A column of numbers in the form that is asked for: booleans may be written 0 and 1."""
    for word in missing:
        with contextlib.suppress(ValueError):
            values = np.where(values == float(word), np.nan, values)
    wanted = kind if form is None or {kind, form.kind} != {"number", "boolean"} else form.kind
    wrong, what = np.isinf(values), "a finite number"
    if wanted == "boolean":
        wrong, what = ~np.isin(values, (0, 1)) & ~np.isnan(values), "True or False, 1 or 0, as in training"
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"the frame: data row {row + 1}, column {name!r}: expected {what}, got {values[row]:g}; correct it, or "
            f"leave the row out"
        )
    return Column(name, Form(wanted), values)


def _float(number: Any) -> float:
    """A number of Python as a float, infinite where it is too large, NaN where it is a signal."""
    try:
        return float(number)
    except OverflowError:
        return math.inf
    except (ArithmeticError, ValueError):
        return math.nan


def _cells(series: Any) -> Array:
    """The cells of a column as objects, None where they are missing; numbers, booleans and dates as they are."""
    array = np.asarray(series)
    if array.dtype.kind in "biufmM" and not is_category(series):
        return array
    objects = array.astype(object)
    objects[np.asarray(series.isna() if hasattr(series, "isna") else series.is_null())] = None
    return objects


def _days(dates: Array) -> Array:
    """Days since 1970-01-01; of durations days."""
    exact = dates.astype("datetime64[us]" if dates.dtype.kind == "M" else "timedelta64[us]")
    days = exact.astype(np.int64) / DAY
    return np.where(np.isnat(exact), np.nan, days)


def _as_text(cell: Any, name: str, row: int) -> str:
    """A cell as a file would hold it; "" where it is missing."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, (list, tuple, dict, set, np.ndarray)) or hasattr(cell, "to_list"):
        raise DataError(
            f"the frame: data row {row}, column {name!r}: expected a number or text, got a "
            f"{type(cell).__name__}; make columns of its parts, or leave the column out, drop=[{name!r}]"
        )
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
