"""What the estimators have beyond scikit-learn's."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression
from sklearn.exceptions import ConvergenceWarning

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor
from chainrule.sklearn.networks import OTHERS

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]
U, V = make_regression(300, 6, noise=5, random_state=0)
V /= 100

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(**settings: Any) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": (20,), "max_iter": 15, "random_state": 0, **settings}).fit(
        X, Y
    )


def layers_of(estimator: Any) -> list[str]:
    return [repr(node.layer) for node in estimator.network_.graph if node.layer is not None]


def test_dropout_is_active_in_training_only() -> None:
    plain, dropped = fitted(), fitted(dropout=0.5)
    assert "Dropout(0.5)" in " ".join(layers_of(dropped)).replace("rate=", "")
    assert dropped.loss_ > plain.loss_
    assert np.array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    assert fitted(dropout=0.5).loss_ == dropped.loss_


def test_each_hidden_layer_may_have_its_own() -> None:
    made = fitted(
        hidden_layer_sizes=(9, 8), activation=["gelu", cr.Tanh()], dropout=[0, 0.1], batch_norm=[True, False]
    )
    kinds = [name.partition("(")[0] for name in layers_of(made)]
    assert kinds == [
        "Affine",
        "BatchNorm",
        "GELU",
        "Affine",
        "Tanh",
        "Dropout",
        "Affine",
        "SoftmaxCrossEntropy",
    ]
    with pytest.raises(ValueError, match="dropout: expected one for each of the 2 hidden layers, got 1"):
        fitted(hidden_layer_sizes=(9, 8), dropout=[0.1])


@pytest.mark.parametrize("name", OTHERS)
def test_other_activations(name: str) -> None:
    assert fitted(activation=name, learning_rate_init=0.02).score(X, Y) > 0.7


def test_batch_norm_takes_no_last_batch_of_one_row() -> None:
    assert np.isfinite(fitted(batch_norm=True, batch_size=57).loss_)  # 400 = 7 * 57 + 1


def test_layers_stand_in_place_of_the_sizes() -> None:
    layers = [cr.Affine(12), cr.LayerNorm(), cr.SiLU()]
    made = fitted(layers=layers, hidden_layer_sizes=(99,), learning_rate_init=0.02)
    assert [W.shape for W in made.coefs_] == [(64, 12), (12, 10)]
    assert made.n_layers_ == 3
    assert made.score(X, Y) > 0.8


def residual(x: cr.Node) -> cr.Node:
    h = cr.ReLU()(cr.Affine(16)(x))
    return h + cr.Affine(16)(cr.ReLU()(cr.Affine(16)(h)))


def test_a_function_makes_any_graph() -> None:
    made = fitted(layers=residual)
    assert len(made.coefs_) == 4
    assert cr.check(made.network_, X[:4], Y[:4]).passed
    again = pickle.loads(pickle.dumps(made))
    assert np.array_equal(again.predict_proba(X), made.predict_proba(X))
    assert clone(made).fit(X, Y).loss_ == made.loss_


def test_class_weights_are_sample_weights_of_classes() -> None:
    weights = np.where(Y == 3, 5.0, 1.0)
    assert (
        fitted(class_weight={3: 5.0}).loss_
        == MLPClassifier((20,), max_iter=15, random_state=0).fit(X, Y, weights).loss_
    )
    rare = np.flatnonzero((Y != 1) | (np.arange(400) < 60))
    recall = []
    for class_weight in (None, "balanced"):
        made = MLPClassifier((20,), max_iter=25, random_state=0, class_weight=class_weight)
        recall.append((made.fit(X[rare], Y[rare]).predict(X[Y == 1]) == 1).mean())
    assert recall[1] > recall[0]


@pytest.mark.parametrize("y", [Y, Y > 4], ids=["classes", "two classes"])
def test_label_smoothing_keeps_probabilities_from_1(y: Any) -> None:
    found = []
    for e in (0.0, 0.3):
        made = MLPClassifier(
            (40,), max_iter=150, learning_rate_init=0.01, random_state=0, label_smoothing=e
        ).fit(X, y)
        found.append(made.predict_proba(X).max(axis=1).mean())
        assert made.score(X, y) > 0.97
    assert found[0] > 0.97 > 0.9 > found[1]


@pytest.mark.parametrize(
    ("loss", "below"),
    [("squared_error", None), ("absolute_error", 0.5), ("huber", None), (cr.Quantile(0.9), 0.9)],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_losses_of_the_regressor(loss: Any, below: float | None, solver: str) -> None:
    made = MLPRegressor(loss, (30,), max_iter=200, random_state=0, solver=solver).fit(U, V)
    predicted = made.predict(U)
    if below is not None:
        assert np.mean(predicted >= V) == pytest.approx(below, abs=0.1)
    else:
        assert made.score(U, V) > 0.95


def test_a_poisson_regression_predicts_counts() -> None:
    counts = np.random.default_rng(0).poisson(np.exp(U[:, 0]))
    made = MLPRegressor("poisson", (20,), max_iter=100, random_state=0).fit(U, counts)
    assert (made.predict(U) > 0).all()
    assert np.corrcoef(made.predict(U), np.exp(U[:, 0]))[0, 1] > 0.9
    with pytest.raises(ValueError, match="expected counts of at least 0"):
        made.fit(U, V)


def test_adamw_and_optimizers_of_the_library() -> None:
    strong, weak = (fitted(solver="adamw", alpha=alpha) for alpha in (10.0, 0.0))
    assert np.abs(strong.coefs_[0]).sum() < np.abs(weak.coefs_[0]).sum()
    assert fitted(solver=cr.RMSProp(0.002)).score(X, Y) > 0.8


def test_a_schedule_and_a_norm_are_those_of_the_optimizer() -> None:
    made = fitted(learning_rate_schedule=cr.schedules.Cosine(0.01), clip_norm=0.5)
    optimizer = made.network_.progress.optimizer
    assert optimizer.learning_rate == cr.schedules.Cosine(0.01)
    assert optimizer.clip_norm == 0.5
    assert made.loss_ != fitted(learning_rate_schedule=cr.schedules.Cosine(0.01)).loss_


def test_a_validation_set_has_a_curve() -> None:
    made = MLPClassifier((20,), max_iter=15, random_state=0, validation_set=(X[:100], Y[:100])).fit(
        X[100:], Y[100:]
    )
    assert len(made.validation_loss_curve_) == 15
    expected = made.network_.loss(X[:100], Y[:100])
    assert made.validation_loss_curve_[-1] == pytest.approx(expected)
    assert made.loss_ == MLPClassifier((20,), max_iter=15, random_state=0).fit(X[100:], Y[100:]).loss_
    early = fitted(early_stopping=True)
    assert len(early.validation_loss_curve_) == len(early.validation_scores_)


class Counting(cr.Callback):
    def __init__(self) -> None:
        self.epochs: list[float] = []

    def on_epoch(self, run: Any) -> None:
        self.epochs.append(run.history.loss[-1])


def test_callbacks_see_every_epoch_and_change_nothing() -> None:
    counting = Counting()
    with_one, without = fitted(callbacks=counting), fitted()
    assert len(counting.epochs) == 15
    assert with_one.loss_curve_ == pytest.approx(without.loss_curve_, rel=1e-12)
    assert np.array_equal(with_one.coefs_[0], without.coefs_[0])


def test_a_callback_may_stop_a_training() -> None:
    made = MLPClassifier(
        (20,), max_iter=300, random_state=0, validation_set=(X[:100], Y[:100]), learning_rate_init=0.02,
        callbacks=[cr.EarlyStopping("test_loss", patience=3)],
    ).fit(X[100:], Y[100:])  # fmt: skip
    assert made.n_iter_ < 300
    assert made.network_.loss(X[:100], Y[:100]) == pytest.approx(min(made.validation_loss_curve_))


def test_progress_shows_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    assert fitted(progress=True).loss_ == pytest.approx(fitted().loss_)
    assert "30/30" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "settings", [{}, {"solver": "sgd", "learning_rate": "invscaling"}, {"dropout": 0.2}], ids=str
)
def test_an_exact_warm_start_is_one_longer_training(settings: dict[str, Any]) -> None:
    parts = MLPClassifier((20,), max_iter=5, random_state=0, warm_start="exact", **settings)
    for _ in range(3):
        parts.fit(X, Y)
        parts = pickle.loads(pickle.dumps(parts))
    whole = MLPClassifier((20,), max_iter=15, random_state=0, **settings).fit(X, Y)
    assert parts.loss_curve_ == whole.loss_curve_
    assert np.array_equal(parts.coefs_[0], whole.coefs_[0])


def test_the_preset_has_the_defaults_of_the_library() -> None:
    made = fitted(preset="chainrule")
    assert made.network_.progress.optimizer == cr.Network.default_optimizer
    assert made.network_.progress.batches.batch_size == 100
    assert made.score(X, Y) > 0.95


def test_the_network_is_one_of_the_library(tmp_path: Any) -> None:
    made = fitted()
    assert cr.check(made.network_, X[:4], Y[:4]).passed
    cr.save(made.network_, tmp_path / "m.safetensors")
    again = cr.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(X), made.network_.predict(X))
    assert np.array_equal(again.classify(X), made.predict(X))
    assert "<svg" in str(cr.draw(made.network_, X[:2], Y[:2]).svg())


def test_a_report_of_an_estimator(tmp_path: Any) -> None:
    names = np.array(list("abcdefghij"))[Y]
    made = MLPClassifier((20,), max_iter=15, random_state=0, validation_set=(X[:100], names[:100]))
    made.fit(X[100:], names[100:])
    assert np.array_equal(made.network_.classify(X), made.predict(X))
    history = made.history_
    assert history.train_loss == made.loss_curve_
    assert history.test_loss == made.validation_loss_curve_
    assert history.seconds == sorted(history.seconds)
    assert history.learning_rate == [0.001] * 15
    page = cr.report(history, made.network_, X[:100], names[:100]).html()
    assert "onfusion" in page
    assert ">j<" in page
    assert pickle.loads(pickle.dumps(made)).history_.train_loss == history.train_loss


def test_weights_that_are_put_in_are_used() -> None:
    made = fitted()
    before = made.predict_proba(X)
    made.coefs_[0] = np.zeros_like(made.coefs_[0])
    assert not np.array_equal(made.predict_proba(X), before)
    made.intercepts_[1][:] = np.arange(10) == 4  # in place
    assert (made.predict(X) == 4).all()


def test_a_pickle_is_as_small_as_scikit_learns_and_holds_the_weights_once() -> None:
    from sklearn.neural_network import MLPClassifier as Theirs

    made = MLPClassifier(max_iter=2, random_state=0).fit(X, Y)
    theirs = Theirs(max_iter=2, random_state=0).fit(X, Y)
    assert len(pickle.dumps(made)) < 1.1 * len(pickle.dumps(theirs))
    again = pickle.loads(pickle.dumps(made))
    assert np.shares_memory(again.coefs_[0], again.network_.params.flat)


def test_a_notebook_shows_the_network_too() -> None:
    html = fitted()._repr_mimebundle_()["text/html"]
    assert "sk-" in html
    assert 'alt="the graph"' in html
    assert 'alt="the graph"' not in MLPClassifier()._repr_html_()


def test_a_training_that_diverges_says_where() -> None:
    made = MLPRegressor(
        hidden_layer_sizes=20, solver="sgd", learning_rate_init=50, max_iter=50, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"non-finite parameter weights.*iteration \d+.*learning rate"):
            made.fit(U * 100, V)


def test_solvers_that_do_not_go_with_lbfgs() -> None:
    for settings in ({"dropout": 0.1}, {"batch_norm": True}):
        with pytest.raises(ValueError, match="is for the stochastic solvers"):
            fitted(solver="lbfgs", **settings)
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit  # noqa: B018


def test_a_class_that_y_happens_to_lack_may_have_a_weight() -> None:
    weights = dict.fromkeys(range(11), 2.0)
    assert fitted(class_weight=weights).loss_ == pytest.approx(fitted().loss_, rel=1e-2)


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
