"""Numbers as people write them: '$3.20', '1.234,50', '10 %', '(1,234)', '5 kg'."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array

PLAIN = {
    point: re.compile(rf"\s*[+-]?([0-9]+({sign}[0-9]*)?|{sign}[0-9]+)([eE][+-]?[0-9]+)?\s*")
    for point, sign in ((".", r"\."), (",", ","))
}
"""A number that pandas reads by itself, by the sign of its decimals."""
BOTH = ",."
"""What is likely in a file of which some columns have decimal points and others decimal commas."""
_MONEY = """
$ € £ ¥ ₹ ₽ ₩ ₺ US$ R$ A$ C$ kr Fr. zł Rs Rs. USD EUR GBP CHF JPY CNY INR AUD CAD NZD SEK NOK DKK PLN CZK HUF
BRL MXN ZAR KRW SGD HKD TRY RUB
"""
_MEASURES = """
% ‰ t kg g mg µg lb lbs oz st km m cm mm µm nm mi mile miles yd ft in inch inches ha m2 m² m3 m³ km² cm² cm³
sqft ft² s sec secs ms µs min mins h hr hrs hours d day days week weeks month months yr yrs year years ° °C °F
mph km/h kph m/s kn l L ml mL cl dl gal W kW MW Wh kWh MWh V mV mA Hz kHz MHz GHz bit B kB KB MB GB TB px dpi
J kJ cal kcal Pa hPa kPa bar mbar psi mmHg N Nm rpm bpm hp PS cc dB ppm mg/dL mmol/L
"""
_CURRENCIES, _UNITS = frozenset(_MONEY.split()), frozenset(_MEASURES.split())
_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "mio": 1e6, "Mio": 1e6, "Mio.": 1e6, "mn": 1e6, "bn": 1e9}
_MINUS = r"\-\u2212\u2013"
_CELL = re.compile(
    rf"(?P<opened>\()?\s*(?P<sign>[+{_MINUS}]?)\s*(?P<before>[^\W\d]{{1,3}}\.?|[^\W\d]{{0,2}}[$€£¥₹₽₩₺])?\s*"
    rf"(?P<inner>[+{_MINUS}]?)(?P<digits>[.,]?[0-9](?:[0-9.,'’\s]*[0-9])?[.,]?)(?P<exponent>[eE][+-]?[0-9]+)?"
    rf"(?P<after>[^(){_MINUS}]*)(?P<trailing>[{_MINUS}]?)\s*(?P<closed>\))?"
)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_COMPARED = "<>\u2264\u2265~\u2248="
_SOME = 1000  # texts
_LONGEST = 1000  # characters of a cell that may be a number
_SPACES = r"['’\s]"


def _grouped(group: str, point: str) -> re.Pattern[str]:
    """Digits in groups of three, or two and three as in India, or without groups; then perhaps decimals."""
    thousands = rf"[1-9][0-9]{{0,2}}(?:(?:{group}[0-9]{{3}})+|(?:{_SPACES}[0-9]{{3}})+)"
    lakhs = rf"[1-9][0-9]?(?:{group}[0-9]{{2}})+{group}[0-9]{{3}}"
    return re.compile(rf"(?:{thousands}|{lakhs}|[0-9]+)?(?:{point}[0-9]*)?")


_DIGITS = {".": _grouped(",", r"\."), ",": _grouped(r"\.", ",")}


@dataclass(frozen=True, slots=True)
class _Written:
    """A number taken apart: its digits with what separates them, what they are multiplied by, and its unit."""

    digits: str
    exponent: str
    factor: float
    unit: str

    def allows(self, point: str) -> bool:
        return _DIGITS[point].fullmatch(self.digits) is not None

    @property
    def is_number(self) -> bool:
        return self.allows(".") or self.allows(",")

    @property
    def is_ambiguous(self) -> bool:
        """Whether its decimals may have a point or a comma, which makes two numbers of it: "1,234"."""
        return any(sign in self.digits for sign in ",.") and self.allows(".") and self.allows(",")

    def value(self, point: str) -> float:
        other = "," if point == "." else "."
        plain = re.sub(_SPACES, "", self.digits).replace(other, "").replace(point, ".")
        return float(plain + self.exponent) * self.factor


@dataclass(frozen=True, eq=False)
class Numbers:
    """Different texts read as numbers: NaN where one is none, and how they are written, as `Form.written` says it.

    `otherwise` says which of those that are NaN are numbers, but written in another way than the column: in another
    unit, with another sign of decimals, "<5". `example` is a text that is not plain, or ""; where nothing shows
    whether its decimals have a point or a comma, `undecided` is what it would be with the other.
    """

    values: Array
    otherwise: Array
    written: str
    example: str
    undecided: str = ""


def read_numbers(
    texts: Sequence[str],
    counts: Array,
    *,
    decimal: str | None = None,
    likely: str | None = None,
    written: str | None = None,
) -> Numbers:
    """Read different texts, which occur `counts` times, as the numbers of one column.

    `decimal` is obeyed. Else the column's own cells decide it: "1,5" can only have a decimal comma.
    Where they do not, as "1,234", the same column of an earlier table does (`written`), then what is `likely` in
    this file: ",", ".", or BOTH, where some columns have a point and others a comma; then "1,234" has thousands.
    One unit holds for the whole column: a cell in another is no number.
    """
    stored = None if written is None else point_of(written)
    none = np.zeros(len(texts), bool)
    if decimal is None and (stored or "." if likely is None else stored) == ".":
        plain = _all_plain(texts)
        if plain is not None:
            return Numbers(plain, none, written or "", "")
    if written is None and _is_other_text(texts):
        return Numbers(np.full(len(texts), np.nan), none, "", "")
    parts = [_taken_apart(text) for text in texts]
    decided = decimal or _decided(parts, counts, stored) or stored
    point = decided or _likely(parts, likely)
    unit = unit_of(written) or _most_used([part.unit if part else "" for part in parts], counts)
    values = np.full(len(texts), np.nan)
    otherwise = none.copy()
    example = undecided = ""
    for k, (text, part) in enumerate(zip(texts, parts, strict=True)):
        if part is None:
            values[k] = _infinite(text)
            compared = _taken_apart(text.lstrip(_COMPARED).lstrip()) if text[:1] in _COMPARED else None
            otherwise[k] = compared is not None and compared.is_number
        elif part.allows(point) and (part.unit == unit or _may_be_bare(part, unit, written)):
            values[k] = part.value(point)
            is_plain = PLAIN[point].fullmatch(text) is not None
            is_open = decided is None and part.is_ambiguous and (likely is not None or not is_plain)
            if (not example and not is_plain) or (not undecided and is_open):
                example = text
                undecided = f"{part.value('.' if point == ',' else ','):.15g}" if is_open else ""
        else:
            otherwise[k] = part.is_number
    return Numbers(
        values,
        otherwise,
        written or ", ".join(filter(None, (unit, _sign(parts, point, likely)))),
        example,
        undecided,
    )


def unit_of(written: str | None) -> str:
    """The unit in a stored form: "$" of "$, decimal comma"."""
    first = (written or "").split(", ")[0]
    return "" if first.startswith("decimal") else first


def point_of(written: str) -> str:
    """The sign of decimals in a stored form."""
    return "," if "decimal comma" in written else "."


def is_ambiguous(text: str) -> bool:
    """Whether nothing shows what a point or a comma in a number is: "1,234"."""
    part = _taken_apart(text)
    return part is not None and part.is_ambiguous


def shows_decimal(text: str) -> str | None:
    """Which sign of decimals a cell can only have: "," of "1,5" and "3,20 €"; None of "7" and "1,234"."""
    part = _taken_apart(text)
    return None if part is None else _only_point(part)


def _all_plain(texts: Sequence[str]) -> Array | None:
    if any("_" in text for text in texts):  # which Python's float takes for a separator
        return None
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        return None


def _is_other_text(texts: Sequence[str]) -> bool:
    """Whether most of these different texts are surely no numbers, judged by some of them."""
    some = texts[:: max(len(texts) // _SOME, 1)]
    return len(texts) > _SOME and sum(_taken_apart(text) is not None for text in some) < len(some) / 2


def _taken_apart(text: str) -> _Written | None:
    match = _CELL.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    part = match.groupdict(default="")
    signs = part["sign"] + part["inner"] + part["trailing"] + part["opened"]
    if len(signs) > 1 or bool(part["opened"]) != bool(part["closed"]):
        return None
    before, after, scale = part["before"], part["after"].strip(), 1.0
    if before and before not in _CURRENCIES:
        return None
    if after and after not in _UNITS and after not in _CURRENCIES:
        head = next((each for each in sorted(_SCALES, key=len, reverse=True) if after.startswith(each)), None)
        if head is None:
            return None
        scale, after = _SCALES[head], after[len(head) :].strip()
        if after and after not in _CURRENCIES:
            return None
    elif after == "B" and before:  # "$3B" is no number of bytes
        scale, after = 1e9, ""
    if before and after:
        return None
    factor = scale if signs in ("", "+") else -scale
    return _Written(part["digits"], part["exponent"], factor, before or after)


def _only_point(part: _Written) -> str | None:
    point, comma = part.allows("."), part.allows(",")
    return None if point == comma else "." if point else ","


def _decided(parts: Sequence[_Written | None], counts: Array, stored: str | None) -> str | None:
    """The sign of decimals that most cells show; that of an earlier table where a cell shows it."""
    shown = {".": 0, ",": 0}
    for part, count in zip(parts, counts.tolist(), strict=True):
        if part is not None and ("," in part.digits or "." in part.digits):
            only = _only_point(part)
            if only is not None:
                shown[only] += count
    if stored is not None and shown[stored]:
        return stored
    if shown["."] == shown[","]:
        return "." if shown["."] else None
    return max(shown, key=lambda sign: shown[sign])


def _likely(parts: Sequence[_Written | None], likely: str | None) -> str:
    """The sign of decimals where no cell shows it."""
    if likely != BOTH:
        return likely or "."
    signs = {sign for part in parts if part is not None for sign in ",." if sign in part.digits}
    return "," if signs == {","} else "."


def _sign(parts: Sequence[_Written | None], point: str, likely: str | None) -> str:
    """What says how the decimals of the column are written, where a later table may be read in two ways."""
    signs = {sign for part in parts if part is not None for sign in ",." if sign in part.digits}
    if point == ",":
        return "decimal comma" if signs or likely == "," else ""
    return "decimal point" if "," in signs or (signs and likely is not None) else ""


def _infinite(text: str) -> float:
    if _INFINITE.fullmatch(text) is None:
        return np.nan
    return -np.inf if text[0] == "-" else np.inf


def _most_used(units: Sequence[str], counts: Array) -> str:
    """The unit of most cells. Cells without one have a say where they are most."""
    used: dict[str, int] = {}
    for unit, count in zip(units, counts.tolist(), strict=True):
        used[unit] = used.get(unit, 0) + count
    money = {unit: count for unit, count in used.items() if unit in _CURRENCIES}
    if money:
        return max(money, key=lambda unit: money[unit])
    return max(used, key=lambda unit: used[unit]) if used else ""


def _may_be_bare(part: _Written, unit: str, written: str | None) -> bool:
    """Whether a cell without the column's unit is in it all the same: money, zero, and what is to be predicted."""
    return not part.unit and (unit in _CURRENCIES or written is not None or not part.digits.strip("0"))
