"""Reading a table from a text file with separated values, as people have them, with errors that say where."""

from __future__ import annotations

import contextlib
import csv
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from chainrule.datasets.bounded import MOST_COLUMNS, refuse_width
from chainrule.datasets.tables.chunks import Reading, read_columns
from chainrule.datasets.tables.column import Column, Form
from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.finding import SEPARATORS, SPOKEN, Start, can_separate, found, sample_of
from chainrule.datasets.tables.lines import Seen, Text, encodings_of, long_values
from chainrule.datasets.tables.naming import different, refuse_target_twice, shortened
from chainrule.datasets.tables.numbers_in_text import PLAIN, is_ambiguous, point_of
from chainrule.datasets.tables.raw import RawTable, refuse_absent
from chainrule.datasets.tables.recognize import (
    Recognized,
    recognize_cells,
    stands_for_missing,
)
from chainrule.errors import ArgumentError, DataError, did_you_mean, warn

LARGE = 20_000_000
"""Bytes of a file that is read under a progress bar."""
_ENCODINGS = {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "Windows-1252", "latin-1": "Latin-1"}


def read_text(
    path: Path,
    target: str | None,
    forms: Mapping[str, Form] | None,
    dialect: Dialect,
    drop: Sequence[str] = (),
) -> RawTable:
    """Read a text file, finding what `dialect` leaves open.

    With `forms`, only the columns named there are read, each in its form. Columns in `drop` are not read.

    Raises: FileError when the file is missing, unreadable or no text. DataError when the content is wrong: rows of
    different lengths, no column that `forms` names, a cell that is not as its column. ArgumentError when there is
    no such target, or a given part of the dialect makes no sense.
    """
    _check(path, dialect)
    found_encodings = encodings_of(path) if dialect.encoding is None else [dialect.encoding]
    with long_values(), _progress(path) as seen:
        for k, encoding in enumerate(found_encodings):
            text = Text(path, _as_opened(encoding), seen)
            try:
                table = _read(text, target, forms, replace(dialect, encoding=encoding), dialect, drop)
            except UnicodeError as error:
                if k + 1 == len(found_encodings):
                    raise text.wrong_encoding(error) from error
                continue
            except (ArgumentError, DataError) as error:
                if k:
                    raise type(error)(
                        f"{error} (the file is not UTF-8 text, and was read as {_ENCODINGS[encoding]})"
                    ) from error
                raise
            break
    if k:
        warn(
            f"{path}: it is not UTF-8 text, and was read as {_ENCODINGS[encoding]}; check the letters with "
            f"accents, and pass encoding=... if they are wrong"
        )
    return table


def _read(
    text: Text,
    target: str | None,
    forms: Mapping[str, Form] | None,
    dialect: Dialect,
    given: Dialect,
    drop: Sequence[str],
) -> RawTable:
    path = text.path
    with text.open() as file:
        lines = sample_of(file)
    _refuse_wide(path, lines)
    try:
        start = found(lines, dialect, frozenset(forms or ()) | frozenset([] if target is None else [target]))
    except csv.Error as error:
        raise DataError(f"{path}: could not be read as CSV: {error}") from error
    _check_start(text, start, given)
    refuse_width(str(path), len(start.names))
    names, notes = different(start.names)
    if target is not None:
        refuse_target_twice(path, target, start.names)
    wanted = _wanted(path, names, target, forms, drop, start)
    reading = Reading(
        text, start, names, [*wanted, *([] if target is None else [target])], start.dialect.missing
    )
    plain = _plain(reading, target, forms, given.decimal)
    content = read_columns(reading, plain)
    if content.rows == 0:
        raise DataError(f"{path}: expected rows of data below the header, got none")
    notes = [*_said(path, start, given, names), *notes]
    likely = start.likely
    columns: list[Column] = []
    unusual: list[tuple[str, Recognized]] = []
    for name in wanted:
        form = None if forms is None else forms[name]
        if name in content.numbers:
            written = "decimal comma" if start.dialect.decimal == "," else ""
            columns.append(Column(name, form or Form("number", written), content.numbers.pop(name)))
            continue
        recognized = recognize_cells(
            content.texts.pop(name),
            str(path),
            form,
            decimal=given.decimal,
            likely=likely,
            missing=dialect.missing,
        )
        columns.append(recognized.column)
        if recognized.example and form is None:
            unusual.append((name, recognized))
    notes += _how_written(unusual)
    target_values = None
    if target is not None:
        cells = content.texts[target]
        target_values = np.array([*cells.texts, ""], object)[cells.codes]
    left_out = {*wanted, target, *drop}
    further = [name for name in names if name not in left_out]
    return RawTable(content.rows, columns, target, target_values, notes, start.dialect, further)


