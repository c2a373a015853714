"""Reading the columns of a table from CSV, .npz and .npy files, with errors that say where."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean
from chainrule.incoming import looks_missing

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class RawTable:
    """Features as numbers, and the target's values as the file holds them."""

    x: Array
    columns: list[str]
    target: str | None
    target_values: Array | None


def read_csv(
    path: Path, target: str | int | None, columns: Sequence[str] | None, separator: str, encoding: str
) -> RawTable:
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
    features = _features(path, names, target, columns)
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
        return RawTable(x, features, None, None)
    values = frame[target].str.strip().to_numpy(object)
    if (values == "").any():
        lines.refuse_ragged(names)
    return RawTable(x, features, target, values)


def read_npz(path: Path, target: str | int | None, columns: Sequence[str] | None) -> RawTable:
    """Read the arrays `x` and `target` of an .npz file."""
    arrays = _load(path, "x", target)
    if not isinstance(arrays, dict):
        raise FileError(f"{path}: expected an .npz archive, got a single array; name the file .npy")
    if "x" not in arrays:
        raise DataError(f"{path}: expected an array 'x' of features, got {', '.join(arrays) or 'no arrays'}")
    if target is not None and target not in arrays:
        raise ArgumentError(
            f"{path}: no array {target!r} for the target; {did_you_mean(str(target), arrays)}; "
            f"target=None reads features only"
        )
    x = _matrix(path, "x", arrays["x"])
    values = None if target is None else arrays[str(target)]
    if values is not None and (values.ndim == 0 or len(values) != len(x)):
        raise DataError(
            f"{path}: expected one target for each row: x has shape {x.shape}, {target} has {values.shape}"
        )
    names = [f"x{i}" for i in range(x.shape[1])]
    features = _features(path, names, None, columns)
    return RawTable(_take(x, names, features), features, None if target is None else str(target), values)


def read_npy(path: Path, target: str | int | None, columns: Sequence[str] | None) -> RawTable:
    """Read an .npy file: a matrix, one column of which is the target."""
    array = _load(path)
    if isinstance(array, dict):
        raise FileError(f"{path}: expected a single array, got an .npz archive; name the file .npz")
    matrix = _matrix(path, "the array", array)
    names = [f"x{i}" for i in range(matrix.shape[1])]
    if target is None:
        features = _features(path, names, None, columns)
        return RawTable(_take(matrix, names, features), features, None, None)
    try:
        chosen = names[int(str(target).removeprefix("x"))]
    except (ValueError, IndexError):
        raise ArgumentError(
            f"{path}: expected the position of the target column, 0 to {len(names) - 1}, got {target!r}; "
            f"target=None reads features only"
        ) from None
    features = _features(path, names, chosen, columns)
    values = array[:, names.index(chosen)]  # of the file's own dtype: whole numbers are classes
    return RawTable(_take(matrix, names, features), features, chosen, values)


def _features(path: Path, names: list[str], target: str | None, columns: Sequence[str] | None) -> list[str]:
    """The features to read: those asked for, which must be there, or all but the target."""
    if columns is None:
        return [name for name in names if name != target]
    if target in columns:
        raise ArgumentError(f"{path}: the target {target!r} cannot be a feature too; take it out of columns")
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(
            f"{path}: expected the columns {', '.join(columns)}; missing: "
            + "; ".join(f"{name!r} ({did_you_mean(name, names)})" for name in missing)
        )
    return list(columns)


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
            raise _unreadable(self.path, error) from error

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
            raise _unreadable(self.path, error) from error
        except csv.Error as error:
            raise DataError(f"{self.path}: could not be read as CSV: {error}") from error

    def refuse_binary(self) -> None:
        try:
            with self.path.open("rb") as file:
                start = file.read(1 << 16)
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, error) from error
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


def _load(path: Path, *wanted: str | int | None) -> Any:
    """The array in a NumPy file, or a dictionary of those wanted (of the others only the name is read)."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                return loaded
            with loaded:
                arrays = {name: loaded[name] if name in wanted else np.empty(0) for name in loaded.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something else than arrays")
        return arrays
    except OSError as error:
        raise _unreadable(path, error) from error
    # What NumPy and zipfile raise on damaged content is open-ended: ValueError, BadZipFile, zlib.error,
    # SyntaxError, EOFError, KeyError, NotImplementedError, MemoryError, ...
    except Exception as error:
        refused = "object" in str(error).lower() or "pickle" in str(error).lower()
        problem = "no NumPy file, or one with Python objects, which can run code" if refused else "damaged"
        raise FileError(
            f"{path}: expected a NumPy file of numbers or text; got {problem} ({error})"
        ) from error


def _matrix(path: Path, name: str, array: Array) -> Array:
    if array.ndim != 2:
        raise DataError(
            f"{path}: expected {name} of shape (N, D), got {array.shape}; for example reshape(len(x), -1)"
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: expected {name} to hold numbers, got {array.dtype}")
    keeps = array.dtype in (np.float32, np.float64)
    return array if keeps and array.dtype.isnative else array.astype(np.float64)


def _take(x: Array, names: list[str], features: list[str]) -> Array:
    return x if features == names else x[:, [names.index(name) for name in features]]


def _unreadable(path: str | os.PathLike[str], error: Exception) -> FileError:
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(f"could not read {path}: {reason}; check the path and its permissions")
