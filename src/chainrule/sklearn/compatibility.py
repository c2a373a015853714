"""What differs between the versions of scikit-learn, from 1.5 on."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before 1.6

    def validate_data(estimator: Any, /, *arrays: Any, **options: Any) -> Any:
        """Check X, or X and y, and note or compare the number of features and their names."""
        return estimator._validate_data(*arrays, **options)


__all__ = ["validate_data"]
