"""The file itself: what safetensors reads and writes is what we do, and every damaged bit is found."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from chainrule.errors import ArgumentError, FileError
from chainrule.files import write_atomically
from chainrule.saving.container import MOST_HEADER, pieces_of, read_container

RNG = np.random.default_rng(0)
ARRAYS = {
    "W1": RNG.normal(size=(4, 3)).astype(np.float32),
    "turned": RNG.normal(size=(3, 2)).T,
    "empty": np.zeros((0, 3)),
    "number": np.array(2.5),
    "größe \0 1": np.array([True, False, True]),
    **{dtype: np.arange(5).astype(dtype) for dtype in "bBhHiIlLefd"},
    "of a big machine": np.arange(5, dtype=">i4"),
}
TEXTS = {"chainrule": '{"a": "ü\u2028"}', "format": "pt"}


def write(path, arrays=None, texts=None):
    pieces = pieces_of(ARRAYS if arrays is None else arrays, TEXTS if texts is None else texts)
    return write_atomically(path, lambda file: file.writelines(pieces))


def same(found, arrays):
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        assert (found[name].shape, found[name].dtype) == (value.shape, value.dtype.newbyteorder("="))
        np.testing.assert_array_equal(found[name], value)


def test_safetensors_reads_what_is_written_here(tmp_path):
    path = write(tmp_path / "a")
    same(safetensors.numpy.load_file(path), ARRAYS)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    assert metadata.keys() == {*TEXTS, "checksums"}
    assert {name: metadata[name] for name in TEXTS} == TEXTS


def test_what_safetensors_writes_is_read_here(tmp_path):
    arrays = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in ARRAYS.items()}
    arrays["of a big machine"] = arrays["of a big machine"].astype("i4")
    (tmp_path / "a").write_bytes(safetensors.numpy.save(arrays, TEXTS))
    metadata, found = read_container(tmp_path / "a")
    assert metadata == TEXTS
    same(found, arrays)
    assert all(value.flags.aligned for value in found.values())


def test_nothing_and_what_begins_at_an_odd_place(tmp_path):
    assert read_container(write(tmp_path / "a", {}, {}))[1] == {}
    (tmp_path / "a").write_bytes(safetensors.numpy.save({}))
    assert read_container(tmp_path / "a") == ({}, {})
    entry = {"dtype": "F64", "shape": [1], "data_offsets": [3, 11]}
    text = json.dumps({"first": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}, "a": entry}).encode()
    content = np.float64(1.5).tobytes()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + b"abc" + content)
    found = read_container(tmp_path / "a")[1]
    assert found["a"].tolist() == [1.5]
    assert found["a"].flags.aligned


def test_arrays_are_not_copied():
    pieces = pieces_of(ARRAYS, {})
    assert any(np.shares_memory(np.frombuffer(piece, np.uint8), ARRAYS["W1"]) for piece in pieces[1:])


def test_another_program_may_write_the_file_anew(tmp_path):
    path = write(tmp_path / "a")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    arrays = dict(reversed(safetensors.numpy.load_file(path).items()))
    path.write_bytes(safetensors.numpy.save(arrays, {**metadata, "source": "another program"}))
    same(read_container(path)[1], ARRAYS)
    arrays["W1"] = arrays["W1"] + np.float32(1e-6)
    path.write_bytes(safetensors.numpy.save(arrays, metadata))
    with pytest.raises(FileError, match=r"the content of 'W1' is not what was saved .*use a copy"):
        read_container(path)


def test_every_damaged_bit_is_found_or_means_nothing(tmp_path):
    arrays, texts = {"W1": ARRAYS["W1"], "number": ARRAYS["number"]}, {"chainrule": '{"a": "ü"}', "b": "1"}
    path = write(tmp_path / "a", arrays, texts)
    content, (metadata, _) = path.read_bytes(), read_container(path)
    refused = 0
    for place in range(8 * len(content)):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = read_container(path)
        except FileError:
            refused += 1
        else:
            same(found[1], arrays)
            assert {name: found[0].get(name) for name in texts} == texts or "checksums" not in found[0]
    assert refused > 8 * len(content) - 200
    assert metadata["chainrule"] == texts["chainrule"]


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            {"a": entry(offsets=[0, 2**60], shape=[2**58])},
            "its arrays have 1,152,921,504,606,846,976 bytes, and 8",
        ),
        ({"a": entry(shape=[2**32, 2**32])}, "'a' does not stand where its sizes say"),
        ({"a": entry(shape=[-1, -2])}, "sizes and places of 'a' are not whole numbers"),
        ({"a": entry(shape=[2.0])}, "sizes and places of 'a' are not whole numbers"),
        ({"a": entry(shape=[True, 2])}, "sizes and places of 'a' are not whole numbers"),
        ({"a": entry(), "b": entry()}, "'b' does not stand where"),
        ({"a": entry(offsets=[4, 12])}, "'a' does not stand where"),
        ({"a": entry(), "b": entry(shape=[0, 2**64], offsets=[8, 8])}, "."),
        ({"a": entry(shape=[1] * 99 + [2])}, "."),
        ({"a": entry("BF16", [4])}, "BF16"),
        ({"a": entry(), "__metadata__": {"a": 1}}, "its metadata are not texts"),
        ({"a": entry(), "__metadata__": []}, "."),
        ({"a": {}}, "data_offsets"),
        ({"a": 3}, "."),
        ([1], "."),
        (3, "."),
    ],
)
def test_headers_that_are_wrong(tmp_path, header, message):
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(
        FileError, match=f"is not a readable model file: .*{re.escape(message) if message != '.' else ''}"
    ):
        read_container(tmp_path / "a")


@pytest.mark.parametrize(
    "sums",
    [
        "",
        "[]",
        "{}",
        '{"metadata": {}, "tensors": 1}',
        '{"metadata": {}, "tensors": {}}',
        '{"metadata": {"none": "00000000"}, "tensors": {"a": "00000000"}}',
        '{"metadata": {}, "tensors": {"a": 0}}',
        '{"metadata": {}, "tensors": {"a": ["0"]}}',
        "[" * 100_000,
    ],
)
def test_checksums_that_are_wrong(tmp_path, sums):
    header = {"__metadata__": {"checksums": sums}, "a": entry()}
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(FileError, match=r"is damaged: .*use a copy"):
        read_container(tmp_path / "a")


def test_a_name_that_stands_twice(tmp_path):
    one = json.dumps(entry())
    text = f'{{"a": {one}, "a": {one}}}'.encode()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(FileError, match="a name stands twice"):
        read_container(tmp_path / "a")


def test_what_the_format_cannot_hold():
    with pytest.raises(ArgumentError, match="a is complex128, which a safetensors file cannot hold"):
        pieces_of({"a": np.zeros(3, complex)}, {})
    with pytest.raises(ArgumentError, match=r"keep less in net\.metadata"):
        pieces_of({}, {"chainrule": "x" * MOST_HEADER})
