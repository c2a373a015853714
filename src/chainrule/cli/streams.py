"""Standard output and standard error that no reader, no terminal and no closed file can make a command fail by.

A reader that has seen enough, such as `head`, changes nothing but that nothing more is written. What an encoding
lacks is written as an escape. A full disk is an error, once.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


def open_streams() -> None:
    """Put such streams in the place of the process's. What is closed is opened, and leads nowhere."""
    for handle in range(3):
        _fill(handle)  # else the next file that is opened would be taken for standard output
    sys.stdout = _stream(sys.stdout, "standard output", may_fail=False)
    sys.stderr = _stream(sys.stderr, "standard error", may_fail=True)


class Output(io.RawIOBase):
    """Where a stream's bytes go. After an error nothing more is written: the first one says it all."""

    def __init__(self, stream: TextIO, name: str, may_fail: bool) -> None:
        self._raw: Any = getattr(stream.buffer, "raw", stream.buffer)
        self.name = name
        self._may_fail = may_fail or stream.isatty()  # a terminal that fails was closed
        self._has_ended = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return bool(self._raw.isatty())

    def write(self, data: Any) -> int:
        """Write some of the bytes. Raises OSError, with the name of the stream, when the disk is full."""
        size = memoryview(data).nbytes
        if self._has_ended:
            return size
        try:
            while (written := self._raw.write(data)) is None:
                select.select([], [self._raw], [])  # somebody made it return where it would wait
        except OSError as error:
            self._has_ended = True
            if self._may_fail or _has_no_reader(error):
                return size
            raise OSError(error.errno, error.strerror, self.name) from None
        return int(written)


def _stream(stream: TextIO | None, name: str, *, may_fail: bool) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(Output(stream, name, may_fail)),
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _has_no_reader(error: OSError) -> bool:
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def _fill(handle: int) -> None:
    try:
        os.fstat(handle)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != handle:
            os.dup2(null, handle)
            os.close(null)
