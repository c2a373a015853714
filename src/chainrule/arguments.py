"""The one place that checks arguments: numbers, dtypes and names, with errors that give the remedy.

NumPy's numbers are taken wherever Python's are, and a bool is no number. In every function `owner` is the object,
or the name of the function, that takes the argument; a message begins with it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, did_you_mean


def number(
    name: str, value: Any, interval: str = "(-inf, inf)", *, owner: object = None, remedy: str = ""
) -> float:
    """The value as a float, or ArgumentError unless it is a finite number in the interval, such as "[0, 1)"."""
    found = float(value) if is_number(value) else math.nan
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = found >= low if interval[0] == "[" else found > low
    below = found <= high if interval[-1] == "]" else found < high
    if above and below:
        return found
    wanted = "a finite number" if low == -high == -math.inf else f"a number in {interval}"
    raise _wrong(owner, name, wanted, value, remedy)


def whole_number(
    name: str, value: object, at_least: int | None = None, *, owner: object = None, remedy: str = ""
) -> int:
    """The value as an int, or ArgumentError unless it is a whole number, and not too small."""
    found = as_whole(value)
    if found is None or (at_least is not None and found < at_least):
        limit = "" if at_least is None else f" of at least {at_least}"
        raise _wrong(owner, name, f"a whole number{limit}", value, remedy)
    return found


def whole_numbers(name: str, values: Any, *, owner: object = None) -> tuple[int, ...]:
    """One whole number or several, of any sign, as a tuple of ints, or ArgumentError."""
    one = as_whole(values)
    if one is not None:
        return (one,)
    try:
        return tuple(whole_number(name, each) for each in values)
    except (TypeError, ArgumentError):
        raise _wrong(owner, name, "a whole number or a tuple of them", values, "") from None


def as_whole(value: Any) -> int | None:
    """The value as an int, or None for what is no whole number."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def checked_seed(seed: object) -> int:
    """The seed as an int, or ArgumentError."""
    return whole_number("seed", seed, 0)


def checked_dtype(dtype: Any, *, owner: object = None, other_floats: bool = False) -> np.dtype[Any]:
    """The dtype, or ArgumentError unless it is float32 or float64, or else any dtype of floats."""
    try:
        found: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is not None and (found in (np.float32, np.float64) or (other_floats and found.kind == "f")):
        return found
    start = "" if owner is None else f"{_named(owner)}: "
    came = repr(dtype) if found is None else found
    raise ArgumentError(f"{start}dtype: expected float32 or float64, got {came}")


def one_of(name: str, value: str, known: Iterable[str], *, owner: object = None) -> str:
    """The value, or ArgumentError, with the nearest known one, unless it is known."""
    if isinstance(value, str) and value in known:
        return value
    start = "" if owner is None else f"{_named(owner)}: "
    raise ArgumentError(f"{start}unknown {name} {value!r}; {did_you_mean(str(value), known)}")


def is_number(value: Any) -> bool:
    """Whether the value is a number that a float holds."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _named(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


def _wrong(owner: object, name: str, wanted: str, value: object, remedy: str) -> ArgumentError:
    what = f"{name}: expected" if owner is None else f"{_named(owner)}: expected {name} to be"
    return ArgumentError(f"{what} {wanted}, got {value!r}{'; ' + remedy if remedy else ''}")
