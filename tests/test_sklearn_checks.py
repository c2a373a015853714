"""scikit-learn's checks of estimators, all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import parametrize_with_checks

from chainrule.sklearn import MLPClassifier, MLPRegressor

#: What scikit-learn's own MLP is not held to either, since it needs what is not installed here.
SKIPPED_THERE = ("check_array_api_input",)


@pytest.mark.filterwarnings("default")
@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_check(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_parameter_of_scikit_learn_is_here_with_its_default(kind: Any) -> None:
    theirs = getattr(sklearn.neural_network, kind.__name__)().get_params()
    ours = kind().get_params()
    assert theirs.items() <= ours.items()
