"""A table with a target column, as numbers to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column
from chainrule.datasets.tables.learning import refuse_gaps
from chainrule.datasets.tables.preparation import AS_THEY_ARE, Preparation, Prepared, told_of
from chainrule.errors import ArgumentError, DataError
from chainrule.randomness import held_out
from chainrule.text import counted

Features: TypeAlias = list[Column] | Array
Learner: TypeAlias = Callable[[Sequence[Column]], Preparation]


@dataclass(frozen=True)
class Origin:
    """Where a table comes from: how errors call it, the names of its columns, and how they are learnt from."""

    where: str
    names: list[str]
    learner: Learner
    strict: bool = False


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
        features: Features,
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
        return Table(
            self._origin if strict is None else replace(self._origin, strict=strict),
            rows_of(self._features, chosen),
            self.numbers[chosen],
            None if self.t is None else self.t[chosen],
            self.target,
            self.classes,
            self.reading,
            given,
        )

    def refuse_gaps(self, most_categories: int) -> None:
        """Raise DataError for what a preparation of these rows would leave out or fill in."""
        if not isinstance(self._features, np.ndarray):
            refuse_gaps(self._features, most_categories, self.numbers, f"{self._origin.where}: ")


def rows_of(features: Features, chosen: Array) -> Features:
    """Some of the rows of features."""
    return features[chosen] if isinstance(features, np.ndarray) else [each.rows(chosen) for each in features]
