"""Numbers as files hold them and as pages take them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.arrays import Array


def whole(value: Any) -> int:
    """A count that a file holds. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1e15:
        raise ValueError(f"expected a count, got {value!r:.50}")
    return value


def or_not_measured(value: float, shown: Callable[[float], str]) -> str:
    """A measure as text; of NaN, which stands for none, that there is none."""
    return "not measured" if math.isnan(value) else shown(value)


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
