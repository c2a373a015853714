"""Reading the columns of a text file in chunks with pandas: numbers as numbers, others as different texts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.finding import Start
from chainrule.datasets.tables.lines import DataLines, Text, fields, is_blank
from chainrule.datasets.tables.recognize import Cells, stands_for_missing
from chainrule.errors import DataError
from chainrule.incoming import USUAL_MISSING

if TYPE_CHECKING:
    import pandas

CELLS, ROWS = 1_500_000, 1000
"""About this many cells are read at once, and at least this many rows: pandas takes its time over each column."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What is to be read: of the columns with these names, those that are wanted."""

    text: Text
    start: Start
    names: list[str]
    wanted: list[str]
    missing: Sequence[str]

    def words_for_missing(self) -> list[str]:
        """Those that the first rows hold, and the most usual ones: pandas takes long over many.

        A column of numbers with another is read again as text.
        """
        shown = {cell for row in self.start.rows for cell in row if stands_for_missing(cell.strip())}
        return sorted({*USUAL_MISSING, *self.missing, *shown})


@dataclass(frozen=True, eq=False)
class Content:
    """Columns as they were read: numbers (NaN where one is missing), or the cells of the others."""

    rows: int
    numbers: dict[str, Array]
    texts: dict[str, Cells]


def read_columns(reading: Reading, plain: Collection[str]) -> Content:
    """Read the wanted columns, those in `plain` as numbers; one that turns out to be none is read again, as text.

    Raises: DataError, with the line, for a row that has more or fewer values than the header has names.
    """
    if reading.start.rows and len(reading.start.rows[0]) > reading.start.width + 1:
        refuse_ragged(reading)  # pandas would take the first row for what all others should be
    first = _pass(reading, reading.wanted, plain)
    surprises = [name for name in reading.wanted if name in plain and name not in first.numbers]
    if surprises:
        again = _pass(reading, surprises, ())
        first.texts.update(again.texts)
    return first


def _pass(reading: Reading, wanted: Sequence[str], plain: Collection[str]) -> Content:
    chosen = set(wanted)
    places = {name: k + reading.start.has_row_names for k, name in enumerate(reading.names) if name in chosen}
    numbers: dict[str, list[Array]] = {name: [] for name in wanted if name in plain}
    texts = {name: _Texts() for name in wanted if name not in plain}
    last = reading.start.width - 1
    rows, may_be_short = 0, False
    try:
        with reading.text.open() as file:
            separator = reading.start.separator
            lines = _data_lines(file, reading.start)
            for frame in _frames(lines, reading, {places[name]: name in plain for name in wanted}):
                if not _is_empty(frame[last + 1]):
                    raise _RaggedError
                may_be_short = may_be_short or _has_empty(frame[last])
                rows += len(frame)
                reading.text.refuse_cells(rows * (last + 2))
                chunk = _numbers(frame, places, numbers)
                numbers = {name: numbers[name] for name in chunk}
                for name, values in chunk.items():
                    numbers[name].append(values)
                for name, each in texts.items():
                    each.add(frame[places[name]])
            even = (rows * last, rows * (last + 1))
            if may_be_short and (lines.has_quotes or separator == " " or lines.separators not in even):
                refuse_ragged(reading)
    except UnicodeError:
        raise
    except (_RaggedError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        refuse_ragged(reading)
        raise DataError(f"{reading.text.path}: could not be read as CSV: {str(error).strip()}") from error
    return Content(
        rows,
        {name: _joined(numbers, name) for name in list(numbers)},
        {name: each.cells(name) for name, each in texts.items()},
    )


class _RaggedError(Exception):
    """A row has too many values."""


def _frames(lines: DataLines, reading: Reading, are_numbers: dict[int, bool]) -> Iterator[pandas.DataFrame]:
    """The chunks, with columns called by their places, and one more for what rows have too many."""
    import pandas

    start = reading.start
    separator, width = start.separator, start.width
    absent = reading.words_for_missing()
    chunks = pandas.read_csv(
        lines,
        sep=r"\s+" if separator == " " else separator,
        header=None,
        names=range(width + 1),
        index_col=False,
        dtype={place: object for place, is_number in are_numbers.items() if not is_number},
        keep_default_na=False,
        na_values={place: absent if are_numbers.get(place) else [""] for place in range(width + 1)},  # type: ignore[misc]
        skipinitialspace=True,
        decimal=start.dialect.decimal or ".",
        low_memory=False,
        chunksize=max(CELLS // width, ROWS),
    )
    try:
        with chunks:
            yield from chunks
    except pandas.errors.EmptyDataError:
        return


def _is_empty(series: pandas.Series[Any]) -> bool:
    return bool(series.isna().all()) or not "".join(map(str, series.dropna())).strip()


def _has_empty(series: pandas.Series[Any]) -> bool:
    return bool(series.isna().any())


def _numbers(frame: pandas.DataFrame, places: dict[str, int], names: Iterable[str]) -> dict[str, Array]:
    """The columns of a chunk that hold numbers as float64, without those that hold something else, or infinity."""
    kinds = [each.kind for each in frame.dtypes]
    numbers = {
        name: frame[places[name]].to_numpy(np.float64) for name in names if kinds[places[name]] in "iuf"
    }
    return {name: values for name, values in numbers.items() if not np.isinf(values).any()}


def _joined(chunks: dict[str, list[Array]], name: str) -> Array:
    parts = chunks.pop(name)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0), *parts])