def _check(path: Path, dialect: Dialect) -> None:
    if dialect.separator is not None and not can_separate(dialect.separator):
        raise ArgumentError(
            f"{path}: expected a separator of one ASCII character that is no quote, got {dialect.separator!r}"
        )
    if dialect.decimal not in (None, ".", ","):
        raise ArgumentError(f"{path}: expected the decimal sign '.' or ',', got {dialect.decimal!r}")
    if dialect.decimal is not None and dialect.decimal == dialect.separator == ".":
        raise ArgumentError(f"{path}: '.' cannot be both separator and decimal sign")


def _as_opened(encoding: str) -> str:
    """ "utf-8-sig" is UTF-8 that also skips the mark that Excel puts in front."""
    return "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding


def _check_start(text: Text, start: Start, given: Dialect) -> None:
    if not start.names:
        raise DataError(f"{text.path}: expected a header and rows of data, got an empty file")
    for other in ";\t,|":
        if given.separator and len(start.names) == 1 and other in start.names[0] and other != given.separator:
            raise DataError(
                f"{text.path}: got only one column, {shortened(start.names[0])!r}; pass separator={other!r} if "
                f"that separates the values"
            )


def _wanted(
    path: Path,
    names: list[str],
    target: str | None,
    forms: Mapping[str, Form] | None,
    drop: Sequence[str],
    start: Start,
) -> list[str]:
    """The features to read, in the order of the file."""
    there = set(names)
    if target is not None and target not in there:
        no_header = f"the file has no header, and its columns are called {_from_to(names)}; "
        raise ArgumentError(
            f"{path}: no column {target!r} for the target; {'' if start.dialect.header else no_header}"
            f"{did_you_mean(target, names)}; target=None reads features only"
        )
    for name in drop:
        if name == target or name not in there:
            problem = "is the target" if name == target else f"is no column; {did_you_mean(name, names)}"
            raise ArgumentError(f"{path}: drop: {name!r} {problem}")
    if forms is None:
        left_out = {*drop, target}
        return [name for name in names if name not in left_out]
    if target in forms:
        raise ArgumentError(f"{path}: the target {target!r} cannot be a feature too; take it out of columns")
    refuse_absent(path, forms, names)
    return [name for name in names if name in forms]


def _plain(
    reading: Reading, target: str | None, forms: Mapping[str, Form] | None, given: str | None
) -> set[str]:
    """The columns whose first cells are plain numbers, which pandas reads by itself.

    In a later table only those that are written as pandas reads this file; and none of which nothing shows whether
    it has decimals.
    """
    start = reading.start
    decimal = start.dialect.decimal or "."
    number, further = PLAIN[decimal], frozenset(reading.missing)
    places = {name: k + start.has_row_names for k, name in enumerate(reading.names)}
    is_open = forms is None and given is None and not start.signs and start.likely is not None
    plain = set()
    for name in reading.wanted:
        if name == target or (forms is not None and not _is_written(forms[name], given or decimal)):
            continue
        k = places[name]
        cells = [row[k].strip() for row in start.rows if k < len(row)]
        if all(
            number.fullmatch(cell) or cell in further or stands_for_missing(cell) for cell in cells
        ) and not (is_open and any(is_ambiguous(cell) for cell in cells)):
            plain.add(name)
    return plain


