"""Recognizing what a column of text holds: numbers, booleans, dates or text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column, Form
from chainrule.datasets.tables.dates_in_text import read_dates
from chainrule.datasets.tables.numbers_in_text import read_numbers
from chainrule.errors import DataError
from chainrule.incoming import are_signs, looks_missing

MISSING_TOO = ("-", "--", ".", "n.a.", "#DIV/0!", "#VALUE!", "#REF!", "missing")
"""Words that stand for a missing value, beside those of `incoming.looks_missing`."""
MISSING_NUMBERS = ("unknown",)
"""Words that stand for a missing number, and that a column of text may hold as a text."""
MOSTLY, DIFFERENT = 0.9, 20
"""A column of which such a share are numbers, and more different ones than this, is one with mistakes in it."""
_PAIRS = {"true/false": ("true", "false"), "yes/no": ("yes", "no"), "t/f": ("t", "f"), "y/n": ("y", "n")}
_SPELLINGS = 64  # more than those of a pair, in any case
_TRUTH = {word: float(k == 0) for pair in _PAIRS.values() for k, word in enumerate(pair)} | {
    "1": 1.0,
    "0": 0.0,
}
_MISSING_LOWER = frozenset(word.lower() for word in MISSING_TOO)
_SHOWN = 40  # characters of a cell in an error
_LONGEST = 8  # letters of a word for missing


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

    def row_of(self, wanted: Sequence[int]) -> int:
        """The first cell, counted from 0, that has one of the texts at these positions."""
        return int(np.isin(self.codes, wanted).argmax())


@dataclass(frozen=True, eq=False)
class Recognized:
    """A column, and a cell that shows how it is written where that is not plain."""

    column: Column
    example: str = ""
    undecided: bool = False


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
    in a column of numbers (at least 9 in 10, more than 20 different); for a number that no float can hold.
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
    absent = absent_texts(cells.texts, missing)
    present = [k for k, is_absent in enumerate(absent) if not is_absent]
    words = [cells.texts[k] for k in present]
    kind = None if form is None else form.kind
    if kind == "text":
        return _as_text(cells, present)
    if kind == "boolean" or (kind is None and words):
        booleans = _booleans(cells, present, words, where, form)
        if booleans is not None:
            return booleans
    if kind in ("number", None):
        numbers = _numbers(cells, present, words, where, form, decimal, likely)
        if numbers is not None:
            return numbers
    written = None if form is None else form.written
    dates = read_dates(words, written)
    if dates is None:
        return _as_text(cells, present)
    bad = [present[k] for k in np.flatnonzero(np.isnan(dates.values)).tolist()]
    if bad:
        raise _wrong(
            cells, bad, where, f"expected a date ({dates.written}) as in training", in_training=False
        )
    column = Column(cells.name, Form("date", dates.written), _spread(cells, present, dates.values))
    return Recognized(column, dates.undecided, undecided=bool(dates.undecided))


def absent_texts(texts: Sequence[str], missing: Collection[str] = ()) -> list[bool]:
    """Which texts stand for a missing value; "-" and "." do not among other signs."""
    further = {word.strip() for word in missing}
    absent = [text in further or stands_for_missing(text, in_numbers=False) for text in texts]
    if are_signs(texts) and not all(absent):
        return [text in further or looks_missing(text, among_signs=True) for text in texts]
    return absent


def stands_for_missing(text: str, *, in_numbers: bool = True) -> bool:
    """Whether a text without spaces around it is a word for a missing value."""
    if len(text) > _LONGEST:
        return False
    word = text.lower()
    return word in _MISSING_LOWER or looks_missing(text) or (in_numbers and word in MISSING_NUMBERS)


def _booleans(
    cells: Cells, present: Sequence[int], words: Sequence[str], where: str, form: Form | None
) -> Recognized | None:
    if form is None and len(words) > _SPELLINGS:
        return None
    lower = [word.lower() for word in words]
    if form is None:
        written = next((each for each, pair in _PAIRS.items() if set(lower) <= set(pair)), None)
        if written is None:
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
    words: Sequence[str],
    where: str,
    form: Form | None,
    decimal: str | None,
    likely: str | None,
) -> Recognized | None:
    kept = [k for k, word in enumerate(words) if word.lower() not in MISSING_NUMBERS]
    if words and not kept and form is None:
        return None
    present, words = [present[k] for k in kept], [words[k] for k in kept]
    counts = np.bincount(cells.codes + 1, minlength=len(cells.texts) + 1)[1:][present]
    written = None if form is None else form.written
    numbers = read_numbers(words, counts, decimal=decimal, likely=likely, written=written)
    wrong = np.isnan(numbers.values)
    bad = [present[k] for k in np.flatnonzero(wrong).tolist()]
    if bad and form is not None:
        unit = f" in {form.written}" if form.written else ""
        raise _wrong(cells, bad, where, f"expected a number{unit} as in training", in_training=False)
    if bad:
        mostly = counts[~wrong].sum() >= MOSTLY * counts.sum()
        if not mostly or len(np.unique(numbers.values[~wrong])) <= DIFFERENT:
            return None
        raise _wrong(cells, bad, where, "expected a number as in other rows")
    large = [present[k] for k in np.flatnonzero(np.isinf(numbers.values)).tolist()]
    if large:
        raise _wrong(cells, large, where, "expected a finite number", ", too large for a float")
    form = form or Form("number", numbers.written)
    return Recognized(Column(cells.name, form, _spread(cells, present, numbers.values)), numbers.example)


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
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
    remedies = ["correct it"]
    if len(text) <= _SHOWN:
        remedies.append(f"read it as missing with missing=({shown},)")
    if in_training:
        remedies.append(f"leave the column out with drop=[{cells.name!r}]")
    return DataError(
        f"{where}: data row {row + 1}, column {cells.name!r}: {expected}, got {shown}{because}; "
        f"{', '.join(remedies[:-1])}{', or ' if remedies[1:] else ''}{remedies[-1]}"
    )
