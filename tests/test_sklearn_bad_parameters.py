"""Parameters of the estimators that are wrong: the message names them, and says what is expected."""

from __future__ import annotations

import ast
import re
from typing import Any, get_type_hints

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.utils._param_validation import InvalidParameterError

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor
from conftest import printed

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4))
y = RNG.integers(0, 3, 40)
t = RNG.standard_normal(40)
LABELS = np.column_stack([y > 0, y > 1]).astype(int)
MISSING = np.where(X > 1, np.nan, X)


def small(kind: Any = MLPClassifier, **settings: Any) -> Any:
    sizes = {} if "layers" in settings else {"hidden_layer_sizes": (5,)}
    return kind(**{**sizes, "max_iter": 2, "random_state": 0, **settings})


#: Values that are wrong, for each parameter.
WRONG: dict[str, list[Any]] = {
    "hidden_layer_sizes": [0, -1, "ab", None, (3.5,), ("a",), [[3]], (5, -2), (0,)],
    "activation": ["softsign", None, cr.GELU, ["relu", "softsign"], ["relu", "relu"], cr.Affine(3)],
    "solver": ["newton", None, cr.SGD],
    "alpha": [-1e-9, "a", None],
    "batch_size": [0, 1.5, "all"],
    "learning_rate": ["cosine", 0.1],
    "learning_rate_init": [0, -1, "a"],
    "power_t": [-1, "a"],
    "max_iter": [0, 1.5, "a"],
    "shuffle": ["yes", None],
    "random_state": ["a", -1],
    "tol": [-1, "a"],
    "verbose": ["yes"],
    "warm_start": ["yes", None],
    "momentum": [-0.1, 1.1],
    "nesterovs_momentum": ["yes"],
    "early_stopping": ["yes"],
    "validation_fraction": [-0.1, 1.0],
    "beta_1": [-0.1, 1.0],
    "beta_2": [-0.1, 1.0],
    "epsilon": [0, -1],
    "n_iter_no_change": [0, "a"],
    "max_fun": [0, 1.5],
    "layers": ["ab", ["ab"], [cr.Affine], cr.Affine, 3, lambda x: 3],
    "dropout": [1, -0.1, "a", [1.2], ["a"], [0.1, 0.2]],
    "batch_norm": ["yes", ["yes"], [True, True]],
    "learning_rate_schedule": [0.1, "cosine", cr.schedules.Cosine],
    "clip_norm": [0, -1, "a"],
    "validation_set": ["ab", X, (X, y, y), (X[:, :3], y), (X, y[:3]), (MISSING, y), (X[:0], y[:0])],
    "callbacks": ["ab", [3], [print], cr.EarlyStopping, [cr.EarlyStopping]],
    "progress": ["yes", None],
    "checkpoint": [3],
    "preset": ["fast"],
    "loss": ["hinge", None, 3],
    "class_weight": ["even", 3, [0.5, 0.5]],
    "label_smoothing": [-0.1, 1.0, "a"],
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_parameter_has_wrong_values_here(kind: Any) -> None:
    assert set(kind().get_params()) <= set(WRONG)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_every_parameter_has_a_type(kind: Any) -> None:
    types = get_type_hints(kind.__init__)
    assert set(types) - {"return"} == set(kind().get_params())
    assert Any not in types.values()


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (MLPClassifier, sklearn.neural_network.MLPClassifier),
        (MLPRegressor, sklearn.neural_network.MLPRegressor),
    ],
)
def test_every_added_parameter_is_listed_with_its_default(kind: Any, own: Any) -> None:
    listed = dict(re.findall(r"^ *(\w+): [^=\n]* = (\S+)\. ", kind.__doc__, re.MULTILINE))
    assert set(kind().get_params()) - set(own().get_params()) - {"loss"} <= set(listed)
    assert {name: ast.literal_eval(text) for name, text in listed.items()} == {
        name: kind().get_params()[name] for name in listed
    }


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=printed
)
def test_a_wrong_parameter_is_named(name: str, value: Any) -> None:
    for kind in (MLPClassifier, MLPRegressor):
        if name in kind().get_params():
            with pytest.raises(ValueError, match=name) as caught:
                small(kind, **{name: value}).fit(X, y)
            if not isinstance(value, (list, tuple)) and not callable(value):
                assert isinstance(caught.value, InvalidParameterError)


