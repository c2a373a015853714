"""`chainrule train`: what it trains, what it tells, and what it leaves in the run folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.cli.data import Dataset
from chainrule.cli.results import results
from chainrule.reports.run import TrainingRun
from chainrule.saving.evaluations import About

pytestmark = pytest.mark.usefixtures("without_curves")

FILES = [
    "curves.png",
    "evaluation.json",
    "graph.html",
    "history.jsonl",
    "model.safetensors",
    "report.html",
    "run.json",
]
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def table(path, columns, target, name="y"):
    names = [f"c{k}" for k in range(columns.shape[1])]
    rows = [",".join([*names, name])]
    rows += [",".join([*map(repr, row), str(t)]) for row, t in zip(columns.tolist(), target, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_digits(tmp_path):
    result = run(
        "train",
        "digits",
        "--hidden",
        "32,16",
        "--activation",
        "tanh",
        "--epochs",
        6,
        "--batch-size",
        50,
        "--optimizer",
        "adam",
        "--learning-rate",
        0.01,
        "--schedule",
        "cosine",
        "--dropout",
        0.1,
        "--weight-decay",
        1e-4,
        "--seed",
        4,
        "--out",
        "mine",
        "--no-check",
    )
    assert sorted(os.listdir("mine")) == FILES
    net = cr.load("mine/model.safetensors")
    assert [net.params[name].shape for name in ("W1", "W2", "W3")] == [(64, 32), (32, 16), (16, 10)]
    assert net.seed == 4
    _, (x, t) = cr.datasets.load_digits()
    history = cr.History.load("mine/history.jsonl")
    assert history.test_accuracy[-1] == net.accuracy(x, t) > 0.9
    assert len(history.loss) == 6 * 29
    assert history.settings["optimizer"].startswith("Adam(learning_rate=Cosine(")
    assert history.settings["data"] == "digits"
    assert history.settings["activation"] == "tanh"
    assert history.settings["batch_size"] == 50
    assert history.settings["init"] == "half-he"
    assert (tmp_path / "mine/curves.png").read_bytes().startswith(b"\x89PNG")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "network",
        "data",
        "accuracy",
        "loss",
        "time",
        "gradients",
        "model",
        "history",
        "curves",
        "graph",
        "report",
    ]
    assert "64 -> 32 -> 16 -> 10, 2,778 parameters" in lines[0]
    assert f"{history.test_accuracy[-1]:.4f} on the test data" in lines[2]
    assert "174 iterations" in lines[4]
    assert lines[-1].split() == ["report", "mine/report.html"]
    assert result.stderr == ""


def test_the_gradients_are_checked():
    result = run("train", "digits", "--hidden", 5, "--iterations", 5, "--out", "a[/b]")
    assert "backpropagation agrees with numerical differentiation on all 385 parameters" in result.stdout
    assert "DISAGREES" not in result.stdout
    assert "a[/b]/model.safetensors" in result.stdout
    assert sorted(os.listdir("a[/b]")) == ["check.json", *FILES]
    result = run("train", "digits", "--hidden", 300, "--iterations", 1, "--out", "b")
    found = re.search(
        r"agrees with numerical differentiation on ([\d,]+) of 22,510 parameters", result.stdout
    )
    assert found is not None
    again = run("train", "digits", "--hidden", 300, "--iterations", 1, "--out", "c")
    assert found[0] in again.stdout
    assert (
        "not checked (385 parameters; --check does it all the same)"
        in run("train", "digits", "--hidden", 5, "--iterations", 1, "--no-check").stdout
    )


def test_the_same_seed_gives_the_same_files():
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(
            "train",
            "digits",
            "--iterations",
            20,
            "--dropout",
            0.2,
            "--seed",
            seed,
            "--out",
            name,
            "--no-check",
        )
    networks = [cr.load(f"{name}/model.safetensors") for name in "abc"]  # the files bear different ids
    a, b, c = (cr.save(each, "again.safetensors").read_bytes() for each in networks)
    assert a == b != c
    a, b = (cr.History.load(f"{name}/history.jsonl").loss for name in "ab")
    assert a == b


def test_run_folders_are_numbered():
    for expected in ("digits", "digits-2"):
        result = run("train", "digits", "--iterations", 1, "--no-check")
        assert f"runs/{expected}/model.safetensors" in result.stdout
    before = Path("runs/digits/history.jsonl").read_text()
    run("train", "digits", "--iterations", 2, "--no-check", "--force")
    assert sorted(os.listdir("runs")) == ["digits", "digits-2"]
    assert Path("runs/digits/history.jsonl").read_text() != before


def test_a_long_path_is_told_whole():
    name = "a-rather-long-name-" * 8
    assert (
        f"{name}/model.safetensors\n"
        in run("train", "digits", "--iterations", 1, "--no-check", "--out", name).stdout
    )


def test_force_writes_into_a_folder_in_use(tmp_path):
    (tmp_path / "mine").mkdir()
    run("train", "digits", "--iterations", 1, "--no-check", "--out", "mine")  # empty: not in use
    (tmp_path / "mine/notes.txt").write_text("keep me")
    run("train", "digits", "--iterations", 1, "--no-check", "--out", "mine", "--force")
    assert (tmp_path / "mine/notes.txt").read_text() == "keep me"


def test_a_table_with_classes_named_by_text(tmp_path):
    x = RNG.normal(size=(90, 2)) * [1, 1000] + [0, 5000]
    names = np.array(["no", "perhaps", "yes"])[np.digitize(x[:, 1], [4600, 5400])]
    table(tmp_path / "asked.csv", x, names, "answer")
    result = run("train", "asked.csv", "--target", "answer", "--epochs", 100, "--batch-size", 10)
    assert "2 -> 50 -> 3" in result.stdout
    net = cr.load("runs/asked/model.safetensors")
    assert net.classes == ["no", "perhaps", "yes"]
    assert net.metadata["columns"] == ["c0", "c1"]
    assert net.metadata["target"] == "answer"
    assert cr.History.load("runs/asked/history.jsonl").test_accuracy[-1] > 0.8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_regression_on_targets_of_a_million(tmp_path, dtype):
    x = RNG.normal(size=(120, 2))
    t = 3e6 + 1e6 * x[:, 0] - 5e5 * x[:, 1] + 0.25
    table(tmp_path / "prices.csv", x, t)
    result = run(
        "train",
        "prices.csv",
        "--target",
        "y",
        "--epochs",
        60,
        "--hidden",
        8,
        "--dtype",
        dtype,
        "--batch-size",
        12,
    )
    assert "variance" not in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[3:5]] == ["R²", "RMSE"]
    assert "agrees" in result.stdout
    net = cr.load("runs/prices/model.safetensors")
    assert net.classes is None
    predicted = net.predict(x)[:, 0]
    assert np.sqrt(np.mean((predicted - t) ** 2)) < 0.15 * t.std()
    assert abs(predicted.mean() - t.mean()) < 1e5


def test_columns_that_say_nothing_do_no_harm(tmp_path):
    x = np.column_stack([RNG.normal(size=60), np.full(60, 0.1), np.full(60, 1e9)])
    table(tmp_path / "data.csv", x, np.where(x[:, 0] > 0, "a", "b"))
    run("train", "data.csv", "--target", "y", "--epochs", 30, "--batch-size", 6, "--no-check")
    assert cr.History.load("runs/data/history.jsonl").train_accuracy[-1] > 0.9


@pytest.mark.parametrize("ending", [".npz", ".npy", ".tsv"])
def test_tables_of_other_kinds(tmp_path, ending):
    x = RNG.normal(size=(40, 3))
    t = (x[:, 0] > 0).astype(int)
    path = tmp_path / f"data{ending}"
    if ending == ".npz":
        np.savez(path, x=x, t=t)
    elif ending == ".npy":
        np.save(path, np.column_stack([x, t]).round().astype(int))
    else:
        table(path, x, t).write_text(path.read_text().replace(",", "\t"))
    target = ["--target", "y"] if ending == ".tsv" else []
    run("train", path, *target, "--epochs", 2, "--out", "mine", "--no-check")
    assert cr.load("mine/model.safetensors").classes == ["0", "1"]


def test_a_small_table_needs_no_batch_size(tmp_path):
    table(tmp_path / "small.csv", RNG.normal(size=(10, 2)), ["a", "b"] * 5)
    run("train", "small.csv", "--target", "y", "--epochs", 1, "--no-check")
    assert cr.History.load("runs/small/history.jsonl").settings["batch_size"] == 8


def test_a_divergence_keeps_the_history(tmp_path):
    table(tmp_path / "data.csv", RNG.normal(size=(60, 2)), RNG.normal(size=60))
    result = run(
        "train",
        "data.csv",
        "--target",
        "y",
        "--optimizer",
        "sgd",
        "--learning-rate",
        1e6,
        "--epochs",
        50,
        "--batch-size",
        10,
        code=1,
    )
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("chainrule: iteration ")
    assert "try a smaller --learning-rate, such as 0.1, or --clip-norm 1.0" in lines[0]
    told = [line.split() for line in result.stdout.splitlines()]
    assert [label for label, _ in told] == ["model", "history", "curves", "report"]
    assert all(Path(path).is_file() for _, path in told)
    assert sorted(os.listdir("runs/data")) == [name for name in FILES if name != "graph.html"]
    history = cr.History.load("runs/data/history.jsonl")
    assert history.stopped.startswith("diverged: iteration ")
    assert history.settings["learning_rate"] == 1e6
    assert np.isfinite(cr.load("runs/data/model.safetensors").params.flat).all()


def test_early_stopping_keeps_the_best_weights():
    options = "--hidden", "100,50", "--learning-rate", 0.5, "--epochs", 60, "--no-check", "--out", "mine"
    result = run("train", "digits", *options, "--early-stopping", 3)
    assert "stopped: early: test_loss did not improve for 3 epochs" in result.stdout
    history = cr.History.load("mine/history.jsonl")
    best = int(np.argmin(history.test_loss))
    assert best == len(history.test_loss) - 4
    _, (x, t) = cr.datasets.load_digits()
    measures = cr.load("mine/model.safetensors").evaluate(x, t)
    assert measures["loss"] == pytest.approx(history.test_loss[best])
    assert f"loss       {measures['loss']:.4g} on the test data" in result.stdout
    assert f"accuracy   {measures['accuracy']:.4f} on the test data" in result.stdout
    page = Path("mine/report.html").read_text(encoding="utf-8")
    assert f"{100 * measures['accuracy']:.2f} %" in page


def test_remedies_reach_the_training(tmp_path):
    x = RNG.normal(size=(200, 2))
    table(tmp_path / "rare.csv", x, np.where(np.arange(200) % 10 == 0, "yes", "no"))
    options = "--target", "y", "--epochs", 1, "--no-check", "--init", "Xavier", "--clip-norm", 0.5
    run("train", "rare.csv", *options, "--class-weights", "balanced", "--out", "a")
    run("train", "rare.csv", *options, "--class-weights", "yes=5", "--out", "b")
    net = cr.load("a/model.safetensors")
    np.testing.assert_allclose(net.loss_layer.class_weights, [200 / (2 * 180), 200 / (2 * 20)])
    assert repr(net.graph["affine1"].layer.arguments["weights"]) == "Xavier()"
    assert cr.load("b/model.safetensors").loss_layer.class_weights.tolist() == [1, 5]
    settings = cr.History.load("a/history.jsonl").settings
    assert "clip_norm=0.5" in settings["optimizer"]
    assert settings["class_weights"] == "balanced"
    assert "--class-weights balanced" in Path("a/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("optimizer", "usual"),
    [((), "0.001 is usual for adam"), (("--optimizer", "sgd"), "0.1 is usual for sgd")],
)
def test_a_finding_names_options(optimizer, usual):
    result = run("train", "digits", *optimizer, "--learning-rate", 100, "--no-check", "--epochs", 5)
    (found,) = [line for line in result.stdout.splitlines() if line.startswith("finding")]
    assert f"Try: a smaller --learning-rate (it was 100; {usual})" in found
    assert "ReLU" not in found
    assert "a smaller --learning-rate" in Path("runs/digits/report.html").read_text(encoding="utf-8")


def test_what_was_not_measured_is_said_so(tmp_path):
    net = cr.Network(cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0)
    page = TrainingRun(name="run", history=cr.History(loss=[2.0], seconds=[0.1]), about=About())
    _, (x, t) = cr.datasets.load_digits()
    data = Dataset("digits", x, t, x, t, [str(k) for k in range(10)])
    told = dict(results(page, net, data, str))
    assert told["accuracy"] == told["loss"] == "not measured: the training ended within its first epoch"


def start(program):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


CHECKS = """
import os, signal, sys
from chainrule.cli import gradients, main
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    return True
{}
sys.argv = "chainrule train digits --epochs 2 --out mine".split()
main()
"""


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("gradients.affordable = interrupted", "not checked: interrupted"),
        ("import chainrule.cli.train as train; train.check_network = interrupted", "agrees with"),
    ],
)
def test_an_interrupted_check_loses_nothing(place, told):
    out, err = (child := start(CHECKS.format(place))).communicate(timeout=60)
    assert (child.returncode, err) == (130, "chainrule: interrupted; the training has ended, and is kept\n")
    assert told in next(line for line in out.splitlines() if line.startswith("gradients"))
    assert sorted(os.listdir("mine")) == FILES
    assert [line.split()[0] for line in out.splitlines()[-5:]] == [
        "model",
        "history",
        "curves",
        "graph",
        "report",
    ]


def test_the_program_as_a_process():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "chainrule", "train", "digit"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "did you mean 'digits'?" in done.stderr


@pytest.mark.skipif(
    "CHAINRULE_DATA" not in os.environ, reason="CHAINRULE_DATA names no folder with MNIST in it"
)
def test_mnist():
    result = run("train", "mnist", "--iterations", 60, "--optimizer", "adam", "--no-check")
    assert "mnist: 60,000 samples to train on, 10,000 to test on" in result.stdout
    assert cr.History.load("runs/mnist/history.jsonl").test_accuracy[-1] > 0.75
    assert "10000" in run("evaluate", "runs/mnist/model.safetensors", "mnist").stdout
