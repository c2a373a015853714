"""What a file of a table holds, before anything is decided of it: its columns, and the target's values."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column
from chainrule.datasets.tables.dialect import Dialect
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean

MOST_SHOWN, MOST_MEANT = 30, 5
"""Columns that an error lists, and columns for which it says what may be meant."""


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table as it was read.

    `columns` are all but the target, in the order of the file, or those that were asked for; `further` are the
    names of the others. `target_values` are text cells without spaces around them, or numbers. `notes` say what
    was found or decided in reading, one line each.
    """

    rows: int
    columns: list[Column]
    target: str | None
    target_values: Array | None
    notes: list[str] = field(default_factory=list)
    dialect: Dialect | None = None
    further: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RawMatrix:
    """Features as one matrix of numbers, and the target's values as the file holds them."""

    x: Array
    columns: list[str]
    target: str | None
    target_values: Array | None


def features_of(
    path: Path | str, names: list[str], target: str | None, columns: Sequence[str] | None
) -> list[str]:
    """The features to read: those asked for, which must be there, or all but the target."""
    if columns is None:
        return [name for name in names if name != target]
    if target in columns:
        raise ArgumentError(f"{path}: the target {target!r} cannot be a feature too; take it out of columns")
    refuse_absent(path, columns, names)
    return list(columns)


def refuse_absent(path: Path | str, wanted: Iterable[str], names: Collection[str]) -> None:
    """DataError that names the wanted columns which the table does not have, and what may be meant."""
    wanted, there = list(wanted), set(names)
    missing = [name for name in wanted if name not in there]
    if missing:
        shown = ", ".join(wanted[:MOST_SHOWN]) + (", ..." if len(wanted) > MOST_SHOWN else "")
        more = f"; and {len(missing) - MOST_MEANT:,} more" if len(missing) > MOST_MEANT else ""
        raise DataError(
            f"{path}: expected the columns {shown}; missing: "
            + "; ".join(f"{name!r} ({did_you_mean(name, names)})" for name in missing[:MOST_MEANT])
            + more
        )


def unreadable(path: str | os.PathLike[str], error: Exception) -> FileError:
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(f"could not read {path}: {reason}; check the path and its permissions")
