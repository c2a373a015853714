"""`chainrule evaluate`, `predict` and `summary`: what is done with a trained model."""

from __future__ import annotations

import copy
import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.errors import DataError
from chainrule.evaluation import error_text

pytestmark = pytest.mark.usefixtures("without_curves")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)) * [1, 100, 1e4]
KINDS = np.where(X[:, 0] > 0, "heavy", "light")
PRICES = 2e6 + 1e6 * X[:, 0]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def write(name, **columns):
    with open(name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return name


def features(rows=slice(None)):
    return {name: X[rows, k] for k, name in enumerate("abc")}


@pytest.fixture
def classifier():
    write("train.csv", **features(), kind=KINDS)
    options = "--target", "kind", "--epochs", 80, "--batch-size", 8, "--no-check", "--out", "run"
    run("train", "train.csv", *options)
    return "run/model.safetensors"


@pytest.fixture
def regression():
    write("prices.csv", **features(), price=PRICES + 0.5)
    options = "--target", "price", "--epochs", 80, "--batch-size", 8, "--no-check", "--out", "prices"
    run("train", "prices.csv", *options)
    return "prices/model.safetensors"


def rows(result):
    return list(csv.reader(io.StringIO(result.stdout)))


def test_predictions_are_named_by_their_classes(classifier):
    write("new.csv", **features())
    found = rows(run("predict", classifier, "new.csv"))
    expected = cr.load(classifier).predict(X).argmax(axis=1)
    assert found == [["kind"], *[[["heavy", "light"][k]] for k in expected]]
    assert np.mean([row[0] for row in found[1:]] == KINDS) > 0.9


def test_probabilities(classifier):
    write("new.csv", **features())
    found = rows(run("predict", classifier, "new.csv", "--probabilities"))
    assert found[0] == ["kind", "p(heavy)", "p(light)"]
    shares = np.array([row[1:] for row in found[1:]], float)
    np.testing.assert_allclose(shares, cr.load(classifier).predict_proba(X), atol=1e-6)
    assert [row[0] for row in found[1:]] == [["heavy", "light"][k] for k in shares.argmax(axis=1)]


def test_columns_may_be_reordered_and_further_ones_are_ignored(classifier):
    write("new.csv", **features())
    write("other.csv", c=X[:, 2], note=["some text"] * 60, b=X[:, 1], kind=[""] * 60, a=X[:, 0])
    assert run("predict", classifier, "other.csv").stdout == run("predict", classifier, "new.csv").stdout


def test_predictions_are_in_the_units_of_the_target(regression):
    write("new.csv", **features())
    found = rows(run("predict", regression, "new.csv"))
    assert found[0] == ["price"]
    predicted = np.array([row[0] for row in found[1:]], float)
    assert np.abs(predicted - PRICES).mean() < 2e5
    np.testing.assert_allclose(predicted, cr.load(regression).predict(X)[:, 0], rtol=1e-6)


def test_predict_into_a_file(classifier, tmp_path):
    write("new.csv", **features())
    result = run("predict", classifier, "new.csv", "--out", "out.csv")
    assert result.stdout == "60 predictions written to out.csv\n"
    text = (tmp_path / "out.csv").read_text()
    assert text == run("predict", classifier, "new.csv").stdout
    assert "out.csv exists" in run("predict", classifier, "new.csv", "--out", "out.csv", code=2).stderr
    write("new.csv", **features(slice(3)))
    run("predict", classifier, "new.csv", "--out", "out.csv", "--force")
    assert (tmp_path / "out.csv").read_text() == "".join(text.splitlines(keepends=True)[:4])


def test_evaluate_a_classifier(classifier):
    result = run("evaluate", classifier, "train.csv")
    net = cr.load(classifier)
    labels = (KINDS == "light").astype(int)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["loss", f"{net.loss(X, labels):.6g}"],
        ["accuracy", f"{net.accuracy(X, labels):.6g}"],
        ["samples", "60"],
    ]


def test_evaluate_with_fewer_classes_or_another_name_for_the_target(classifier):
    light = KINDS == "light"
    write("some.csv", **features(light), truth=KINDS[light])
    result = run("evaluate", classifier, "some.csv", "--target", "truth")
    accuracy = np.mean(cr.load(classifier).predict(X[light]).argmax(axis=1) == 1)
    assert f"accuracy {accuracy:.6g}" in result.stdout
    write("some.csv", **features(), kind=["hevy"] * 60)
    result = run("evaluate", classifier, "some.csv", code=2)
    assert "does not know the class 'hevy'; did you mean 'heavy'?" in result.stderr


