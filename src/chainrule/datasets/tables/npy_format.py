"""Arrays as NumPy writes them: the header is read and judged before memory is taken for what it declares."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.datasets.bounded import read_bytes
from chainrule.errors import FileError

MOST_HEADER = 10_000
"""Bytes of a header; those of numbers and text have some 100."""
MOST_CHARACTERS = 1_000
"""Characters of a text in an array; classes are words."""
_MAGIC = b"\x93NUMPY"
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Header:
    """What the header of an array declares; `size` is its own, in bytes."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    is_fortran: bool
    size: int

    @property
    def content(self) -> int:
        """The bytes of content that it declares."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], name: str) -> Header:
    """The header at the start of an array that errors call `name`.

    Raises: FileError where it is none, is damaged, is longer than MOST_HEADER, or declares anything but an array of
    numbers, booleans, or text of at most MOST_CHARACTERS.
    """
    start = bytes(read_bytes(stream, MOST_HEADER))
    if not start.startswith(_MAGIC):
        raise FileError(
            f"{name}: expected a NumPy file of numbers or text; got no NumPy file, or one with Python objects, "
            f"which can run code, or something else than arrays; write it with np.save or np.savez"
        )
    file = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READ_HEADER:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not for numbers and text")
        shape, is_fortran, dtype = _READ_HEADER[version](file, max_header_size=MOST_HEADER)
    # What a damaged header makes NumPy raise is open-ended: ValueError, SyntaxError, TypeError, RecursionError, ...
    except Exception as error:
        raise damaged(name, str(error)) from error
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise damaged(name, f"the shape {shape}")
    if dtype.kind == "O":
        raise FileError(
            f"{name}: expected a NumPy file of numbers or text; got one with Python objects, which can run code; "
            f"convert the array with astype(float) or astype(str) and save it again"
        )
    if dtype.kind not in "biufcSU" or dtype.shape:
        raise FileError(
            f"{name}: expected a NumPy file of numbers or text; got {str(dtype)[:80]}; save the fields of a "
            f"structured array one by one, and dates as numbers"
        )
    if dtype.kind in "SU" and dtype.itemsize > MOST_CHARACTERS * (4 if dtype.kind == "U" else 1):
        raise FileError(
            f"{name}: expected text of at most {MOST_CHARACTERS:,} characters, got {dtype}; save short words, "
            f"such as the names of classes"
        )
    return Header(name, shape, dtype, is_fortran, file.tell())


def refuse_other_size(header: Header, held: int) -> None:
    """Refuse an array that declares more or less content than `held`, the bytes that are there behind its header.

    Raises: FileError.
    """
    if header.content != held:
        raise damaged(
            header.name,
            f"shape {header.shape} of {header.dtype} is {header.content:,} bytes, but the file holds {held:,}",
        )


def read_content(stream: IO[bytes], header: Header) -> Array:
    """The array of a header that was judged, from a stream that stands behind that header.

    Raises: FileError where the content ends too early, or text holds what is no character.
    """
    content = read_bytes(stream, header.content)
    refuse_other_size(header, len(content))
    order: Any = "F" if header.is_fortran else "C"
    array: Array = np.ndarray(header.shape, header.dtype, buffer=content, order=order)
    if header.dtype.kind == "b":  # a byte of 2 is neither true nor false to NumPy
        truths: Array = array.view(np.uint8) != 0
        return truths
    if header.dtype.kind == "U" and header.content:
        codes = np.ndarray(
            len(content) // 4, np.dtype(np.uint32).newbyteorder(header.dtype.byteorder), content
        )
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes <= 0xDFFF))).any():
            raise damaged(header.name, "its text holds what is no character")
    return array


def damaged(name: str, problem: str) -> FileError:
    """The error for content that is not as it was written."""
    return FileError(
        f"{name}: expected a NumPy file of numbers or text; got a damaged one ({problem[:300]}); get it or save it "
        f"again"
    )
