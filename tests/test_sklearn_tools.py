"""The estimators in scikit-learn's tools, on frames, and kept: pickled, copied, sent to workers."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  it makes the import below possible
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor

try:
    import cloudpickle
except ImportError:  # joblib has its own copy then
    from joblib.externals import cloudpickle

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_classification(120, 6, n_informative=4, n_classes=3, class_sep=2, random_state=0)
REGRESSION = make_regression(120, 6, n_targets=2, random_state=0)
CHANCE = 0.5  # no more than 40 of the 120 rows are of one class


def classifier(**settings: Any) -> Any:
    given: dict[str, Any] = {"max_iter": 30, "batch_size": 16, "learning_rate_init": 0.02}
    given |= {} if "layers" in settings else {"hidden_layer_sizes": (16,)}
    return MLPClassifier(random_state=0, **{**given, **settings})


def frame() -> tuple[pd.DataFrame, Any]:
    """A table of numbers and text, of which both decide the class."""
    rng = np.random.default_rng(0)
    colours = np.array(["red", "green", "blue"])[rng.integers(0, 3, 120)]
    table = pd.DataFrame(
        {"size": 100 * rng.standard_normal(120), "colour": colours, "weight": np.arange(120)}
    )
    answers = np.where(colours == "red", "stop", np.where(table["size"] > 0, "go", "wait"))
    return table, answers


def prepared(**settings: Any) -> Pipeline:
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["size", "weight"]), ("text", OneHotEncoder(), ["colour"])]
    )
    return Pipeline([("columns", columns), ("mlp", classifier(**settings))])


# Tools ---------------------------------------------------------------------------------------------------


def test_a_pipeline_with_columns_of_numbers_and_text() -> None:
    table, answers = frame()
    model = prepared().fit(table, answers)
    assert model.score(table, answers) > 0.9
    assert model[-1].n_features_in_ == 5
    assert list(model.classes_) == ["go", "stop", "wait"]


def test_a_pipeline_hands_frames_on() -> None:
    table, answers = frame()
    model = prepared()
    model[0].set_params(text=OneHotEncoder(sparse_output=False))
    model.set_output(transform="pandas").fit(table, answers)
    assert list(model[-1].feature_names_in_)[:3] == ["numbers__size", "numbers__weight", "text__colour_blue"]
    assert model.score(table, answers) > 0.9


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_grid_search_finds_the_rate_that_learns(jobs: int) -> None:
    rates = {"learning_rate_init": [1e-9, 0.02]}
    search = GridSearchCV(classifier(), rates, cv=3, n_jobs=jobs).fit(X, y)
    assert search.best_params_ == {"learning_rate_init": 0.02}
    assert search.best_score_ > CHANCE
    again = clone(search.best_estimator_).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), again.predict_proba(X))


def test_workers_train_to_the_bits_of_this_process() -> None:
    scores = [cross_val_score(classifier(dropout=0.2), X, y, cv=3, n_jobs=jobs) for jobs in (1, 2)]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("resource", ["n_samples", "max_iter"])
def test_a_halving_search(resource: str) -> None:
    most = {} if resource == "n_samples" else {"min_resources": 4, "max_resources": 16}
    space = {"learning_rate_init": [1e-9, 0.01, 0.05], "dropout": [0.0, 0.1]}
    search = HalvingRandomSearchCV(
        classifier(batch_size=4),
        space,
        resource=resource,
        factor=2,
        n_candidates=4,
        cv=3,
        random_state=0,
        **most,
    ).fit(X, y)
    assert search.n_iterations_ > 1
    assert search.best_params_["learning_rate_init"] > 1e-9


def test_cross_validation() -> None:
    model = make_pipeline(StandardScaler(), classifier())
    assert cross_val_score(model, X, y, cv=3).mean() > CHANCE
    p = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    assert p.shape == (120, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    sizes, train, test = learning_curve(model, X, y, train_sizes=[0.3, 1.0], cv=3)
    assert list(sizes) == [24, 80]
    assert train.shape == test.shape == (2, 3)
    assert test[1].mean() > CHANCE


def test_a_learning_curve_of_partial_fits() -> None:
    sizes, _, test = learning_curve(
        classifier(), X, y, train_sizes=[20, 50, 80], cv=3, exploit_incremental_learning=True
    )
    assert list(sizes) == [20, 50, 80]
    assert np.isfinite(test).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_probabilities_are_calibrated(method: str) -> None:
    model = CalibratedClassifierCV(classifier(), method=method, cv=3).fit(X, y)
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert model.score(X, y) > CHANCE


def test_the_importance_of_features() -> None:
    table = np.column_stack([np.zeros(120), y + 0.01 * X[:, 0]])
    found = permutation_importance(classifier().fit(table, y), table, y, n_repeats=3, random_state=0)
    assert found.importances_mean[0] == 0
    assert found.importances_mean[1] > 0.3


def test_ensembles() -> None:
    members = [("mlp", classifier()), ("linear", LogisticRegression())]
    assert VotingClassifier(members, voting="soft").fit(X, y).score(X, y) > CHANCE
    bag = BaggingClassifier(classifier(), n_estimators=3, random_state=0).fit(X, y)
    assert bag.score(X, y) > CHANCE
    first, second, _ = bag.estimators_
    assert not np.array_equal(first.coefs_[0], second.coefs_[0])


def test_one_regressor_for_each_output() -> None:
    inputs, outputs = REGRESSION
    outputs = outputs / outputs.std(axis=0)
    model = MLPRegressor(
        hidden_layer_sizes=(16,), max_iter=60, batch_size=20, learning_rate_init=0.02, random_state=0
    )
    wrapped = MultiOutputRegressor(model).fit(inputs, outputs)
    assert wrapped.score(inputs, outputs) > 0.9
    np.testing.assert_array_equal(
        wrapped.predict(inputs)[:, 1], clone(model).fit(inputs, outputs[:, 1]).predict(inputs)
    )


def test_a_clone_has_the_parameters_and_is_not_fitted() -> None:
    model = MLPClassifier(
        layers=[cr.Affine(8), cr.ReLU()],
        solver=cr.Momentum(0.1),
        callbacks=[cr.EarlyStopping()],
        validation_set=(X, y),
        max_iter=30,
        random_state=0,
    )
    copied = clone(model.fit(X, y))
    assert not hasattr(copied, "coefs_")
    assert repr(copied) == repr(model)
    assert copied.layers is not model.layers
    copied.fit(X, y)
    np.testing.assert_array_equal(copied.coefs_[0], model.coefs_[0])


# Sample weights that are routed --------------------------------------------------------------------------


@pytest.fixture
def routing() -> Any:
    with sklearn.config_context(enable_metadata_routing=True):
        yield


WEIGHTS = np.where(y == 0, 5.0, 0.1)


def test_weights_go_through_a_pipeline(routing: None) -> None:
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    model = make_pipeline(scaler, classifier().set_fit_request(sample_weight=True))
    model.fit(X, y, sample_weight=WEIGHTS)
    alone = classifier().fit(scaler.transform(X), y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(model[-1].coefs_[0], alone.coefs_[0])
    without = classifier().fit(scaler.transform(X), y)
    assert not np.array_equal(alone.coefs_[0], without.coefs_[0])


def test_weights_go_through_a_search(routing: None) -> None:
    model = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"alpha": [1e-4]}, cv=2).fit(X, y, sample_weight=WEIGHTS)
    alone = classifier(alpha=1e-4).fit(X, y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(search.best_estimator_.coefs_[0], alone.coefs_[0])


def test_weights_that_nobody_asked_for_are_refused(routing: None) -> None:
    with pytest.raises(ValueError, match="sample_weight"):
        make_pipeline(classifier()).fit(X, y, sample_weight=WEIGHTS)


# Frames --------------------------------------------------------------------------------------------------


def polars_frame(values: Any, names: list[str]) -> Any:
    return pytest.importorskip("polars").DataFrame(values, schema=names)


@pytest.mark.parametrize("made", [lambda v, names: pd.DataFrame(v, columns=names), polars_frame])
def test_the_names_of_columns_are_kept_and_compared(made: Callable[[Any, list[str]], Any]) -> None:
    names = list("abcdef")
    model = classifier().fit(made(X, names), y)
    assert list(model.feature_names_in_) == names
    np.testing.assert_array_equal(model.coefs_[0], classifier().fit(X, y).coefs_[0])
    assert model.score(made(X, names), y) > CHANCE
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time.*- g"):
        model.predict(made(X, list("abcdeg")))
    with pytest.raises(ValueError, match="same order"):
        model.predict(made(X, list("abcdfe")))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_frames_of_narrow_columns() -> None:
    narrow = pd.DataFrame({"flag": X[:, 0] > 0, "count": (10 * X[:, 1]).astype("int8"), "real": X[:, 2]})
    model = classifier().fit(narrow, pd.Series(y).map({0: "a", 1: "b", 2: "c"}))
    np.testing.assert_array_equal(model.predict(narrow), model.predict(narrow.astype(float)))
    single = classifier().fit(pd.DataFrame(X, dtype="float32"), y)
    assert single.coefs_[0].dtype == np.float32


# Kept and brought back -----------------------------------------------------------------------------------


def through_joblib(model: Any) -> Any:
    kept = io.BytesIO()
    joblib.dump(model, kept)
    kept.seek(0)
    return joblib.load(kept)


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "deepcopy": copy.deepcopy,
}
SPARSE = scipy.sparse.csr_matrix(np.where(np.abs(X) > 1, X, 0))
DATA = {"dense": X, "float32": X.astype(np.float32), "sparse": SPARSE}

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def same(one: Any, other: Any, data: Any = X) -> None:
    """Both have the same bits, in arrays of their own."""
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
        assert not np.shares_memory(a, b)
    assert (one.n_iter_, one.t_, one.loss_, one.loss_curve_) == (
        other.n_iter_,
        other.t_,
        other.loss_,
        other.loss_curve_,
    )
    np.testing.assert_array_equal(one.predict_proba(data), other.predict_proba(data))


@ways
@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_a_copy_predicts_and_goes_on_with_the_same_bits(way: Callable[[Any], Any], data: Any) -> None:
    model = classifier(max_iter=3, dropout=0.2, batch_norm=True).fit(data, y)
    copied = way(model)
    same(copied, model, data)
    for each in (copied, model):
        each.partial_fit(data, y)
    same(copied, model, data)
    assert all(np.shares_memory(W, copied.network_.params.flat) for W in copied.coefs_)


@ways
def test_a_copy_of_what_is_not_fitted(way: Callable[[Any], Any]) -> None:
    model = classifier(
        max_iter=3,
        layers=[cr.Affine(8), cr.GELU()],
        learning_rate_init=0.001,
        learning_rate_schedule=cr.schedules.Cosine(0.01),
    )
    copied = way(model)
    assert not hasattr(copied, "coefs_")
    same(copied.fit(X, y), model.fit(X, y))


@ways
@pytest.mark.parametrize("settings", [{}, {"solver": "sgd", "dropout": 0.2}, {"solver": "adamw"}], ids=str)
def test_fits_with_a_copy_between_are_one_longer_fit(way: Callable[[Any], Any], settings: Any) -> None:
    settings = {"tol": 0, "warm_start": "exact", **settings}
    whole = classifier(max_iter=7, **settings).fit(SPARSE, y)
    first = classifier(max_iter=3, **settings).fit(SPARSE, y)
    second = way(first).set_params(max_iter=4).fit(SPARSE, y)
    np.testing.assert_array_equal(second.coefs_[0], whole.coefs_[0])
    assert second.loss_curve_ == whole.loss_curve_
    assert first.n_iter_ == 3
    assert len(first.loss_curve_) == 3


@ways
def test_partial_fits_with_a_copy_between(way: Callable[[Any], Any]) -> None:
    pair = [classifier(solver="sgd").partial_fit(X[:50], y[:50], classes=[0, 1, 2]) for _ in range(2)]
    pair[0] = way(pair[0])
    for each in pair:
        each.partial_fit(X[50:], y[50:])
    same(*pair)


def test_weights_put_in_by_hand_are_kept() -> None:
    model = classifier(max_iter=2).fit(X, y)
    model.coefs_[0] = np.zeros_like(model.coefs_[0])
    copied = pickle.loads(pickle.dumps(model))
    assert not copied.coefs_[0].any()
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


def test_layers_from_a_function_without_a_name_go_through_cloudpickle() -> None:
    model = classifier(max_iter=2, layers=lambda x: x + cr.Affine(6)(cr.ReLU()(cr.Affine(12)(x)))).fit(X, y)
    copied = WAYS["cloudpickle"](model)
    same(copied, model)
    same(copied.fit(X, y), model)
