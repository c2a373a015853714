"""Trying one file, and judging what came of it."""

from __future__ import annotations

import contextlib
import importlib
import json
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from chainrule.errors import ChainruleError
from fuzz.readers import READERS, Reader
from fuzz.spoiling import spoiled
from speed.memory import peak_memory

SECONDS = 2.0
"""Time of the processor that a file may take."""
MEGABYTES = 300
"""Memory that a file may add to what the process held at its start."""
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


def file_of(seed: int, index: int) -> tuple[Reader, bytes, np.random.Generator]:
    """The file of this number: the same for the same seed, whatever came before it."""
    rng = np.random.default_rng([seed, index])
    reader = READERS[int(rng.choice(len(READERS), p=[each.share for each in READERS]))]
    return reader, spoiled(reader.make(rng), reader.spoilers, rng), rng


def attempts(seed: int, indices: range, folder: Path) -> Iterator[Outcome]:
    """Write, read and judge these files; one that fails stays in the folder."""
    with tempfile.TemporaryDirectory() as elsewhere:  # so that what is imported on first use does not count
        attempt(seed, 0, Path(elsewhere))
    for module in ("pandas", "sklearn.impute", "sklearn.preprocessing"):
        importlib.import_module(module)
    start = _peak_from_here()
    for index in indices:
        _peak_from_here()
        outcome = attempt(seed, index, folder)
        grown = (peak_memory() - start) / 1e6
        if grown > MEGABYTES and not outcome.failure:
            outcome = Outcome(
                index, outcome.reader, outcome.came, outcome.seconds, f"memory grew by {grown:,.0f} MB"
            )
            start = _peak_from_here()  # what is held now is not the fault of the next file
        if not outcome.failure:
            path_of(folder, seed, index).unlink()
        yield outcome


def _peak_from_here() -> int:
    """Forget the process's peak of memory, where the system can, and give that of now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_memory()


def path_of(folder: Path, seed: int, index: int) -> Path:
    """Where the file of this number is written."""
    return folder / f"{seed}-{index}{file_of(seed, index)[0].ending}"


def attempt(seed: int, index: int, folder: Path) -> Outcome:
    """Write one file and read it."""
    reader, content, rng = file_of(seed, index)
    path = folder / f"{seed}-{index}{reader.ending}"
    path.write_bytes(content)
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
    if seconds > SECONDS and not failure:
        failure = f"took {seconds:.1f} s"
    return Outcome(index, reader.name, came, seconds, failure)
