"""The IDX reader: right on everything valid, and FileError, cheaply, on everything else."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from chainrule.datasets import read_idx
from chainrule.errors import FileError
from datasets_server import IDX_CODES as CODES
from datasets_server import written

any_array = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: arrays_of.arrays(
        dtype, arrays_of.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
    )
)


@given(any_array, st.booleans())
def test_round_trip(array, zipped):
    content = gzip.compress(written(array), 1) if zipped else written(array)
    read = read_idx(content)
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()  # bit for bit: NaN payloads and the sign of zero too
    assert read.flags.writeable


@pytest.mark.parametrize("name", ["plain-idx", "zipped.gz", "gzip-without-its-ending"])
def test_from_a_file(tmp_path, name):
    array = np.arange(6, dtype=np.int16).reshape(2, 3) - 300
    content = written(array)
    path = tmp_path / name
    path.write_bytes(content if name == "plain-idx" else gzip.compress(content))
    np.testing.assert_array_equal(read_idx(path), array)
    np.testing.assert_array_equal(read_idx(str(path)), array)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\0\0", b"\0\0\x08\x01", b"\x1f\x8b", b"\x1f\x8b\x08\0"])
)
def test_any_bytes_give_an_array_or_a_file_error(content, start):
    with contextlib.suppress(FileError):
        read_idx(start + content)


@given(any_array, st.booleans(), st.data())
@settings(max_examples=200)
def test_a_changed_byte_gives_an_array_or_a_file_error(array, zipped, data):
    content = bytearray(written(array))
    if zipped:
        content = bytearray(gzip.compress(bytes(content), 1))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FileError):
        read_idx(bytes(content))


@given(any_array, st.booleans(), st.data())
def test_every_truncation_is_a_file_error(array, zipped, data):
    content = gzip.compress(written(array), 1) if zipped else written(array)
    with pytest.raises(FileError):
        read_idx(content[: data.draw(st.integers(0, len(content) - 1))])


@given(any_array, st.binary(min_size=1, max_size=20), st.booleans())
def test_trailing_bytes_are_a_file_error(array, more, zipped):
    content = written(array) + more
    with pytest.raises(FileError, match="got more"):
        read_idx(gzip.compress(content, 1) if zipped else content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got nothing"),
        (b"\0\0\x08", "got 00 00 08"),
        (b"\x01\0\x08\x01" + bytes(5), "expected an IDX file"),
        (b"\0\0\x0a\x01" + bytes(5), "expected an IDX file"),
        (b"\0\0\x08\0" + bytes(1), "number of dimensions of 1 to 64"),
        (b"\0\0\x08\xff" + bytes(1020), "number of dimensions of 1 to 64"),
        (b"\0\0\x08\x02\0\0\0\1", "truncated in the header: expected 8 bytes of sizes, got 4"),
        (
            written(np.zeros(9, np.uint8))[:-2],
            "expected 9 bytes after the header for shape .9,. of uint8, got 7",
        ),
        (b"\x1f\x8b\x08", "broken gzip"),
        (gzip.compress(written(np.zeros(9, np.uint8)), mtime=0)[:-9], "broken gzip"),
    ],
)
def test_messages(content, message):
    with pytest.raises(FileError, match=message):
        read_idx(content)


def test_a_damaged_gzip_checksum_is_found():
    content = bytearray(gzip.compress(written(np.arange(9, dtype=np.uint8))))
    content[-8] ^= 1
    with pytest.raises(FileError, match=r"broken gzip.*CRC"):
        read_idx(bytes(content))


@pytest.mark.parametrize("sizes", [(2**32 - 1,) * 64, (0, 2**32 - 1, 2**32 - 1), (2**31 + 1,)])
def test_declared_sizes_are_capped(sizes):
    with pytest.raises(FileError, match="over the"):
        read_idx(bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes))


def test_max_bytes_is_the_bound():
    content = written(np.zeros((10, 10), np.float32))
    assert read_idx(content, max_bytes=400).shape == (10, 10)
    with pytest.raises(FileError, match="larger max_bytes"):
        read_idx(content, max_bytes=399)


def peak_while_refused(content: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(FileError):
            read_idx(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_huge_declared_size_allocates_nothing():
    assert peak_while_refused(b"\0\0\x08\x01" + struct.pack(">I", 2**31) + b"few") < 2 << 20


def test_a_gzip_bomb_stays_small():
    bomb = gzip.compress(written(np.zeros(9, np.uint8)) + bytes(64 << 20), 1)
    assert peak_while_refused(bomb) < 2 << 20


def test_a_gzip_bomb_that_declares_all_it_unpacks_to_stays_small():
    """300 MB of zeros in 0.3 MB, with an honest header."""
    zipped = io.BytesIO()
    with gzip.GzipFile(fileobj=zipped, mode="wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x01" + struct.pack(">I", 300 << 20))
        for _ in range(300):
            file.write(bytes(1 << 20))
    bomb = zipped.getvalue()
    assert peak_while_refused(bomb) < 2 << 20
    with pytest.raises(FileError, match=r"at most 256,000,000 bytes .*got 314,572,800 in a file of .*gunzip"):
        read_idx(bomb)


def test_what_is_not_compressed_is_read_whatever_its_size():
    content = b"\0\0\x08\x01" + struct.pack(">I", 257_000_000) + bytes(257_000_000)
    assert len(read_idx(content)) == 257_000_000


@pytest.mark.parametrize("path", ["missing", ".", "nul\0inside"])
def test_what_cannot_be_opened(path, tmp_path):
    with pytest.raises(FileError, match="could not read"):
        read_idx(f"{tmp_path}/{path}")
    with pytest.raises(FileError, match="could not read"):
        read_idx(Path(f"{tmp_path}/{path}"))
