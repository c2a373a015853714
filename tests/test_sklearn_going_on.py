"""Fits that go on, end early or are ended, and what is known of them afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor
from test_sklearn_more import U, V, X, Y, fitted, layers_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_fit_that_goes_on_takes_other_activations_and_losses() -> None:
    made = fitted(warm_start=True)
    before = [W.copy() for W in made.coefs_]
    made.set_params(
        activation="tanh", label_smoothing=0.2, dropout=0.1, max_iter=1, learning_rate_init=1e-9
    ).fit(X, Y)
    assert [name.partition("(")[0] for name in layers_of(made)][:3] == ["Affine", "Tanh", "Dropout"]
    np.testing.assert_allclose(made.coefs_[0], before[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes: a fit that goes on.*\(20,\), got \(5,\)"):
        made.set_params(hidden_layer_sizes=(5,)).fit(X, Y)
    several = MLPRegressor(hidden_layer_sizes=5, max_iter=3, random_state=0, warm_start=True).fit(
        U, np.c_[V, V]
    )
    one = several.set_params(loss="huber").fit(U, np.c_[V, V])
    assert one.loss_curve_[-1] == pytest.approx(one.network_.loss(U, np.c_[V, V]), rel=0.2)


def test_partial_fit_keeps_its_moments_when_a_number_changes() -> None:
    made = MLPClassifier((8,), random_state=0, learning_rate_init=0.05)
    for alpha in (1e-4, 0.01):
        for _ in range(4):
            made.set_params(alpha=alpha).partial_fit(X, Y, classes=range(10))
    assert made.network_.progress.state.iteration == 16


def test_what_would_have_no_effect_is_refused() -> None:
    for settings, name in (
        ({"preset": "chainrule", "alpha": 1.0}, "alpha"),
        ({"preset": "chainrule", "solver": "sgd"}, "solver"),
        ({"solver": cr.Adam(0.01), "learning_rate_init": 0.1}, "learning_rate_init"),
    ):
        with pytest.raises(ValueError, match=f"{name} has no effect beside"):
            fitted(**settings)
    for settings in ({"early_stopping": True}, {"solver": "lbfgs"}):
        with pytest.raises(ValueError, match='warm_start="exact" does not go with'):
            fitted(warm_start="exact", **settings)
    with pytest.raises(ValueError, match="must be one for numbers"):
        MLPRegressor(cr.SoftmaxCrossEntropy()).fit(U, V)
    with pytest.raises(ValueError, match="depends on the length of the training"):
        MLPClassifier(learning_rate_schedule=cr.schedules.Cosine(0.01)).partial_fit(X, Y, classes=range(10))


def test_a_schedule_stands_in_place_of_the_adaptive_rate() -> None:
    with config_context(skip_parameter_validation=True):  # which refuses the two together
        made = fitted(
            solver="sgd", learning_rate="adaptive", tol=10, n_iter_no_change=1,
            learning_rate_schedule=cr.schedules.Constant(0.5),
        )  # fmt: skip
    assert set(made.history_.learning_rate) == {0.5}


def test_the_record_says_the_rates_and_why_it_ended() -> None:
    rates = fitted(learning_rate_schedule=cr.schedules.Cosine(0.01), max_iter=5).history_.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 5
    assert "did not improve" in fitted(tol=10, n_iter_no_change=2).history_.stopped
    stopped = fitted(
        callbacks=cr.EarlyStopping("train_loss", patience=1), learning_rate_init=0.5, max_iter=99
    ).history_
    assert "train_loss did not improve" in stopped.stopped
    assert len(stopped.train_accuracy) == len(stopped.train_loss)


def test_no_warning_where_the_rule_ends_it_in_the_last_epoch() -> None:
    settings = {"tol": 10, "n_iter_no_change": 2}
    epochs = fitted(max_iter=99, **settings).n_iter_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fitted(max_iter=epochs, **settings).n_iter_ == epochs


def test_a_training_that_diverges_at_once_puts_back_its_first_weights() -> None:
    made = MLPRegressor(
        hidden_layer_sizes=(8, 8), random_state=3, max_iter=50, solver="sgd", learning_rate_init=10,
        early_stopping=True, batch_size=4,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="diverged"):
        made.fit(U * 10, V * 1e5)
    assert max(np.abs(W).max() for W in made.coefs_) < 1
    history = made.history_
    assert len(history.loss) == len(history.learning_rate) == len(history.seconds)


def test_views_of_the_weights_may_be_put_in() -> None:
    made = fitted()
    expected = made.coefs_[0][:, ::-1].copy()
    made.coefs_[0] = made.coefs_[0][:, ::-1]
    made.predict(X)
    assert np.array_equal(made.network_.params["W1"], expected)
    made.coefs_ = tuple(made.coefs_)
    made.predict(X)
    made.coefs_[0] = np.zeros((64, 1))
    with pytest.raises(ValueError, match=r"coefs_: expected arrays of shapes \[\(64, 20\), \(20, 10\)\]"):
        made.predict(X)


def test_labels_of_several_outputs_may_be_sparse_and_held_out() -> None:
    labels = (np.random.default_rng(0).random((400, 3)) > 0.5).astype(int)
    pair = [
        MLPClassifier((8,), max_iter=5, random_state=0, early_stopping=True).fit(X, y)
        for y in (labels, csr_matrix(labels))
    ]
    assert pair[0].validation_scores_ == pair[1].validation_scores_


@pytest.mark.parametrize(
    "y", [np.where(Y > 4, "yes", "no"), 1 + (Y > 4), np.array(list("abcdefghij"))[Y]], ids=len
)
def test_the_network_knows_labels_and_columns(y: Any) -> None:
    frame = pd.DataFrame(X, columns=[f"c{k}" for k in range(64)])
    made = MLPClassifier((20,), max_iter=15, random_state=0).fit(frame, y)
    assert np.array_equal(made.network_.classify(frame[frame.columns[::-1]]), made.predict(frame))
    assert cr.check(made.network_, frame[:4], y[:4]).passed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_fit_as_in_scikit_learn(number: int) -> None:
    code = (
        "import os, signal, sys, threading, warnings; from chainrule.sklearn import MLPClassifier\n"
        "from sklearn.datasets import load_digits\n"
        "X, Y = load_digits(return_X_y=True)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it\n"
        "threading.Timer(1.5, os.kill, (os.getpid(), int(sys.argv[1]))).start()\n"
        "warnings.simplefilter('ignore')\n"
        "made = MLPClassifier((20,), max_iter=10**6, tol=0, n_iter_no_change=10**6, random_state=0).fit(X, Y)\n"
        "print(made.n_iter_ == len(made.loss_curve_) > 0, made.t_ == made.n_iter_ * 1797, made.history_.stopped)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(int(number))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if number == signal.SIGINT:
        assert (done.returncode, done.stdout) == (0, "True True interrupted\n")
    else:
        assert done.returncode == -signal.SIGTERM


class StopAt(cr.Callback):
    """Ends a training inside an epoch."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_iteration(self, run: Any) -> None:
        if run.iteration == self.iteration:
            run.stop("time is up")


