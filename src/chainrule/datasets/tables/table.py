"""Tables of numbers with a target column, from CSV and NumPy files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chainrule.arrays import Array, first_not_finite
from chainrule.datasets.tables.array_files import read_npy, read_npz
from chainrule.datasets.tables.column import Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.raw import RawMatrix
from chainrule.datasets.tables.targets import Task, as_targets
from chainrule.datasets.tables.text_files import read_text
from chainrule.errors import ArgumentError, DataError


@dataclass(frozen=True, eq=False)
class Table:
    """A table to train on or predict from.

    Classification has `classes`, the meaning of each label; regression has none. `notes` says what was decided
    without being asked: whether whole numbers are classes.

    Shapes: x (N, D); t (N,) labels 0 to K-1, or (N, 1) numbers, or None without a target; columns D names.
    dtype: x float64 (float32 where an array file holds it); t int64 for classes, float64 for numbers.
    """

    x: Array
    t: Array | None
    columns: list[str]
    target: str | None
    classes: list[str] | None
    notes: list[str] = field(default_factory=list)


def load_table(
    path: str | os.PathLike[str],
    target: str | int | None = "t",
    *,
    columns: Sequence[str] | None = None,
    task: Task | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> Table:
    """Read a .csv, .tsv, .txt, .tab, .data, .npz or .npy file; text files may be packed, with .gz behind.

    `target` names the target column of a CSV file, the target array beside `x` in an .npz file, or the
    position of the target column in an .npy file; None reads features only, to predict from. Text and
    booleans make it a classification, with labels in sorted order, and so do whole numbers of two different
    values, or of at most 20 with at least 5 rows of each on average; other numbers make it a regression.
    `task` decides where that guess is wrong, and the table's `notes` say what it was.

    `columns` are the features to use, in that order, as a table that was trained on listed them; further
    ones are ignored. The columns of array files are called x0, x1, ... by their position.
    How a text file is written (separator, encoding, decimal comma, header) is found from it, unless given.

    Shapes: see Table.
    dtype: see Table.
    Raises: FileError when the file is missing, unreadable, damaged, or not what its ending says. DataError
    when the content is wrong: text or a missing value among the features (with its column, and its row,
    counted from 1 without the header), columns that are missing or twice there, ragged rows, no rows.
    ArgumentError when there is no such target.
    """
    if isinstance(columns, str):
        raise ArgumentError(f"load_table: expected columns as a list, got the text {columns!r}")
    if columns is not None and len(set(columns)) < len(columns):
        raise ArgumentError(f"load_table: expected different columns, got {list(columns)}")
    if task not in (None, "classification", "regression"):
        raise ArgumentError(f"load_table: expected task 'classification' or 'regression', got {task!r}")
    raw, found = _read(Path(path), target, columns, separator, encoding)
    if raw.x.shape[1] == 0:
        raise DataError(f"{path}: expected at least one feature beside the target, got none")
    if raw.x.shape[0] == 0:
        raise DataError(f"{path}: expected at least one row of data, got none")
    if (place := first_not_finite(raw.x)) is not None:
        row, column = place
        raise DataError(
            f"{path}: data row {row + 1}, column {raw.columns[column]!r}: expected a finite number, got "
            f"{raw.x[row, column]}; fill the value in or leave the row out"
        )
    if raw.target_values is None:
        return Table(raw.x, None, raw.columns, None, None, found)
    t, classes, notes = as_targets(raw.target_values, f"{path}: target {raw.target!r}", task)
    return Table(raw.x, t, raw.columns, raw.target, classes, found + notes)


def _read(
    path: Path,
    target: str | int | None,
    columns: Sequence[str] | None,
    separator: str | None,
    encoding: str | None,
) -> tuple[RawMatrix, list[str]]:
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in (".csv", ".tsv", ".txt", ".tab", ".data"):
        return _read_text(path, target, columns, Dialect(separator=separator, encoding=encoding))
    if ending == ".npz":
        return read_npz(path, target, columns), []
    if ending == ".npy":
        return read_npy(path, target, columns), []
    raise ArgumentError(
        f"{path}: expected a file that ends in .csv, .tsv, .txt, .tab, .data, .npz or .npy, got {ending or 'none'}"
    )


def _read_text(
    path: Path, target: str | int | None, columns: Sequence[str] | None, dialect: Dialect
) -> tuple[RawMatrix, list[str]]:
    forms = None if columns is None else dict.fromkeys(columns, Form("number"))
    raw = read_text(path, None if isinstance(target, int) else target, forms, dialect)
    if isinstance(target, int):
        raise ArgumentError(f"{path}: expected the name of the target column, got the number {target}")
    chosen = {each.name: each.values for each in raw.columns if each.form.kind in ("number", "boolean")}
    names = list(chosen if columns is None else columns)
    x = np.column_stack([chosen[name] for name in names]) if names else np.empty((raw.rows, 0))
    return RawMatrix(x, names, raw.target, raw.target_values), raw.notes
