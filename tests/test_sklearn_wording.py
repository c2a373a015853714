"""What a fit says where it fails, in the words of the estimators' parameters."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

import chainrule as cr
from chainrule.notebook import history_html
from chainrule.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((500, 4))
y = (X[:, 0] > 0).astype(int)
t = X[:, 0]


def regressor(**settings: Any) -> Any:
    return MLPRegressor(
        **{"solver": "sgd", "learning_rate_init": 50, "max_iter": 20, "random_state": 0, **settings}
    )


@pytest.mark.parametrize(
    ("settings", "X", "y", "said"),
    [
        ({}, X, t, "learning_rate_init, such as 0.01, or clip_norm=1.0"),
        ({"clip_norm": 1e99}, X, t, "learning_rate_init, such as 0.01"),
        (
            {"learning_rate_schedule": cr.schedules.Cosine(50.0), "learning_rate_init": 0.001},
            X,
            t,
            "learning rate in learning_rate_schedule, such as 0.01, or clip_norm=1.0",
        ),
        (
            {"solver": cr.SGD(50.0), "learning_rate_init": 0.001},
            X,
            t,
            "0.1, or clip_norm=1.0 in the optimizer",
        ),
        (
            {"learning_rate_init": 1},
            X * 1e5,
            t,
            "scale X, such as by make_pipeline(StandardScaler(), MLPRegressor(...))",
        ),
        (
            {"learning_rate_init": 1},
            scipy.sparse.csr_array(X * 1e5),
            t,
            "scale X, such as by make_pipeline(MaxAbsScaler(), MLPRegressor(...))",
        ),
        (
            {"learning_rate_init": 0.1},
            X,
            t * 1e6,
            "scale y, by TransformedTargetRegressor(MLPRegressor(...), transformer=StandardScaler())",
        ),
    ],
    ids=range(7),
)
def test_what_to_change_where_a_fit_diverges(settings: dict[str, Any], X: Any, y: Any, said: str) -> None:
    with pytest.raises(ValueError, match="non-finite parameter weights") as caught:
        regressor(**settings).fit(X, y)
    assert str(caught.value).endswith(said)
    assert "cr.Standardize" not in str(caught.value)
    with pytest.warns(ConvergenceWarning, match="Training diverged") as warned:
        made = regressor(**settings, early_stopping=True).fit(X, y)
    assert str(warned[0].message).endswith(said)
    assert made.history_.stopped.endswith(said)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_rows_of_weight_0_only(solver: str) -> None:
    weights = np.zeros(500)
    for few in (2, 480):  # certain beforehand, and met in the training
        weights[:few] = 1
        made = MLPClassifier(solver=solver, batch_size=10, random_state=0, max_iter=50)
        with pytest.raises(
            ValueError, match=r"sample_weight: a minibatch would hold only rows of weight 0.*batch_size"
        ):
            made.set_params(shuffle=few < 100).fit(X, y, weights)
        assert not hasattr(made, "network_") or few == 480
    with pytest.raises(ValueError, match="class_weight: a minibatch"):
        MLPClassifier(solver=solver, batch_size=10, class_weight={0: 0}, shuffle=False).fit(
            np.sort(X, 0), np.sort(y)
        )


def test_rows_held_out_of_weight_0_only() -> None:
    weights = np.zeros(500)
    weights[:20] = 1
    with pytest.raises(
        ValueError, match="sample_weight: the rows that early_stopping holds out all have weight 0"
    ):
        MLPClassifier(early_stopping=True, validation_fraction=0.01, random_state=0).fit(X, y, weights)


def test_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(cr.errors.FileError, match=r"checkpoint=cr.Checkpoint\(folder, force=True\)"):
        MLPClassifier(checkpoint=tmp_path, max_iter=2).fit(X, y)


def test_a_report_of_a_run_folder_advises_in_the_parameters(tmp_path: Path) -> None:
    made = MLPClassifier(solver="sgd", learning_rate_init=30, momentum=0, tol=0, max_iter=25, random_state=0)
    made.set_params(checkpoint=tmp_path / "run").fit(X, y)
    assert "a smaller learning_rate_init" in str(cr.report(tmp_path / "run"))


def test_nothing_learnt_is_not_told_in_the_words_of_a_network() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        settings = {"learning_rate_init": 1e-12, "batch_size": 10, "tol": 0.0}
        regressor(**settings, callbacks=[cr.Health()]).fit(300 * X, t)
    assert not [each for each in caught if "Standardize" in str(each.message)]


def test_a_report_counts_what_the_history_has() -> None:
    made = MLPClassifier(max_iter=12, random_state=0, batch_size=50).fit(X, y)
    by_iterations = MLPClassifier(max_iter=12, random_state=0, batch_size=50, callbacks=[cr.Health()]).fit(
        X, y
    )
    epochs, iterations = made.history_, by_iterations.history_
    assert (epochs.unit, iterations.unit) == ("epoch", "iteration")
    assert repr(epochs).startswith("<History: 12 epochs, ")
    assert repr(iterations).startswith("<History: 120 iterations, 12 epochs, ")
    assert epochs.to_frame().index.name == epochs.to_frame("epoch").index.name == "epoch"
    assert [axes.get_xlabel() for axes in epochs.plot().axes] == ["epoch", "epoch"]
    page = cr.report(epochs, made.network_, X, y).html()
    assert "12 epochs" in page
    assert "iteration" not in page
    assert "batch" not in history_html(epochs)
    assert "loss of each batch" in history_html(iterations)
    both = cr.report(epochs, iterations).html()
    assert ">iterations</button>" in both
    assert ">epochs</button>" in both


@pytest.mark.parametrize(
    ("settings", "advised"),
    [
        ({}, {"a smaller learning_rate_init", "learning_rate_schedule="}),
        ({"callbacks": [cr.Health()]}, {"a smaller learning_rate_init"}),
        (
            {"solver": cr.SGD(30.0), "learning_rate_init": 0.001},
            {"a smaller learning rate", "cr.schedules.Cosine()"},
        ),
    ],
    ids=["solver", "callbacks", "optimizer"],
)
def test_a_report_advises_in_the_parameters(settings: dict[str, Any], advised: set[str]) -> None:
    given = {"solver": "sgd", "learning_rate_init": 30.0, "momentum": 0.0, "tol": 0.0} | settings
    given = {name: value for name, value in given.items() if name != "momentum" or given["solver"] == "sgd"}
    made = MLPClassifier(max_iter=25, random_state=0, **given).fit(X, y)
    (found, *_) = cr.report(made.history_, made.network_).findings
    assert "learning rate looks too high" in found.text
    assert all(each in found.advice for each in advised)
    assert not found.lines  # those would make a cr.Network
