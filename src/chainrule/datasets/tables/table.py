"""Tables with a target column, from files and frames, as numbers to train on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from chainrule.arrays import Array, first_not_finite
from chainrule.datasets.tables.array_files import read_npy, read_npz
from chainrule.datasets.tables.column import Column, Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.frames import is_frame, read_frame
from chainrule.datasets.tables.learning import MOST_CATEGORIES, learn
from chainrule.datasets.tables.other_files import refuse_other
from chainrule.datasets.tables.preparation import AS_THEY_ARE, Preparation, Prepared, told_of
from chainrule.datasets.tables.raw import RawMatrix, RawTable, features_of
from chainrule.datasets.tables.targets import Task, targets_of
from chainrule.datasets.tables.text_files import read_text
from chainrule.errors import ArgumentError, DataError
from chainrule.randomness import held_out
from chainrule.text import listed

TEXT, ARRAYS = (".csv", ".tsv", ".txt", ".tab", ".data"), (".npz", ".npy")
ENDINGS = (*TEXT, *ARRAYS)

Learner: TypeAlias = Callable[[Sequence[Column]], Preparation]


def ending_of(path: Path) -> str:
    """How the name of a table's file ends: ".csv", also of "data.csv.gz"."""
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending == ".gz" else ending


def stem_of(path: str | os.PathLike[str]) -> str:
    """The name of a table's file without its ending: "data" of "tables/data.csv.gz"."""
    name = Path(path)
    return Path(name.stem).stem if name.suffix.lower() == ".gz" else name.stem


