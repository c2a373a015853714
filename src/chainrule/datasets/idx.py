"""The IDX format: four bytes of magic, the sizes, then the numbers, all of them big-endian.

    0 0 dtype ndim | size_1 ... size_ndim, 4 bytes each | numbers, the last index fastest

Nothing that a file declares is believed before that much content has come.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.bounded import read_bytes, refuse_bomb, size_of
from chainrule.errors import FileError

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MOST_DIMENSIONS = 64  # NumPy's own limit


def read_idx(source: str | os.PathLike[str] | bytes, *, max_bytes: int = 1 << 31) -> Array:
    """Read an array from an IDX file, or from the bytes of one; gzip is recognized by its first two bytes.

    A file that declares more than `max_bytes` of numbers is refused, and a compressed one that declares more than
    256 MB and more than 100 times its own size. No more is read or decompressed than was declared, plus one byte,
    so a gzip bomb stays small.

    Shapes: as the file declares.
    dtype: uint8, int8, int16, int32, float32 or float64, in this machine's byte order; writable.
    Raises: FileError when the file is missing, unreadable, no IDX file, truncated, too long or broken gzip.
    Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, "The IDX file format".
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return read_idx_stream(io.BytesIO(source), "the given bytes", max_bytes)
    try:
        with Path(source).open("rb") as file:
            return read_idx_stream(file, str(source), max_bytes)
    except FileError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"could not read {source}: {reason}; check the path and its permissions") from error


def read_idx_stream(
    file: IO[bytes], name: str, max_bytes: int, each_chunk: Callable[[bytes], object] | None = None
) -> Array:
    """`read_idx` on an open file that errors call `name`; `each_chunk` sees the decompressed content."""
    try:
        size = size_of(file)
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with gzip.GzipFile(fileobj=file) if zipped else contextlib.nullcontext(file) as stream:
            read = partial(read_bytes, stream, each_chunk=each_chunk)
            return _parse(read, name, max_bytes, size if zipped else None)
    except FileError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(
            f"{name}: broken gzip ({error}); the file is truncated or damaged, get it again"
        ) from error
    except OSError as error:
        raise FileError(f"could not read {name}: {error.strerror or error}") from error


def _parse(read: Callable[[int], bytearray], name: str, max_bytes: int, packed: int | None) -> Array:
    """The array in content that `read` returns piece by piece; `packed` is the size of a compressed file."""
    magic = read(4)
    dtype = DTYPES.get(magic[2]) if len(magic) == 4 and magic[:2] == b"\0\0" else None
    if dtype is None or not 1 <= magic[3] <= _MOST_DIMENSIONS:
        raise FileError(
            f"{name}: expected an IDX file, which starts with 0, 0, a dtype of "
            f"{', '.join(f'0x{code:02X}' for code in DTYPES)} and a number of dimensions of 1 to "
            f"{_MOST_DIMENSIONS}; got {magic.hex(' ') or 'nothing'}"
        )
    sizes = read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise FileError(
            f"{name}: truncated in the header: expected {4 * magic[3]} bytes of sizes, got {len(sizes)}"
        )
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    declared = math.prod(shape) * dtype.itemsize
    # Sizes of zero are left out here: NumPy refuses a shape such as (0, 2**32, 2**32) as too big.
    if math.prod(size for size in shape if size) * dtype.itemsize > max_bytes:
        raise FileError(
            f"{name}: declares shape {shape} of {dtype.name}, over the {max_bytes} bytes allowed; "
            f"the header is damaged, or pass a larger max_bytes"
        )
    if packed is not None:
        refuse_bomb(name, declared, packed, "unpack it with gunzip and read that, if it is as meant")
    content = read(declared)
    if len(content) < declared:
        raise FileError(
            f"{name}: truncated: expected {declared} bytes after the header for shape {shape} of "
            f"{dtype.name}, got {len(content)}; get the file again"
        )
    if read(1):
        raise FileError(
            f"{name}: expected {declared} bytes after the header for shape {shape} of {dtype.name}, got more"
        )
    array: Array = np.ndarray(shape, dtype, buffer=content)
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return array
