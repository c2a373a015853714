"""Array files are refused by what they declare, before memory is taken for it; and what is right is read."""

from __future__ import annotations

import csv
import gzip
import io
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from chainrule.datasets import bounded, load_table
from chainrule.datasets.tables import array_files
from chainrule.datasets.tables.array_files import read_npy, read_npz
from chainrule.errors import ArgumentError, ChainruleError, DataError, FileError

SMALL, SOON = 4 << 20, 10.0
"""Bytes and seconds within which a file is refused."""


def npy(descr="<f8", shape="(0, 3)", fortran="False", content=b"", version=1, pad=0) -> bytes:
    """An array file with any header at all."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}" + " " * pad + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + content


def npz(compression=zipfile.ZIP_STORED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def declaring(archive: bytes, size: int) -> bytes:
    """The archive, whose central directory says that its first member has this size, packed and unpacked."""
    start = archive.index(b"PK\x01\x02")
    return archive[: start + 20] + struct.pack("<II", size, size) + archive[start + 28 :]


def saved(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zeros(rows: int, columns: int, descr: str = "<f8") -> bytes:
    """A compressed archive of so many zeros, made without holding them."""
    header = npy(descr, f"({rows}, {columns})")
    size = rows * columns * np.dtype(descr).itemsize
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(header)
        for start in range(0, size, 1 << 20):
            member.write(bytes(min(1 << 20, size - start)))
    return buffer.getvalue()


TWO = saved(np.eye(2))
BOMBS = {
    "more columns than are there": ("a.npy", npy(shape="(1, 20_000_000)"), FileError, "but the file holds 0"),
    "columns of no rows": (
        "a.npy",
        npy(shape="(0, 20000000)"),
        DataError,
        "at most 100,000 columns, got 20,0",
    ),
    "columns without end": (
        "a.npy",
        npy(shape=f"(0, {2**40})"),
        DataError,
        "at most 100,000 columns, got 1,0",
    ),
    "too large for any number": ("a.npy", npy(shape=f"({2**200}, 3)"), FileError, "but the file holds 0"),
    "fewer than are there": (
        "a.npy",
        npy(shape="(1, 3)", content=bytes(32)),
        FileError,
        "but the file holds 32",
    ),
    "a negative size": (
        "a.npy",
        npy(shape="(-1, -3)", content=bytes(24)),
        FileError,
        r"the shape \(-1, -3\)",
    ),
    "a size that is true": (
        "a.npy",
        npy(shape="(True, 3)", content=bytes(24)),
        FileError,
        "the shape .True, 3",
    ),
    "dimensions": ("a.npy", npy(shape=f"({'0, ' * 900})"), DataError, r"shape \(N, D\)"),
    "text of a billion": ("a.npy", npy("<U100000000", "(0,)"), FileError, "at most 1,000 characters"),
    "bytes of a billion": ("a.npy", npy("|S1000000000", "(0,)"), FileError, "at most 1,000 characters"),
    "nothing of a billion": ("a.npy", npy("|V1000000000", "(0,)"), FileError, "numbers or text"),
    "dates": ("a.npy", npy("<M8[s]", "(1, 1)", content=bytes(8)), FileError, "dates as numbers"),
    "objects": (
        "a.npy",
        npy("|O", "(2, 2)", content=bytes(32)),
        FileError,
        "Python objects, which can run code",
    ),
    "fields": (
        "a.npy",
        npy([("a", "<f8"), ("b", "<f8")], "(3,)", content=bytes(48)),
        FileError,
        "one by one",
    ),
    "a dtype with a shape": ("a.npy", npy(("<f8", (2**27,)), "(0, 1)"), FileError, "numbers or text"),
    "no dtype": ("a.npy", npy("<f99", "(1, 1)", content=bytes(8)), FileError, "damaged one"),
    "a long header": ("a.npy", npy(pad=60_000, content=bytes(24)), FileError, "damaged one"),
    "a header of megabytes": ("a.npy", npy(version=2, pad=5_000_000), FileError, "damaged one"),
    "a header of gigabytes": ("a.npy", b"\x93NUMPY\2\0\xff\xff\xff\xff{", FileError, "damaged one"),
    "a deep header": ("a.npy", npy(shape="(" * 4000), FileError, "damaged one"),
    "another version": ("a.npy", npy(version=3), FileError, "version 3.0"),
    "an unknown version": ("a.npy", npy(version=9), FileError, "damaged one"),
    "a member that declares more": (
        "a.npz",
        npz(x=npy(shape="(1, 20_000)")),
        FileError,
        "array 'x': .*but the file holds 0",
    ),
    "a member that declares less": (
        "a.npz",
        npz(x=npy(shape="(1, 3)", content=bytes(32))),
        FileError,
        "array 'x': .*but the file holds 32",
    ),
    "a member of columns": ("a.npz", npz(x=npy(shape=f"(0, {2**40})")), DataError, "at most 100,000 columns"),
    "a target that declares more": (
        "t.npz",
        npz(x=TWO, t=npy("<i8", f"({2**40},)")),
        FileError,
        "array 't': .*but the file holds 0",
    ),
    "a target of other length": (
        "t.npz",
        npz(x=TWO, t=saved(np.arange(3))),
        DataError,
        "one target for each row",
    ),
    "a member larger than the file": (
        "a.npz",
        declaring(npz(x=TWO), 2**31),
        FileError,
        "array 'x': .*damaged",
    ),
    "a member smaller than its content": ("a.npz", declaring(npz(x=TWO), 140), FileError, "damaged"),
    "a wrong checksum": ("a.npz", npz(x=TWO).replace(TWO[-8:], b"\1" * 8), FileError, "CRC"),
    "bzip2": ("a.npz", npz(zipfile.ZIP_BZIP2, x=TWO), FileError, "np.savez"),
    "lzma": ("a.npz", npz(zipfile.ZIP_LZMA, x=TWO), FileError, "np.savez"),
    "a bomb": (
        "a.npz",
        zeros(50_000, 1_000),
        FileError,
        r"at most 256,000,000 bytes .*got 400,000,000 in a file",
    ),
    "a bomb of bytes": ("a.npz", zeros(50_000, 1_000, "|i1"), FileError, "got 400,000,000 in a file"),
    "no characters": (
        "t.npz",
        npz(x=saved(np.eye(1)), t=npy("<U1", "(1,)", content=b"\xff\xff\xff\x7f")),
        FileError,
        "array 't': .*no character",
    ),
}


@pytest.mark.parametrize(("name", "content", "kind", "message"), BOMBS.values(), ids=BOMBS)
def test_what_declares_too_much_is_refused_at_once(tmp_path, name, content, kind, message):
    path = tmp_path / name
    path.write_bytes(content)
    read = read_npy if name.endswith("npy") else read_npz
    target = "t" if name == "t.npz" else None
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(kind, match=message) as caught:
            read(path, target, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(caught.value, ChainruleError)
    assert str(path) in str(caught.value)
    assert peak < SMALL
    assert time.perf_counter() - begin < SOON


def test_content_that_ends_early_takes_no_more_than_came(tmp_path):
    """The member says 200 MB, and holds a few bytes."""
    content = npy(shape="(250_000, 100)")
    packed = zlib.compressobj(wbits=-15)
    packed = packed.compress(content + bytes(99)) + packed.flush()
    archive = npz(zipfile.ZIP_DEFLATED, x=content)
    start, size = archive.index(b"PK\x01\x02"), len(content) + 200_000_000
    local = bytearray(archive[: 30 + len("x.npy")])
    struct.pack_into("<II", local, 18, len(packed), size)
    central = bytearray(archive[start:])
    struct.pack_into("<II", central, 20, len(packed), size)
    struct.pack_into("<I", central, len(central) - 6, len(local) + len(packed))
    path = tmp_path / "a.npz"
    path.write_bytes(bytes(local) + packed + bytes(central))
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"a\.npz"):
            read_npz(path, None, None)
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()


def test_a_bomb_is_refused_in_little_memory(tmp_path):
    """The memory that the whole process may have is bounded by the system."""
    path = tmp_path / "bomb.npz"
    small = tmp_path / "small.npz"
    np.savez(small, x=np.eye(2))
    path.write_bytes(zeros(60_000, 1_000))  # 480 MB in a file of 0.5 MB
    code = (
        "import resource, sys, chainrule.datasets as d\n"
        "from chainrule.errors import FileError\n"
        "d.load_table(sys.argv[2], None)  # what is imported on first use does not count\n"
        "held = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20),) * 2)\n"
        "try:\n    d.load_table(sys.argv[1], None)\n"
        "except FileError as error:\n    print(error)\n"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("RLIMIT_AS and /proc are Linux's")
    done = subprocess.run(
        [sys.executable, "-c", code, path, small], capture_output=True, text=True, timeout=120
    )
    assert "np.savez" in done.stdout, done.stderr


def test_the_bound_is_256_mb_or_100_times_the_file():
    bounded.refuse_bomb("a", 256_000_000, 1, "unpack it")
    bounded.refuse_bomb("a", 1_000_000_000, 10_000_000, "unpack it")
    with pytest.raises(FileError, match=r"a: .*at most 256,000,000 .*got 256,000,001 .*; unpack it"):
        bounded.refuse_bomb("a", 256_000_001, 2_560_000, "unpack it")
    with pytest.raises(FileError, match="at most 1,000,000,000"):
        bounded.refuse_bomb("a", 1_000_000_001, 10_000_000, "unpack it")


# What is right


@pytest.mark.parametrize("dtype", ["?", "i1", "<u2", ">i4", "<u8", "<f2", ">f4", "<f4", "<f8", ">f8", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_dtype_in_both_orders(tmp_path, dtype, order):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "b.npz", x=array, t=array[:, 0])
    np.savez_compressed(tmp_path / "c.npz", x=array, t=array[:, 0])
    for raw in (
        read_npy(tmp_path / "a.npy", None, None),
        read_npz(tmp_path / "b.npz", "t", None),
        read_npz(tmp_path / "c.npz", "t", None),
    ):
        assert raw.x.dtype == (np.float32 if dtype == "<f4" else np.float64)
        assert raw.x.dtype.isnative
        np.testing.assert_array_equal(raw.x, array.astype(float))
    assert raw.target_values.dtype == array.dtype
    np.testing.assert_array_equal(raw.target_values, array[:, 0])
    raw = read_npy(tmp_path / "a.npy", 1, None)
    np.testing.assert_array_equal(raw.x, array[:, [0, 2]])
    np.testing.assert_array_equal(raw.target_values, array[:, 1])


def test_a_header_of_the_second_version(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy(shape="(1, 3)", content=np.arange(3.0).tobytes(), version=2))
    assert read_npy(tmp_path / "a.npy", None, None).x.tolist() == [[0, 1, 2]]


def test_text_targets(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(2), t=np.array(["grün", "𝒷"], ">U4"))
    assert read_npz(tmp_path / "a.npz", "t", None).target_values.tolist() == ["grün", "𝒷"]


def test_a_bool_that_is_neither_0_nor_1_is_true(tmp_path):
    (tmp_path / "a.npy").write_bytes(npy("|b1", "(1, 3)", content=b"\0\1\7"))
    assert read_npy(tmp_path / "a.npy", None, None).x.tolist() == [[0, 1, 1]]


def test_nan_is_a_missing_cell_and_infinity_is_refused(tmp_path):
    x = np.array([[1, np.nan], [3, 4]])
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", x=x)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy", None, None).x, x)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", None, None).x, x)
    x[1, 1] = -np.inf
    np.save(tmp_path / "a.npy", x)
    message = r"a\.npy: data row 2, column 'x1': expected a finite number, got -inf; .*NaN if it is missing"
    with pytest.raises(DataError, match=message):
        read_npy(tmp_path / "a.npy", None, None)
    with pytest.raises(DataError, match="data row 2, column 'x1'"):
        read_npy(tmp_path / "a.npy", 0, None)


def test_an_infinity_among_many_rows_is_named(tmp_path):
    x = np.zeros((3, bounded.MOST_COLUMNS), np.float32)
    x = np.repeat(x, 5, axis=0)
    x[13, 99_999] = np.inf
    np.save(tmp_path / "a.npy", x)
    with pytest.raises(DataError, match="data row 14, column 'x99999'"):
        read_npy(tmp_path / "a.npy", None, None)


def test_a_wide_table_is_read_soon(tmp_path):
    """100,000 columns, and all of them asked for in another order."""
    np.save(tmp_path / "a.npy", np.arange(100_000, dtype=np.float32)[None])
    begin = time.perf_counter()
    names = [f"x{i}" for i in reversed(range(100_000))]
    raw = read_npy(tmp_path / "a.npy", None, names)
    assert raw.columns == names
    assert raw.x[0, 0] == 99_999
    with pytest.raises(DataError, match=r"missing: 'y0' .*; and 99,995 more") as caught:
        read_npy(tmp_path / "a.npy", None, [f"y{i}" for i in range(100_000)])
    assert len(str(caught.value)) < 5_000
    assert time.perf_counter() - begin < 60


def test_an_array_with_more_columns_is_refused_with_a_remedy(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, bounded.MOST_COLUMNS + 1), np.int8))
    with pytest.raises(DataError, match=r"at most 100,000 columns, got 100,001; .*transpose"):
        load_table(tmp_path / "a.npy", None)


def test_several_arrays_in_one_file_are_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(TWO + TWO)
    with pytest.raises(FileError, match=r"shape \(2, 2\) of float64 is 32 bytes, but the file holds 192"):
        read_npy(tmp_path / "a.npy", None, None)


def test_the_array_that_is_wrong_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.eye(2), t=np.array([object(), 1]))
    with pytest.raises(FileError, match=r"a\.npz, array 't': .*Python objects.*astype"):
        read_npz(tmp_path / "a.npz", "t", None)
    with pytest.raises(ArgumentError, match="no array 'y' for the target"):
        read_npz(tmp_path / "a.npz", "y", None)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_what_does_not_fit_into_memory_is_said(tmp_path, monkeypatch, name):
    def full(stream, header):
        raise MemoryError

    monkeypatch.setattr(array_files, "read_content", full)
    np.save(tmp_path / "a.npy", np.eye(2))
    np.savez(tmp_path / "a.npz", x=np.eye(2))
    with pytest.raises(FileError, match=r"fit into memory; save fewer rows"):
        load_table(tmp_path / name, None)


def test_packed_text_is_bounded(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"a,t\n")
        for _ in range(300):
            file.write(b"1,2\n" * 250_000)
    with pytest.raises(FileError, match=r"at most 256,000,000 bytes .*; unpack it"):
        load_table(path)


def test_text_is_bounded_in_width(tmp_path):
    usual = csv.field_size_limit()
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{k}" for k in range(100_001)) + "\n" + "1," * 100_000 + "1\n")
    with pytest.raises(DataError, match="at most 100,000 columns, got 100,001"):
        load_table(path, None)
    assert csv.field_size_limit() == usual
    path.write_text(
        ",".join(f"a long name of a column {k}" for k in range(9_000)) + "\n" + "1," * 8_999 + "1\n"
    )
    assert len(load_table(path, None).columns) == 9_000
