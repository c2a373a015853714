"""Finding how a text file is written from its start: separator, header, decimal comma, names of columns."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TextIO

from chainrule.datasets.tables.dialect import Dialect
from chainrule.datasets.tables.lines import fields, is_blank
from chainrule.datasets.tables.numbers_in_text import BOTH, PLAIN, shows_decimal

SAMPLE, ROWS = 1 << 16, 10
"""Characters of the file's start that are looked at, and rows that they have at least."""
SEPARATORS = ("\t", ";", "|", ",", " ")
"""From the one least likely to be within text to the one most likely."""
SPOKEN = {"\t": "tab", " ": "spaces"}
_CONSISTENT = 0.9
_ENOUGH = 500  # cells that show the sign of decimals
_YEARS = range(1800, 2101)
MOST_TITLES = 5
_OURS = re.compile("x[0-9]+")
_FOR_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Start:
    """How a file begins. `skip` lines are above the data, of which `rows` are the first.

    `has_row_names` says that the first value of each row is its name. `names` do not name that column. `titles`
    are the lines above the header that are no comments; `signs` are the signs of decimals that columns show.
    """

    dialect: Dialect
    names: list[str]
    skip: int
    rows: list[list[str]]
    has_row_names: bool
    has_comments: bool
    titles: int = 0
    signs: frozenset[str] = frozenset()

    @property
    def separator(self) -> str:
        return self.dialect.separator or ","

    @property
    def likely(self) -> str | None:
        """The sign of decimals of a column that does not show it, as `read_numbers` takes it; None: a point."""
        if len(self.signs) > 1:
            return BOTH
        if self.dialect.decimal == ",":
            return ","
        return "." if self.separator == ";" and not self.signs else None

    @property
    def width(self) -> int:
        return len(self.names) + self.has_row_names


def sample_of(file: TextIO) -> list[str]:
    """The first lines of the file, to the end of a value in quotes."""
    lines: list[str] = []
    size, in_quotes = 0, False
    while size < SAMPLE or len(lines) < ROWS or (in_quotes and size < 2 * SAMPLE):
        line = file.readline()
        if not line:
            break
        lines.append(line)
        size += len(line)
        in_quotes ^= line.count('"') % 2 == 1
    return lines


def can_separate(text: str) -> bool:
    """Whether pandas can split at the text, as fast as it does at a comma."""
    return len(text) == 1 and text.isascii() and text not in '"\r\n'


def found(lines: Sequence[str], given: Dialect, known: frozenset[str]) -> Start:
    """What the first lines show of what the dialect leaves open. `known` are names that the columns should have."""
    separator, skip = given.separator, 0
    comments: list[str] = []
    for line in lines:
        excel = _FOR_EXCEL.fullmatch(line)
        if excel and can_separate(excel[1]):
            separator = separator or excel[1]
        elif line.startswith("#"):
            comments.append(line[1:])
        elif line.strip():
            break
        skip += 1
    below = lines[skip:]
    if comments and not below:  # all that there is, is a header
        below, comments, skip = [comments[-1]], comments[:-1], len(lines) - 1
    titles = _titles(below, separator, known)
    skip, below = skip + titles, below[titles:]
    separator = separator or _separator(below)
    rows, ends = _rows(below, separator)
    decimal = given.decimal or _decimal(rows[1:] or rows, separator)
    dialect = replace(given, separator=separator, decimal=decimal)
    if not rows:
        return Start(replace(dialect, header=True), [], skip, [], False, bool(comments))
    names, below_header = _header(rows, _rows(comments[-1:], separator)[0], dialect, known)
    in_quotes = all(below[_next(below, end)].lstrip().startswith('"') for end in [0, *ends[:-1]])
    if below_header:
        skip, rows = skip + ends[0], rows[1:]
    if names is None:
        wide = _usual_width(rows, first=0)
        ends_empty = wide > 1 and all(len(row) < wide or not row[-1].strip() for row in rows)
        names, header = [f"x{k}" for k in range(wide - ends_empty)], False
    else:
        header = True
        if len(names) > 1 and not names[-1].strip() and all(_last_empty(row, len(names)) for row in rows):
            names = names[:-1]
    has_comments = len(comments) > (header and not below_header)
    are_clear = in_quotes or separator in "\t " or _are_counted(rows)
    has_row_names = (
        header and are_clear and _have_row_names(rows, len(names), bool(known) and known <= _stripped(names))
    )
    signs = _signs(rows)
    return Start(
        replace(dialect, header=header), names, skip, rows, has_row_names, has_comments, titles, signs
    )


