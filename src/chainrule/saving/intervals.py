"""The interval of checkpoints: a number of iterations, or a time."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any

from chainrule.errors import ArgumentError

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def interval_of(every: Any) -> tuple[int, float]:
    """How many iterations, or seconds, are between two checkpoints; the other is 0. Raises ArgumentError."""
    text = str(every).strip().lower()
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([a-z]*)", text)
    if not isinstance(every, bool) and isinstance(every, (Integral, str)) and found:
        number, unit = float(found[1]), found[2]
        if number > 0 and not unit and number.is_integer():
            return int(number), 0.0
        if number > 0 and unit in UNITS:
            return 0, number * UNITS[unit]
    raise ArgumentError(
        f'every: expected a number of iterations, such as 500, or a time, such as "60s", "5min" or "1h", '
        f"got {every!r}"
    )
