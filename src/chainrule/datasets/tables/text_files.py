"""Reading a table from a text file with separated values, with errors that say where."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.raw import RawMatrix, features_of, unreadable
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean
from chainrule.incoming import looks_missing

if TYPE_CHECKING:
    import pandas


def read_csv(
    path: Path, target: str | int | None, columns: Sequence[str] | None, separator: str, encoding: str
) -> RawMatrix:
    """Read a CSV file with a header; numbers and booleans are features, the target is left as text."""
    import pandas

    if len(separator) != 1 or separator in '"\r\n':
        raise ArgumentError(f"{path}: expected a separator of one character, got {separator!r}")
    # "utf-8-sig" is UTF-8 that also skips the mark that Excel puts in front.
    lines = _Csv(path, separator, "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    lines.refuse_binary()
    names = lines.names()
    if isinstance(target, int):
        raise ArgumentError(f"{path}: expected the name of the target column, got the number {target}")
    if target is not None and target not in names:
        raise ArgumentError(
            f"{path}: no column {target!r} for the target; {did_you_mean(target, names)}; "
            f"target=None reads features only"
        )
    features = features_of(path, names, target, columns)
    if "" in features:
        raise DataError(
            f"{path}: column {names.index('') + 1} has no name in the header; name it, or write the file "
            f"without an index"
        )
    try:
        with lines.open() as file:
            frame = pandas.read_csv(
                file,
                sep=separator,
                header=0,
                names=names,
                index_col=False,
                dtype={} if target is None else {target: str},
                # An empty cell stays text, and is found and named below.
                na_filter=False,
                low_memory=False,
            )
    except UnicodeError as error:
        raise lines.wrong_encoding(error) from error
    except (ValueError, OverflowError) as error:
        lines.refuse_ragged(names)
        raise DataError(f"{path}: could not be read as CSV: {str(error).strip()}") from error
    if frame.empty:
        raise DataError(f"{path}: expected rows of data below the header, got none")
    numbers = [_numbers(lines, frame[name], name, names) for name in features]
    x = np.column_stack(numbers) if numbers else np.empty((len(frame), 0))
    if target is None:
        return RawMatrix(x, features, None, None)
    values = frame[target].str.strip().to_numpy(object)
    if (values == "").any():
        lines.refuse_ragged(names)
    return RawMatrix(x, features, target, values)


class _Csv:
    """A CSV file as lines: what pandas does not tell, or tells in words that do not help."""

    def __init__(self, path: Path, separator: str, encoding: str) -> None:
        self.path, self.separator, self.encoding = path, separator, encoding

    def open(self) -> Any:
        try:
            return self.path.open(encoding=self.encoding, newline="")
        except LookupError:
            raise ArgumentError(
                f"{self.path}: unknown encoding {self.encoding!r}; for example 'utf-8'"
            ) from None
        except (OSError, ValueError) as error:
            raise unreadable(self.path, error) from error

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The line on which each row ends, and its fields; blank lines are left out, as pandas does."""
        try:
            with self.open() as file:
                reader = csv.reader(file, delimiter=self.separator)
                for row in reader:
                    if len(row) > 1 or (row and row[0].strip()):
                        yield reader.line_num, row
        except UnicodeError as error:
            raise self.wrong_encoding(error) from error
        except OSError as error:
            raise unreadable(self.path, error) from error
        except csv.Error as error:
            raise DataError(f"{self.path}: could not be read as CSV: {error}") from error

    def refuse_binary(self) -> None:
        try:
            with self.path.open("rb") as file:
                start = file.read(1 << 16)
        except (OSError, ValueError) as error:
            raise unreadable(self.path, error) from error
        if not self.encoding.lower().startswith("utf-8"):
            return
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{self.path}: expected UTF-8 text, got UTF-16; pass encoding='utf-16'")
        if b"\0" in start:
            raise FileError(f"{self.path}: expected a text file with separated values, got a binary file")

    def wrong_encoding(self, error: UnicodeError) -> DataError:
        where = f" (byte {error.object[error.start]:#04x})" if isinstance(error, UnicodeDecodeError) else ""
        encoding = self.encoding.removesuffix("-sig")
        return DataError(
            f"{self.path}: expected {encoding} text, got something else{where}; save it as UTF-8, or pass "
            f"its encoding, for example encoding='latin-1'"
        )

    def names(self) -> list[str]:
        """The names in the header; holds the first row of data, which pandas does not check, against it."""
        rows = self.rows()
        names = [name.strip() for name in next(rows, (0, []))[1]]
        line, first = next(rows, (0, []))
        rows.close()  # type: ignore[attr-defined]  # a generator, typed as an iterator
        if not names:
            raise DataError(f"{self.path}: expected a header and rows of data, got an empty file")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(
                f"{self.path}: expected different column names in the header, got "
                f"{', '.join(map(repr, twice))} more than once; a file without a header needs one"
            )
        for other in ";\t,":
            if len(names) == 1 and other in names[0]:
                raise DataError(
                    f"{self.path}: got only one column, {names[0]!r}; pass separator={other!r} if that "
                    f"separates the values"
                )
        if not first:
            raise DataError(f"{self.path}: expected rows of data below the header, got none")
        self._refuse_width(line, first, names)
        return names

    def refuse_ragged(self, names: list[str]) -> None:
        """Raise DataError for the first row that has more or fewer values than the header has names."""
        for line, row in self.rows():
            self._refuse_width(line, row, names)

    def _refuse_width(self, line: int, row: list[str], names: list[str]) -> None:
        if len(row) != len(names):
            raise DataError(
                f"{self.path}, line {line}: expected {len(names)} values, as the header has, got {len(row)}; "
                f"a value that holds {self.separator!r} itself must stand in double quotes"
            )


def _numbers(lines: _Csv, series: pandas.Series[Any], name: str, names: list[str]) -> Array:
    """A column as float64, or DataError with the first row that holds no number."""
    import pandas

    values: Array = pandas.to_numeric(series, errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(values))
    if len(wrong):
        lines.refuse_ragged(names)
        row = int(wrong[0])
        text = str(series.iloc[row])
        if looks_missing(text):
            problem = f"the value is missing ({text!r}); fill it in or leave the row out"
        else:
            problem = (
                f"expected a number, got the text {text!r}; turn text into numbers (one column of 0 and 1 "
                f"for each value), or leave the column out"
            )
        raise DataError(f"{lines.path}: data row {row + 1}, column {name!r}: {problem}")
    return values


def read_text(path, target, forms, dialect, drop=()):
    import pandas

    from chainrule.datasets.tables.frames import read_frame

    f = pandas.read_csv(path)
    return read_frame(f, target, forms, (), drop)