def _titles(lines: Sequence[str], separator: str | None, known: frozenset[str]) -> int:
    """How many lines stand above the header: of one value, or of two, where all rows below have more."""
    likely = _rows(lines, separator or _separator(lines))[0]
    if not likely or len(likely[0]) == max(map(len, likely)) > 2:  # the first line is as long as any
        return 0
    for each in [separator] if separator else SEPARATORS[:-1]:
        if not lines or lines[0].strip(f"{each} \n").count(each) >= lines[-1].strip("\n").count(each):
            continue
        rows, ends = _rows(lines, each)
        width = _usual_width(rows)
        first = 0
        while first < min(len(rows), MOST_TITLES) and _is_title(rows[first:], width, lines[ends[first] :]):
            first += 1
        is_padded = first > 0 and len(rows[0]) == width
        header = rows[first] if first < len(rows) else []
        if (
            first > 0
            and not any(known & _stripped(row) for row in rows[:first])
            and len(rows) - first > 1
            and all(len(row) == width for row in rows[first:])
            and not (is_padded and any(not cell.strip() or PLAIN["."].fullmatch(cell) for cell in header))
        ):
            return _next(lines, ends[first - 1])
    return 0


def _is_title(rows: Sequence[Sequence[str]], width: int, below: Sequence[str]) -> bool:
    """Whether the first row of a table of such a width is a title, and not a header, which may lack one name.

    That of one value above rows of two is one where a blank line follows, or a header above numbers.
    """
    row = rows[0]
    if sum(bool(cell.strip()) for cell in row) > (2 if width > 3 else 1):
        return False
    if len(row) == width - 1:
        is_apart = bool(below) and not below[0].strip()
        above_numbers = [any(PLAIN["."].fullmatch(cell) for cell in each) for each in rows[1:]]
        return width == 2 and (is_apart or (any(above_numbers) and not above_numbers[0]))
    return len(row) < width or (width > 2 and len(row) == width)


def _next(lines: Sequence[str], k: int) -> int:
    """The first line from `k` on that is not blank."""
    return next((j for j in range(k, len(lines)) if lines[j].strip()), len(lines) - 1)


def _header(
    rows: Sequence[list[str]], above: Sequence[list[str]], dialect: Dialect, known: frozenset[str]
) -> tuple[list[str] | None, bool]:
    """The names of the columns, if there are any, and whether the first row has them.

    The last comment has them, `above`, where the first row holds data and has as many values.
    """
    if dialect.header is not None:
        return (rows[0], True) if dialect.header else (None, False)
    are_ours = bool(known) and all(
        _OURS.fullmatch(name) for name in known
    )  # what columns without names are called
    is_data = not known & _stripped(rows[0]) and (are_ours or _is_data(rows, PLAIN[dialect.decimal or "."]))
    if above and len(above[0]) == len(rows[0]) and (is_data or known & _stripped(above[0])):
        return above[0], False
    return (None, False) if is_data else (rows[0], True)


def _stripped(names: Sequence[str]) -> set[str]:
    return {name.strip() for name in names}


def _last_empty(row: Sequence[str], width: int) -> bool:
    return len(row) < width or not "".join(row[width - 1 :]).strip()


def _have_row_names(rows: Sequence[Sequence[str]], width: int, is_known: bool) -> bool:
    """Whether every row has one value more than there are names, the first of which is different everywhere.

    One row shows it where the names are known.
    """
    longer = bool(rows) and all(len(row) == width + 1 and row[-1].strip() for row in rows)
    return longer and len({row[0] for row in rows}) == len(rows) and (is_known or len(rows) > 1)


