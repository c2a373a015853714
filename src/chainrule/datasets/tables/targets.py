"""Turning a target column into labels or numbers."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from chainrule.arrays import Array, first_not_finite
from chainrule.datasets.tables.dates_in_text import read_dates
from chainrule.datasets.tables.numbers_in_text import read_numbers
from chainrule.datasets.tables.recognize import Cells, absent_texts
from chainrule.errors import DataError, warn
from chainrule.incoming import without_case
from chainrule.text import brief, counted, percent

Task: TypeAlias = Literal["classification", "regression"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_ESTIMATED = "numbers to estimate"
#: Whole numbers are classes where at most this many differ, with this many rows of each on average.
MOST_CLASSES, ROWS_OF_EACH = 20, 5
FEW, OF_ROWS = 10, 0.5
"""Text of more different values than FEW, and than this share of the rows, names the rows."""
LARGEST = 1e6  # number of a class that is written with decimals


class Targets(NamedTuple):
    """Labels and the classes they stand for, or numbers and None; and what was decided without being asked."""

    t: Array
    classes: list[str] | None
    notes: list[str]


def targets_of(
    values: Array,
    name: str,
    task: Task | None = None,
    words: Collection[str] = (),
    strict: bool = False,
    decimal: str | None = None,
) -> tuple[Targets, Array]:
    """Labels and their classes, or numbers and None, from a column that errors call `name`; and which rows have
    one.

    Unless `task` says which, text and booleans are classes, and so are whole numbers of two different values, or of
    at most 20 with at least 5 rows of each on average; other numbers are a regression. `notes` says what numbers
    were taken for, and which rows have no target: NA, None, ?, and their like, or one of the `words`. Warns of
    classes that differ by case or spaces only. `decimal` is the likely decimal sign of numbers that are text.

    Shapes: values (N,) or (N, 1) -> t (M,) for classes, (M, 1) for numbers, of M rows that have one; which (N,).
    dtype: text, bool, integer or float -> int64 for classes, float64 for numbers; which bool.
    Raises: DataError when a value is infinite, or text among numbers, naming the row; when no row has one; with
    `strict` when one is missing.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"{name}: expected shape (N,) or (N, 1), got {values.shape}; turn one-hot rows into labels with "
            f"argmax(axis=1)"
        )
    if values.dtype.kind not in "biufOUT":
        kind = "dates or times" if values.dtype.kind in "mM" else str(values.dtype)
        raise DataError(f"{name}: expected text, booleans or numbers, got {kind}; make a number of each")
    cells = None if values.dtype.kind in "biuf" else _cells(values)
    if cells is None:
        present = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    else:
        present = ~np.array([*absent_texts(cells.texts, words), True], bool)[cells.codes]
    rows = np.flatnonzero(present) + 1
    if not len(rows):
        raise DataError(f"{name}: expected values, got none: all {len(values):,} are missing")
    notes = []
    if len(rows) < len(values):
        first = int(present.argmin())
        shown = "" if cells is None else f" ({brief(cells.text(first))})"
        if strict:
            raise DataError(
                f"{name}, data row {first + 1}: the value is missing{shown}; strict refuses it: leave the row out"
            )
        count = counted(len(values) - len(rows), "row without a target is", "rows without a target are")
        notes = [f"{name}: {count} left out, the first is data row {first + 1}{shown}"]
    if cells is None:
        found = _from_numbers(values[present], name, task, rows)
    else:
        found = _from_text(cells, name, task, rows, decimal)
    return found._replace(notes=[*notes, *found.notes]), present


def _cells(values: Array) -> Cells:
    """The different texts, and which of them each row has, however long they are."""
    import pandas

    codes, texts = pandas.factorize(np.asarray(values, object))
    return Cells.of("", [str(text) for text in texts], codes)


def _from_numbers(values: Array, name: str, task: Task | None, rows: Array) -> Targets:
    if (bad := first_not_finite(values)) is not None:
        raise DataError(f"{name}, data row {rows[bad[0]]}: expected a finite number, got {values[bad]}")
    distinct, labels = np.unique(values, return_inverse=True)
    kind, notes = _decided(distinct, len(values), name, task)
    if kind == "regression":
        return Targets(values.astype(np.float64).reshape(-1, 1), None, notes)
    return Targets(labels.astype(np.int64), [_written(value) for value in distinct.tolist()], notes)


