"""Bounds on what a file may make the reader hold: they are checked from what it declares, before memory is taken.

Content that is not compressed must be exactly as large as the file declares. Compressed content may unpack to
256 MB, or to 100 times the size of the file, whichever is more. A table has at most 100,000 columns.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import IO, TypeAlias

from chainrule.errors import DataError, FileError

UNPACKED = 256_000_000
RATIO = 100
MOST_COLUMNS = 100_000
Stream: TypeAlias = IO[bytes] | gzip.GzipFile
_CHUNK = 1 << 20


def refuse_bomb(name: str, unpacked: int, packed: int, remedy: str) -> None:
    """Refuse compressed content that unpacks to more than UNPACKED bytes, and than RATIO times the file's size.

    Raises: FileError.
    """
    most = max(UNPACKED, RATIO * packed)
    if unpacked > most:
        raise FileError(
            f"{name}: expected compressed content of at most {most:,} bytes ({UNPACKED // 1_000_000} MB, or "
            f"{RATIO} times the size of the file), got {unpacked:,} in a file of {packed:,}; {remedy}"
        )


def refuse_width(name: str, columns: int) -> None:
    """Refuse a table of more than MOST_COLUMNS columns.

    Raises: DataError.
    """
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{name}: expected at most {MOST_COLUMNS:,} columns, got {columns:,}; keep those that matter, or "
            f"transpose the table if its rows are the columns"
        )


def size_of(file: IO[bytes]) -> int:
    """The size in bytes of an open file, which is read from its start afterwards."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def read_bytes(stream: Stream, count: int, each_chunk: Callable[[bytes], object] | None = None) -> bytearray:
    """`count` bytes, or fewer where the content ends. Memory grows with what was read, not with `count`."""
    content = bytearray()
    while len(content) < count:
        chunk = stream.read(min(_CHUNK, count - len(content)))
        if not chunk:
            break
        if each_chunk is not None:
            each_chunk(chunk)
        content += chunk
    return content
