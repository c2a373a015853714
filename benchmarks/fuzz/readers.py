"""What is fuzzed: a reader is a name, an ending, a maker of valid files, what spoils them, and a call."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import chainrule as cr
from fuzz.array_files import idx, npy, npz
from fuzz.spoiling import (
    ANYTHING,
    ARRAYS,
    TEXT,
    Spoiler,
    change_directory,
    cut,
    flip,
    insert,
    member,
    unzipped,
)
from fuzz.text_files import one, text_table

Maker = Callable[[np.random.Generator], bytes]
Target = str | int | None
OF_TEXT: tuple[Target, ...] = (*["t"] * 8, None, None, "c0", "c1", "x0", "price", "very" * 40, "", 0)
OF_NPZ: tuple[Target, ...] = (*["t"] * 8, None, None, "label", "x", 0)
OF_NPY: tuple[Target, ...] = (0, 0, -1, -1, "x1", "1", None, None, 5, "t")


@dataclass(frozen=True)
class Reader:
    """A reader of files, and its share of all that are tried.

    `make` returns a valid file, `spoilers` change one, and `read` reads the file at a path: it returns, or raises
    a ChainruleError. Anything else that it raises is a failure, and so is a result that it refuses by an
    AssertionError.
    """

    name: str
    ending: str
    share: float
    make: Maker
    spoilers: Sequence[Spoiler]
    read: Callable[[Path, np.random.Generator], None]


def read_table(path: Path, rng: np.random.Generator) -> None:
    """`load_table` with some target or other, and a look at the table."""
    target = one(rng, {".npz": OF_NPZ, ".npy": OF_NPY}.get(path.suffix, OF_TEXT))
    table = cr.datasets.load_table(path, target)
    assert table.x.ndim == 2
    assert table.x.shape[0] > 0
    assert table.x.dtype in (np.float32, np.float64)
    assert target is None or (table.t is not None and len(table.t) == len(table.x))


def read_idx(path: Path, rng: np.random.Generator) -> None:
    """`read_idx`, and a look at the array."""
    array = cr.datasets.read_idx(path)
    assert array.dtype.isnative
    assert array.nbytes <= max(256_000_000, 100 * path.stat().st_size)


def zipped_table(rng: np.random.Generator) -> bytes:
    """A text table in gzip."""
    return gzip.compress(text_table(rng), 1, mtime=0)


IN_GZIP = [unzipped((*TEXT, *ANYTHING))] * 3
IN_ARCHIVE = [member((*ARRAYS, *ANYTHING))] * 4
READERS = (
    Reader(".csv", ".csv", 0.40, text_table, (*TEXT, *ANYTHING), read_table),
    Reader(".tsv", ".tsv", 0.05, text_table, (*TEXT, *ANYTHING), read_table),
    Reader(".txt", ".txt", 0.05, text_table, (*TEXT, *ANYTHING), read_table),
    Reader(".csv.gz", ".csv.gz", 0.05, zipped_table, (*IN_GZIP, flip, cut), read_table),
    Reader(".npz", ".npz", 0.20, npz, (*IN_ARCHIVE, change_directory, flip, cut, insert), read_table),
    Reader(".npy", ".npy", 0.15, npy, (*ARRAYS, *ANYTHING), read_table),
    Reader("IDX", ".idx", 0.10, idx, (unzipped(ANYTHING), *ANYTHING), read_idx),
)
