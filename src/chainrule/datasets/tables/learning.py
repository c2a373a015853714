"""Learning from the columns of a table how they become numbers, by scikit-learn's own transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.bounded import refuse_width
from chainrule.datasets.tables.column import Column, Kind
from chainrule.datasets.tables.preparation import PERIODS, Encoding, Preparation, turns
from chainrule.datasets.tables.targets import FEW, OF_ROWS
from chainrule.errors import DataError

MOST_CATEGORIES = 100
INDICATED = 0.05
"""From this share of missing cells on a further column says where they are."""
ROUND = 0.1
"""By so much the sine or cosine of a cycle differs from row to row: of a year by a week or so."""
AT_ONCE = 1 << 20
"""So many numbers are copied at once."""
COUNTS_ROWS = frozenset(
    [
        *("column 1", "id", "index", "row", "rows", "rownames", "rownumber", "row_number", "row_id", "rowid"),
        *("nr", "no", "no.", "#", "obs"),
    ]
)
_FLOAT32 = float(np.finfo(np.float32).eps)


def learn(
    columns: Sequence[Column],
    *,
    most_categories: int = MOST_CATEGORIES,
    missing: Sequence[str] = (),
    left_out: Sequence[tuple[str, str]] = (),
    where: str = "",
) -> Preparation:
    """Learn a preparation from the rows of training.

    `RobustScaler` finds the median of numbers and dates, `SimpleImputer` the most frequent boolean and text, and
    `OneHotEncoder` the categories. A column is left out, and its reason kept beside `left_out`, where no row has a
    value, where text is the same in all rows, has more different values than `most_categories`, or so many that it
    names the rows. `missing` are the words that stood for a missing cell, which are kept.
    `where` begins the messages of errors.

    Raises: DataError where no column is left, or too many come of them.
    """
    rows = len(columns[0].values) if columns else 0
    reasons = {column.name: useless(column, most_categories) for column in columns}
    kept = [column for column in columns if not reasons[column.name]]
    left = (*left_out, *((name, reason) for name, reason in reasons.items() if reason))
    if not kept:
        shown = "; ".join(f"{name!r}: {reason}" for name, reason in left[:5])
        raise DataError(
            f"{where}expected a column to learn from, got none: {shown or 'the target is the only column'}"
        )
    found = Preparation(tuple(_encodings(kept)), left, rows, missing=tuple(missing))
    refuse_width(f"{where}the columns with a 0 or 1 for each text", len(found.names))
    return found


def refuse_gaps(columns: Sequence[Column], most_categories: int, numbers: Array, where: str) -> None:
    """Refuse what `learn` would leave out or fill in; `numbers` are those of the rows, as errors say them."""
    for column in columns:
        if reason := useless(column, most_categories):
            raise DataError(
                f"{where}column {column.name!r}: {reason}; strict refuses it: leave it out, drop=[{column.name!r}]"
            )
        if column.missing.any():
            row = numbers[int(column.missing.argmax())]
            raise DataError(
                f"{where}data row {row}, column {column.name!r}: the value is missing; strict refuses it: fill it "
                f"in, or take the row out of the file"
            )


def counts_rows(column: Column) -> bool:
    """Whether a column has the name of one that counts the rows of the whole table, and does."""
    if column.form.kind != "number" or column.name.strip().lower() not in COUNTS_ROWS:
        return False
    return len(column.values) > 2 and bool((np.diff(column.values) == 1).all())


def useless(column: Column, most: int) -> str:
    """Why a column is not used; "" where it is."""
    rows = len(column.values)
    present = column.values[~column.missing] if column.missing.any() else column.values
    if not len(present):
        return "no row has a value"
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


def _encodings(columns: Sequence[Column]) -> list[Encoding]:
    """How the columns become numbers, in their order; those of a kind are learnt together, some at once."""
    ways: tuple[tuple[tuple[Kind, ...], Callable[[list[Column], Array], Iterable[Encoding]]], ...] = (
        (("number", "date"), _of_quantities),
        (("boolean",), _of_booleans),
        (("text",), _of_texts),
    )
    found: dict[str, Encoding] = {}
    at_once = max(1, AT_ONCE // max(1, len(columns[0].values)))
    for kinds, learnt in ways:
        alike = [column for column in columns if column.form.kind in kinds]
        for start in range(0, len(alike), at_once):
            part = alike[start : start + at_once]
            block = np.column_stack([_with_nan(column) for column in part])
            found |= {each.name: each for each in learnt(part, block)}
    return [found[column.name] for column in columns]


def _of_quantities(columns: list[Column], block: Array) -> Iterator[Encoding]:
    """Numbers and dates: the medians, as SimpleImputer has them; RobustScaler finds the same, faster."""
    from sklearn.preprocessing import RobustScaler

    with np.errstate(all="ignore"):  # of numbers near the largest float
        medians = RobustScaler(with_scaling=False).fit(block).center_
        least, most = np.nanmin(block, axis=0), np.nanmax(block, axis=0)
        medians = np.clip(medians, least, most)
        means, deviations = np.nanmean(block, axis=0), np.nanstd(block, axis=0)
        too_fine = (deviations > 0) & (np.abs(means) * _FLOAT32 > deviations / 100) & np.isfinite(means)
    each = zip(columns, medians.tolist(), too_fine.tolist(), least.tolist(), most.tolist(), strict=True)
    for column, median, shared, *span in each:
        offset, cycles = median if shared else 0.0, tuple[str, ...]()
        if column.form.kind == "date":
            days = column.values[~column.missing]
            offset, cycles = float(np.floor(days.min())), _cycles(days)
        yield Encoding(
            column.name,
            column.form,
            median,
            offset=offset,
            cycles=cycles,
            span=(span[0], span[1]),
            **_missing(column),
        )


def _of_booleans(columns: list[Column], block: Array) -> Iterator[Encoding]:
    for column, fill in zip(columns, _most_frequent(block), strict=True):
        yield Encoding(column.name, column.form, fill, span=_span(column), **_missing(column))


def _of_texts(columns: list[Column], block: Array) -> Iterator[Encoding]:
    """Text: what is most frequent, and the texts that are there, in their order."""
    from sklearn.preprocessing import OneHotEncoder

    fills = _most_frequent(block)
    codes = OneHotEncoder().fit(np.where(np.isnan(block), fills, block)).categories_
    for column, fill, of_column in zip(columns, fills, codes, strict=True):
        categories = tuple(column.texts[int(code)] for code in of_column)
        yield Encoding(
            column.name, column.form, column.texts[int(fill)], categories=categories, **_missing(column)
        )


def _most_frequent(block: Array) -> list[float]:
    from sklearn.impute import SimpleImputer

    found: list[float] = SimpleImputer(strategy="most_frequent").fit(block).statistics_.tolist()
    return found


def _span(column: Column) -> tuple[float, float]:
    return float(np.nanmin(column.values)), float(np.nanmax(column.values))


def _missing(column: Column) -> dict[str, Any]:
    """How many cells are missing, and whether a column says where."""
    missing = int(column.missing.sum())
    return {"missing": missing, "indicator": missing > 0 and missing >= INDICATED * len(column.values)}


def _with_nan(column: Column) -> Array:
    """The values as floats, NaN where a cell is missing."""
    return np.where(column.missing, np.nan, column.values) if column.form.kind == "text" else column.values


def _cycles(days: Array) -> tuple[str, ...]:
    """The cycles in which these dates stand in different places, and that they go through at least once."""
    span = float(np.ptp(days))
    return tuple(
        cycle
        for cycle, period in PERIODS.items()
        if (span >= period or period == 1) and max(np.ptp(each) for each in turns(days, cycle)) > ROUND
    )