def _decided(distinct: Array, rows: int, name: str, task: Task | None) -> tuple[Task, list[str]]:
    """Whether a column of these different numbers holds classes, and a note where that is a guess."""
    count, is_float = len(distinct), distinct.dtype.kind == "f"
    few = count <= 2 or (count <= MOST_CLASSES and rows >= ROWS_OF_EACH * count)
    if task is not None or distinct.dtype.kind == "b":
        return task or "classification", []
    looks_like_classes = (
        few and bool((distinct == np.floor(distinct)).all()) and abs(distinct).max() < LARGEST
    )
    if is_float and not looks_like_classes:
        return "regression", []
    two = count <= 2 and rows >= ROWS_OF_EACH * count  # 0.0 and 1.0 are written where some rows have none
    kind: Task = "classification" if two or (few and not is_float) else "regression"
    if kind == "classification" and count <= 2 and not is_float:
        return kind, []
    taken, other = ("classes", _ESTIMATED) if kind == "classification" else (_ESTIMATED, "classes")
    unless = "regression" if kind == "classification" else "classification"
    return kind, [
        f"{name} holds {count:,} different whole numbers: taken as {taken}; task={unless!r} if "
        f"they are {other}"
    ]


def _from_text(cells: Cells, name: str, task: Task | None, rows: Array, decimal: str | None) -> Targets:
    used, first, labels, counts = np.unique(
        cells.codes[rows - 1], return_index=True, return_inverse=True, return_counts=True
    )
    texts = [cells.texts[code] for code in used.tolist()]
    row_of = dict(zip(texts, rows[first].tolist(), strict=True))
    if all(_WHOLE.fullmatch(text) for text in texts):
        # "1" and "01" are one class; int() keeps numbers exact that float() would merge.
        return _from_numbers(np.array([int(text) for text in texts], np.int64)[labels], name, task, rows)
    notes = []
    if task != "classification":
        read = read_numbers(texts, counts, likely=decimal)
        wrong, shares = np.isnan(read.values), counts / counts.sum()
        if task == "regression" or _are_numbers(read.values, counts):
            for text in sorted((texts[k] for k in np.flatnonzero(wrong)), key=lambda each: row_of[each])[:1]:
                raise DataError(
                    f"{name}, data row {row_of[text]}: expected a number as in other rows, got {brief(text)}; "
                    f"correct it, or pass task='classification' if it is a class"
                )
            for k in np.flatnonzero(np.isinf(read.values))[:1].tolist():
                raise DataError(
                    f"{name}, data row {row_of[texts[k]]}: expected a finite number, got {brief(texts[k])}"
                )
            said = [f"{name} is read as numbers written {read.example!r}"] if read.example else []
            found = _from_numbers(read.values[labels], name, task, rows)
            return found._replace(notes=[*said, *found.notes])
        if not wrong.all():
            share = percent(float(shares[~wrong].sum()))
            notes = [f"{name} holds text, and numbers in {share} of the rows: taken as classes"]
        if (dates := read_dates(texts)) is not None:
            raise DataError(
                f"{name}: expected classes or numbers, got dates ({dates.written}) such as {brief(texts[0])}; "
                f"make a number of them, such as the days since the first"
            )
    elif all(_NUMBER.fullmatch(text) for text in texts):
        return _from_numbers(np.array([float(text) for text in texts])[labels], name, task, rows)
    if len(texts) > FEW and len(texts) > OF_ROWS * len(rows):
        raise DataError(
            f"{name}: expected classes with several rows each, got text that differs from row to row "
            f"({len(texts):,} different in {len(rows):,} rows); name another column as the target"
        )
    _warn_of_spellings(row_of, name)
    order = sorted(range(len(texts)), key=lambda k: texts[k])
    place = np.empty(len(texts), np.int64)
    place[order] = np.arange(len(texts))
    return Targets(place[labels], [texts[k] for k in order], notes)


def _are_numbers(numbers: Array, counts: Array) -> bool:
    """Whether a column of which some texts are no numbers, NaN here, holds numbers with mistakes, and not classes
    of which some have a number as their name.
    """
    found = ~np.isnan(numbers)
    if found.all():
        return True
    named = len(numbers) <= MOST_CLASSES and bool((numbers[found] == np.floor(numbers[found])).all())
    is_class = named and counts.sum() >= ROWS_OF_EACH * len(numbers)
    return not is_class and bool(counts[found].sum() >= counts.sum() / 2)


def _warn_of_spellings(rows: dict[str, int], name: str) -> None:
    """Warn of two classes that differ by case or spaces only."""
    seen: dict[str, str] = {}
    for text, row in sorted(rows.items(), key=lambda each: each[1]):
        other = seen.setdefault(without_case(text), text)
        if other != text:
            first, second = f"{brief(other)} (data row {rows[other]})", f"{brief(text)} (data row {row})"
            warn(
                f"{name}: the classes {first} and {second} differ by case or spaces only: write them alike if they "
                f"are one"
            )


def _written(value: float | bool) -> str:
    """A class as people write it: 3 for 3.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
