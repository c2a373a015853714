"""Learning from the columns of a table how they become numbers, by scikit-learn's own transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column
from chainrule.datasets.tables.preparation import PERIODS, Encoding, Preparation
from chainrule.datasets.tables.targets import FEW, OF_ROWS
from chainrule.errors import DataError

MOST_CATEGORIES = 100
INDICATED = 0.05
"""From this share of missing cells on a further column says where they are."""
AT_ONCE = 1 << 20
"""So many numbers are copied at once."""
COUNTS_ROWS = frozenset(
    ["column 1", "id", "index", "row", "rows", "rownames", "row_id", "rowid", "nr", "no", "no.", "#", "obs"]
)
_FLOAT32 = float(np.finfo(np.float32).eps)


def learn(
    columns: Sequence[Column],
    *,
    most_categories: int = MOST_CATEGORIES,
    strict: bool = False,
    where: str = "",
) -> Preparation:
    """Learn a preparation from the rows of training.

    `SimpleImputer` finds the median of numbers and dates and the most frequent boolean and text, `OneHotEncoder`
    the categories. A column is left out, and its reason kept, where no row has a value, where it is text that is
    the same in every row, has more different values than `most_categories`, or so many that it names the rows, and
    where it only counts the rows. `where` begins the messages of errors.

    Raises: DataError where no column is left; with `strict`, where one would be left out, or a cell filled in.
    """
    rows = len(columns[0].values) if columns else 0
    kept: list[Column] = []
    left_out: list[tuple[str, str]] = []
    for column in columns:
        if reason := _useless(column, rows, most_categories):
            left_out.append((column.name, reason))
        else:
            kept.append(column)
    if strict and left_out:
        name, reason = left_out[0]
        raise DataError(f"{where}column {name!r}: {reason}; strict refuses it: leave it out, drop=[{name!r}]")
    if not kept:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in left_out[:5])
        raise DataError(
            f"expected a column to learn from, got none: {reasons or 'the target is the only column'}"
        )
    encodings: list[Encoding] = []
    for column, fill in zip(kept, _fills(kept), strict=True):
        missing = int(column.missing.sum())
        if strict and missing:
            row = int(column.missing.argmax())
            raise DataError(
                f"{where}data row {row + 1}, column {column.name!r}: the value is missing; fill it in or leave the "
                f"row out"
            )
        encodings.append(_encoding(column, fill, missing))
    return Preparation(tuple(encodings), tuple(left_out), rows)


def _useless(column: Column, rows: int, most: int) -> str:
    """Why a column is not used; "" where it is."""
    present = column.values[~column.missing] if column.missing.any() else column.values
    if not len(present):
        return "no row has a value"
    counts = column.form.kind == "number" and column.name.strip().lower() in COUNTS_ROWS and rows > 2
    if counts and len(present) == rows and (np.diff(present) == 1).all():
        return "it counts the rows"
    if column.form.kind != "text":
        return ""
    different = len(np.unique(present))
    if different == 1 and len(present) == rows:
        return "the same text in every row"
    if different > FEW and different > OF_ROWS * rows:
        return f"text that differs from row to row ({different:,} different in {rows:,} rows)"
    if different > most:
        return f"text of {different:,} different values; most_categories={different} would take it"
    return ""


def _fills(columns: Sequence[Column]) -> Iterator[float | str]:
    """What stands in for a missing cell of each column."""
    by_kind: dict[bool, list[int]] = {}
    for k, column in enumerate(columns):
        by_kind.setdefault(column.form.kind in ("number", "date"), []).append(k)
    found: dict[int, float] = {}
    for is_median, places in by_kind.items():
        found |= zip(places, _imputed([columns[k] for k in places], is_median), strict=True)
    for k, column in enumerate(columns):
        yield column.texts[int(found[k])] if column.form.kind == "text" else found[k]


def _imputed(columns: Sequence[Column], is_median: bool) -> Iterator[float]:
    """The median, or the most frequent value, of each column, as SimpleImputer finds it."""
    from sklearn.impute import SimpleImputer

    at_once = max(1, AT_ONCE // max(1, len(columns[0].values)))
    for start in range(0, len(columns), at_once):
        block = np.column_stack([_with_nan(each) for each in columns[start : start + at_once]])
        imputer = SimpleImputer(strategy="median" if is_median else "most_frequent").fit(block)
        yield from imputer.statistics_.tolist()


def _with_nan(column: Column) -> Array:
    """The values as floats, NaN where a cell is missing."""
    if column.form.kind != "text":
        return column.values
    return np.where(column.missing, np.nan, column.values)


def _encoding(column: Column, fill: float | str, missing: int) -> Encoding:
    indicator = missing >= INDICATED * len(column.values) and missing > 0
    kind = column.form.kind
    if kind == "text":
        return Encoding(
            column.name,
            column.form,
            fill,
            indicator,
            categories=_categories(column, str(fill)),
            missing=missing,
        )
    offset, cycles = 0.0, tuple[str, ...]()
    if kind == "date":
        days = column.values[~column.missing]
        offset, cycles = float(np.floor(days.min())), _cycles(days)
    elif kind == "number":
        offset = _offset(column.values, float(fill))
    return Encoding(column.name, column.form, float(fill), indicator, offset, cycles=cycles, missing=missing)


def _categories(column: Column, fill: str) -> tuple[str, ...]:
    """The texts that are there, in their order, as OneHotEncoder finds them."""
    from sklearn.preprocessing import OneHotEncoder

    codes = np.where(column.missing, column.texts.index(fill), column.values).reshape(-1, 1)
    return tuple(column.texts[code] for code in OneHotEncoder().fit(codes).categories_[0].tolist())


def _cycles(days: Array) -> tuple[str, ...]:
    """The cycles in which these dates stand in different places, and that they go through at least once."""
    span = float(np.ptp(days))
    return tuple(
        cycle
        for cycle, period in PERIODS.items()
        if (span >= period or period == 1)
        and float(np.ptp(days % period)) > 1e-6
        and not (period == 1 and span == 0)
    )


def _offset(values: Array, median: float) -> float:
    """What to take from a column whose differences float32 would not hold beside its size; mostly 0."""
    with np.errstate(all="ignore"):
        mean, deviation = float(np.nanmean(values)), float(np.nanstd(values))
    too_fine = deviation > 0 and abs(mean) * _FLOAT32 > deviation / 100
    return median if too_fine and np.isfinite(median) else 0.0
