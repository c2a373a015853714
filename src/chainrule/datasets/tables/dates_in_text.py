"""Dates and times as people write them, read in one order for a whole column."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from chainrule.arrays import Array

YEAR, DAY, MONTH, NAMED, TIME = "year first", "day first", "month first", "month named", "time"
"""How a column of dates is written, as `Form.written` says it."""
MOSTLY = 0.9
"""A column of which such a share are dates is one with mistakes in it."""
_LONG = [month.lower() for month in calendar.month_name]
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:[.,][0-9]+)?))?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|(?:UTC|GMT)?[+-][0-9]{1,2}(?::?[0-9]{2})?|UTC|GMT)?"
)
_AFTER = rf"(?:(?:T|,?\s+){_TIME})?"
_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_TWO, _SIGN, _YEAR = "[0-9]{1,2}", "(?P<sign>[-/.])", "(?P<year>(?:1[5-9]|20)[0-9]{2})"
_FAMILIES = {
    YEAR: [
        re.compile(rf"(?P<year>[0-9]{{4}}){_SIGN}(?P<month>{_TWO})(?P=sign)(?P<day>{_TWO}){_AFTER}"),
        re.compile(rf"{_YEAR}[-/](?P<month>[0-9]{{2}})"),
    ],
    DAY: [
        re.compile(
            rf"(?P<day>{_TWO}){_SIGN}(?P<month>{_TWO})(?P=sign)(?P<year>[0-9]{{4}}|[0-9]{{2}}){_AFTER}"
        )
    ],
    NAMED: [
        re.compile(rf"(?P<day>{_TWO})(?:st|nd|rd|th|\.)?[\s-]*{_NAME}[\s,-]*(?P<year>[0-9]{{4}}){_AFTER}"),
        re.compile(rf"{_NAME}[\s-]+(?P<day>{_TWO})(?:st|nd|rd|th)?[\s,-]+(?P<year>[0-9]{{4}}){_AFTER}"),
        re.compile(rf"(?P<day>{_TWO})-{_NAME}-(?P<year>[0-9]{{2}}){_AFTER}"),
        re.compile(rf"(?P<day>{_TWO})/{_NAME}/(?P<year>[0-9]{{4}})(?:[:\s]{_TIME})?"),
        re.compile(rf"{_NAME}[\s,-]+{_YEAR}"),
        re.compile(rf"{_NAME}[-'\u2019](?P<year>[0-9]{{2}})"),
    ],
    TIME: [
        re.compile(_TIME),
        re.compile(r"(?P<hour>[0-9]{3,5}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2}(?:[.,][0-9]+)?)"),
    ],
}
_OF_DAYS = (YEAR, DAY, NAMED)
_NO_DAY = re.compile(r"(0000([-/.])00?\2 ?00?|00?([-/.])00?\3 ?0000)([T ]00:00(:00(\.0+)?)?)?Z?")
_SOME, _LONGEST = 1000, 60  # texts; characters of a date
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, eq=False)
class Dates:
    """Days since 1970-01-01, of times alone the fraction of a day; NaN where a text is no date.

    `undecided` is a text that both orders read, where no text said which.
    """

    values: Array
    written: str
    undecided: str


def read_dates(
    texts: Sequence[str], written: str | None = None, counts: Sequence[int] | None = None
) -> Dates | None:
    """Read different texts as the dates of one column, or None where they are none.

    Day first or month first is decided by numbers above 12. Where there are none, "05/01/2023" has the month first,
    "05.01.2023" the day. `written` is the order that an earlier table had; then every text is read that can be.
    All texts must be dates; with `counts`, how often each occurs, at least 9 in 10 cells.
    """
    if written is not None:
        families = [TIME] if written == TIME else _OF_DAYS
        values = np.array([_first(text, families, written == MONTH) for text in texts], np.float64)
        return Dates(values, written, "")
    if texts and (quick := _iso(texts)) is not None:
        return Dates(quick, YEAR, "")
    some = texts[:: max(len(texts) // _SOME, 1)]
    if not texts or (len(texts) > _SOME and sum(_found(text) is not None for text in some) < len(some) / 2):
        return None
    cells = [1] * len(texts) if counts is None else counts
    least = sum(cells) if counts is None else MOSTLY * sum(cells)
    found = [_found(text) for text in texts]
    if sum(n for n, each in zip(cells, found, strict=True) if each is not None) < least:
        return None
    seen = {each[0] for each in found if each is not None}
    is_time = next(each[0] for each in found if each is not None) == TIME
    matches = [None if each is None or (each[0] == TIME) != is_time else each for each in found]
    order, undecided = TIME if is_time else YEAR if YEAR in seen else NAMED, ""
    numeric = [
        (text, each[1], n)
        for text, each, n in zip(texts, matches, cells, strict=True)
        if each and each[0] == DAY
    ]
    if numeric:
        days_above = sum(n for _, match, n in numeric if int(match["day"]) > 12)
        months_above = sum(n for _, match, n in numeric if int(match["month"]) > 12)
        by_custom = MONTH if numeric[0][1]["sign"] == "/" else DAY
        order = MONTH if months_above > days_above else DAY if days_above else by_custom
        undecided = "" if days_above or months_above else numeric[0][0]
    values = np.array(
        [np.nan if each is None else _days(each[1], order == MONTH and each[0] == DAY) for each in matches],
        np.float64,
    )
    return Dates(values, order, undecided) if np.dot(~np.isnan(values), cells) >= least else None


def is_no_day(text: str) -> bool:
    """Whether the text is what databases write for a date that is missing: 0000-00-00."""
    return _NO_DAY.fullmatch(text) is not None


def _iso(texts: Sequence[str]) -> Array | None:
    """Dates that Python reads by itself, which is quick; None where it does not read one."""
    values = np.empty(len(texts))
    for k, text in enumerate(texts):
        if text[4:5] != "-" or text[7:8] != "-":
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second + moment.microsecond / 1e6
        ahead = moment.utcoffset()
        values[k] = moment.toordinal() - _EPOCH + (seconds - (ahead.total_seconds() if ahead else 0)) / 86400
    return values


def _found(text: str) -> tuple[str, re.Match[str]] | None:
    """The family that a text belongs to, and the text taken apart."""
    if len(text) > _LONGEST:
        return None
    for family, patterns in _FAMILIES.items():
        for each in patterns:
            if (match := each.fullmatch(text)) is not None:
                return family, match
    return None


def _first(text: str, families: Sequence[str], month_first: bool) -> float:
    found = _found(text)
    if found is None or found[0] not in families:
        return np.nan
    return _days(found[1], month_first and found[0] == DAY)


def _days(match: re.Match[str], month_first: bool) -> float:
    """The days since 1970-01-01, or NaN where there is no such day or time."""
    part = match.groupdict()
    time = _fraction(part) if part.get("hour") else 0.0
    if "year" not in part:
        return time
    month, day = part.get("month") or _month(part["name"]), part.get("day") or "1"
    if month_first:
        month, day = day, month
    year = int(part["year"])
    if len(part["year"]) == 2:  # as POSIX has it
        year += 1900 if year > 68 else 2000
    try:
        return date(year, int(month), int(day)).toordinal() - _EPOCH + time
    except ValueError:
        return np.nan


def _month(name: str) -> int:
    """1 of "Jan", "January" and "Sept"; 0 of what is none."""
    found = (k for k, month in enumerate(_LONG) if k and name.lower() in (month, month[:3], month[:4]))
    return next(found, 0)


def _fraction(part: dict[str, str | None]) -> float:
    """The time as a fraction of a day, in UTC where a zone is given; of durations days."""
    hour, minute = int(part["hour"] or 0), int(part["minute"] or 0)
    second = float((part["second"] or "0").replace(",", "."))
    half = (part.get("half") or "").lower()[:1]
    is_duration = "year" not in part and part["second"] is not None and not part.get("zone")
    longest = 12 if half else 99_999 if is_duration else 23
    if hour > longest or (half and hour == 0) or minute > 59 or second >= 61:
        return np.nan
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    zone, ahead = (part.get("zone") or "Z").removeprefix("UTC").removeprefix("GMT") or "Z", 0.0
    if zone[0] in "+-":
        hours, _, minutes = zone[1:].partition(":") if ":" in zone else (zone[1:3], "", zone[3:])
        ahead = int(hours) * 60 + int(minutes or 0)
        ahead = -ahead if zone[0] == "-" else ahead
    return (hour * 3600 + minute * 60 + second - ahead * 60) / 86400
