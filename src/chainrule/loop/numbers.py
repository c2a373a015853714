"""Whole numbers among the arguments of a training."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import ArgumentError


def whole_number(name: str, value: Any, at_least: int) -> int:
    """The value as an int. Raises ArgumentError, which names it, unless it is a whole number in range."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise ArgumentError(f"{name}: expected a whole number of at least {at_least}, got {value!r}")
    return int(value)