def test_parameters_that_have_no_effect_together() -> None:
    deep = [cr.Affine(4), cr.ReLU(), cr.Dropout(0.5)]
    for settings, said in (
        ({"layers": deep, "dropout": 0.2}, r"dropout has no effect beside layers; put cr.Dropout\(rate\)"),
        (
            {"layers": deep, "batch_norm": True},
            r"batch_norm has no effect beside layers; put cr.BatchNorm\(\)",
        ),
        ({"solver": "lbfgs", "layers": deep}, r"Dropout\(rate=0.5\) is for the stochastic solvers"),
        ({"solver": "lbfgs", "dropout": 0.2}, "dropout is for the stochastic solvers"),
        ({"solver": "lbfgs", "batch_norm": True}, "batch_norm is for the stochastic solvers"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, "clip_norm is for the stochastic solvers"),
        ({"solver": "lbfgs", "validation_set": (X, y)}, "validation_set is for the stochastic solvers"),
        ({"solver": "lbfgs", "callbacks": [cr.EarlyStopping()]}, "callbacks is for the stochastic solvers"),
    ):
        with pytest.raises(InvalidParameterError, match=said):
            small(**settings).fit(X, y)
    small(solver="lbfgs", callbacks=[], dropout=0, batch_norm=False).fit(X, y)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_schedule_has_the_learning_rates(kind: Any) -> None:
    schedule = cr.schedules.InverseSquareRoot(0.01)
    for beside in (
        {"learning_rate_init": 0.1},
        {"learning_rate": "adaptive", "solver": "sgd"},
        {"learning_rate": "invscaling", "solver": "sgd"},
        {"power_t": 0.3},
    ):
        with pytest.raises(
            InvalidParameterError,
            match=rf"{next(iter(beside))} has no effect beside learning_rate_schedule.*InverseSquareRoot",
        ):
            small(kind, learning_rate_schedule=schedule, **beside).fit(X, y)
    small(kind, learning_rate_schedule=schedule, learning_rate_init=0.001, solver="sgd").fit(X, y)


@pytest.mark.parametrize(
    "settings", [{"batch_norm": True}, {"layers": [cr.Affine(4), cr.BatchNorm()]}], ids=str
)
def test_batch_norm_of_one_row_learns_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"BatchNorm takes means.*at least 2 rows, got 1.*a larger batch_size"
    ):
        small(batch_size=1, **settings).fit(X, y)
    made = small(MLPRegressor, **settings)
    with pytest.raises(ValueError, match=r"at least 2 rows, got 1.*more rows at a time"):
        made.partial_fit(X[:1], t[:1])
    assert not hasattr(made, "network_")
    made.partial_fit(X[:2], t[:2])
    with pytest.raises(ValueError, match="more rows at a time"):
        made.partial_fit(X[:1], t[:1])
    images = small(batch_size=1, layers=[cr.Reshape((-1, 2, 2, 1)), cr.BatchNorm(), cr.Flatten()])
    images.fit(X, y)  # four values in its channel


def test_a_callback_that_watches_what_is_not_measured() -> None:
    with pytest.raises(ValueError, match=r"not measured here: set validation_set=\(X, y\)"):
        small(callbacks=[cr.EarlyStopping()]).fit(X, y)


def test_a_validation_set_of_other_classes_or_outputs() -> None:
    with pytest.raises(ValueError, match="validation_set: `y` has classes not in"):
        small(validation_set=(X, y + 1)).fit(X, y)
    model = small(MLPRegressor, validation_set=(X, np.column_stack([t, t])))
    with pytest.raises(
        ValueError, match="validation_set: y has 2 outputs, but MLPRegressor was fitted with 1"
    ):
        model.fit(X, t)
    assert not hasattr(model, "n_outputs_")  # a refused fit changes nothing


def test_weights_of_classes() -> None:
    for wrong in ({0: -1}, {0: np.nan}, {0: np.inf}, {0: "many"}):
        with pytest.raises(
            InvalidParameterError, match="class_weight: expected finite weights of at least 0, got"
        ):
            small(class_weight=wrong).fit(X, y)
    with pytest.raises(ValueError, match=r"class_weight: 7 is none of the classes, which are \[0, 1, 2\]"):
        small(class_weight={7: 1}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight: expected a weight above 0"):
        small(class_weight={0: 0, 1: 0, 2: 0}).fit(X, y)
    with pytest.raises(ValueError, match='"balanced" needs all of y at once'):
        small(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="should be a list of dicts"):
        small(class_weight={0: 2}).fit(X, LABELS)


def test_weights_of_classes_are_weights_of_rows() -> None:
    rows = np.where(y == 1, 3.0, 1.0)
    given = small(class_weight={1: 3}).partial_fit(X[:4], y[:4], classes=[0, 1, 2])
    same = small().partial_fit(X[:4], y[:4], sample_weight=rows[:4], classes=[0, 1, 2])
    np.testing.assert_array_equal(given.coefs_[0], same.coefs_[0])
    of_labels = small(class_weight=[{0: 1, 1: 3}, {0: 1, 1: 1}]).fit(X, LABELS)
    same = small().fit(X, LABELS, sample_weight=np.where(LABELS[:, 0], 3.0, 1.0))
    np.testing.assert_array_equal(of_labels.coefs_[0], same.coefs_[0])