def test_evaluate_a_regression_whose_answers_are_whole_numbers(regression):
    write("whole.csv", **features(), price=np.round(PRICES).astype(int))
    result = run("evaluate", regression, "whole.csv")
    predicted = cr.load(regression).predict(X)[:, 0]
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["R²", f"{r2_score(PRICES, predicted):.4f}"],
        ["RMSE", error_text(root_mean_squared_error(PRICES, predicted))],
        ["MAE", error_text(mean_absolute_error(PRICES, predicted))],
        ["samples", "60"],
    ]


def test_named_data():
    net = cr.Network(cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0)
    cr.save(net, "net.safetensors")
    _, (x, t) = cr.datasets.load_digits()
    assert f"accuracy {net.accuracy(x, t):.6g}" in run("evaluate", "net.safetensors", "digits").stdout
    assert len(rows(run("predict", "net.safetensors", "digits"))) == 1 + len(x)


def test_summary(classifier):
    text = run("summary", classifier, "--batch-size", 10).stdout
    assert text == str(cr.load(classifier).summary(10)) + "\n"
    assert "standardized" in text
    assert run("summary", classifier, "--batch-size", 0, code=2).stderr.startswith("chainrule: --batch-size")


# Models that a Python program made and saved


def test_a_classifier_without_named_classes_is_measured_by_its_own_numbers():
    net = cr.Network(cr.Affine(10), input_shape=3, loss=cr.SoftmaxCrossEntropy(), seed=0)
    cr.save(net, "net.safetensors")
    labels = np.where(np.arange(60) % 2, 7, 3)
    write("data.csv", **features(), label=labels)
    result = run("evaluate", "net.safetensors", "data.csv", "--target", "label")
    assert f"loss     {net.loss(X, labels):.6g}\n" in result.stdout
    write("data.csv", **features(), label=[10] * 60)
    result = run("evaluate", "net.safetensors", "data.csv", "--target", "label", code=2)
    assert "does not know the class '10'" in result.stderr
    assert "--target COLUMN" in run("evaluate", "net.safetensors", "data.csv", code=2).stderr
    write("data.csv", **features())
    header = rows(run("predict", "net.safetensors", "data.csv"))[0]
    assert header == [f"prediction{k}" for k in range(10)]


