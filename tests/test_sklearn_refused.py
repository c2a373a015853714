"""What the estimators refuse: near names are suggested, and a refused fit changes nothing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.utils._param_validation import InvalidParameterError

import chainrule as cr
from chainrule.errors import ChainruleWarning
from chainrule.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
y = RNG.integers(0, 3, 60)
t = RNG.standard_normal(60)


def small(kind: Any = MLPClassifier, **settings: Any) -> Any:
    sizes = {} if "layers" in settings else {"hidden_layer_sizes": (5,)}
    return kind(**{**sizes, "max_iter": 2, "random_state": 0, **settings})


@pytest.mark.parametrize(
    ("kind", "name", "given", "meant"),
    [
        (MLPClassifier, "activation", "ReLU", "'relu'"),
        (MLPClassifier, "activation", "Leaky_ReLU", "'leakyrelu'"),
        (MLPClassifier, "activation", "sigmoid", "'logistic'"),
        (MLPClassifier, "activation", "linear", "'identity'"),
        (MLPClassifier, "activation", ["sigmoid"], "'logistic'"),
        (MLPClassifier, "solver", "AdamW", "'adamw'"),
        (MLPClassifier, "solver", "RMSprop", "cr.RMSProp(0.001)"),
        (MLPClassifier, "solver", cr.SGD, "cr.SGD(...)"),
        (MLPClassifier, "activation", cr.GELU, "cr.GELU(...)"),
        (MLPClassifier, "callbacks", cr.EarlyStopping, "cr.EarlyStopping(...)"),
        (MLPClassifier, "preset", "Chainrule", "'chainrule'"),
        (MLPClassifier, "warm_start", "Exact", "'exact'"),
        (MLPClassifier, "class_weight", "balance", "'balanced'"),
        (MLPClassifier, "learning_rate", "cosine", "learning_rate_schedule=cr.schedules.Cosine(...)"),
        (MLPClassifier, "learning_rate", 0.1, "learning_rate_init=0.1"),
        (
            MLPClassifier,
            "learning_rate_schedule",
            "one_cycle",
            "learning_rate_schedule=cr.schedules.OneCycle(...)",
        ),
        (MLPClassifier, "learning_rate_schedule", cr.schedules.Cosine, "cr.schedules.Cosine(...)"),
        (MLPClassifier, "loss", "cross_entropy", "'log_loss'"),
        (MLPClassifier, "loss", "mse", "MLPRegressor"),
        (MLPRegressor, "loss", "mse", "'squared_error'"),
        (MLPRegressor, "loss", "MAE", "'absolute_error'"),
        (MLPRegressor, "loss", "L1Loss", "'absolute_error'"),
        (MLPRegressor, "loss", "cross_entropy", "MLPClassifier"),
        (MLPRegressor, "loss", (50,), "hidden_layer_sizes=(50,)"),
        (MLPRegressor, "loss", [50, np.int64(20)], "hidden_layer_sizes=(50, 20)"),
        (MLPRegressor, "loss", 50, "hidden_layer_sizes=(50,)"),
        (
            MLPRegressor,
            "hidden_layer_sizes",
            "tanh",
            "activation='tanh', with the sizes as hidden_layer_sizes=...",
        ),
        (MLPClassifier, "validation_set", 0.2, "early_stopping=True, validation_fraction=0.2"),
    ],
)
def test_a_name_that_is_meant_is_suggested(kind: Any, name: str, given: Any, meant: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        small(kind, **{name: given}).fit(X, y)
    assert name in str(caught.value)
    assert str(caught.value).endswith(f". Did you mean {meant}?")


def test_a_function_in_the_place_of_a_callback() -> None:
    for given in (print, [lambda run: None], [cr.Health(), print]):
        with pytest.raises(
            ValueError, match=r"callbacks.*class Mine\(cr.Callback\): def on_epoch\(self, run\)"
        ):
            small(callbacks=given).fit(X, y)


def test_a_callback_sees_the_network() -> None:
    class Looks(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            assert run.network is run.training.network
            run.stop(str(run.network.classify(X[:1]).shape))

    made = small(callbacks=[Looks()]).fit(X, y)
    assert made.history_.stopped == "(1,)"

    class Errs(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            run.netwrok  # noqa: B018

    with pytest.raises(AttributeError, match=r"run.netwrok: .* did you mean 'network'\?.*training"):
        small(callbacks=[Errs()]).fit(X, y)


def test_nothing_is_suggested_for_what_resembles_nothing() -> None:
    for settings in ({"activation": "abc"}, {"alpha": "a"}, {"solver": "newton"}):
        with pytest.raises(InvalidParameterError) as caught:
            small(**settings).fit(X, y)
        assert "mean" not in str(caught.value)


def test_a_measure_of_scikit_learns_name_is_suggested() -> None:
    for name, meant in (("validation_loss", "test_loss"), ("validation_score", "test_accuracy")):
        with pytest.raises(cr.errors.ArgumentError, match=f"did you mean '{meant}'"):
            cr.EarlyStopping(name)


def test_the_output_layer_follows_by_itself() -> None:
    hidden = [cr.Affine(8), cr.ReLU()]
    for layers in ([*hidden, cr.Affine(3)], [*hidden, cr.Affine(3), cr.Softmax()], lambda x: cr.Affine(3)(x)):
        with pytest.raises(InvalidParameterError, match=r"output layer, Affine\(3\), follows by itself"):
            small(layers=layers).fit(X, y)
    with pytest.warns(ChainruleWarning, match="two Affine layers in a row"):
        small(layers=[*hidden, cr.Affine(2)]).fit(X, y)


@pytest.mark.parametrize("given", [{"hidden_layer_sizes": (9,)}, {"activation": "tanh"}], ids=str)
def test_what_layers_stand_in_place_of_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=f"{next(iter(given))} has no effect beside layers; put "):
        small(layers=[cr.Affine(8), cr.ReLU()], **given).fit(X, y)


def test_scikit_learns_configuration_skips_the_checks_of_parameters() -> None:
    made = small(layers=[cr.Affine(8), cr.ReLU()], activation="tanh", progress=0)
    with sklearn.config_context(skip_parameter_validation=True):
        made.fit(X, y)
    with pytest.raises(InvalidParameterError):
        made.fit(X, y)


@pytest.mark.parametrize(
    "refused",
    [
        {"solver": "lbfgs", "dropout": 0.5},
        {"solver": "lbfgs", "layers": [cr.Affine(4), cr.Dropout(0.5)], "hidden_layer_sizes": (100,)},
        {"validation_set": (X[:, :2], y)},
        {"callbacks": [cr.EarlyStopping("test_loss")]},
        {"validation_fraction": 0.001, "early_stopping": True},
    ],
    ids=str,
)
def test_a_refused_fit_changes_nothing(refused: dict[str, Any]) -> None:
    unfitted = small().set_params(**refused)
    with pytest.raises(ValueError, match=r"for the stochastic|validation_set|too small"):
        unfitted.fit(X, y)
    assert not [name for name in vars(unfitted) if name.endswith("_")]
    fitted = small().fit(X[:, :3], y > 1)
    before, learned = fitted.predict_proba(X[:, :3]), dict(vars(fitted))
    with pytest.raises(ValueError, match=r"for the stochastic|validation_set|too small"):
        fitted.set_params(**refused).fit(X, y)
    assert np.array_equal(fitted.predict_proba(X[:, :3]), before)
    assert {name: value for name, value in vars(fitted).items() if name not in refused} == {
        name: value for name, value in learned.items() if name not in refused
    }


def test_a_list_of_activations_begins_as_one_for_all() -> None:
    begun = [
        small(MLPRegressor, hidden_layer_sizes=(5, 4), activation=given, learning_rate_init=1e-12).fit(X, t)
        for given in ("logistic", ["logistic", "logistic"], cr.Sigmoid(), ["logistic", "relu"])
    ]
    for name in ("coefs_", "intercepts_"):
        of_one, *same, of_two = [getattr(each, name) for each in begun]
        for other in same:
            assert all(np.array_equal(a, b) for a, b in zip(of_one, other, strict=True))
        assert np.allclose(of_one[0], of_two[0])
        assert np.allclose(of_one[1] * np.sqrt(3), of_two[1])  # the factors are 2 and 6


def test_a_warning_points_at_the_line_that_fits() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small(batch_size=1000).fit(X, y)
    assert len(caught) == 2  # of the batch size, and of the limit of epochs
    assert {each.filename for each in caught} == {__file__}


@pytest.mark.parametrize("name", ["check", "draw", "report", "save"])
def test_an_estimator_in_the_place_of_its_network(name: str, tmp_path: Path) -> None:
    fitted = small().fit(X, y)
    more: dict[str, tuple[Any, ...]] = {
        "check": (X, y),
        "draw": (X, y),
        "save": (tmp_path / "m.safetensors",),
    }
    with pytest.raises(cr.errors.ArgumentError, match=rf"is its attribute network_: cr.{name}\(clf\."):
        getattr(cr, name)(fitted, *more.get(name, ()))
    with pytest.raises(cr.errors.ArgumentError, match=rf"network_, once it is fitted: cr.{name}\("):
        getattr(cr, name)(small(), *more.get(name, ()))


def test_an_estimator_is_watched_by_its_folder() -> None:
    with pytest.raises(cr.errors.ArgumentError, match=r"with checkpoint=folder.*cr.watch\(folder\)"):
        cr.watch(small())  # type: ignore[arg-type]
    fitted = small().fit(X, y)
    with pytest.raises(cr.errors.ArgumentError, match=r"attribute network_: cr.report\(clf.history_"):
        cr.report(fitted.history_, network=fitted)


def test_there_is_no_history_of_what_is_not_recorded() -> None:
    assert not hasattr(small(), "history_")
    with pytest.raises(AttributeError, match="lbfgs"):
        small().fit(X, y).set_params(solver="lbfgs").fit(X, y).history_  # noqa: B018
    made = small().fit(X, y)
    assert made.set_params(solver="lbfgs").history_.unit == "epoch"  # until it is fitted again


@pytest.mark.parametrize("labels", [y, np.c_[y == 0, y == 1]])
def test_a_refused_first_partial_fit_leaves_no_classes(labels: np.ndarray) -> None:
    made, bad = MLPClassifier((5,)), X.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        made.partial_fit(bad, labels, classes=[0, 1, 2] if labels.ndim == 1 else [0, 1])
    assert not hasattr(made, "classes_")
    with pytest.raises(sklearn.exceptions.NotFittedError):
        made.predict(X)
    if labels.ndim == 1:
        made.partial_fit(X, y, classes=[0, 1, 2, 3])
