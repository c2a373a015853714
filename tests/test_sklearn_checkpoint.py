"""Estimators that survive crashes: a training kept in a run folder, and gone on with by the same fit."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import chainrule as cr
from chainrule.errors import FileError
from chainrule.sklearn import MLPClassifier, MLPRegressor

X, Y = load_digits(return_X_y=True)
X = X / 16

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:failed. RuntimeError"
)


class PowerCut(cr.Callback):
    """Raise an error after an iteration."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_iteration(self, run: Any) -> None:
        if run.iteration == self.at:
            raise RuntimeError("power cut")


def estimator(folder: Path | None, at: int = -1, **settings: Any) -> MLPClassifier:
    made = {"hidden_layer_sizes": (20,), "max_iter": 12, "random_state": 0, **settings}
    if folder is None:
        return MLPClassifier(**made)
    return MLPClassifier(checkpoint=cr.Checkpoint(folder, every=10), callbacks=[PowerCut(at)], **made)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "invscaling", "batch_size": 100, "dropout": 0.2},
        {"batch_norm": True, "validation_set": (X[:50], Y[:50])},
    ],
    ids=str,
)
def test_what_was_cut_off_twice_ends_with_the_same_bits(tmp_path: Path, settings: dict[str, Any]) -> None:
    whole = estimator(None, **settings).fit(X, Y)
    for at in (31, 66):  # inside the fourth epoch of nine steps, and the eighth
        with pytest.raises(RuntimeError, match="power cut"):
            estimator(tmp_path / "run", at, **settings).fit(X, Y)
    again = estimator(tmp_path / "run", **settings).fit(X, Y)
    assert again.loss_curve_ == whole.loss_curve_
    assert again.validation_scores_ == whole.validation_scores_
    assert again.n_iter_ == whole.n_iter_
    assert np.array_equal(again.predict_proba(X), whole.predict_proba(X))
    assert np.array_equal(cr.load(tmp_path / "run" / "model.safetensors").classify(X), whole.predict(X))


def test_other_data_and_other_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        estimator(tmp_path / "run", 31).fit(X, Y)
    with pytest.raises(ValueError, match="x: the run was begun with other data"):
        estimator(tmp_path / "run").fit(1 - X, Y)
    for name, before, now in (
        ("max_iter", 12, 20),
        ("alpha", 0.0001, 0.1),
        ("dropout", 0.0, 0.1),
        ("hidden_layer_sizes", "[20]", (30,)),
        ("batch_norm", False, True),
        ("learning_rate_schedule", None, cr.schedules.Cosine(0.01)),
        ("random_state", 0, 1),
    ):
        with pytest.raises(
            ValueError, match=re.escape(f"the run was begun with {name}={before}, got ")
        ) as caught:
            estimator(tmp_path / "run", **{name: now}).fit(X, Y)
        assert "give the same, or another folder" in str(caught.value)
    with pytest.raises(ValueError, match="the run was begun by MLPClassifier, got MLPRegressor"):
        MLPRegressor(checkpoint=tmp_path / "run").fit(X, Y)
    with pytest.raises(ValueError, match=r"the run was begun with callbacks=\[PowerCut\], got \[\]"):
        estimator(tmp_path / "run").set_params(callbacks=None).fit(X, Y)
    same = estimator(tmp_path / "run", hidden_layer_sizes=[np.int64(20)], progress=True, verbose=True)
    assert same.fit(X, Y).n_iter_ == 12


@pytest.mark.parametrize("added", [cr.EarlyStopping("train_loss", patience=50), cr.Health()], ids=repr)
def test_a_callback_that_is_added_begins_where_the_fit_goes_on(tmp_path: Path, added: cr.Callback) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        estimator(tmp_path / "run", 31).fit(X, Y)
    made = estimator(tmp_path / "run")
    made.set_params(callbacks=[*made.callbacks, added]).fit(X, Y)
    assert made.loss_curve_ == estimator(None).fit(X, Y).loss_curve_


def unseeded(folder: Path, at: int, **settings: Any) -> MLPClassifier:
    return estimator(folder, at, random_state=None, **settings).fit(X, Y)


