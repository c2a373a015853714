"""Reading tables from files and frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arguments import one_of, whole_number
from chainrule.arrays import first_not_finite
from chainrule.datasets.tables.array_files import read_npy, read_npz
from chainrule.datasets.tables.column import Column, Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.frames import is_frame, read_frame
from chainrule.datasets.tables.learning import MOST_CATEGORIES, counts_rows, learn
from chainrule.datasets.tables.other_files import refuse_other
from chainrule.datasets.tables.preparation import Preparation
from chainrule.datasets.tables.raw import RawMatrix, RawTable, features_of, refuse_absent
from chainrule.datasets.tables.table import Features, Origin, Table, rows_of
from chainrule.datasets.tables.targets import Task, targets_of
from chainrule.datasets.tables.text_files import read_text
from chainrule.errors import ArgumentError, DataError
from chainrule.text import listed

TEXT, ARRAYS = (".csv", ".tsv", ".txt", ".tab", ".data"), (".npz", ".npy")
ENDINGS = (*TEXT, *ARRAYS)


def ending_of(path: Path) -> str:
    """How the name of a table's file ends: ".csv", also of "data.csv.gz"."""
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending == ".gz" else ending


def stem_of(path: str | os.PathLike[str]) -> str:
    """The name of a table's file without its ending: "data" of "tables/data.csv.gz"."""
    name = Path(path)
    return Path(name.stem).stem if name.suffix.lower() == ".gz" else name.stem


def load_table(
    path: str | os.PathLike[str] | Any,
    target: str | int | None = "t",
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    task: Task | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    missing: Sequence[str] = (),
    most_categories: int = MOST_CATEGORIES,
    preparation: Preparation | None = None,
    strict: bool = False,
) -> Table:
    """Read a table: a text file (.csv, .tsv, .txt, .tab, .data, also .gz), an array file (.npz, .npy), or a frame.

    `target` names the target column of a text file or a frame, the target array beside `x` in an .npz file, or
    the position of the target column in an .npy file; None reads features only, to predict from. Text and
    booleans make it a classification, with labels in sorted order, and so do whole numbers of two different
    values, or of at most 20 with at least 5 rows of each on average; other numbers make it a regression. `task`
    decides where that guess is wrong, and the table's `notes` say what it was. Rows without a target are left
    out, and said.

    How a text file is written is found from the file: `separator` (a character, or " " for any spaces), `decimal`
    ("." or ","), `encoding`, `header` (without one the columns are x0, x1, ...). What is given is obeyed. `missing`
    are further words for a missing cell, beside NA, None, ?, - and their like.

    Columns may be numbers, also written "1,5", "$3.20" or "10 %", booleans, dates, or text. Text becomes a column
    of 0 and 1 for each of at most `most_categories` different values; text of more, and what names or counts the
    rows, is left out. Missing cells take the median or the most frequent value, and where they are 5 % or more a
    column says where they were. `notes` say all that; `strict` makes errors of what would be left out, filled in,
    or was never seen. With a `preparation`, that of a table read before or of a network, `net.preparation`, the
    columns become the same numbers as there.

    `columns` are the features to use, in that order; further ones are ignored, as are those to `drop`. The columns
    of array files are called x0, x1, ... by their position, and hold numbers; NaN is a missing cell.

    Shapes: see Table.
    dtype: see Table.
    Raises: FileError when the file is missing, unreadable, damaged, not what its ending says, or would unpack to
    far more than it holds. DataError when the content is wrong, naming the cell: text in a column of numbers, an
    infinite number, ragged rows, no rows. ArgumentError when there is no such target.
    """
    for name, given in (("columns", columns), ("drop", drop), ("missing", missing)):
        if isinstance(given, str):
            raise ArgumentError(f"load_table: expected {name} as a list, got the text {given!r}")
    if columns is not None and len(set(columns)) < len(columns):
        raise ArgumentError(f"load_table: expected different columns, got {list(columns)}")
    if task is not None:
        one_of("task", task, ("classification", "regression"))
    if header not in (None, True, False):
        raise ArgumentError(f"header: expected True, False or None, got {header!r}")
    whole_number("most_categories", most_categories, 1)
    words = tuple(dict.fromkeys([*(preparation.missing if preparation else ()), *map(str, missing)]))
    dialect = Dialect(separator=separator, decimal=decimal, encoding=encoding, header=header, missing=words)
    where = "the frame" if is_frame(path) else str(path)
    raw = _read(path, target, columns, preparation, dialect, tuple(drop))
    rows = len(raw.x) if isinstance(raw, RawMatrix) else raw.rows
    if isinstance(raw, RawMatrix):
        notes, (features, names) = list[str](), _of_matrix(raw, drop, preparation, where)
    else:
        features, names = _chosen(raw, columns, where)
        further = [] if preparation is None else _said_of_further(raw.further, preparation, where, strict)
        notes = [f"{where}: {note}" for note in (*raw.notes, *further)]
    if not names:
        raise DataError(f"{where}: expected at least one feature beside the target, got none")
    if rows == 0:
        raise DataError(f"{where}: expected at least one row of data, got none")
    left_out = [(name, "it was to be left out") for name in drop]
    if preparation is None and columns is None:
        features, counting = _without_counts(features)
        left_out += [(name, "it counts the rows") for name in counting]
    learner = partial(
        learn, most_categories=most_categories, missing=words, left_out=left_out, where=f"{where}: "
    )
    origin = Origin(where, names, learner, strict)
    if raw.target_values is None:
        table = Table(origin, features, np.arange(1, rows + 1), None, None, None, notes, preparation)
    else:
        name = f"{where}: target {raw.target!r}"
        likely = "," if isinstance(raw, RawTable) and raw.dialect and raw.dialect.decimal == "," else None
        targets, present = targets_of(raw.target_values, name, task, words, strict, likely)
        kept = features if present.all() else rows_of(features, present)
        numbers, notes = np.flatnonzero(present) + 1, [*notes, *targets.notes]
        table = Table(origin, kept, numbers, targets.t, raw.target, targets.classes, notes, preparation)
    if strict and preparation is None:
        table.refuse_gaps(most_categories)
    return table