def _are_counted(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first values count several rows, from 0 or 1."""
    firsts = [row[0].strip() for row in rows]
    return len(rows) > 1 and any(firsts == [str(k + first) for k in range(len(rows))] for first in (0, 1))


def _signs(rows: Sequence[Sequence[str]]) -> frozenset[str]:
    """The signs of decimals that columns show, each in at least a quarter of its cells and in no other way."""
    signs: set[str] = set()
    for column in itertools.zip_longest(*rows[:_ENOUGH], fillvalue=""):
        cells = [cell.strip() for cell in column if cell.strip()]
        shown = [sign for cell in cells if "," in cell or "." in cell if (sign := shows_decimal(cell))]
        if 4 * len(shown) >= len(cells) and len(set(shown)) == 1:
            signs.update(shown)
    return frozenset(signs)


def _rows(lines: Sequence[str], separator: str) -> tuple[list[list[str]], list[int]]:
    """The rows of values, and behind which line each of them ends. Comments are no rows."""
    reader = fields(lines, separator)
    rows, ends = [], []
    for row in reader:
        if not is_blank(row):
            rows.append(row)
            ends.append(reader.line_num)
    if len(rows) > 1:
        width = len(rows[0])
        kept = [k for k, row in enumerate(rows) if k == 0 or len(row) == width or not row[0].startswith("#")]
        rows, ends = [rows[k] for k in kept], [ends[k] for k in kept]
    return rows, ends


def _separator(lines: Sequence[str]) -> str:
    """The separator that splits the rows into equally many values, as many as the header has names."""
    shares: dict[str, float] = {}
    for each in SEPARATORS:
        rows = _rows(lines, each)[0]
        if not rows or len(rows[0]) < 2:
            continue
        width = _usual_width(rows)
        same = sum(len(row) == width for row in rows[1:]) + (len(rows[0]) in (width, width - 1))
        shares[each] = same / len(rows)
    consistent = [each for each, share in shares.items() if share >= _CONSISTENT]
    if consistent[:1] == ["\t"] and " " in consistent and all("  " in line for line in lines if line.strip()):
        return " "  # values in columns, with a tab before the last
    if consistent:
        return consistent[0]
    if shares:
        return max(shares, key=lambda each: shares[each])
    return next((each for each in ",;\t|" if not any(each in line for line in lines)), ",")


def _usual_width(rows: Sequence[Sequence[str]], first: int = 1) -> int:
    return Counter(map(len, rows[first:] or rows)).most_common(1)[0][0]


def _decimal(rows: Sequence[Sequence[str]], separator: str) -> str:
    """The sign of decimals that the cells show; where they show none, "," beside ";" if a cell has one."""
    shown: Counter[str] = Counter()
    has_comma = False
    for row in rows:
        if shown["."] + shown[","] > _ENOUGH:
            break
        for cell in row:
            if "," in cell or "." in cell:
                shown[shows_decimal(cell.strip()) or ""] += 1
                has_comma = has_comma or ("," in cell and PLAIN[","].fullmatch(cell) is not None)
    if shown["."] or shown[","]:
        return "," if shown[","] > shown["."] else "."
    return "," if has_comma and separator == ";" else "."


def _is_data(rows: Sequence[Sequence[str]], number: re.Pattern[str]) -> bool:
    """Whether the first row holds values, not names."""
    first = [cell.strip() for cell in rows[0]]
    filled = [cell for cell in first if cell]
    numbers = [cell for cell in filled if number.fullmatch(cell)]
    if not numbers:
        return False
    if not all(cell.lstrip("+-").isdecimal() for cell in numbers):
        return True
    if len(numbers) == len(filled):
        return not _are_years(filled)
    for k, cell in enumerate(first):
        if cell and cell not in numbers:
            below = (row[k].strip() for row in itertools.islice(rows, 1, None) if k < len(row))
            if cell in below:
                return True
    return False


def _are_years(cells: Sequence[str]) -> bool:
    """Whether whole numbers are years one after another: 1990, 1991, ... or every tenth."""
    years = [int(cell) for cell in cells]
    steps = {b - a for a, b in itertools.pairwise(years)}
    return len(steps) == 1 and steps != {0} and all(year in _YEARS for year in years)