@pytest.mark.parametrize("settings", [{"early_stopping": True}, {"dropout": 0.2}], ids=str)
def test_what_cannot_go_on_without_a_random_state(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        unseeded(tmp_path / "run", 31, **settings)
    with pytest.raises(ValueError, match="whole number as random_state"):
        unseeded(tmp_path / "run", -1, **settings)


def test_a_run_of_no_estimator(tmp_path: Path) -> None:
    net = cr.Network(
        cr.Affine(20), cr.ReLU(), cr.Affine(10), loss=cr.SoftmaxCrossEntropy(), input_shape=(64,)
    )
    with pytest.raises(RuntimeError, match="power cut"):
        net.fit(X, Y, epochs=4, checkpoint=cr.Checkpoint(tmp_path / "run"), callbacks=[PowerCut(31)])
    with pytest.raises(ValueError, match="the run was begun by no estimator, got MLPClassifier"):
        estimator(tmp_path / "run").fit(X, Y)


def test_a_run_that_has_ended_is_not_written_over(tmp_path: Path) -> None:
    made = estimator(tmp_path / "run").fit(X, Y)
    with pytest.raises(FileError, match=r"has ended \(loss \d\.\d+ after 12 epochs\)") as caught:
        MLPClassifier(checkpoint=str(tmp_path / "run")).fit(X, Y)
    assert f"{made.history_.train_loss[-1]:.4g}" in str(caught.value)
    for remedy in ("another folder", "checkpoint=cr.Checkpoint(folder, force=True)", "cr.load(", "searches"):
        assert remedy in str(caught.value)
    again = MLPClassifier((20,), checkpoint=cr.Checkpoint(tmp_path / "run", force=True), max_iter=2)
    assert again.fit(X, Y).n_iter_ == 2


@pytest.mark.parametrize("dies_in", ["_content", "_write"])
@pytest.mark.parametrize("force", [False, True])
def test_a_process_that_is_killed_before_its_first_checkpoint(
    tmp_path: Path, dies_in: str, force: bool
) -> None:
    folder = tmp_path / "run"
    if force:
        estimator(folder).fit(X, Y)
    code = (
        "import os, sys, chainrule as cr; from chainrule.saving import checkpoint\n"
        "from chainrule.sklearn import MLPClassifier\n"
        f"checkpoint._Open.{dies_in} = lambda *given, **more: os._exit(7)\n"
        f"MLPClassifier((20,), checkpoint=cr.Checkpoint(sys.argv[1], force={force})).fit([[0.0], [1.0]], [0, 1])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 7
    assert (folder / "run.json").exists()
    assert not (folder / "checkpoint.safetensors").exists()
    made = estimator(folder)
    made.set_params(checkpoint=cr.Checkpoint(folder, force=force)).fit(X, Y)
    assert made.loss_curve_ == estimator(None).fit(X, Y).loss_curve_
    assert {each.name for each in folder.iterdir()} == {
        "run.json",
        "history.jsonl",
        "model.safetensors",
    }


def test_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, chainrule as cr; from chainrule.sklearn import MLPClassifier\n"
        "from sklearn.datasets import load_digits\n"
        "X, Y = load_digits(return_X_y=True)\n"
        "MLPClassifier((20,), max_iter=100_000, tol=0, n_iter_no_change=100_000, random_state=0,\n"
        "              checkpoint=cr.Checkpoint(sys.argv[1], every=20)).fit(X / 16, Y)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")])
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)
    process.kill()
    process.wait()
    before = cr.History.load(tmp_path / "run" / "history.jsonl")

    class Enough(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            if len(run.history.loss) > len(before.loss) + 9:
                run.stop("enough")

    made = MLPClassifier(
        (20,),
        max_iter=100_000,
        tol=0,
        n_iter_no_change=100_000,
        random_state=0,
        checkpoint=str(tmp_path / "run"),
    )
    made.set_params(callbacks=[Enough()]).fit(X, Y)
    whole = MLPClassifier((20,), max_iter=made.n_iter_, tol=0, n_iter_no_change=100_000, random_state=0).fit(
        X, Y
    )
    assert made.loss_curve_ == whole.loss_curve_
    assert np.array_equal(made.coefs_[0], whole.coefs_[0])