def _read(
    source: Any,
    target: str | int | None,
    columns: Sequence[str] | None,
    preparation: Preparation | None,
    dialect: Dialect,
    drop: tuple[str, ...],
) -> RawTable | RawMatrix:
    forms = None if preparation is None else preparation.forms
    for name in drop:
        if name in (forms or ()):
            raise ArgumentError(f"drop: the model was trained on the column {name!r}, and needs it")
    if is_frame(source):
        wanted = columns if forms is None else None
        return read_frame(
            source, None if target is None else str(target), forms, dialect.missing, drop, wanted
        )
    if not isinstance(source, (str, os.PathLike)):
        raise ArgumentError(
            f"load_table: expected the path of a file, or a frame of pandas or polars, got a "
            f"{type(source).__name__}"
        )
    path = Path(source)
    ending = ending_of(path)
    if ending in TEXT:
        if isinstance(target, int):
            raise ArgumentError(f"{path}: expected the name of the target column, got the number {target}")
        return read_text(path, target, forms, dialect, drop)
    if ending == ".npz":
        return read_npz(path, target, columns)
    if ending == ".npy":
        return read_npy(path, target, columns)
    refuse_other(path)
    raise ArgumentError(f"{path}: expected a file that ends in {', '.join(ENDINGS)}, got {ending or 'none'}")


def _said_of_further(further: list[str], preparation: Preparation, where: str, strict: bool) -> list[str]:
    """What is said of columns that training did not have."""
    known = {*dict(preparation.left_out), preparation.target}
    names = [repr(name) for name in further if name not in known]
    if names and strict:
        raise DataError(
            f"{where}: training had no column {names[0]}; strict refuses it: leave it out, drop=[{names[0]}]"
        )
    return [f"not used, since training had no such column: {listed(names)}"] if names else []


def _of_matrix(
    raw: RawMatrix, drop: Sequence[str], preparation: Preparation | None, where: str
) -> tuple[Features, list[str]]:
    """The features of an array file and their names: as one matrix where nothing is to be prepared."""
    x, names = raw.x, raw.columns
    if drop:
        refuse_absent(where, drop, names)
        kept = [k for k, name in enumerate(names) if name not in drop]
        x, names = x[:, kept], [names[k] for k in kept]
    if preparation is None and first_not_finite(x) is None:
        return x, names
    return [
        Column(name, Form("number"), x[:, k]) for k, name in enumerate(names)
    ], names  # NaN: a missing cell


def _without_counts(features: Features) -> tuple[Features, list[str]]:
    """The columns that do not count the rows of the whole table, if there are any, and the names of the others."""
    if isinstance(features, np.ndarray):
        return features, []
    counting = [each.name for each in features if counts_rows(each)]
    if len(counting) == len(features):
        return features, []
    return [each for each in features if each.name not in counting], counting


def _chosen(raw: RawTable, wanted: Sequence[str] | None, where: str) -> tuple[Features, list[str]]:
    """The columns that are asked for, in that order, or all; and their names."""
    by_name = {column.name: column for column in raw.columns}
    target = [] if raw.target is None else [raw.target]
    names = features_of(where, [*by_name, *target], raw.target, wanted)
    return [by_name[name] for name in names], names
