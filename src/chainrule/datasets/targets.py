"""Turning a target column into labels or numbers."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import numpy as np

from chainrule.arrays import Array, first_not_finite
from chainrule.errors import DataError

Task: TypeAlias = Literal["classification", "regression"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MISSING = frozenset(
    ["", "na", "n/a", "#n/a", "<na>", "#na", "nan", "-nan", "+nan", "null", "none", "nat", "?", "-"]
)


def as_targets(values: Array, name: str, task: Task | None = None) -> tuple[Array, list[str] | None]:
    """Labels and their classes, or numbers and None, from a column that errors call `name`.

    Text, whole numbers and booleans are classes unless `task` says otherwise; other numbers are a regression.

    Shapes: values (N,) or (N, 1) -> t (N,) for classes, (N, 1) for numbers.
    dtype: text, bool, integer or float -> int64 for classes, float64 for numbers.
    Raises: DataError when a value is missing, infinite, or text among numbers, naming the row.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(
            f"{name}: expected shape (N,) or (N, 1), got {values.shape}; turn one-hot rows into labels with "
            f"argmax(axis=1)"
        )
    if values.dtype.kind in "biuf":
        return _from_numbers(values, name, task)
    if values.dtype.kind in "OUT":
        return _from_text(values, name, task)
    raise DataError(f"{name}: expected text, booleans or numbers, got {values.dtype}")


def _from_numbers(values: Array, name: str, task: Task | None) -> tuple[Array, list[str] | None]:
    if (place := first_not_finite(values)) is not None:
        raise DataError(f"{name}, data row {place[0] + 1}: expected a finite number, got {values[place]}")
    if task == "regression" or (task is None and values.dtype.kind == "f"):
        return values.astype(np.float64).reshape(-1, 1), None
    distinct, labels = np.unique(values, return_inverse=True)
    return labels.astype(np.int64), [_written(value) for value in distinct.tolist()]


def _from_text(values: Array, name: str, task: Task | None) -> tuple[Array, list[str] | None]:
    distinct, place, labels = np.unique(values, return_index=True, return_inverse=True)
    texts = [str(text) for text in distinct]
    is_number = [_NUMBER.fullmatch(text) is not None for text in texts]
    numbers = (any(is_number) and task != "classification") or task == "regression"
    for text, fits, row in sorted(
        zip(texts, is_number, place.tolist(), strict=True), key=lambda each: each[2]
    ):
        if text == "" or (numbers and not fits and text.lower() in MISSING):
            raise DataError(f"{name}, data row {row + 1}: the value is missing ({text!r}); leave the row out")
        if numbers and not fits:
            raise DataError(
                f"{name}, data row {row + 1}: expected a number as in other rows, got {text!r}; correct "
                f"it, or pass task='classification' if it is a class"
            )
    if not numbers and not all(is_number):
        return labels.astype(np.int64), texts
    whole = all(_WHOLE.fullmatch(text) for text in texts)
    if task == "regression" or (task is None and not whole):
        column = np.array([float(text) for text in texts])[labels]
        return _from_numbers(column, name, "regression")
    # "1" and "01" are one class; int() keeps numbers exact that float() would merge.
    parsed = [int(text) if whole else float(text) for text in texts]
    classes = sorted(set(parsed))
    position = {value: label for label, value in enumerate(classes)}
    of_text = np.array([position[value] for value in parsed], dtype=np.int64)
    return of_text[labels], [_written(value) for value in classes]


def _written(value: float | bool) -> str:
    """A class as people write it: 3 for 3.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
