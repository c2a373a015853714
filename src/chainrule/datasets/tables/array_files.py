"""Reading a table from NumPy files, .npz and .npy."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.bounded import refuse_bomb, refuse_width, size_of
from chainrule.datasets.tables.npy_format import (
    Header,
    damaged,
    read_content,
    read_header,
    refuse_other_size,
)
from chainrule.datasets.tables.raw import RawMatrix, features_of, unreadable
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean

_ZIP, _PLAIN = b"PK", b"\x93NUMPY"
_AT_ONCE = 1 << 20


def read_npz(path: Path, target: str | int | None, columns: Sequence[str] | None) -> RawMatrix:
    """Read the arrays `x` and `target` of an .npz file.

    Compressed arrays may unpack to 256 MB, or to 100 times the file's size; numbers count as float64, which they
    become. A NaN in x is a missing cell.

    Raises: FileError, DataError or ArgumentError, before memory is taken for what the file declares.
    """
    with _opened(path) as file:
        size = size_of(file)
        if file.read(6) == _PLAIN:
            raise FileError(f"{path}: expected an .npz archive, got a single array; name the file .npy")
        with zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if "x" not in members:
                known = ", ".join(list(members)[:30]) or "no arrays"
                raise DataError(f"{path}: expected an array 'x' of features, got {known}")
            if target is not None and target not in members:
                raise ArgumentError(
                    f"{path}: no array {target!r} for the target; {did_you_mean(str(target), members)}; "
                    f"target=None reads features only"
                )
            wanted = {name: members[name] for name in ("x", target) if isinstance(name, str)}
            headers = {name: _header(path, archive, info, size) for name, info in wanted.items()}
            x = headers["x"]
            _refuse_no_matrix(path, "x", x)
            if target is not None:
                shape = headers[str(target)].shape
                if not shape or shape[0] != x.shape[0]:
                    raise DataError(
                        f"{path}: expected one target for each row: x has shape {x.shape}, {target} has {shape}"
                    )
            _refuse_bomb(path, size, [(wanted[name], header) for name, header in headers.items()])
            arrays = {name: _member(archive, wanted[name], header) for name, header in headers.items()}
    names = [f"x{i}" for i in range(x.shape[1])]
    features = features_of(path, names, None, columns)
    matrix = _numbers(path, _take(arrays["x"], names, features), features)
    values = None if target is None else arrays[str(target)]
    return RawMatrix(matrix, features, None if target is None else str(target), values)


def read_npy(path: Path, target: str | int | None, columns: Sequence[str] | None) -> RawMatrix:
    """Read an .npy file: a matrix, one column of which is the target. A NaN among the others is a missing cell.

    Raises: FileError, DataError or ArgumentError, before memory is taken for what the file declares.
    """
    with _opened(path) as file:
        size = size_of(file)
        if file.read(2) == _ZIP:
            raise FileError(f"{path}: expected a single array, got an .npz archive; name the file .npz")
        file.seek(0)
        header = read_header(file, str(path))
        refuse_other_size(header, size - header.size)
        _refuse_no_matrix(path, "the array", header)
        names = [f"x{i}" for i in range(header.shape[1])]
        chosen = None if target is None else _place(path, names, target)
        features = features_of(path, names, None if chosen is None else names[chosen], columns)
        file.seek(header.size)
        array = read_content(file, header)
    matrix = _numbers(path, _take(array, names, features), features)
    if chosen is None:
        return RawMatrix(matrix, features, None, None)
    values = array[:, chosen]  # of the file's own dtype: whole numbers are classes
    return RawMatrix(matrix, features, names[chosen], values)


def _place(path: Path, names: list[str], target: str | int) -> int:
    """The position of the target column, given as a number or as the name of a column."""
    try:
        return range(len(names))[int(str(target).removeprefix("x"))]
    except (ValueError, IndexError):
        raise ArgumentError(
            f"{path}: expected the position of the target column, 0 to {len(names) - 1}, got {target!r}; "
            f"target=None reads features only"
        ) from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """An open file; whatever goes wrong with its content is a FileError."""
    try:
        with path.open("rb") as file:
            yield file
    except (FileError, DataError, ArgumentError):
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except MemoryError as error:
        raise FileError(
            f"{path}: expected arrays that fit into memory; save fewer rows or columns, or save them as float32"
        ) from error
    # What zipfile raises on damaged content is open-ended: BadZipFile, zlib.error, EOFError, NotImplementedError,
    # RuntimeError, UnicodeDecodeError, ...
    except Exception as error:
        raise damaged(str(path), str(error) or type(error).__name__) from error


def _header(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> Header:
    """The header of an array that fits in the file of this size, and has as much content as the archive says."""
    name = f"{path}, array {info.filename.removesuffix('.npy')!r}"
    is_plain = info.compress_type == zipfile.ZIP_STORED
    if info.flag_bits & 1 or not (is_plain or info.compress_type == zipfile.ZIP_DEFLATED):
        raise FileError(
            f"{name}: encrypted, or compressed in a way that NumPy does not write; write it with np.savez"
        )
    if info.compress_size > size or (is_plain and info.file_size != info.compress_size):
        raise damaged(name, f"it declares {info.file_size:,} bytes in a file of {size:,}")
    with archive.open(info) as stream:
        header = read_header(stream, name)
    refuse_other_size(header, info.file_size - header.size)
    return header


def _refuse_bomb(path: Path, size: int, wanted: Sequence[tuple[zipfile.ZipInfo, Header]]) -> None:
    unpacked = sum(
        max(header.content, 8 * math.prod(header.shape))
        for info, header in wanted
        if info.compress_type != zipfile.ZIP_STORED
    )
    names = " and ".join(info.filename.removesuffix(".npy") for info, _ in wanted)
    refuse_bomb(f"{path}, arrays {names}", unpacked, size, "write it with np.savez, which does not compress")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> Array:
    with archive.open(info) as stream:
        stream.read(header.size)
        array = read_content(stream, header)
        stream.read(1)  # at the end zipfile holds the checksum against the content
    return array


def _refuse_no_matrix(path: Path, name: str, header: Header) -> None:
    if len(header.shape) != 2:
        raise DataError(
            f"{path}: expected {name} of shape (N, D), got {header.shape}; for example reshape(len(x), -1)"
        )
    refuse_width(f"{path}: {name}", header.shape[1])
    if header.dtype.kind not in "biuf":
        raise DataError(f"{path}: expected {name} to hold numbers, got {header.dtype}")


def _numbers(path: Path, array: Array, features: list[str]) -> Array:
    """The features as float32 where the file holds that, else float64; an infinite one is refused."""
    if array.dtype not in (np.float32, np.float64) or not array.dtype.isnative:
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    rows = max(1, _AT_ONCE // max(1, array.shape[1]))
    for start in range(0, len(array), rows):
        infinite = np.isinf(array[start : start + rows])
        if infinite.any():
            row, column = (int(i) for i in np.argwhere(infinite)[0])
            raise DataError(
                f"{path}: data row {start + row + 1}, column {features[column]!r}: expected a finite number, got "
                f"{array[start + row, column]}; correct the value, or write NaN if it is missing"
            )
    return array


def _take(x: Array, names: list[str], features: list[str]) -> Array:
    return x if features == names else x[:, [int(name[1:]) for name in features]]
