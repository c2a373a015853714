"""Files that are nearly right give a table or an error of ours, soon and in little memory: a few of 100,000.

All of it runs by `PYTHONPATH=benchmarks python -m fuzz`.
"""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from fuzz import trying
from fuzz.readers import READERS, Reader
from fuzz.spoiling import ANYTHING

FILES, SEED = 300, 1


def test_files_that_are_nearly_right(tmp_path):
    outcomes = list(trying.attempts(SEED, range(FILES), tmp_path))
    assert [each for each in outcomes if each.failure] == []
    assert {each.reader for each in outcomes} == {reader.name for reader in READERS}
    assert sum(each.came == "read" for each in outcomes) >= 9
    assert list(tmp_path.iterdir()) == []  # a file that fails is kept, and no other


def test_the_same_seed_makes_the_same_file():
    assert trying.file_of(5, 7)[1] == trying.file_of(5, 7)[1]
    assert trying.file_of(5, 7)[1] != trying.file_of(6, 7)[1]


def test_the_shares_are_a_whole():
    assert sum(reader.share for reader in READERS) == pytest.approx(1)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_spoilers_take_anything(reader):
    """Also what others have spoilt, and nothing at all."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        for content in (b"", b"\n", reader.make(rng), reader.make(rng)[:40]):
            for spoiler in reader.spoilers:
                assert isinstance(spoiler(content, rng), bytes)


def _raises(path, rng):
    raise KeyError("nothing")


def _is_slow(path, rng):
    sum(range(10**7))


def _is_large(path, rng):
    with mmap.mmap(-1, 60_000_000) as memory:  # which is new, whatever was freed before
        for start in range(0, len(memory), mmap.PAGESIZE):
            memory[start] = 1


@pytest.mark.parametrize(
    ("read", "limits", "failure"),
    [
        (_raises, {}, "KeyError: 'nothing'"),
        (_is_slow, {"SECONDS": 0.001}, "took"),
        (_is_large, {"MEGABYTES": 20}, "memory grew by"),
    ],
)
def test_a_reader_that_fails_is_found(tmp_path, monkeypatch, read, limits, failure):
    def called(path, rng):
        if path.name == "0-1.a":  # not the first, which only imports
            read(path, rng)

    reader = Reader("a", ".a", 1.0, lambda rng: b"1", ANYTHING, called)
    monkeypatch.setattr(trying, "READERS", (reader,))
    for name, value in limits.items():
        monkeypatch.setattr(trying, name, value)
    outcomes = list(trying.attempts(0, range(1, 2), tmp_path))
    assert failure in outcomes[0].failure
    assert (tmp_path / "0-1.a").exists()
