"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.loop.wording import duration as duration


def percent(share: float, digits: int = 1) -> str:
    """0.9304 as '93.0 %'."""
    return f"{100 * share:.{digits}f} %" if math.isfinite(share) else str(share)


def short(value: float, digits: int = 4) -> str:
    """A number with so many significant digits: '0.2515', '1,438', '2e-09'."""
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


def whole(value: Any) -> int:
    """A count that a file holds. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1e15:
        raise ValueError(f"expected a count, got {value!r:.50}")
    return value


def counted(count: int, thing: str, things: str | None = None) -> str:
    """1 as '1 layer', 2 as '2 layers'."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def floats(values: Any) -> Array:
    """A list of numbers as float64; whole numbers too large for it become infinite, what is no number NaN."""
    return np.array([_float(value) for value in values], dtype=np.float64)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def rounded(values: Any, digits: int = 6) -> list[Any]:
    """Numbers for a page's data: so many significant digits; NaN and infinity, which no curve can show, as null."""
    return [_plain(float(value), digits) for value in values]


def _plain(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    near = float(f"{value:.{digits}g}")
    return int(near) if near == int(near) and abs(near) < 1e15 else near