def _is_written(form: Form, decimal: str) -> bool:
    """Whether the column holds numbers with this sign of decimals."""
    return form.kind == "number" and point_of(form.written) == decimal


def _refuse_wide(path: Path, lines: Sequence[str]) -> None:
    """Refuse too many columns before they are taken apart: of the first line that is no comment."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if len(first) > MOST_COLUMNS:
        refuse_width(str(path), max(first.count(each) for each in SEPARATORS[:-1]) + 1)


def _said(path: Path, start: Start, given: Dialect, names: Sequence[str]) -> list[str]:
    """One note of what was found and is not plain."""
    dialect, parts = start.dialect, []
    usual = "\t" if {".tsv", ".tab"} & {each.lower() for each in path.suffixes} else ","
    if given.separator is None and dialect.separator != usual and len(names) > 1:
        separator = dialect.separator or ""
        parts.append(f"separator {SPOKEN.get(separator, repr(separator))}")
    if given.decimal is None and dialect.decimal == ",":
        parts.append("decimal comma")
    encoding = dialect.encoding or "utf-8"
    if given.encoding is None and encoding.startswith("utf-") and not encoding.startswith("utf-8"):
        parts.append(f"{_ENCODINGS.get(encoding, encoding.upper())} text")
    if given.header is None and not dialect.header:
        parts.append(f"no header (the columns are called {_from_to(names)})")
    if start.has_row_names:
        parts.append(f"the first column as names of the rows (the first is {shortened(start.rows[0][0])!r})")
    if start.has_comments:
        parts.append("lines that begin with # left out")
    if start.titles:
        parts.append(f"the first {'line' if start.titles == 1 else f'{start.titles} lines'} left out")
    return [f"read with {', '.join(parts)}"] if parts else []


def _from_to(names: Sequence[str]) -> str:
    return shortened(names[0]) if len(names) == 1 else f"{shortened(names[0])} to {shortened(names[-1])}"


def _how_written(unusual: Sequence[tuple[str, Recognized]]) -> list[str]:
    """A note for each way in which numbers are written, and for dates whose order nothing shows."""
    kinds: dict[tuple[Form, str], list[tuple[str, str]]] = {}
    others: dict[tuple[Form, str], str] = {}
    for name, each in unusual:
        look = re.sub(r"[0-9][0-9.,'’\s]*", "0", each.example)
        kinds.setdefault((each.column.form, look), []).append((name, each.example))
        others.setdefault((each.column.form, look), _other_reading(each))
    notes = []
    for (form, look), columns in kinds.items():
        names = ", ".join(repr(shortened(name)) for name, _ in columns[:3])
        more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
        verb, example = "is" if len(columns) == 1 else "are", columns[0][1]
        if form.kind == "date":
            notes.append(
                f"{names}{more} {verb} read as dates with the {form.written}, as no date shows it: {example!r}"
            )
        else:
            notes.append(f"{names}{more} {verb} read as numbers written {example!r}{others[form, look]}")
    return notes


def _other_reading(each: Recognized) -> str:
    """What is said of a number where nothing shows whether it has decimals."""
    if not each.undecided:
        return ""
    other = "." if point_of(each.column.form.written) == "," else ","
    is_whole = "." not in each.undecided
    return (
        f", taken as {'decimals' if is_whole else 'thousands'}, as no cell shows it (with decimal={other!r} it is "
        f"{each.undecided})"
    )


@contextlib.contextmanager
def _progress(path: Path) -> Iterator[Seen | None]:
    """What shows a bar of the bytes read, where somebody sees it and the file is large; it goes when it is read."""
    size = path.stat().st_size if path.is_file() else 0
    if size < LARGE or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    shown = (
        TextColumn(f"reading {path.name}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=size)
        yield lambda count: bar.update(task, completed=count)
