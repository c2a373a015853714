"""A text file as lines: opened in its encoding, with the lines that are no data left out."""

from __future__ import annotations

import _csv
import codecs
import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TextIO

from chainrule.datasets.bounded import refuse_bomb
from chainrule.datasets.tables.raw import unreadable
from chainrule.errors import ArgumentError, DataError, FileError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GZIP = b"\x1f\x8b"
_START = 1 << 12
Seen = Callable[[int], object]


class Text:
    """A text file in its encoding. `seen`, where it is given, is called with the bytes read so far."""

    def __init__(self, path: Path, encoding: str, seen: Seen | None = None) -> None:
        self.path, self.encoding, self.seen = path, encoding, seen

    @contextlib.contextmanager
    def open(self) -> Iterator[TextIO]:
        """The text, whose lines end in newlines however the file ends them. Errors say what is wrong with it."""
        try:
            with _opened(self.path, self.seen) as file:
                yield io.TextIOWrapper(file, encoding=self.encoding)
        except LookupError as error:
            if isinstance(error, (KeyError, IndexError)):
                raise
            raise ArgumentError(
                f"{self.path}: unknown encoding {self.encoding!r}; for example 'utf-8'"
            ) from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileError(f"{self.path}: damaged or cut off: {error}") from error
        except FileError:
            raise
        except OSError as error:
            raise unreadable(self.path, error) from error

    def refuse_cells(self, count: int) -> None:
        """Refuse `count` cells, of 8 bytes each, where a small packed file unpacks to them."""
        if self.path.suffix.lower() == ".gz":
            where, packed = f"{self.path} ({count:,} cells of 8 bytes)", self.path.stat().st_size
            refuse_bomb(where, count * 8, packed, "unpack it, and read the file that comes of it")

    def wrong_encoding(self, error: UnicodeError) -> DataError:
        where = f" (byte {error.object[error.start]:#04x})" if isinstance(error, UnicodeDecodeError) else ""
        encoding = self.encoding.removesuffix("-sig")
        return DataError(
            f"{self.path}: expected {encoding} text, got something else{where}; save it as UTF-8, or pass "
            f"its encoding, for example encoding='latin-1'"
        )


def encodings_of(path: Path) -> list[str]:
    """The encodings to try, one after another, found from the file's first bytes.

    Raises: FileError for a file that cannot be read, or holds no text.
    """
    try:
        with _opened(path) as file:
            start = file.read(_START)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{path}: damaged or cut off: {error}") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return [encoding]
    if b"\0" not in start:
        return ["utf-8", "cp1252", "latin-1"]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) >= 0.4 * len(start[::2]) and min(even, odd) <= 0.1 * len(start[::2]):
        return ["utf-16-le" if odd > even else "utf-16-be"]
    raise FileError(f"{path}: expected a text file with separated values, got a binary file")


def fields(lines: Iterable[str], separator: str) -> _csv.Reader:
    """A reader of rows of values; " " is any number of spaces and tabs."""
    if separator == " ":
        lines = (line.strip().replace("\t", " ") + "\n" for line in lines)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)


@contextlib.contextmanager
def long_values() -> Iterator[None]:
    """Let the csv module read values of any length: of a wide table, a line that is not split is one.

    The limit holds for the whole process: meanwhile other threads read such values too.
    """
    usual = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def is_blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip())


class DataLines(io.TextIOBase):
    """The data of a table, below its header, as pandas reads it.

    Lines that begin with # and do not split into as many values as a row has are left out, and so are those that
    begin with "# " where all such lines before were comments. `separators` and `has_quotes` say what was seen so
    far.
    """

    def __init__(
        self, file: TextIO, skip: int, separator: str, width: int, has_comments: bool = False
    ) -> None:
        super().__init__()
        self.file, self.separator, self.width = file, separator, width
        self.separators, self.has_quotes, self._in_quotes = 0, False, False
        self._has_comments, self._has_rows = has_comments, False  # that begin with #
        for _ in range(skip):
            file.readline()

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> str:
        """About `size` characters, to the end of a line; "" at the end of the file."""
        while True:
            text = self.file.read(-1 if size is None else size) + self.file.readline()
            if not text:
                return text
            has_quotes = '"' in text
            if "#" in text and (text[0] == "#" or "\n#" in text):
                text = "".join(self.kept(text.splitlines(keepends=True)))
            elif has_quotes:
                self._in_quotes ^= text.count('"') % 2 == 1
            self.has_quotes |= has_quotes
            self.separators += text.count(self.separator)
            if text:
                return text

    def kept(self, lines: Iterable[str], instead: str = "") -> Iterator[str]:
        """The lines with `instead` of those that are comments. A # within quotes begins none."""
        for line in lines:
            if line.startswith("#") and not self._in_quotes and not self._is_row(line):
                yield instead
            else:
                self._in_quotes ^= line.count('"') % 2 == 1
                yield line

    def _is_row(self, line: str) -> bool:
        if self._has_comments and not self._has_rows and line.startswith("# "):
            return False
        is_row = len(next(fields([line], self.separator), [])) == self.width
        self._has_rows |= is_row
        self._has_comments |= not is_row
        return is_row


@contextlib.contextmanager
def _opened(path: Path, seen: Seen | None = None) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where it is packed."""
    file: io.RawIOBase = _Watched(path, seen) if seen else io.FileIO(path)
    with io.BufferedReader(file, 1 << 18) as buffered:
        if buffered.peek(2)[:2] != _GZIP:
            yield buffered
            return
        with gzip.GzipFile(fileobj=buffered) as unpacked:
            yield io.BufferedReader(_Bounded(unpacked, path), 1 << 18)


class _Bounded(io.RawIOBase):
    """What a packed file unpacks to, refused where it is far more than the file."""

    def __init__(self, unpacked: gzip.GzipFile, path: Path) -> None:
        super().__init__()
        self.unpacked, self.path, self.packed, self.count = unpacked, path, path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = self.unpacked.readinto(buffer)
        self.count += count
        refuse_bomb(str(self.path), self.count, self.packed, "unpack it, and read the file that comes of it")
        return count


class _Watched(io.FileIO):
    """A file that says how far it was read."""

    def __init__(self, path: Path, seen: Seen) -> None:
        super().__init__(path)
        self.seen, self.count = seen, 0

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
        count = super().readinto(buffer)
        self.count += count or 0
        self.seen(self.count)
        return count
