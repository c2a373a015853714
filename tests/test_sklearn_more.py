"""What the estimators have beyond scikit-learn's."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, make_regression

import chainrule as cr
from chainrule.sklearn import MLPClassifier, MLPRegressor
from chainrule.sklearn.networks import OTHERS

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]
U, V = make_regression(300, 6, noise=5, random_state=0)
V /= 100

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(**settings: Any) -> MLPClassifier:
    sizes = {} if "layers" in settings else {"hidden_layer_sizes": (20,)}
    return MLPClassifier(**{**sizes, "max_iter": 15, "random_state": 0, **settings}).fit(X, Y)


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
    made = fitted(layers=layers, learning_rate_init=0.02)
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


@pytest.mark.parametrize("form", [csr_matrix, csr_array, csc_matrix])
def test_a_report_of_sparse_data_is_that_of_dense_data(form: Any) -> None:
    made = MLPClassifier((9,), max_iter=3, random_state=0).fit(form(X), Y)
    dense = cr.report(made.history_, made.network_, X, Y, sample=3).html()
    assert cr.report(made.history_, made.network_, form(X), Y, sample=3).html() == dense
    wide = form((np.ones(30), (np.arange(30), 1000 * np.arange(30))), shape=(30, 30_000))
    made = MLPRegressor(hidden_layer_sizes=(9,), max_iter=3, random_state=0).fit(wide, np.arange(30.0))
    assert "R²" in cr.report(made.history_, made.network_, wide, np.arange(30.0)).html()


def test_weights_that_are_put_in_are_used() -> None:
    made = fitted()
    before = made.predict_proba(X)
    made.coefs_[0] = np.zeros_like(made.coefs_[0])
    assert not np.array_equal(made.predict_proba(X), before)
    made.intercepts_[1][:] = np.arange(10) == 4  # in place
    assert (made.predict(X) == 4).all()


def test_a_pickle_holds_the_weights_once() -> None:
    made = MLPClassifier(max_iter=2, random_state=0).fit(X, Y)
    size = made.network_.params.flat.nbytes
    assert len(pickle.dumps(made)) < 4.5 * size  # the weights, Adam's moments, the weight decay of each
    again = pickle.loads(pickle.dumps(made))
    assert np.shares_memory(again.coefs_[0], again.network_.params.flat)


def test_a_pickle_without_its_validation_set_goes_on_predicting() -> None:
    made = fitted(validation_set=(X, Y), callbacks=[cr.EarlyStopping("test_loss")])
    assert pickle.loads(pickle.dumps(made)).validation_set[0].shape == X.shape  # clone and searches need it
    whole, before, seen = len(pickle.dumps(made)), made.predict_proba(X), made.history_.test_loss
    made = pickle.loads(pickle.dumps(made.set_params(validation_set=None, callbacks=None)))
    assert len(pickle.dumps(made)) < whole - X.nbytes
    assert np.array_equal(made.predict_proba(X), before)
    assert made.history_.test_loss == seen


def test_class_weights_weigh_the_rows_held_out_as_sample_weights_do() -> None:
    weights = {0: 5.0, 1: 0.2}
    by_class = fitted(early_stopping=True, class_weight=weights)
    by_row = MLPClassifier((20,), max_iter=15, random_state=0, early_stopping=True)
    by_row.fit(X, Y, [weights.get(label, 1.0) for label in Y])
    assert by_class.validation_scores_ == by_row.validation_scores_
    assert by_class.validation_scores_ != fitted(early_stopping=True).validation_scores_
    judged = fitted(validation_set=(X[:100], Y[:100]), early_stopping=True, class_weight={0: 5.0})
    assert judged.validation_scores_[-1] in np.arange(101) / 100  # those rows all weigh the same


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
