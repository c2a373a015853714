"""Recognizing what a column of text holds: numbers, booleans, dates or text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column, Form
from chainrule.datasets.tables.dates_in_text import is_no_day, read_dates
from chainrule.datasets.tables.naming import LONGEST, shortened
from chainrule.datasets.tables.numbers_in_text import Numbers, read_numbers
from chainrule.errors import DataError
from chainrule.incoming import are_signs, looks_missing

DIFFERENT, FEW = 10, 0.02
"""A column of more different numbers than this is one of numbers; else one of which a smaller share is none."""
ONE_IN = 10
"""One cell in this many that is no number may be a mistake, whatever it is."""
_PAIRS = {
    "true/false": ("true", "false"),
    "yes/no": ("yes", "no"),
    "t/f": ("t", "f"),
    "y/n": ("y", "n"),
    "on/off": ("on", "off"),
    "ja/nein": ("ja", "nein"),
    "wahr/falsch": ("wahr", "falsch"),
    "oui/non": ("oui", "non"),
    "si/no": ("si", "no", "s\u00ed"),
}
_SPELLINGS = 64  # more than those of a pair, in any case
_TRUTH = {word: float(k != 1) for pair in _PAIRS.values() for k, word in enumerate(pair)} | {
    "1": 1.0,
    "0": 0.0,
    "1.0": 1.0,
    "0.0": 0.0,
}
_CODE = re.compile(
    r"[0-9]+ ?[^\W\d_OolI]|[0-9]+(st|nd|rd|th)|[0-9]+ ?[-/+\u2013] ?[0-9]*|[^\W\d_]{1,3}[0-9]+"
)


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a column: the different texts, without spaces around, and which of them each cell has.

    Shapes: codes (N,), positions in `texts`, or -1 where there is no cell.
    """

    name: str
    texts: list[str]
    codes: Array

    @classmethod
    def of(cls, name: str, texts: Iterable[str], codes: Array) -> Cells:
        """Texts may have spaces around them, and so be there twice."""
        places: dict[str, int] = {}
        new = [places.setdefault(text.strip(), len(places)) for text in texts]
        return cls(name, list(places), np.array([*new, -1], np.int32)[codes])

    def text(self, row: int) -> str:
        """The text of a cell, "" where there is none."""
        code = int(self.codes[row])
        return self.texts[code] if code >= 0 else ""

    @property
    def counts(self) -> Array:
        """How many cells have each of the texts."""
        return np.bincount(self.codes + 1, minlength=len(self.texts) + 1)[1:]

    def row_of(self, wanted: Sequence[int]) -> int:
        """The first cell, counted from 0, that has one of the texts at these positions."""
        return int(np.isin(self.codes, wanted).argmax())


@dataclass(frozen=True, eq=False)
class Recognized:
    """A column, and a cell that shows how it is written where that is not plain.

    `undecided` is what the cell would be, read in the other way, where nothing shows which.
    """

    column: Column
    example: str = ""
    undecided: str = ""


def recognize(
    name: str,
    cells: Array,
    where: str,
    form: Form | None = None,
    decimal: str | None = None,
    missing: Collection[str] = (),
) -> Column:
    """Recognize what the cells of a column hold, and read it; in the given form where there is one.

    `decimal` is the sign of decimals where it is known, `missing` are further words for a missing value, `where`
    begins error messages.

    Shapes: cells (N,), objects: text, or None.
    Raises: DataError with the row and the column for a cell that is not as the form says; for a cell that is none
    in a column of numbers or dates; for a number that no float can hold.
    """
    import pandas

    codes, texts = pandas.factorize(np.asarray(cells, object))
    found = Cells.of(name, [str(text) for text in texts], codes)
    return recognize_cells(found, where, form, decimal=decimal, missing=missing).column


def recognize_cells(
    cells: Cells,
    where: str,
    form: Form | None = None,
    *,
    decimal: str | None = None,
    likely: str | None = None,
    missing: Collection[str] = (),
) -> Recognized:
    """`recognize` of cells whose different texts are known. `likely` is the sign of decimals of this file."""
    kind = None if form is None else form.kind
    texts = _present(absent_texts(cells.texts, missing))
    if kind == "text":
        return _as_text(cells, texts)
    if kind == "boolean" or (kind is None and texts):
        booleans = _booleans(cells, texts, where, form)
        if booleans is not None:
            return booleans
    further = {word.strip() for word in missing}
    present = _present([text in further or stands_for_missing(text) for text in cells.texts])
    if kind is None and texts and not present:
        return _as_text(cells, texts)  # of words that may stand for no number
    if kind in ("number", None):
        numbers = _numbers(cells, present, where, form, decimal, likely)
        if numbers is not None:
            return numbers
    present = [k for k in present if not is_no_day(cells.texts[k])]
    dates = _dates(cells, present, where, form)
    return _as_text(cells, texts) if dates is None else dates


def absent_texts(texts: Sequence[str], missing: Collection[str] = ()) -> list[bool]:
    """Which texts of a column of text stand for a missing value; "-" and "." do not among other signs."""
    further = {word.strip() for word in missing}
    absent = [text in further or looks_missing(text) for text in texts]
    if are_signs(texts) and not all(absent):
        return [text in further or looks_missing(text, among_signs=True) for text in texts]
    return absent


def stands_for_missing(text: str) -> bool:
    """Whether a text without spaces around it is a word for a missing number."""
    return looks_missing(text, in_numbers=True)


def _present(absent: Sequence[bool]) -> list[int]:
    return [k for k, is_absent in enumerate(absent) if not is_absent]


