"""A regression is told in the target's own unit, by the same numbers in Python, commands and reports."""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.cli.data import load_for_training
from chainrule.cli.reading import TableOptions
from chainrule.evaluation import Estimated, error_text, judge, r2_text
from chainrule.network.residuals import errors_of

pytestmark = pytest.mark.usefixtures("without_curves")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
T = X[:, :1] * 300 + 5000 + 40 * RNG.normal(size=(80, 1))
TWO = np.hstack([T, RNG.normal(size=(80, 1))])
MODELS = Path(__file__).parent / "models"


def run(*arguments: Any) -> list[str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout.splitlines()


def network(t: Any = T, loss: Any = "mse", **options: Any) -> cr.Network:
    layers = cr.Affine(8), cr.ReLU(), cr.Affine(t.shape[1]), cr.Standardize.of(t, invert=True)
    net = cr.Network(*layers, input_shape=3, loss=loss, seed=0, **options)
    net.fit(X, t, epochs=10)
    return net


def of_sklearn(t: Any, predicted: Any, weight: Any = None) -> dict[str, float]:
    return {
        "r2": r2_score(t, predicted, sample_weight=weight),
        "rmse": root_mean_squared_error(t, predicted, sample_weight=weight),
        "mae": mean_absolute_error(t, predicted, sample_weight=weight),
    }


@pytest.mark.parametrize("t", [T, TWO], ids=["one output", "two"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_the_errors_are_those_of_scikit_learn(t: Any, loss: str) -> None:
    net = network(t, loss, dtype="float64")
    found = net.evaluate(X, t)
    assert found == pytest.approx({"loss": net.loss(X, t), **of_sklearn(t, net.predict(X))}, rel=1e-12)
    weight = np.where(np.arange(80) < 7, 0, RNG.uniform(0.1, 3, 80))
    weighed = net.evaluate(X, t, weight)
    assert weighed == pytest.approx(
        {"loss": net.loss(X, t, weight), **of_sklearn(t, net.predict(X), weight)}, rel=1e-12
    )
    answers = judge(net, X, t)
    assert isinstance(answers, Estimated)
    assert {"loss": found["loss"], **answers.means} == found


def test_a_training_measures_the_loss_alone() -> None:
    net = network()
    with net.training(X, T) as training:
        training.steps(3)
        assert set(training.measure()) == {"train_loss"}
    assert set(net.measures_of(net.feeds(X, T))) == {"loss"}
    labels = cr.Network(cr.Affine(3), input_shape=3, loss="cross_entropy", seed=0)
    assert set(labels.evaluate(X, np.arange(80) % 3)) == {"loss", "accuracy"}


def test_a_target_with_one_value_has_no_r2() -> None:
    net = network()
    found = net.evaluate(X, np.full((80, 1), 0.1))
    assert math.isnan(found["r2"])
    assert found["rmse"] > 0
    assert math.isnan(net.evaluate(X[:1], T[:1])["r2"])
    both = np.hstack([T, np.full((80, 1), 0.1)])
    assert np.isnan(errors_of(both + 1, both).r2).tolist() == [False, True]
    assert math.isnan(errors_of(both + 1, both, np.arange(80) < 1).means()["r2"])  # one row counts
    assert all(math.isnan(each) for each in errors_of(T[:0], T[:0]).means().values())


def test_a_loss_of_ones_own_whose_targets_have_another_shape_has_no_errors() -> None:
    class Likelihood(cr.layers.Loss):
        """Predictions (N, 2) of a mean and the logarithm of a deviation, targets (N,)."""

        task = "regression"

        def forward(self, x: Any, t: Any) -> Any:
            z = (t - x[:, 0]) * np.exp(-x[:, 1])
            return np.mean(x[:, 1] + z * z / 2), (x, z)

        def backward(self, dy: Any, saved: Any) -> Any:
            x, z = saved
            dx = np.stack([-z * np.exp(-x[:, 1]), 1 - z * z], axis=1) * dy / len(x)
            return dx, None

    net = cr.Network(cr.Affine(2), input_shape=3, loss=Likelihood(), seed=0)
    assert set(net.evaluate(X, X[:, 0])) == {"loss"}
    assert judge(net, X, X[:, 0]) is None


def test_numbers_as_people_read_them() -> None:
    assert [r2_text(each) for each in (0.58123, 1.0, -0.2, -1e9, math.nan)] == [
        "0.5812",
        "1.0000",
        "-0.2000",
        "-1e9",
        "not defined",
    ]
    assert [error_text(each) for each in (53.2149, 1234.56, 71879.4, 1.5e12, 2.51279e-7, math.nan)] == [
        "53.21",
        "1235",
        "71,879",
        "1.5e12",
        "2.513e-7",
        "not measured",
    ]


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_commands_reports_and_python_tell_the_same(tmp_path: Path, monkeypatch: Any, unit: float) -> None:
    monkeypatch.chdir(tmp_path)
    table = np.hstack([X * [1 / unit, 1, unit], T * unit])
    np.savetxt("prices.csv", table, delimiter=",", header="a,b,c,price", comments="")
    options = "--target", "price", "--epochs", 60, "--batch-size", 16, "--out", "a"
    lines = run("train", "prices.csv", *options)
    assert any("agrees with numerical differentiation on all" in line for line in lines)
    assert any(line.startswith("network of") and ": passed;" in line for line in lines)
    told = {line.split()[0]: line for line in lines if line}

    net = cr.load("a/model.safetensors")
    assert [node.name for node in net.graph if isinstance(node.layer, cr.Standardize)][:2] == [
        "standardized",
        "prediction",
    ]
    data = load_for_training("prices.csv", "price", None, 0, None, TableOptions())
    of_test, of_training = net.evaluate(data.x_test, data.t_test), net.evaluate(data.x, data.t)
    assert of_test["r2"] > 0.9
    assert of_test == pytest.approx(
        {"loss": of_test["loss"], **of_sklearn(data.t_test, net.predict(data.x_test))}, rel=1e-5
    )
    r2, rmse, mae = (
        [shown(each[name]) for each in (of_test, of_training)]
        for name, shown in (("r2", r2_text), ("rmse", error_text), ("mae", error_text))
    )
    assert told["R²"].split(maxsplit=1)[1] == f"{r2[0]} on the test data, {r2[1]} on the training data"
    assert told["RMSE"].split(maxsplit=1)[1] == (
        f"{rmse[0]} (MAE {mae[0]}) on the test data, {rmse[1]} (MAE {mae[1]}) on the training data"
    )
    assert "loss" not in [line.split()[0] for line in lines[: lines.index("")]]

    np.savetxt(
        "test.csv",
        np.hstack([data.x_test, data.t_test]),
        delimiter=",",
        header="a,b,c,price",
        comments="",
    )
    assert [line.split() for line in run("evaluate", "a", "test.csv")] == [
        ["R²", r2[0]],
        ["RMSE", rmse[0]],
        ["MAE", mae[0]],
        ["samples", "16"],
    ]

    health = cr.History.load("a/history.jsonl").health["layers"]
    assert list(health) == ["affine1", "relu1", "affine2"]  # none in the unit of the target
    page = html.unescape(re.sub(r"<[^>]*>", " ", Path("a/report.html").read_text(encoding="utf-8")))
    page = " ".join(page.split())
    assert f"Test R² {r2[0]} {r2[1]} on the training data" in page
    assert f"Test RMSE {rmse[0]} MAE {mae[0]}, {rmse[1]} (MAE {mae[1]}) on the training data" in page
    assert f"price {r2[0]} {rmse[0]} {mae[0]}" in page  # the residuals' table
    assert "Test loss" not in page
    assert page.count("share of the target's variance") == 2  # the title of a curve, and again for the script
    of_python = cr.report(cr.History(), net, data.x_test, data.t_test).html()
    assert f"<b>{r2[0]}</b>" in of_python
    assert f"<b>{rmse[0]}</b>" in of_python

    run("train", "prices.csv", *options[:-1], "b", "--hidden", 0, "--no-check")
    both = cr.report("a", "b").html().partition('id="results"')[2].partition("</section>")[0]
    for each in (r2, rmse, mae):
        assert re.search(rf">{re.escape(each[0])}<", both)
    assert "loss" not in both
    charts = cr.report("a", "b").html()
    assert "Test loss, as share of the target" in charts


def test_a_training_that_is_not_of_these_errors_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    np.savetxt("p.csv", np.hstack([X, T]), delimiter=",", header="a,b,c,price", comments="")
    run("train", "p.csv", "--target", "price", "--epochs", 1, "--no-check", "--out", "a")
    kept = json.loads(Path("a/evaluation.json").read_text())
    assert set(kept["about"]["on_training"]) == {"r2", "rmse", "mae"}
    for wrong, is_read in (({"r2": 1}, False), ({}, True), (None, None)):
        kept["about"]["on_training"] = wrong
        if is_read is None:
            del kept["about"]["on_training"]  # as older folders have it
        Path("a/evaluation.json").write_text(json.dumps(kept))
        page = cr.report("a").html()
        assert ("evaluation.json is damaged" in page) == (is_read is False)
        assert "Test R²" not in page


def test_a_model_that_scaled_by_arithmetic_predicts_as_before(tmp_path: Path, monkeypatch: Any) -> None:
    """A file of 0.5: subtractions and divisions by constants where there is a Standardize now."""
    monkeypatch.chdir(tmp_path)
    model, kept = MODELS / "arithmetic-scaling.safetensors", np.load(MODELS / "arithmetic-scaling.npz")
    net = cr.load(model)
    assert {"Subtract", "Divide", "Multiply", "Add"} <= {type(node.layer).__name__ for node in net.graph}
    np.testing.assert_allclose(net.predict(kept["x"]), kept["predicted"], rtol=1e-6)
    table = np.column_stack([kept["x"], kept["price"]])
    np.savetxt("old.csv", table, delimiter=",", header="a,b,c,price", comments="")
    expected = of_sklearn(kept["price"][:, None], kept["predicted"])
    assert [line.split() for line in run("evaluate", model, "old.csv")] == [
        ["R²", r2_text(expected["r2"])],
        ["RMSE", error_text(expected["rmse"])],
        ["MAE", error_text(expected["mae"])],
        ["samples", "12"],
    ]
    assert run("check", model, "old.csv")[-1].startswith("network of")
