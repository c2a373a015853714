"""Trying one file, and judging what came of it."""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import tempfile
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError
from fuzz.readers import Reader
from fuzz.spoiling import Folder
from fuzz.text_files import Rng
from speed.memory import peak_memory

SIZES = 4
"""Times the size of a file that reading it may take beside the reader's megabytes."""
MOST_MESSAGE = 20_000
"""Characters of an error's message."""


@dataclass(frozen=True)
class Outcome:
    """What came of one file: "read", the name of one of our errors, or, with a `failure`, of anything else."""

    index: int
    reader: str
    came: str
    seconds: float
    failure: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def content_of(reader: Reader[Any], seed: int, index: int) -> tuple[Any, Rng]:
    """The content of this number, the same for the same seed, and a generator for what is done with it."""
    rng = np.random.default_rng([seed, index, zlib.crc32(reader.name.encode())])
    return reader.content(rng), rng


def attempts(reader: Reader[Any], seed: int, indices: range, folder: Path) -> Iterator[Outcome]:
    """Write, read and judge these files; one that fails stays in the folder."""
    with tempfile.TemporaryDirectory() as elsewhere:  # so that what is imported on first use does not count
        for index in range(5):
            attempt(reader, seed, index, Path(elsewhere))
    for module in ("pandas", "sklearn.impute", "sklearn.preprocessing"):
        importlib.import_module(module)
    start = _peak_from_here()
    for index in indices:
        _peak_from_here()
        outcome = attempt(reader, seed, index, folder)
        grown = (peak_memory() - start) / 1e6
        allowed = reader.megabytes + SIZES * _size_of(reader.path(folder, seed, index)) / 1e6
        if grown > allowed and not outcome.failure:
            outcome = replace(outcome, failure=f"memory grew by {grown:,.0f} MB")
            start = _peak_from_here()  # what is held now is not the fault of the next file
        if not outcome.failure:
            _remove(reader.path(folder, seed, index))
        yield outcome


def _peak_from_here() -> int:
    """Forget the process's peak of memory, where the system can, and give that of now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_memory()


def _write(path: Path, content: bytes | Folder) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    path.mkdir(exist_ok=True)
    for name, each in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(each)


def _size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def attempt(reader: Reader[Any], seed: int, index: int, folder: Path) -> Outcome:
    """Write one file, or folder, and read it."""
    content, rng = content_of(reader, seed, index)
    path = reader.path(folder, seed, index)
    _write(path, content)
    failure, begin = "", time.process_time()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            reader.read(path, rng)
        came = "read"
    except ChainruleError as error:
        came = type(error).__name__
        if len(str(error)) > MOST_MESSAGE:
            failure = f"a message of {len(str(error)):,} characters: {str(error)[:300]}"
    except Exception as error:
        came, failure = type(error).__name__, traceback.format_exc()
    seconds = time.process_time() - begin
    if seconds > reader.seconds and not failure:
        failure = f"took {seconds:.1f} s"
    return Outcome(index, reader.name, came, seconds, failure)
