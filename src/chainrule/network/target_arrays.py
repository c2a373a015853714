"""Targets as arrays: of numbers, or of labels of one kind, text, booleans or whole numbers."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DataError, ShapeError
from chainrule.incoming import MISSING_TYPES, numbers, with_article

TEXT = "OUT"  # the kinds of dtype in which text may come
KINDS: dict[type, str] = {str: "text", bool: "booleans", int: "whole numbers"}


def as_array(t: Any) -> Array:
    """The targets as an array of numbers or booleans, or of text.

    Raises: DataError for what is missing, or neither of these; ShapeError for rows of different lengths.
    """
    if isinstance(t, np.ma.MaskedArray) and np.ma.getmaskarray(t).any():
        raise missing_at(t, int(np.flatnonzero(np.ma.getmaskarray(t))[0]))
    try:
        array = np.asarray(t)
        made_text = array.dtype.kind == "U" and isinstance(t, (list, tuple))  # also of numbers beside text
        if made_text or array.dtype.kind not in "biufUT":
            array = np.asarray(t, dtype=object)
    except ValueError as error:
        raise ShapeError(f"t: the rows have different lengths, which makes no array: {error}") from None
    return _of_one_kind(array) if array.dtype.kind == "O" and array.ndim and array.size else array


def is_text(t: Any) -> bool:
    """Whether the targets are text, all of them."""
    if isinstance(t, np.ndarray) and t.dtype.kind in "biuf":
        return False
    try:
        values = np.asarray(t, dtype=object).ravel()
    except ValueError:  # rows of different lengths
        return False
    return len(values) > 0 and all(isinstance(each, str) for each in values)


def _of_one_kind(array: Array) -> Array:
    """An array of objects as one of numbers or booleans, or unchanged where they are text."""
    flat = array.ravel()
    types = set(map(type, flat))
    if types <= {str, np.str_}:
        return array
    first: dict[str, int] = {}
    for place, value in enumerate(flat):
        first.setdefault(_described(value), place)
    if "missing" in first:
        raise missing_at(array, first["missing"])
    (kind, _), *others = first.items()
    known = {*KINDS.values(), "numbers"}
    if strange := [each for each in first if each not in known]:
        place = first[strange[0]]
        row = int(np.unravel_index(place, array.shape)[0])
        remedy = "; decode them, [each.decode() for each in t]" if strange[0] == "bytes" else ""
        raise DataError(
            f"t: expected numbers, or labels as text, booleans or whole numbers, got {strange[0]}, "
            f"{flat[place]!r}, in row {row}{remedy}"
        )
    if set(first) <= {"whole numbers", "numbers"} or (kind == "booleans" and not others):
        return numbers(array, "t")
    other, place = others[0]
    row, rows = (int(np.unravel_index(each, array.shape)[0]) for each in (first[kind], place))
    raise DataError(
        f"t: expected labels of one kind, got {kind}, {flat[first[kind]]!r} in row {row}, and {other}, "
        f"{flat[place]!r} in row {rows}; make them all text, or all numbers"
    )


def missing_at(array: Any, place: int) -> DataError:
    """The error for a target that is missing, at this place of the flat array."""
    row = int(np.unravel_index(place, array.shape)[0])
    return DataError(
        f"t: the target in row {row} is missing, {array.ravel()[place]!s}; leave such rows out, or fill them in"
    )


def kind_of(labels: Array) -> type | None:
    """str, bool or int, by the kind of labels; None for floats."""
    if labels.dtype.kind in TEXT:
        return str
    return {"b": bool, "i": int, "u": int}.get(labels.dtype.kind)


def kind_of_value(value: Any) -> type | None:
    """str, bool or int, by the kind of one label; None for anything else."""
    if isinstance(value, str):
        return str
    if isinstance(value, (bool, np.bool_)):
        return bool
    return int if isinstance(value, Integral) else None


def _described(value: Any) -> str:
    """The kind of a value in words, "missing" for what stands for none."""
    kind = kind_of_value(value)
    if kind is not None:
        return KINDS[kind]
    if isinstance(value, (Real, Decimal)):
        return "numbers" if value == value else "missing"  # NaN differs from itself
    if isinstance(value, bytes):
        return "bytes"
    name = type(value).__name__
    return "missing" if name in MISSING_TYPES else with_article(name)
