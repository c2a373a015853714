"""The columns of a frame of pandas or polars, as those of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
) -> RawTable:
    """The columns of a frame; of text what it stands for, as in a file. `forms` are those to read, in their
    form."""
    names = [str(name) for name in frame.columns]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f"the frame: expected different names of columns, got {', '.join(map(repr, twice[:3]))} twice"
        )
    if target is not None and target not in names:
        raise ArgumentError(
            f"the frame: no column {target!r} for the target; {did_you_mean(target, names)}; target=None reads "
            f"features only"
        )
    for name in drop:
        if name not in names:
            raise ArgumentError(
                f"the frame: there is no column {name!r} to drop; {did_you_mean(name, names)}"
            )
    if forms is not None:
        refuse_absent("the frame", forms, names)
    wanted = {
        name for name in names if name != target and name not in drop and (forms is None or name in forms)
    }
    columns = [
        _column(frame[key], name, (forms or {}).get(name), missing)
        for key, name in zip(frame.columns, names, strict=True)
        if name in wanted
    ]
    values = None
    if target is not None:
        values = _cells(frame[next(key for key in frame.columns if str(key) == target)])
    further = [name for name in names if name not in wanted and name != target and name not in drop]
    return RawTable(len(frame), columns, target, values, further=further)


def _column(series: Any, name: str, form: Form | None, missing: tuple[str, ...]) -> Column:
    array = np.asarray(series)
    is_text = is_category(series) or (form is not None and form.kind == "text")
    if array.dtype.kind == "O" and type(getattr(series, "dtype", None)).__name__ == "DatetimeTZDtype":
        array = np.asarray(series.dt.tz_convert("UTC").dt.tz_localize(None))
    if array.dtype.kind in "mM" and not is_text:
        return Column(name, Form("date" if array.dtype.kind == "M" else "number"), _days(array))
    if array.dtype.kind in "biuf" and not is_text:
        kind: Kind = "boolean" if array.dtype.kind == "b" else "number"
        return Column(name, _agreed(kind, form), array.astype(np.float64))
    cells = _cells(series)
    if not is_text:
        present = [each for each in cells.tolist() if each is not None]
        for kind, types in _NUMBERS:
            if present and all(isinstance(each, types) for each in present):
                values = [np.nan if each is None else float(each) for each in cells.tolist()]
                return Column(name, _agreed(kind, form), np.array(values))
    texts = np.array([_as_text(each) for each in cells.tolist()], object)
    return recognize(name, texts, "the frame", Form("text") if is_text else form, missing=missing)


def _agreed(kind: Kind, form: Form | None) -> Form:
    """The form that is asked for where the numbers may be it: booleans may be written 0 and 1."""
    return Form(kind) if form is None or {kind, form.kind} != {"number", "boolean"} else Form(form.kind)


def _cells(series: Any) -> Array:
    """The cells of a column as objects, None where they are missing; numbers and booleans as they are."""
    array = np.asarray(series)
    if array.dtype.kind in "biuf" and not is_category(series):
        return array
    objects = array.astype(object)
    objects[np.asarray(series.isna() if hasattr(series, "isna") else series.is_null())] = None
    return objects


def _days(dates: Array) -> Array:
    """Days since 1970-01-01; of durations days."""
    exact = dates.astype("datetime64[us]" if dates.dtype.kind == "M" else "timedelta64[us]")
    days = exact.astype(np.int64) / DAY
    return np.where(np.isnat(exact), np.nan, days)


def _as_text(cell: Any) -> str:
    """A cell as a file would hold it; "" where it is missing."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