class _Texts:
    """The cells of a column over chunks: the different texts, and which of them each cell has."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.codes: list[Array] = []

    def add(self, series: pandas.Series[Any]) -> None:
        codes, texts = series.factorize()
        new = [self.places.setdefault(text, len(self.places)) for text in texts]
        self.codes.append(np.array([*new, -1], np.int32)[codes])

    def cells(self, name: str) -> Cells:
        return Cells.of(name, self.places, np.concatenate([np.empty(0, np.int32), *self.codes]))


def _data_lines(file: TextIO, start: Start) -> DataLines:
    return DataLines(file, start.skip, start.separator, start.width, start.has_comments)


def refuse_ragged(reading: Reading) -> None:
    """Raise DataError for the first row that has more or fewer values than the header has names."""
    import csv

    start, path = reading.start, reading.text.path
    separator, width = start.separator, start.width
    with reading.text.open() as file:
        kept = [""]  # the lines of the row
        rows = fields(_kept_in(kept, _data_lines(file, start).kept(file, instead="\n")), separator)
        try:
            for row in rows:
                line = start.skip + rows.line_num - len(kept) + 1
                if "".join(kept).count('"') % 2 and rows.line_num > 1 and "\n" in row[-1]:
                    line += sum(cell.count("\n") for cell in row[:-1])
                    raise DataError(
                        f"{path}, line {line}: a double quote is opened there that is not closed; close it, or "
                        f"double a quote that stands within a value"
                    )
                ends_empty = len(row) == width + 1 and not row[-1].strip()
                if len(row) != width and not ends_empty and not is_blank(row):
                    raise DataError(
                        f"{path}, line {start.skip + rows.line_num}: expected {width} values, "
                        f"{'as the header has' if start.dialect.header else 'as other rows have'}, "
                        f"got {len(row)}; {_hint(row, ''.join(kept), start)}"
                    )
                kept.clear()
        except csv.Error as error:
            raise DataError(f"{path}: could not be read as CSV: {error}") from error


def _kept_in(kept: list[str], lines: Iterable[str]) -> Iterator[str]:
    """The lines, each of which is put in `kept` as it goes by."""
    kept.clear()
    for line in lines:
        kept.append(line)
        yield line


def _hint(row: Sequence[str], text: str, start: Start) -> str:
    """What may be the reason for a row of another length."""
    if '\\"' in text:
        return 'a quote within a value must be doubled (""), not written after a backslash'
    hint = f"a value that holds {start.separator!r} itself must stand in double quotes"
    if start.width <= 2 < len(row):
        hint += "; if lines above the header are a title, delete them"
    return hint
