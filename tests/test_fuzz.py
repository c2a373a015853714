"""Files that are nearly right give a result or an error of ours, soon and in little memory: a few of many.

All of them run by `PYTHONPATH=benchmarks python -m fuzz`.
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
from fuzz.spoiling import ANYTHING, TEXT, in_folder

FILES, SEED = 60, 1


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_files_that_are_nearly_right(reader, tmp_path):
    outcomes = list(trying.attempts(reader, SEED, range(FILES), tmp_path))
    assert [each for each in outcomes if each.failure] == []
    assert sum(each.came == "read" for each in outcomes) >= 1
    assert list(tmp_path.iterdir()) == []  # a file that fails is kept, and no other


def test_the_same_seed_makes_the_same_file():
    reader = READERS[0]
    assert trying.content_of(reader, 5, 7)[0] == trying.content_of(reader, 5, 7)[0]
    assert trying.content_of(reader, 5, 7)[0] != trying.content_of(reader, 6, 7)[0]


def test_readers_have_names_of_their_own():
    assert len({reader.name.strip(".") for reader in READERS}) == len(READERS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_spoilers_take_anything(reader):
    """Also what others have spoilt, and nothing at all."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        valid = reader.make(rng)
        poor = (b"", b"\n", valid[:40]) if isinstance(valid, bytes) else ({}, dict.fromkeys(valid, b""))
        for content in (valid, *poor):
            for spoiler in reader.spoilers:
                assert isinstance(spoiler(content, rng), type(valid))


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
        (_is_slow, {"seconds": 0.001}, "took"),
        (_is_large, {"megabytes": 20}, "memory grew by"),
    ],
)
def test_a_reader_that_fails_is_found(tmp_path, read, limits, failure):
    def called(path, rng):
        if path.parent == tmp_path:  # not the first, which only import
            read(path, rng)

    reader = Reader("a", ".a", lambda rng: b"1", ANYTHING, called, **limits)
    outcomes = list(trying.attempts(reader, 0, range(1, 2), tmp_path))
    assert failure in outcomes[0].failure
    assert (tmp_path / "a-0-1.a").exists()


def test_a_reader_of_folders(tmp_path):
    tried = []

    def read(path, rng):
        tried.append(
            {
                file.relative_to(path).as_posix(): file.read_bytes()
                for file in path.rglob("*")
                if file.is_file()
            }
        )

    valid = {"a.txt": b"one two three", "inside/b.csv": b"1,2\n3,4\n", "c": b"as it is"}
    spoilers = [in_folder({".txt": ANYTHING, ".csv": (*TEXT, *ANYTHING)})]
    reader = Reader("folder", "", lambda rng: dict(valid), spoilers, read)
    outcomes = list(trying.attempts(reader, 0, range(200), tmp_path))
    assert [each.came for each in outcomes] == ["read"] * 200
    assert list(tmp_path.iterdir()) == []
    assert {frozenset(files) for files in tried} > {frozenset(valid)}  # one is missing now and then
    assert all(files["c"] == b"as it is" for files in tried)
    assert {files.get("a.txt") == valid["a.txt"] for files in tried} == {True, False}
