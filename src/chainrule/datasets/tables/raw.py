"""What a file of a table holds, before anything is decided of it: its columns, and the target's values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column
from chainrule.datasets.tables.dialect import Dialect
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean


@dataclass(frozen=True, eq=False)
class RawTable:
    """A text file or a frame: all columns but the target, and the target's cells, text or numbers.

    `notes` says, a line each, what was found or decided in reading; `dialect` is how a text file is written.
    """

    rows: int
    columns: list[Column]
    target: str | None
    target_values: Array | None
    notes: list[str]
    dialect: Dialect | None = None


@dataclass(frozen=True, eq=False)
class RawMatrix:
    """An array file: features as numbers, and the target's values as the file holds them."""

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
    known = set(names)
    missing = [name for name in columns if name not in known]
    if missing:
        shown = ", ".join(columns[:30]) + (", ..." if len(columns) > 30 else "")
        raise DataError(
            f"{path}: expected the columns {shown}; missing: "
            + "; ".join(f"{name!r} ({did_you_mean(name, names)})" for name in missing[:3])
            + (f"; and {len(missing) - 3:,} more" if len(missing) > 3 else "")
        )
    return list(columns)


def unreadable(path: str | os.PathLike[str], error: Exception) -> FileError:
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(f"could not read {path}: {reason}; check the path and its permissions")