def test_sigmoids_and_regressions_from_python():
    write("data.csv", **features(), t=np.arange(60) % 2)
    for loss in (cr.SigmoidCrossEntropy(), cr.Huber(), cr.MeanSquaredError(), cr.MeanAbsoluteError()):
        net = cr.Network(cr.Affine(1), input_shape=3, loss=loss, seed=0)
        cr.save(net, "net.safetensors")
        result = run("evaluate", "net.safetensors", "data.csv", "--target", "t")
        measures = net.evaluate(X, (np.arange(60) % 2)[:, np.newaxis])
        is_told = isinstance(loss, (cr.SigmoidCrossEntropy, cr.Huber))  # the others are RMSE and MAE again
        assert (f"loss     {measures['loss']:.6g}\n" in result.stdout) == is_told == ("loss" in result.stdout)
        assert ("R² " in result.stdout) == ("r2" in measures) == (loss.task == "regression")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"classes": 5}, "expected 'classes' to be a list of texts, got 5"),
        ({"classes": [1, 2, 3]}, "expected 'classes' to be a list of texts"),
        ({"classes": ["no", "yes"]}, r"names 2 classes, but its output"),
        ({"columns": "abc"}, "expected 'columns' to be a list of texts, got 'abc'"),
        ({"columns": ["a", "a", "b"]}, "expected different columns"),
        ({"columns": ["a", "d"]}, "missing: 'd'"),
    ],
)
def test_metadata_that_does_not_fit(metadata, message):
    net = cr.Network(cr.Affine(3), input_shape=3, loss=cr.SoftmaxCrossEntropy(), seed=0)
    net.metadata = metadata
    cr.save(net, "net.safetensors")
    write("data.csv", **features())
    result = run("predict", "net.safetensors", "data.csv", code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_trained_model_knows_its_classes_by_name(classifier):
    net = cr.load(classifier)
    assert net.classes == ["heavy", "light"]
    assert "classes" not in net.metadata
    assert [row[0] for row in rows(run("predict", classifier, write("x.csv", **features())))[1:]] == list(
        net.classify(X)
    )
    assert f"accuracy {net.accuracy(X, KINDS):.6g}\n" in run("evaluate", classifier, "train.csv").stdout
    assert "heavy" in (Path(classifier).parent / "report.html").read_text(encoding="utf-8")


def test_a_model_of_before_with_its_classes_in_the_metadata(classifier):
    net = cr.load(classifier)
    old = copy.deepcopy(net)
    old.metadata["classes"], old.classes = net.classes, None
    cr.save(old, "old.safetensors")
    write("x.csv", **features())
    for command in (("predict", "--probabilities"), ("predict",), ("evaluate",)):
        data = "train.csv" if command == ("evaluate",) else "x.csv"
        new = run(command[0], classifier, data, *command[1:])
        assert run(command[0], "old.safetensors", data, *command[1:]).stdout == new.stdout
    page = cr.report(cr.History(), old, X, (KINDS == "light").astype(int)).save("old.html").read_text("utf-8")
    assert "heavy" in page


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
@pytest.mark.parametrize("names", [["light", "heavy"], [2, 1], [True, False]], ids=str)
def test_a_model_from_python_whose_classes_have_names(loss, names):
    """In an order of their own, so that a number taken for a name, or a name for a number, would be seen."""
    outputs = 1 if loss == "binary_cross_entropy" else 2
    net = cr.Network([cr.Affine(outputs)], input_shape=3, loss=loss, seed=0)
    net.classes = names
    t = np.array(names)[(X[:, 0] > 0).astype(int)]
    net.fit(X / X.std(axis=0), t, epochs=50, batch_size=10)
    cr.save(net, "net.safetensors")
    write("data.csv", **{name: X[:, k] / X[:, k].std() for k, name in enumerate("abc")}, t=t)
    write("x.csv", **{name: X[:, k] / X[:, k].std() for k, name in enumerate("abc")})
    result = run("evaluate", "net.safetensors", "data.csv", "--target", "t")
    assert f"accuracy {net.accuracy(X / X.std(axis=0), t):.6g}\n" in result.stdout
    assert net.accuracy(X / X.std(axis=0), t) > 0.9
    header, *found = rows(run("predict", "net.safetensors", "x.csv", "--probabilities"))
    assert header == ["prediction", *(f"p({name})" for name in names)]
    assert [row[0] for row in found] == [str(label) for label in net.classify(X / X.std(axis=0))]
    for row in found:
        assert row[0] == str(names[int(float(row[2]) > float(row[1]))])
    assert "passed" in run("check", "net.safetensors").stdout
    assert "passed" in run("check", "net.safetensors", "data.csv", "--target", "t").stdout


def test_a_model_with_several_inputs_or_a_layer_of_ones_own():
    a, b = cr.Input("a", shape=(3,)), cr.Input("b", shape=(3,))
    cr.save(cr.Network(output=a + b), "net.safetensors")
    write("data.csv", **features())
    assert "has 2 inputs" in run("predict", "net.safetensors", "data.csv", code=2).stderr

    class Own(cr.Layer):
        def forward(self, x):
            return x, None

        def backward(self, dy, saved):
            return dy

    cr.save(cr.Network(Own(), input_shape=3), "net.safetensors")
    assert "uses a layer 'Own'" in run("summary", "net.safetensors", code=2).stderr


def test_a_model_of_the_command_reads_frames_by_their_columns_in_python(classifier):
    net = cr.load(classifier)
    frame = pd.read_csv("train.csv")
    np.testing.assert_array_equal(net.predict(frame[["kind", "c", "a", "b"]]), net.predict(X))
    with pytest.raises(DataError, match="missing: 'c'"):
        net.classify(frame[["a", "b"]])


def test_the_command_reads_the_columns_of_a_model_that_python_trained_on_a_frame():
    frame = pd.DataFrame(X / [1, 100, 1e4], columns=["a", "b", "c"])
    net = cr.Network(cr.Affine(1), input_shape=3, loss="mse", seed=0)
    net.fit(frame, frame["a"], epochs=1)
    cr.save(net, "net.safetensors")
    frame[["c", "a", "b"]].to_csv("other.csv", index=False)
    rows = list(csv.DictReader(io.StringIO(run("predict", "net.safetensors", "other.csv").stdout)))
    found = [float(next(iter(row.values()))) for row in rows]
    np.testing.assert_allclose(found, net.predict(frame)[:, 0], rtol=1e-4)
