"""FUZZ.md: what came of the files."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas

from fuzz.readers import NAMED
from fuzz.trying import MOST_MESSAGE, SIZES, Outcome

HEAD = f"""\
# Files that are nearly right

Written by `PYTHONPATH=benchmarks python -m fuzz`, from the root of the repository.

A small generator makes valid files: text tables with many separators, encodings, quotes, line ends, dates,
currencies and missing cells, wide and long; .npz, .npy and IDX files of every dtype; models of several kinds. Each
is changed in one to four places: bits flipped, parts cut, doubled or swapped, lines exchanged, separators, quotes,
NULs, byte order marks and long runs of digits put in, numbers in headers and archives made extreme, architectures
of models rewritten under checksums that are right again. Then it is read with `load_table` or `read_idx`; a model
is loaded, predicts two rows, and now and then is saved again.

A file fails where reading it

- raises anything but a ChainruleError, or kills the process,
- takes more than 2 s of the processor, of a model 1 s,
- makes the process grow by more than 300 MB, of a model 100 MB, and {SIZES} times the file's size, or
- ends in a message of more than {MOST_MESSAGE:,} characters.

Warnings are no failures. The same seed makes the same files; one that fails is kept, and named below.
"""


@dataclass(frozen=True)
class Tried:
    """What came of the files of one reader."""

    reader: str
    seed: int
    files: int
    came: dict[str, int]
    failed: list[tuple[int, str]]
    seconds: float
    slowest: float

    @classmethod
    def of(cls, reader: str, seed: int, outcomes: Sequence[Outcome]) -> Self:
        """The sums of the outcomes."""
        failed = [
            (each.index, f"{each.came}: {each.failure.strip().splitlines()[-1][:300]}")
            for each in outcomes
            if each.failure
        ]
        seconds = [each.seconds for each in outcomes]
        came = Counter(each.came for each in outcomes)
        return cls(reader, seed, len(outcomes), dict(came), failed, sum(seconds), max(seconds, default=0.0))

    def to_json(self) -> str:
        """From which `write` makes the page."""
        return json.dumps(asdict(self))


def write(path: Path, results: Path) -> None:
    """Everything on one page: the results in a folder, of this run and of those before."""
    found = [
        Tried(**json.loads(file.read_text(encoding="utf-8")))
        for name in NAMED
        if (file := results / f"{name.strip('.')}.json").exists()
    ]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, pandas {pandas.__version__}"
    count, failed = sum(each.files for each in found), sum(len(each.failed) for each in found)
    minutes = sum(each.seconds for each in found) / 60
    parts = [
        HEAD,
        f"## {count:,} files: {failed:,} failed\n",
        f"In {minutes:.0f} minutes of the processor with {versions}.\n",
        _table(found),
        "",
        *(
            f"- {each.reader}, seed {each.seed}, {index}: {what}"
            for each in found
            for index, what in each.failed[:50]
        ),
    ]
    if failed:
        parts.append(f"\nKept in {results}.")
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _table(found: Sequence[Tried]) -> str:
    total: Counter[str] = sum((Counter(each.came) for each in found), Counter())
    kinds = [kind for kind, _ in total.most_common()]
    head = ["files", "all", *kinds, "failed", "slowest"]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for each in found:
        counts = [each.files, *(each.came.get(kind, 0) for kind in kinds), len(each.failed)]
        lines.append([each.reader, *(f"{count:,}" for count in counts), f"{each.slowest:.2f} s"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
