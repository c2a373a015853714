"""Learning from the columns of a table how they become numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.bounded import refuse_width
from chainrule.datasets.tables.column import Column
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

    Of numbers and dates that is the median, of booleans the most frequent, of text the most frequent and the
    categories, as scikit-learn's `SimpleImputer` and `OneHotEncoder` find them (importing these takes two seconds).
    A column is left out, and its reason kept beside `left_out`, where no row has a value, where text is the same in
    all rows, has more different values than `most_categories`, or so many that it names the rows. `missing` are the
    words that stood for a missing cell, which are kept. `where` begins the messages of errors.

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
    """How the columns become numbers, in their order; those of quantities are learnt together, some at once."""
    quantities = [column for column in columns if column.form.kind in ("number", "date")]
    at_once = max(1, AT_ONCE // max(1, len(columns[0].values)))
    found: dict[str, Encoding] = {}
    for start in range(0, len(quantities), at_once):
        found |= {each.name: each for each in _of_quantities(quantities[start : start + at_once])}
    return [found.get(column.name) or _of_kinds(column) for column in columns]


def _of_quantities(columns: list[Column]) -> Iterator[Encoding]:
    """Numbers and dates: the medians."""
    block = np.column_stack([column.values for column in columns])
    with np.errstate(all="ignore"):  # of numbers near the largest float
        least, most = np.nanmin(block, axis=0), np.nanmax(block, axis=0)
        medians = np.clip(np.nanmedian(block, axis=0), least, most)
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


def _of_kinds(column: Column) -> Encoding:
    """Booleans and text: the most frequent, the first of several; of text also all that are there, in order."""
    counts = np.bincount(column.values[~column.missing].astype(np.intp))
    fill = int(counts.argmax())
    if column.form.kind == "boolean":
        return Encoding(column.name, column.form, float(fill), span=_span(column), **_missing(column))
    categories = tuple(column.texts[code] for code in np.flatnonzero(counts))
    return Encoding(column.name, column.form, column.texts[fill], categories=categories, **_missing(column))


def _span(column: Column) -> tuple[float, float]:
    return float(np.nanmin(column.values)), float(np.nanmax(column.values))


def _missing(column: Column) -> dict[str, Any]:
    """How many cells are missing, and whether a column says where."""
    missing = int(column.missing.sum())
    return {"missing": missing, "indicator": missing > 0 and missing >= INDICATED * len(column.values)}


def _cycles(days: Array) -> tuple[str, ...]:
    """The cycles in which these dates stand in different places, and that they go through at least once."""
    span = float(np.ptp(days))
    return tuple(
        cycle
        for cycle, period in PERIODS.items()
        if (span >= period or period == 1) and max(np.ptp(each) for each in turns(days, cycle)) > ROUND
    )
