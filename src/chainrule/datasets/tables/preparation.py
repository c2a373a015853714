"""How the columns of a table become numbers: what was learnt of one table, applied to others."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self, get_args

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.column import Column, Form, Kind
from chainrule.errors import DataError, FileError, did_you_mean
from chainrule.text import brief, counted, listed, short

SHOWN = 3
#: What begins the line on text that is none of the categories.
NEVER_SEEN = "never seen"
#: What begins the line on numbers far from all those of training.
FAR_OFF = "far off"
#: What begins the line on columns to which nothing is done.
AS_THEY_ARE = "numbers"
#: Days after which what a date tells comes again.
PERIODS = {"time of year": 365.2425, "day of the week": 7.0, "time of day": 1.0}


@dataclass(frozen=True)
class Encoding:
    """How one column becomes numbers, as learnt from the rows of training.

    A missing cell becomes `fill`: the median of numbers and dates, the most frequent boolean or text. `offset` is
    taken from numbers and dates, so that float32 resolves what is left; `span` is the least and the largest. Text
    becomes a 0 or 1 for each of the `categories`; a date sine and cosine of each of the `cycles`, beside its
    days. With `indicator` a further column is 1 where the cell is missing.
    """

    name: str
    form: Form
    fill: float | str
    indicator: bool = False
    offset: float = 0.0
    categories: tuple[str, ...] = ()
    cycles: tuple[str, ...] = ()
    span: tuple[float, float] = (0.0, 0.0)
    missing: int = 0  # of the rows that it was learnt from

    @property
    def is_constant(self) -> bool:
        """Whether training had one value only: nothing is learnt from it, and any other value counts as that."""
        return len(self.categories) == 1 if self.form.kind == "text" else self.span[0] == self.span[1]

    @property
    def names(self) -> list[str]:
        """The names of the columns of numbers."""
        if self.form.kind == "text":
            names = [f"{self.name}={category}" for category in self.categories]
        else:
            names = [self.name]
            for cycle in self.cycles:
                names += [f"{self.name}: {cycle} (sin)", f"{self.name}: {cycle} (cos)"]
        return [*names, f"{self.name} is missing"] if self.indicator else names


class Prepared(NamedTuple):
    """Numbers, and what was done, labels and texts, a line a kind."""

    x: Array
    lines: list[tuple[str, str]]


@dataclass(frozen=True)
class Preparation:
    """How a table becomes numbers. `load_table(..., preparation=p)` reads another table in the same way.

    `rows` is how many it was learnt from, `left_out` which columns are not used, and why, `target` which column was
    to be predicted, `missing` which further words stood for a missing cell.
    """

    encodings: tuple[Encoding, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    target: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of the columns of x: those of the table, and of text "island=Biscoe"."""
        return [name for each in self.encodings for name in each.names]

    @property
    def forms(self) -> dict[str, Form]:
        """What each column that is used holds, by its name."""
        return {each.name: each.form for each in self.encodings}

    def apply(
        self,
        columns: Sequence[Column],
        *,
        strict: bool = False,
        numbers: Array | None = None,
        where: str = "",
    ) -> Prepared:
        """The numbers of these columns, which are found by name.

        A text that is none of the categories counts as none of them: all its columns are 0. That is said in the
        lines, as is what was filled in, and numbers that are further from those of training than these from each
        other; with `strict` these are errors. `numbers` are those of the rows, as lines and errors say them.

        Shapes: columns of N rows -> x (N, D), D as many as `names`. dtype: float64.
        Raises: DataError where a column is missing, or holds something else than in training.
        """
        found = {column.name: column for column in columns}
        if missing := [each.name for each in self.encodings if each.name not in found]:
            raise DataError(
                f"{where}expected the columns that the preparation was learnt from; missing: "
                + listed([f"{name!r} ({did_you_mean(name, found)})" for name in missing[:3]], len(missing))
            )
        rows = len(columns[0].values) if columns else 0
        numbers = np.arange(1, rows + 1) if numbers is None else numbers
        x, start = np.zeros((rows, len(self.names))), 0
        filled: list[tuple[Encoding, Array]] = []
        unseen: list[str] = []
        far: list[str] = []
        for each in self.encodings:
            column, absent = found[each.name], found[each.name].missing
            if column.form.kind != each.form.kind:
                raise DataError(
                    f"{where}column {each.name!r}: expected {_PLURAL[each.form.kind]}, as in training, got "
                    f"{_PLURAL[column.form.kind]}"
                )
            width = len(each.names)
            unknown = _write(each, column, absent, x[:, start : start + width])
            start += width
            if absent.any():
                filled.append((each, absent))
            unseen += _told_of_unseen(each, column, unknown, numbers)
            far += _told_of_far(each, column, numbers)
        lines = []
        if unseen:
            lines.append((NEVER_SEEN, f"{listed(unseen)}; taken as none of the values of training"))
        if far:
            lines.append((FAR_OFF, f"{listed(far)}"))
        if strict and (lines or filled):
            problem = ": ".join(lines[0]) if lines else _missing_cell(*filled[0], numbers)
            raise DataError(f"{where}{problem}; strict refuses it")
        return Prepared(x, [*told_of_filled((each, int(absent.sum())) for each, absent in filled), *lines])

    def to_dict(self) -> dict[str, Any]:
        """JSON values, from which `from_dict` makes the same."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """What `to_dict` wrote. Raises FileError for anything else."""
        try:
            encodings = tuple(_encoding(each) for each in content["encodings"])
            left_out = tuple((_text(name), _text(reason)) for name, reason in content["left_out"])
            missing = tuple(map(_text, _sequence(content["missing"])))
            target = None if content["target"] is None else _text(content["target"])
            found = cls(encodings, left_out, _count(content["rows"]), target, missing)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise FileError(f"its preparation of tables is damaged: {error!r}") from None
        if not encodings or len({each.name for each in encodings}) < len(encodings):
            raise FileError("its preparation of tables is damaged: it has no column, or one twice")
        return found


_PLURAL: dict[Kind, str] = {"number": "numbers", "boolean": "booleans", "date": "dates", "text": "text"}


def turns(days: Array, cycle: str) -> tuple[Array, Array]:
    """Sine and cosine of where days stand in a cycle: of noon, in "time of day", 0 and -1."""
    angle = 2 * np.pi * (days / PERIODS[cycle] % 1)
    return np.sin(angle), np.cos(angle)


def _write(each: Encoding, column: Column, absent: Array, x: Array) -> Array:
    """Write the numbers of one column; the positions in its texts that are no category."""
    unknown = np.zeros(0, np.int64)
    if each.form.kind == "text":
        place = {category: k for k, category in enumerate(each.categories)}
        places = np.array([*(place.get(text, -1) for text in column.texts), place.get(str(each.fill), -1)])
        chosen = places[np.where(absent, len(column.texts), column.values)]
        unknown = np.unique(column.values[(chosen < 0) & ~absent])
        rows = np.flatnonzero(chosen >= 0)
        x[rows, chosen[rows]] = 1
    else:
        values = np.where(absent, float(each.fill), column.values) if absent.any() else column.values
        x[:, 0] = values - each.offset if each.offset else values
        for k, cycle in enumerate(each.cycles):
            x[:, 1 + 2 * k], x[:, 2 + 2 * k] = turns(values, cycle)
    if each.is_constant:
        x[:, 0] = 1 if each.form.kind == "text" else each.span[0] - each.offset
    if each.indicator:
        x[:, -1] = absent
    return unknown


def _told_of_unseen(each: Encoding, column: Column, unknown: Array, numbers: Array) -> list[str]:
    """The texts that are no category, with the row of the first."""
    told = []
    for position in unknown[:SHOWN].tolist():
        row = numbers[int(np.flatnonzero(column.values == position)[0])]
        told.append(f"{brief(column.texts[position])} in {each.name!r} (data row {row})")
    if len(unknown) > SHOWN:
        told.append(f"{len(unknown) - SHOWN:,} more in {each.name!r}")
    return told


def _told_of_far(each: Encoding, column: Column, numbers: Array) -> list[str]:
    """The first number that is further from those of training than they are from each other, and where it is."""
    if each.form.kind == "text":
        return []
    least, most = each.span
    far = (column.values > most + (most - least)) | (column.values < least - (most - least))  # False for NaN
    if not far.any():
        return []
    row, written = int(far.argmax()), date_of if each.form.kind == "date" else short
    had = (
        f"{written(least)} only, which it counts as"
        if each.is_constant
        else f"{written(least)} to {written(most)}"
    )
    return [
        f"{written(float(column.values[row]))} in {each.name!r} (data row {numbers[row]}; training had {had})"
    ]


def date_of(days: float) -> str:
    """Days since 1970-01-01 as a date; as a number where no calendar reaches."""
    try:
        return (datetime.datetime(1970, 1, 1) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")
    except (OverflowError, ValueError):
        return f"day {short(days)}"


def _missing_cell(each: Encoding, absent: Array, numbers: Array) -> str:
    return f"data row {numbers[int(absent.argmax())]}, column {each.name!r}: the value is missing"


def told_of_filled(filled: Iterable[tuple[Encoding, int]]) -> list[tuple[str, str]]:
    """Which columns had how many missing cells, and what was put there: labels and texts."""
    by_median, by_frequency = [], []
    for each, count in filled:
        if isinstance(each.fill, float) and each.form.kind in ("number", "date"):
            by_median.append(f"{each.name!r} ({counted(count, 'cell')})")
        else:
            value = repr(each.fill) if isinstance(each.fill, str) else bool(each.fill)
            by_frequency.append(f"{each.name!r} ({counted(count, 'cell')}: {value})")
    lines = []
    if by_median:
        lines.append(("filled", f"missing cells take the median of the column: {listed(by_median)}"))
    if by_frequency:
        lines.append(("filled", f"missing cells take the most frequent value: {listed(by_frequency)}"))
    return lines


def told_of(preparation: Preparation) -> list[tuple[str, str]]:
    """What was done to the columns of the table that it was learnt from: labels and texts, a line a kind."""
    by_kind: dict[str, list[Encoding]] = {}
    for each in preparation.encodings:
        by_kind.setdefault(each.form.kind, []).append(each)
    lines = []
    for kind, as_what in (("number", ""), ("boolean", ", as 0 and 1"), ("date", ", as days"), ("text", "")):
        if found := by_kind.get(kind):
            if kind == "text":
                as_what = f", as {sum(len(each.categories) for each in found):,} of 0 and 1"
            names = [repr(each.name) + _detail(each) for each in found]
            lines.append(
                (_PLURAL[found[0].form.kind], f"{counted(len(found), 'column')}{as_what}: {listed(names)}")
            )
    filled = [(each, each.missing) for each in preparation.encodings if each.missing]
    lines += told_of_filled(filled)
    if marked := [repr(each.name) for each in preparation.encodings if each.indicator]:
        lines.append(("marked", f"a column of 0 and 1 says where cells are missing: {listed(marked)}"))
    if shared := [
        f"{each.name!r} less {short(each.offset, 8)}" for each in preparation.encodings if _is_shifted(each)
    ]:
        lines.append(("shifted", f"so that float32 resolves the differences: {listed(shared)}"))
    reasons: dict[str, list[str]] = {}
    for name, reason in preparation.left_out:
        reasons.setdefault(reason, []).append(repr(name))
    lines += [("left out", f"{listed(names)}: {reason}") for reason, names in reasons.items()]
    return lines


def _is_shifted(each: Encoding) -> bool:
    return each.form.kind == "number" and each.offset != 0


def _detail(each: Encoding) -> str:
    if each.categories:
        return f" ({len(each.categories)})"
    return f" ({', '.join(each.cycles)})" if each.cycles else ""


def _encoding(content: Mapping[str, Any]) -> Encoding:
    kind: Kind = content["form"]["kind"]
    categories, cycles = _sequence(content["categories"]), _sequence(content["cycles"])
    least, most = map(_number, _sequence(content["span"]))
    found = Encoding(
        _text(content["name"]),
        Form(kind, _text(content["form"]["written"])),
        _text(content["fill"]) if kind == "text" else _number(content["fill"]),
        content["indicator"],
        _number(content["offset"]),
        tuple(map(_text, categories)),
        tuple(map(_text, cycles)),
        (least, most),
        _count(content["missing"]),
    )
    fits = kind in get_args(Kind) and isinstance(found.indicator, bool) and least <= most
    if kind == "text":
        fits = fits and found.fill in found.categories and len(set(categories)) == len(categories)
    else:
        fits = fits and not categories
    of_dates = set(PERIODS) if kind == "date" else set()
    if not fits or set(cycles) - of_dates or len(set(cycles)) < len(cycles):
        raise ValueError(found.name)
    return found


def _sequence(value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