class Table:
    """A table to train on or to predict from, as numbers.

    `x` is what `preparation` makes of the columns: numbers as they are, missing cells filled in, text as columns of
    0 and 1. It is learnt from these rows, unless the table was read with one. `split` makes two tables, the second
    prepared as the first: nothing is learnt from rows to test on.

    Classification has `classes`, the meaning of each label; regression has none. `notes` says, a line each, what
    was decided without being asked, in reading the file and in preparing its columns.

    Shapes: x (N, D); t (N,) labels 0 to K-1, or (N, 1) numbers, or None without a target; columns D names.
    dtype: x float64 (float32 where an array file holds it); t int64 for classes, float64 for numbers.
    """

    def __init__(
        self,
        features: list[Column] | Array,
        names: list[str],
        t: Array | None,
        target: str | None,
        classes: list[str] | None,
        reading: list[str],
        learner: Learner,
        given: Preparation | None = None,
        strict: bool = False,
    ) -> None:
        self.t, self.target, self.classes = t, target, classes
        #: What was decided in reading the file, before its columns are prepared.
        self.reading = reading
        self._features, self._names, self._learner = features, names, learner
        self._given, self._strict = given, strict

    @cached_property
    def preparation(self) -> Preparation | None:
        """How the columns become numbers; None for an array file, whose numbers are used as they are."""
        if isinstance(self._features, np.ndarray) or self._given is not None:
            return self._given
        return replace(self._learner(self._features), target=self.target)

    @cached_property
    def prepared(self) -> Prepared:
        """The numbers, and what was done to the columns: labels and texts, a line a kind."""
        if isinstance(self._features, np.ndarray):
            return Prepared(self._features, [])
        if self._given is not None:
            return self._given.apply(self._features, strict=self._strict)
        learnt = self.preparation
        assert learnt is not None
        return Prepared(learnt.apply(self._features).x, told_of(learnt))

    @property
    def x(self) -> Array:
        """The numbers, a row for each row of the table."""
        return self.prepared.x

    @property
    def columns(self) -> list[str]:
        """The names of the columns of x."""
        return self._names if self.preparation is None else self.preparation.names

    @property
    def notes(self) -> list[str]:
        """What was decided without being asked, a line each."""
        done = [f"{label}: {text}" for label, text in self.prepared.lines if label != AS_THEY_ARE]
        return [*self.reading, *done]

    def __len__(self) -> int:
        features = self._features
        return len(features if isinstance(features, np.ndarray) else features[0].values)

    def rows(self, chosen: Array) -> Table:
        """The table of some of the rows, told by their positions or by a mask. What is learnt, is learnt of
        them."""
        return self._of_rows(chosen, self._given)

    def split(self, share: float = 0.2, seed: int = 0) -> tuple[Table, Table]:
        """The table to train on, and one to test on with this share of the rows, the same of every class.

        The second is prepared as the first, from which alone is learnt.

        Raises: DataError where there are too few rows.
        """
        if self.t is None:
            raise ArgumentError("split: this table has no target; name it, load_table(path, target)")
        if not 0 < share < 1:
            raise ArgumentError(f"split: expected a share between 0 and 1, such as 0.2, got {share!r}")
        held = held_out(len(self.t), share, seed, None if self.classes is None else self.t)
        if not held.any():
            of_each = "" if self.classes is None else f" of each of {len(self.classes)} classes"
            raise DataError(
                f"{len(self.t)} rows are too few to hold out a share of {share:g} for testing{of_each}"
            )
        train = self._of_rows(~held, self._given)
        return train, self._of_rows(held, train.preparation)

    def _of_rows(self, chosen: Array, given: Preparation | None) -> Table:
        features = self._features
        return Table(
            features[chosen]
            if isinstance(features, np.ndarray)
            else [each.rows(chosen) for each in features],
            self._names,
            None if self.t is None else self.t[chosen],
            self.target,
            self.classes,
            self.reading,
            self._learner,
            given,
            self._strict,
        )


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
    if task not in (None, "classification", "regression"):
        raise ArgumentError(f"load_table: expected task 'classification' or 'regression', got {task!r}")
    words = tuple(str(word) for word in missing)
    dialect = Dialect(separator=separator, decimal=decimal, encoding=encoding, header=header, missing=words)
    forms = None if preparation is None else preparation.forms
    where = "the frame" if is_frame(path) else str(path)
    raw = _read(path, target, columns, forms, dialect, tuple(drop))
    features: list[Column] | Array
    if isinstance(raw, RawMatrix):
        names, notes, features = raw.columns, [], raw.x
        if preparation is not None or first_not_finite(raw.x) is not None:  # NaN: a missing cell
            features = [Column(name, Form("number"), raw.x[:, k]) for k, name in enumerate(names)]
    else:
        features, notes = _chosen(raw, columns, where), raw.notes
        if preparation is not None:
            notes = [*notes, *_said_of_further(raw.further, preparation, where, strict)]
        notes = [f"{where}: {note}" for note in notes]
        names = [each.name for each in features]
    if not names:
        raise DataError(f"{where}: expected at least one feature beside the target, got none")
    if len(raw.x if isinstance(raw, RawMatrix) else raw.columns[0].values) == 0:
        raise DataError(f"{where}: expected at least one row of data, got none")
    learner = partial(learn, most_categories=most_categories, strict=strict, where=f"{where}: ")
    if raw.target_values is None:
        return Table(features, names, None, None, None, notes, learner, preparation, strict)
    name = f"{where}: target {raw.target!r}"
    found = raw.dialect if isinstance(raw, RawTable) else None
    decimal_sign = "," if found is not None and found.decimal == "," else None
    targets, present = targets_of(raw.target_values, name, task, words, strict, decimal_sign)
    table = Table(
        features,
        names,
        None,
        raw.target,
        targets.classes,
        [*notes, *targets.notes],
        learner,
        preparation,
        strict,
    )
    table = table if present.all() else table.rows(present)
    table.t = targets.t
    return table


def _read(
    source: Any,
    target: str | int | None,
    columns: Sequence[str] | None,
    forms: dict[str, Form] | None,
    dialect: Dialect,
    drop: tuple[str, ...],
) -> RawTable | RawMatrix:
    if is_frame(source):
        return read_frame(source, None if target is None else str(target), forms, dialect.missing, drop)
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


def _chosen(raw: RawTable, wanted: Sequence[str] | None, where: str) -> list[Column]:
    """The columns that are asked for, in that order, or all."""
    by_name = {column.name: column for column in raw.columns}
    target = [] if raw.target is None else [raw.target]
    return [by_name[name] for name in features_of(where, [*by_name, *target], raw.target, wanted)]