@pytest.mark.parametrize("warm_start", [True, "exact"])
def test_a_fit_behind_one_that_ended_inside_an_epoch_begins_a_new_one(warm_start: Any) -> None:
    made = fitted(warm_start=warm_start, batch_size=20, max_iter=5, callbacks=[StopAt(13)])
    rows = -(-len(X) // 20)
    assert made.network_.progress.place[1] == 13 % rows
    made.set_params(callbacks=None, learning_rate_init=1e-13, alpha=0.0, solver="sgd").fit(X, Y)
    assert made.network_.progress.place[1] == 0
    assert made.loss_ == pytest.approx(made.network_.loss(X, Y), rel=1e-6)  # of every row, once


def test_a_partial_fit_behind_a_diverged_one_takes_all_rows() -> None:
    x, t = X[:60], U[:60, 0]
    made = MLPRegressor(
        hidden_layer_sizes=(6,), solver="sgd", learning_rate_init=1e-13, alpha=0, batch_size=7, random_state=0
    ).partial_fit(x, t)
    bad = x.copy()
    bad[33] = 1e200
    with pytest.raises(ValueError, match="non-finite"):
        made.partial_fit(bad, t)
    for _ in range(3):
        made.partial_fit(x, t)
        assert made.loss_ == pytest.approx(((made.predict(x) - t) ** 2).mean() / 2)


@pytest.mark.parametrize("going_on", ["exact", "partial_fit"])
def test_a_changed_learning_rate_is_taken(going_on: str) -> None:
    made = fitted(solver="sgd", momentum=0.0, warm_start="exact", max_iter=2)
    before = made.coefs_[0].copy()
    made.set_params(learning_rate_init=1e-9)
    made.fit(X, Y) if going_on == "exact" else made.partial_fit(X, Y)
    np.testing.assert_allclose(made.coefs_[0], before, atol=1e-6)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_an_estimator_in_a_file_that_is_mapped_goes_on(solver: str, tmp_path: Path) -> None:
    made = MLPClassifier((30,), solver=solver, alpha=0.1, max_iter=2, random_state=0, warm_start=True)
    joblib.dump(made.fit(X, Y), tmp_path / "made.joblib")
    mapped = joblib.load(tmp_path / "made.joblib", mmap_mode="r")
    made.partial_fit(X, Y)
    assert np.array_equal(mapped.partial_fit(X, Y).coefs_[0], made.coefs_[0])


def test_a_copy_with_a_function_of_layers_goes_on() -> None:
    made = fitted(layers=lambda x: cr.ReLU()(cr.Affine(8)(x)), warm_start=True)
    again = cloudpickle.loads(cloudpickle.dumps(made))
    assert np.array_equal(again.partial_fit(X, Y).coefs_[0], made.partial_fit(X, Y).coefs_[0])
    with pytest.raises(ValueError, match=r"made with layers=the function .*<lambda>.*got <function"):
        made.set_params(layers=lambda x: x).fit(X, Y)


def test_sizes_are_the_same_however_they_are_written() -> None:
    made = fitted(hidden_layer_sizes=(8,), warm_start=True)
    for given in (8, [8], np.array([8])):
        made.set_params(hidden_layer_sizes=given).fit(X, Y)
