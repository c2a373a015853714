"""What differs between the versions of scikit-learn, from 1.5 on."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6

    def validate_data(estimator: Any, /, *arrays: Any, **options: Any) -> Any:
        return estimator._validate_data(*arrays, **options)


def validated(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """X, or X and y, checked as scikit-learn does, with the number of features and their names noted or compared.

    Raises: ValueError and TypeError as scikit-learn; for NaN and infinity, the first row and column are named.
    """
    try:
        return validate_data(estimator, X, *y, accept_sparse=["csr", "csc"], **options)
    except ValueError as error:
        if "Input X contains" not in str(error) or (where := _first_not_finite(X)) is None:
            raise
        head, _, rest = str(error).partition("\n")
        raise ValueError(f"{head} The first is {where}.\n{rest}".rstrip("\n")) from None


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


def _first_not_finite(X: Any) -> str | None:
    """Where the first NaN or infinity of X stands."""
    try:
        if scipy.sparse.issparse(X):
            found: Any = scipy.sparse.coo_array(X)  # type: ignore[call-overload]
            bad = np.flatnonzero(~np.isfinite(found.data))
            row, column = int(found.row[bad[0]]), int(found.col[bad[0]])
        else:
            row, column = (int(k) for k in np.argwhere(~np.isfinite(np.asarray(X, np.float64)))[0])
    except (TypeError, ValueError, IndexError):
        return None
    names = getattr(X, "columns", None)
    return f"in row {row}, column {column}" + ("" if names is None else f", {names[column]!r}")


__all__ = ["is_plain", "validated"]
