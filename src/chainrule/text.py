"""Text for people: numbers, bytes, time and tables, and names that a screen must not obey."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

_JOINERS = "\u200c\u200d"  # they shape letters and emoji, and hide nothing


def percent(share: float, digits: int = 1) -> str:
    """0.9304 as '93.0 %'."""
    return f"{100 * share:.{digits}f} %" if math.isfinite(share) else str(share)


def short(value: float, digits: int = 4) -> str:
    """A number with `digits` significant digits: '0.2515', '1,438', '2e-09'."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 10_000:
        text = f"{value:.{digits}g}"
        return text if "e" not in text else f"{value:.0f}"
    if abs(value) < 1e7 and value == round(value):
        return f"{value:,.0f}"
    return _scientific(value, max(digits - 2, 1))


def fold(ratio: float) -> str:
    """A ratio as '400-fold'."""
    if ratio < 10_000:
        return f"{float(f'{ratio:.2g}'):,.0f}-fold"
    return f"{_scientific(ratio, 0)}-fold"


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float) -> str:
    """0.153 as '0.15 s', 125 as '2 min 5 s'."""
    seconds = as_float(seconds)
    if not math.isfinite(seconds):
        return str(seconds)
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def as_float(value: float) -> float:
    """The value; infinity for a whole number that is too large, as a file may hold."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def memory(count: int) -> str:
    """A number of bytes as people read it: '1.5 MB'."""
    if count < 1000:
        return f"{count} B"
    value, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 1000:
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}"


def counted(count: int, thing: str, things: str | None = None) -> str:
    """1 as '1 layer', 2 as '2 layers'."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def brief(text: str, most: int = 60) -> str:
    """A text in quotes, cut where it is long."""
    return repr(text) if len(text) <= most else f"{text[:most]!r}..."


def listed(items: Sequence[str], total: int | None = None, most: int = 6) -> str:
    """Items after each other, and how many more there are of a total: 'a, b and 3 more'."""
    shown = items[:most]
    more = (len(items) if total is None else total) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def aligned(rows: Sequence[Sequence[str]], numbers_from: int) -> list[str]:
    """The lines of a table: its first row is the header, above a rule, and a rule ends it.

    Columns from the position `numbers_from` on hold numbers, and are aligned to the right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if k >= numbers_from else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:], rule]


def clean(text: str) -> str:
    """The text with characters that a screen would obey, or hide, written as escapes: '\\x1b', '\\u202e'."""
    return "".join(_shown_character(character) for character in text)


def _shown_character(character: str) -> str:
    category = unicodedata.category(character)
    obeyed = category in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS
    return ascii(character)[1:-1] if obeyed else character