def _booleans(cells: Cells, present: Sequence[int], where: str, form: Form | None) -> Recognized | None:
    if form is None and len(present) > _SPELLINGS:
        return None
    lower = [cells.texts[k].lower() for k in present]
    if form is None:
        written = next((each for each, pair in _PAIRS.items() if set(lower) <= set(pair)), None)
        if written is None or (len(set(lower)) == 1 and len(lower[0]) == 1):  # "F" throughout may be a sex
            return None
        form = Form("boolean", written)
    values = np.array([_TRUTH.get(word, np.nan) for word in lower], np.float64)
    bad = [present[k] for k in np.flatnonzero(np.isnan(values)).tolist()]
    if bad:
        raise _wrong(
            cells, bad, where, f"expected {form.written or 'true/false'} as in training", in_training=False
        )
    return Recognized(Column(cells.name, form, _spread(cells, present, values)))


def _numbers(
    cells: Cells,
    present: Sequence[int],
    where: str,
    form: Form | None,
    decimal: str | None,
    likely: str | None,
) -> Recognized | None:
    counts = cells.counts[list(present)]
    written = None if form is None else form.written
    words = [cells.texts[k] for k in present]
    numbers = read_numbers(words, counts, decimal=decimal, likely=likely, written=written)
    wrong = np.isnan(numbers.values)
    bad = [present[k] for k in np.flatnonzero(wrong).tolist()]
    if bad and form is not None:
        unit = f" in {form.written}" if form.written else ""
        unit = unit.replace("in decimal", "with a decimal").replace(", decimal", " with a decimal")
        raise _wrong(cells, bad, where, f"expected a number{unit} as in training", in_training=False)
    if bad:
        if not _are_numbers(words, counts, numbers):
            return None
        expected = "expected a number as in other rows"
        if cells.texts[int(cells.codes[cells.row_of(bad)])] in {
            words[k] for k in np.flatnonzero(numbers.otherwise)
        }:
            row = cells.row_of([present[k] for k in np.flatnonzero(~wrong).tolist()])
            text = cells.texts[int(cells.codes[row])]
            expected = f"expected a number written as {shortened(text)!r} in data row {row + 1}"
        raise _wrong(cells, bad, where, expected)
    large = [present[k] for k in np.flatnonzero(np.isinf(numbers.values)).tolist()]
    if large:
        raise _wrong(cells, large, where, "expected a finite number", ", too large for a float")
    column = Column(
        cells.name, form or Form("number", numbers.written), _spread(cells, present, numbers.values)
    )
    return Recognized(column, numbers.example, numbers.undecided)


def _are_numbers(words: Sequence[str], counts: Array, numbers: Numbers) -> bool:
    """Whether a column of which some cells are no numbers holds numbers with mistakes in it, and not text.

    At least half of the cells are numbers, and either many different ones, or all but very few. Text are sizes such
    as "12A" and "10-20" beside whole numbers, and what has many different cells that are none, as tickets have.
    """
    other = np.isnan(numbers.values) & ~numbers.otherwise
    total, odd = counts.sum(), counts[np.isnan(numbers.values)].sum()
    if 2 * counts[other].sum() > total:
        return False
    strange = [words[k] for k in np.flatnonzero(other).tolist()]
    codes = [word for word in strange if _CODE.fullmatch(word)]
    if len(strange) > DIFFERENT or len(codes) > 1 or (codes and counts[other].sum() >= FEW * total):
        return False
    if len(np.unique(numbers.values[~np.isnan(numbers.values)])) + numbers.otherwise.sum() > DIFFERENT:
        return True
    return bool(odd < FEW * total or (odd == 1 and total > ONE_IN))


def _dates(cells: Cells, present: Sequence[int], where: str, form: Form | None) -> Recognized | None:
    words = [cells.texts[k] for k in present]
    written = None if form is None else form.written
    dates = read_dates(words, written, cells.counts[list(present)].tolist())
    if dates is None:
        return None
    bad = [present[k] for k in np.flatnonzero(np.isnan(dates.values)).tolist()]
    if bad:
        whose = "in other rows" if form is None else "in training"
        expected = f"expected a date ({dates.written}) as {whose}"
        raise _wrong(cells, bad, where, expected, in_training=form is None)
    column = Column(cells.name, Form("date", dates.written), _spread(cells, present, dates.values))
    return Recognized(column, dates.undecided)


def _as_text(cells: Cells, present: Sequence[int]) -> Recognized:
    order = sorted(present, key=lambda k: cells.texts[k])
    positions = np.full(len(cells.texts) + 1, -1, np.int32)
    positions[order] = np.arange(len(order), dtype=np.int32)
    return Recognized(
        Column(cells.name, Form("text"), positions[cells.codes], [cells.texts[k] for k in order])
    )


def _spread(cells: Cells, present: Sequence[int], values: Array) -> Array:
    """The values of the texts, for every cell."""
    each = np.full(len(cells.texts) + 1, np.nan)
    each[list(present)] = values
    spread: Array = each[cells.codes]
    return spread


def _wrong(
    cells: Cells, bad: Sequence[int], where: str, expected: str, because: str = "", in_training: bool = True
) -> DataError:
    row = cells.row_of(bad)
    text = cells.texts[int(cells.codes[row])]
    shown, name = repr(shortened(text)), shortened(cells.name)
    remedies = ["correct it"]
    if len(text) <= LONGEST:
        remedies.append(f"read it as missing with missing=({shown},)")
    if in_training:
        remedies.append(f"leave the column out with drop=[{name!r}]")
    return DataError(
        f"{where}: data row {row + 1}, column {name!r}: {expected}, got {shown}{because}; "
        f"{', '.join(remedies[:-1])}{', or ' if remedies[1:] else ''}{remedies[-1]}"
    )
