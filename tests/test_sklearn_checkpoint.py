"""Estimators that survive crashes: a training kept in a run folder, and gone on with by the same fit."""

from __future__ import annotations

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
from chainrule.sklearn import MLPClassifier

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
    with pytest.raises(ValueError, match="begun for 108 iterations, got 180"):
        estimator(tmp_path / "run", max_iter=20).fit(X, Y)
    with pytest.raises(ValueError, match="restore: the state is of a training with optimizer"):
        estimator(tmp_path / "run", alpha=0.1).fit(X, Y)
    assert estimator(tmp_path / "run").fit(X, Y).n_iter_ == 12


def test_a_run_that_has_ended_is_not_written_over(tmp_path: Path) -> None:
    estimator(tmp_path / "run").fit(X, Y)
    with pytest.raises(FileError, match="not empty"):
        MLPClassifier(checkpoint=str(tmp_path / "run")).fit(X, Y)


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
