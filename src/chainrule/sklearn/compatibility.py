"""What differs between the versions of scikit-learn, from 1.5 on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from chainrule.arrays import Array

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6

    def validate_data(estimator: Any, /, *arrays: Any, **options: Any) -> Any:
        return estimator._validate_data(*arrays, **options)


def validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """X, or X and y, checked as scikit-learn does, with the number of features and their names noted or compared.

    Raises: ValueError and TypeError as scikit-learn; NaN, infinity and text are named by row and column.
    """
    try:
        return validate_data(estimator, X, *y, accept_sparse=["csr", "csc"], **options)
    except ValueError as error:
        head, _, rest = str(error).partition("\n")
        if "Input X contains" in head and (where := _first_where(_are_not_finite, X)):
            raise ValueError(f"{head} The first is {where}.\n{rest}".rstrip("\n")) from None
        if "could not convert string" in head and (where := _first_where(_are_text, X)):
            raise ValueError(
                f"{head}. X: expected numbers, got text {where}; encode such columns, for example "
                f"by a OneHotEncoder in a ColumnTransformer"
            ) from None
        raise


def is_plain(estimator: Any, X: Any) -> bool:
    """Whether X passes those checks as it is, but for NaN: they take longer than a small network."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float64, np.float32)
        and X.shape[1] == estimator.n_features_in_
        and len(X) > 0
        and not hasattr(estimator, "feature_names_in_")
    )


def _first_where(are_bad: Callable[[Array], Any], X: Any) -> str | None:
    """Where the first such number or text of X stands."""
    if scipy.sparse.issparse(X):
        kept: Any = scipy.sparse.coo_array(X)  # type: ignore[call-overload]
        places = np.stack([kept.row, kept.col], axis=1)[are_bad(kept.data)]
    else:
        places = np.argwhere(are_bad(np.asarray(X)))
    if not len(places) or places.shape[1] != 2:
        return None
    row, column = (int(k) for k in places[0])
    names = getattr(X, "columns", None)
    return f"in row {row}, column {column}" + ("" if names is None else f", {str(names[column])!r}")


def _are_not_finite(values: Array) -> Array:
    return ~np.isfinite(values) if values.dtype.kind == "f" else _each(_is_not_finite, values)


def _are_text(values: Array) -> Array:
    return _each(_is_text, values)


def _each(test: Callable[[Any], bool], values: Array) -> Array:
    return np.asarray(np.frompyfunc(test, 1, 1)(values), bool)


def _is_not_finite(value: Any) -> bool:
    try:
        return not math.isfinite(value)
    except (TypeError, ValueError):  # pandas' NA
        return not isinstance(value, str)


def _is_text(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return isinstance(value, str)
    return False


__all__ = ["is_plain", "validated"]
