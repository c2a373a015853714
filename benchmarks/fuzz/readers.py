"""What is fuzzed: a reader is a name, an ending, a maker of valid files, what spoils them, and a call."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np

import chainrule as cr
from fuzz.array_files import idx, npy, npz
from fuzz.checkpoint_files import RUNS, interrupted_run, resume_run
from fuzz.model_files import MODELS, model, read_model
from fuzz.run_folders import RUN_FOLDERS, read_run_folder, run_folder
from fuzz.spoiling import (
    ANYTHING,
    ARRAYS,
    TEXT,
    Content,
    change_directory,
    cut,
    flip,
    insert,
    member,
    spoiled,
    unzipped,
)
from fuzz.text_files import Rng, one, text_table

Target = str | int | None
OF_TEXT: tuple[Target, ...] = (*["t"] * 8, None, None, "c0", "c1", "x0", "price", "very" * 40, "", 0)
OF_NPZ: tuple[Target, ...] = (*["t"] * 8, None, None, "label", "x", 0)
OF_NPY: tuple[Target, ...] = (0, 0, -1, -1, "x1", "1", None, None, 5, "t")


@dataclass(frozen=True)
class Reader(Generic[Content]):
    """A reader of files, or of folders.

    `make` returns a valid file, or the files of a folder by their names; `spoilers` change one, and `read` reads
    what is at a path: it returns, or raises a ChainruleError. A failure is anything else that it raises, a result
    that it refuses by an AssertionError, more than so many `seconds` of the processor, and more memory than so many
    `megabytes`.
    """

    name: str
    ending: str
    make: Callable[[Rng], Content]
    spoilers: Sequence[Callable[[Content, Rng], Content]]
    read: Callable[[Path, Rng], None]
    seconds: float = 2.0
    megabytes: float = 300

    def content(self, rng: Rng) -> Content:
        """What is tried: valid, or nearly."""
        return spoiled(self.make(rng), self.spoilers, rng)

    def path(self, folder: Path, seed: int, index: int) -> Path:
        """Where the file, or folder, of this number is written."""
        return folder / f"{self.name.strip('.')}-{seed}-{index}{self.ending}"


def read_table(path: Path, rng: Rng) -> None:
    """`load_table` with some target or other, and a look at the table."""
    target = one(rng, {".npz": OF_NPZ, ".npy": OF_NPY}.get(path.suffix, OF_TEXT))
    table = cr.datasets.load_table(path, target)
    assert table.x.ndim == 2
    assert table.x.shape[0] > 0
    assert table.x.dtype in (np.float32, np.float64)
    assert target is None or (table.t is not None and len(table.t) == len(table.x))


def read_idx(path: Path, rng: Rng) -> None:
    """`read_idx`, and a look at the array."""
    array = cr.datasets.read_idx(path)
    assert array.dtype.isnative
    assert array.nbytes <= max(256_000_000, 100 * path.stat().st_size)


def zipped_table(rng: Rng) -> bytes:
    """A text table in gzip."""
    return gzip.compress(text_table(rng), 1, mtime=0)


IN_GZIP = [unzipped((*TEXT, *ANYTHING))] * 3
IN_ARCHIVE = [member((*ARRAYS, *ANYTHING))] * 4
READERS: tuple[Reader[Any], ...] = (
    Reader(".csv", ".csv", text_table, (*TEXT, *ANYTHING), read_table),
    Reader(".tsv", ".tsv", text_table, (*TEXT, *ANYTHING), read_table),
    Reader(".txt", ".txt", text_table, (*TEXT, *ANYTHING), read_table),
    Reader(".csv.gz", ".csv.gz", zipped_table, (*IN_GZIP, flip, cut), read_table),
    Reader(".npz", ".npz", npz, (*IN_ARCHIVE, change_directory, flip, cut, insert), read_table),
    Reader(".npy", ".npy", npy, (*ARRAYS, *ANYTHING), read_table),
    Reader("model", ".safetensors", model, (*MODELS, *ANYTHING), read_model, seconds=1.0, megabytes=100),
    Reader("checkpoint", "", interrupted_run, RUNS, resume_run, seconds=1.0, megabytes=100),
    Reader("run folder", "", run_folder, RUN_FOLDERS, read_run_folder, megabytes=100),
    Reader("IDX", ".idx", idx, (unzipped(ANYTHING), *ANYTHING), read_idx),
)
NAMED = {reader.name: reader for reader in READERS}
