"""FUZZ.md: what came of the files."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from fuzz.readers import READERS
from fuzz.trying import MEGABYTES, MOST_MESSAGE, SECONDS, Outcome

HEAD = f"""\
# Files that are nearly right

Written by `PYTHONPATH=benchmarks python -m fuzz`, from the root of the repository.

A small generator makes valid files: text tables with many separators, encodings, quotes, line ends, dates,
currencies and missing cells, wide and long; .npz, .npy and IDX files of every dtype. Each is changed in one to four
places: bits flipped, parts cut, doubled or swapped, lines exchanged, separators, quotes, NULs, byte order marks and
long runs of digits put in, numbers in the headers of arrays and archives made extreme. Then it is read with
`load_table` or `read_idx`.

A file fails where reading it

- raises anything but a ChainruleError, or kills the process,
- takes more than {SECONDS:g} s of the processor,
- makes the process grow by more than {MEGABYTES} MB, or
- ends in a message of more than {MOST_MESSAGE:,} characters.

Warnings are no failures. The same seed makes the same files; one that fails is kept, and named below.
"""


def write(path: Path, outcomes: Sequence[Outcome], seed: int, seconds: float, kept: Path) -> None:
    """Everything on one page."""
    failures = [each for each in outcomes if each.failure]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, pandas {pandas.__version__}"
    parts = [
        HEAD,
        f"## {len(outcomes):,} files of seed {seed}: {len(failures):,} failed\n",
        f"In {seconds / 60:.0f} minutes with {versions}.\n",
        _table(outcomes),
        "",
    ]
    for each in failures[:50]:
        last = each.failure.strip().splitlines()[-1][:300]
        parts.append(f"- `{seed}-{each.index}`, {each.reader}: {each.came}: {last}")
    if failures:
        parts.append(f"\nKept in {kept}.")
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _table(outcomes: Sequence[Outcome]) -> str:
    kinds = [kind for kind, _ in Counter(each.came for each in outcomes).most_common()]
    head = ["files", "all", *kinds, "failed", "slowest"]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name in (*(reader.name for reader in READERS), "all"):
        own = [each for each in outcomes if name in (each.reader, "all")]
        if own:
            came = Counter(each.came for each in own)
            failed = sum(bool(each.failure) for each in own)
            slowest = max(each.seconds for each in own)
            counts = [len(own), *(came[kind] for kind in kinds), failed]
            lines.append([name, *(f"{count:,}" for count in counts), f"{slowest:.2f} s"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
