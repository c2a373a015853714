"""Tables with a target column, from files and frames, as numbers to train on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from chainrule.arguments import one_of, whole_number
from chainrule.arrays import Array, first_not_finite
from chainrule.datasets.tables.array_files import read_npy, read_npz
from chainrule.datasets.tables.column import Column, Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.frames import is_frame, read_frame
from chainrule.datasets.tables.learning import MOST_CATEGORIES, counts_rows, learn, refuse_gaps
from chainrule.datasets.tables.other_files import refuse_other
from chainrule.datasets.tables.preparation import AS_THEY_ARE, Preparation, Prepared, told_of
from chainrule.datasets.tables.raw import RawMatrix, RawTable, features_of, refuse_absent
from chainrule.datasets.tables.targets import Task, targets_of
from chainrule.datasets.tables.text_files import read_text
from chainrule.errors import ArgumentError, DataError
from chainrule.randomness import held_out
from chainrule.text import counted, listed

TEXT, ARRAYS = (".csv", ".tsv", ".txt", ".tab", ".data"), (".npz", ".npy")
ENDINGS = (*TEXT, *ARRAYS)

Learner: TypeAlias = Callable[[Sequence[Column]], Preparation]


@dataclass(frozen=True)
class Origin:
    """Where a table comes from: how errors call it, the names of its columns, and how they are learnt from."""

    where: str
    names: list[str]
    learner: Learner
    strict: bool = False


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
        origin: Origin,
        features: list[Column] | Array,
        numbers: Array,
        t: Array | None,
        target: str | None,
        classes: list[str] | None,
        reading: list[str],
        given: Preparation | None = None,
    ) -> None:
        self.t, self.target, self.classes = t, target, classes
        #: What was decided in reading the file, before its columns are prepared.
        self.reading = reading
        #: Which rows of the file these are, counted from 1, without the header.
        self.numbers = numbers
        self._origin, self._features, self._given = origin, features, given

    @cached_property
    def preparation(self) -> Preparation | None:
        """How the columns become numbers; None for an array file, whose numbers are used as they are."""
        if isinstance(self._features, np.ndarray) or self._given is not None:
            return self._given
        return replace(self._origin.learner(self._features), target=self.target)

    @cached_property
    def prepared(self) -> Prepared:
        """The numbers, and what was done to the columns: labels and texts, a line a kind."""
        how, features = self.preparation, self._features
        if how is None or isinstance(features, np.ndarray):
            assert isinstance(features, np.ndarray)
            return Prepared(features, [])
        strict, where = self._origin.strict and self._given is not None, f"{self._origin.where}: "
        found = how.apply(features, strict=strict, numbers=self.numbers, where=where)
        return found if self._given is not None else Prepared(found.x, told_of(how))

    @property
    def x(self) -> Array:
        """The numbers, a row for each row of the table."""
        return self.prepared.x

    @property
    def columns(self) -> list[str]:
        """The names of the columns of x."""
        return self._origin.names if self.preparation is None else self.preparation.names

    @property
    def notes(self) -> list[str]:
        """What was decided without being asked, a line each."""
        done = [f"{label}: {text}" for label, text in self.prepared.lines if label != AS_THEY_ARE]
        return [*self.reading, *done]

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        kind = "no target"
        if self.target is not None:
            kind = f"target {self.target!r}, "
            kind += "numbers" if self.classes is None else counted(len(self.classes), "class", "classes")
        return f"<Table: {counted(len(self), 'row')} of {counted(len(self._origin.names), 'column')}, {kind}>"

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
        return train, self._of_rows(held, train.preparation, strict=False)

    def _of_rows(self, chosen: Array, given: Preparation | None, strict: bool | None = None) -> Table:
        features = self._features
        return Table(
            self._origin if strict is None else replace(self._origin, strict=strict),
            features[chosen]
            if isinstance(features, np.ndarray)
            else [each.rows(chosen) for each in features],
            self.numbers[chosen],
            None if self.t is None else self.t[chosen],
            self.target,
            self.classes,
            self.reading,
            given,
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
    if task is not None:
        one_of("task", task, ("classification", "regression"))
    if header not in (None, True, False):
        raise ArgumentError(f"header: expected True, False or None, got {header!r}")
    whole_number("most_categories", most_categories, 1)
    words = tuple(dict.fromkeys([*(preparation.missing if preparation else ()), *map(str, missing)]))
    dialect = Dialect(separator=separator, decimal=decimal, encoding=encoding, header=header, missing=words)
    where = "the frame" if is_frame(path) else str(path)
    raw = _read(path, target, columns, preparation, dialect, tuple(drop))
    features: list[Column] | Array
    if isinstance(raw, RawMatrix):
        notes, features, names = [], raw.x, raw.columns
        if drop:
            refuse_absent(where, drop, names)
            kept = [k for k, name in enumerate(names) if name not in drop]
            features, names = raw.x[:, kept], [names[k] for k in kept]
        if preparation is not None or first_not_finite(features) is not None:  # NaN: a missing cell
            features = [Column(name, Form("number"), features[:, k]) for k, name in enumerate(names)]
        rows = len(raw.x)
    else:
        features, notes, rows = _chosen(raw, columns, where), raw.notes, raw.rows
        names = [each.name for each in features]
        if preparation is not None:
            notes = [*notes, *_said_of_further(raw.further, preparation, where, strict)]
        notes = [f"{where}: {note}" for note in notes]
    if not names:
        raise DataError(f"{where}: expected at least one feature beside the target, got none")
    if rows == 0:
        raise DataError(f"{where}: expected at least one row of data, got none")
    left_out = [(name, "it was to be left out") for name in drop]
    if isinstance(features, list) and preparation is None:
        counting = {each.name for each in features if counts_rows(each)} if columns is None else set[str]()
        counting = counting if len(counting) < len(features) else set()
        left_out += [(name, "it counts the rows") for name in sorted(counting)]
        features = [each for each in features if each.name not in counting]
    origin = Origin(
        where,
        names,
        partial(learn, most_categories=most_categories, missing=words, left_out=left_out, where=f"{where}: "),
        strict,
    )
    present, targets, values = np.ones(rows, bool), None, raw.target_values
    if values is not None:
        found = raw.dialect if isinstance(raw, RawTable) else None
        likely = "," if found is not None and found.decimal == "," else None
        targets, present = targets_of(values, f"{where}: target {raw.target!r}", task, words, strict, likely)
        notes = [*notes, *targets.notes]
    numbers = np.flatnonzero(present) + 1
    if len(numbers) < rows:
        features = (
            features[present] if isinstance(features, np.ndarray) else [e.rows(present) for e in features]
        )
    if strict and preparation is None and isinstance(features, list):
        refuse_gaps(features, most_categories, numbers, f"{where}: ")
    t, target_name = (None, None) if targets is None else (targets.t, raw.target)
    classes = None if targets is None else targets.classes
    return Table(origin, features, numbers, t, target_name, classes, notes, preparation)


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


def _chosen(raw: RawTable, wanted: Sequence[str] | None, where: str) -> list[Column]:
    """The columns that are asked for, in that order, or all."""
    by_name = {column.name: column for column in raw.columns}
    target = [] if raw.target is None else [raw.target]
    return [by_name[name] for name in features_of(where, [*by_name, *target], raw.target, wanted)]
