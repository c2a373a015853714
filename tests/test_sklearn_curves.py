"""The estimators train as scikit-learn's do: from the same random state the same losses, to float error."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn
import sklearn.neural_network as theirs
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression
from sklearn.utils.fixes import parse_version

import chainrule as cr
import chainrule.sklearn as ours

CLASSES = make_classification(230, 8, n_informative=6, n_classes=3, random_state=0)
TWO = make_classification(230, 8, random_state=1)
LABELS = make_multilabel_classification(230, 8, n_classes=4, random_state=0)
ONE = make_regression(230, 8, noise=5, random_state=0)
SEVERAL = make_regression(230, 8, n_targets=3, noise=5, random_state=0)
DATA: dict[str, tuple[str, Any, Any]] = {
    "classes": ("MLPClassifier", *CLASSES),
    "two classes": ("MLPClassifier", *TWO),
    "labels": ("MLPClassifier", *LABELS),
    "regression": ("MLPRegressor", ONE[0], ONE[1] / 100),
    "outputs": ("MLPRegressor", SEVERAL[0], SEVERAL[1] / 100),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam of two layers": {"hidden_layer_sizes": (20, 10), "activation": "tanh", "alpha": 0.1},
    "small batches": {"batch_size": 32, "activation": "logistic"},
    "in order": {"shuffle": False, "epsilon": 1e-3, "beta_1": 0.8, "beta_2": 0.9},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "alpha": 0.01},
    "sgd, plain": {"solver": "sgd", "momentum": 0, "learning_rate_init": 0.05},
    "sgd, without Nesterov": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.02},
    "invscaling": {
        "solver": "sgd",
        "learning_rate": "invscaling",
        "learning_rate_init": 0.02,
        "batch_size": 50,
    },
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 2},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.01},
}


def fitted(name: str, X: Any, y: Any, where: Any, weights: Any = None, **settings: Any) -> Any:
    made = getattr(where, name)(random_state=3, max_iter=25, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.fit(X, y) if weights is None else made.fit(X, y, weights)


def same(one: Any, other: Any) -> None:
    assert one.n_iter_ == other.n_iter_
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-10)
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)
    for name in (
        "t_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "n_features_in_",
    ):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.best_loss_ is None) == (other.best_loss_ is None)
    if one.validation_scores_ is not None:
        assert one.best_validation_score_ == pytest.approx(other.best_validation_score_, rel=1e-9)
        np.testing.assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("data", DATA)
def test_losses_and_weights_are_scikit_learns(data: str, settings: dict[str, Any]) -> None:
    name, X, y = DATA[data]
    one, other = (fitted(name, X, y, where, **settings) for where in (ours, theirs))
    same(one, other)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-7)
    if name == "MLPClassifier":
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("data", DATA)
def test_lbfgs_goes_the_same_way(data: str) -> None:
    name, X, y = DATA[data]
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (10,), "alpha": 0.1, "activation": "tanh"}
    one, other = (fitted(name, X, y, where, **settings) for where in (ours, theirs))
    assert one.n_iter_ == other.n_iter_
    np.testing.assert_allclose(one.loss_, other.loss_, rtol=1e-6)
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-3, atol=1e-5)


needs_1_7 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="scikit-learn's MLP has sample weights and the Poisson loss from 1.7 on",
)


@needs_1_7
@pytest.mark.parametrize(
    "settings", [{}, {"solver": "sgd", "batch_size": 32}, {"early_stopping": True}], ids=str
)
@pytest.mark.parametrize("data", DATA)
def test_sample_weights_count_as_in_scikit_learn(data: str, settings: dict[str, Any]) -> None:
    name, X, y = DATA[data]
    weights = np.random.default_rng(0).uniform(0.1, 3, len(X))
    same(*(fitted(name, X, y, where, weights, alpha=0.1, **settings) for where in (ours, theirs)))


@needs_1_7
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_poisson_loss_is_scikit_learns(solver: str) -> None:
    X, y = SEVERAL[0], np.round(np.abs(SEVERAL[1]) / 50)
    same(*(fitted("MLPRegressor", X, y, where, loss="poisson", solver=solver) for where in (ours, theirs)))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fits_go_on_as_scikit_learns(solver: str) -> None:
    X, y = CLASSES
    pair = [where.MLPClassifier(random_state=3, solver=solver) for where in (ours, theirs)]
    for rows in (slice(0, 100), slice(100, 230), slice(0, 50)):
        for each in pair:
            each.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    same(*pair)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_warm_start_is_scikit_learns(solver: str) -> None:
    X, y = CLASSES
    pair = [
        where.MLPClassifier(random_state=3, solver=solver, warm_start=True, max_iter=5)
        for where in (ours, theirs)
    ]
    for _ in range(3):
        for each in pair:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                each.fit(X, y)
    same(*pair)


def test_verbose_says_what_scikit_learn_says(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = CLASSES
    settings = {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.05,
        "n_iter_no_change": 1,
        "verbose": True,
    }
    said = []
    for where in (ours, theirs):
        fitted("MLPClassifier", X, y, where, **settings)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "Setting learning rate to" in said[0]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_verbose_says_the_loss_of_a_validation_set(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = CLASSES
    for settings in ({}, {"early_stopping": True}, {"callbacks": [cr.Health()]}):
        made = ours.MLPClassifier((5,), max_iter=3, random_state=0, validation_set=(X, y), verbose=True)
        made.set_params(**settings).fit(X, y)
        said = capsys.readouterr().out.splitlines()
        told = [each for each in said if each.startswith("Validation loss")]
        assert told == [f"Validation loss = {loss:.8f}" for loss in made.validation_loss_curve_]
        assert said.index(told[0]) == 1


def test_float32_stays_float32() -> None:
    X, y = CLASSES
    one, other = (fitted("MLPClassifier", X.astype(np.float32), y, where) for where in (ours, theirs))
    assert one.coefs_[0].dtype == other.coefs_[0].dtype == np.float32
    assert one.predict_proba(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-4)


def test_partial_fits_scale_the_rate_as_scikit_learns() -> None:
    X, y = CLASSES
    settings = {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.05}
    pair = [where.MLPClassifier(random_state=3, **settings) for where in (ours, theirs)]
    for rows in (slice(0, 100), slice(100, 230), slice(0, 50)):
        for each in pair:
            each.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    same(*pair)
    assert pair[0]._optimizer.learning_rate == pytest.approx(pair[1]._optimizer.learning_rate)


def test_plain_arrays_are_checked_as_others() -> None:
    """Arrays that skip scikit-learn's checks are refused, and predicted, as those that do not."""
    X, y = CLASSES
    estimator = fitted("MLPClassifier", X, y, ours)
    np.testing.assert_array_equal(estimator.predict_proba(X), estimator.predict_proba(X.tolist()))
    holed = X.copy()
    holed[3, 2] = np.nan
    for wrong, words in ((holed, "contains NaN"), (X[:, 1:], "expecting 8 features"), (X[:0], "0 sample")):
        with pytest.raises(ValueError, match=words):
            estimator.predict(wrong)
