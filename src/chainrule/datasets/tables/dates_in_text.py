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
_LONG = [month.lower() for month in calendar.month_name]
_TIME = (
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:[.,][0-9]+)?))?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_AFTER = rf"(?:(?:T|,?\s+){_TIME})?"
_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_TWO, _SIGN = "[0-9]{1,2}", "(?P<sign>[-/.])"
_FAMILIES = {
    YEAR: [re.compile(rf"(?P<year>[0-9]{{4}}){_SIGN}(?P<month>{_TWO})(?P=sign)(?P<day>{_TWO}){_AFTER}")],
    DAY: [
        re.compile(rf"(?P<day>{_TWO}){_SIGN}(?P<month>{_TWO})(?P=sign)(?P<year>[0-9]{{4}}|{_TWO}){_AFTER}")
    ],
    NAMED: [
        re.compile(rf"(?P<day>{_TWO})(?:st|nd|rd|th|\.)?[\s-]*{_NAME}[\s,-]*(?P<year>[0-9]{{4}}){_AFTER}"),
        re.compile(rf"{_NAME}[\s-]+(?P<day>{_TWO})(?:st|nd|rd|th)?[\s,-]+(?P<year>[0-9]{{4}}){_AFTER}"),
    ],
    TIME: [re.compile(_TIME)],
}
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, eq=False)
class Dates:
    """Days since 1970-01-01, of times alone the fraction of a day; NaN where a text is no date.

    `undecided` is a text that both orders read, where no text said which.
    """

    values: Array
    written: str
    undecided: str


def read_dates(texts: Sequence[str], written: str | None = None) -> Dates | None:
    """Read different texts as the dates of one column, or None where they are none.

    Day first or month first is decided by a number above 12. Where there is none, "05/01/2023" has the month first,
    "05.01.2023" the day. `written` is the order that an earlier table had; then every text is read that can be.
    """
    if written is not None:
        families = [TIME] if written == TIME else [YEAR, DAY, NAMED]
        values = np.array([_first(text, families, written == MONTH) for text in texts], np.float64)
        return Dates(values, written, "")
    family = next((each for each in _FAMILIES if texts and _matched(texts[0], each)), None)
    if family is None:
        return None
    if family == YEAR and (quick := _iso(texts)) is not None:
        return Dates(quick, YEAR, "")
    matches = []
    for text in texts:
        match = _matched(text, family)
        if match is None:
            return None
        matches.append(match)
    order, undecided = family, ""
    if family == DAY:
        day_above = any(int(match["day"]) > 12 for match in matches)
        month_above = any(int(match["month"]) > 12 for match in matches)
        by_custom = MONTH if matches[0]["sign"] == "/" else DAY
        order = MONTH if month_above else DAY if day_above else by_custom
        undecided = "" if month_above or day_above else texts[0]
    values = np.array([_days(match, order == MONTH) for match in matches], np.float64)
    return None if np.isnan(values).any() else Dates(values, order, undecided)


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


def _matched(text: str, family: str) -> re.Match[str] | None:
    return next((match for each in _FAMILIES[family] if (match := each.fullmatch(text))), None)


def _first(text: str, families: Sequence[str], month_first: bool) -> float:
    for family in families:
        match = _matched(text, family)
        if match is not None:
            return _days(match, month_first and family == DAY)
    return np.nan


def _days(match: re.Match[str], month_first: bool) -> float:
    """The days since 1970-01-01, or NaN where there is no such day or time."""
    part = match.groupdict()
    time = _fraction(part)
    if "day" not in part:
        return time
    month, day = part.get("month") or _month(part["name"]), part["day"]
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
    """The time as a fraction of a day, in UTC where a zone is given."""
    if part["hour"] is None:
        return 0.0
    hour, minute = int(part["hour"]), int(part["minute"] or 0)
    second = float((part["second"] or "0").replace(",", "."))
    half = (part["half"] or "").lower()[:1]
    if hour > (12 if half else 23) or (half and hour == 0) or minute > 59 or second >= 61:
        return np.nan
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    zone, ahead = part["zone"] or "Z", 0.0
    if zone[0] in "+-":
        ahead = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
        ahead = -ahead if zone[0] == "-" else ahead
    return (hour * 3600 + minute * 60 + second - ahead * 60) / 86400
