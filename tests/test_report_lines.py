"""What a report says to try really runs: every command of the shell, and every line of Python."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.errors import ChainruleWarning
from chainrule.evaluation import Classified, judge
from chainrule.loop import Health, History
from chainrule.reports import TrainingReport, report
from chainrule.reports.changes import CHANGES, changed_command, line_of
from chainrule.reports.outlook import to_improve
from chainrule.reports.python_lines import network_line
from chainrule.reports.remedies import REMEDIES
from chainrule.reports.setup import Setup
from chainrule.saving.evaluations import About

(X, T), (X_TEST, T_TEST) = cr.datasets.load_digits()
X, T = X[:200], T[:200]
NOT_IN_PYTHON = {"linear", "estimating", "larger test", "scaled inputs", "scaled targets", "iterations"}
WORDS_ONLY = {
    "skip connections",
    "data",
    "columns",
    "labels",
    "samples of it",
    "training again",
    "gradient check",
}


def trained(*layers, optimizer=None, test=True, **given):
    inside = layers or (cr.Affine(8), cr.Sigmoid(), cr.Affine(6), cr.Sigmoid(), cr.Affine(10))
    net = cr.Network(*inside, input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=3)
    validation = (X_TEST, T_TEST) if test else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        history = net.fit(
            X,
            T,
            optimizer=optimizer or cr.SGD(0.1),
            epochs=2,
            validation=validation,
            callbacks=[Health()],
            **given,
        )
    return report(history, net, X_TEST, T_TEST)


@pytest.fixture(scope="module")
def of_python() -> TrainingReport:
    return trained()


def run_lines(line: str) -> dict:
    names = {"cr": cr, "x": X, "t": T, "x_test": X_TEST, "t_test": T_TEST}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        exec(line, names)
    return names


def test_every_remedy_has_a_line_or_none_can_be_written():
    assert set(CHANGES) | WORDS_ONLY == set(REMEDIES)
    assert not set(CHANGES) & WORDS_ONLY


@pytest.mark.parametrize("name", sorted(set(CHANGES) - NOT_IN_PYTHON))
def test_lines_of_python_run_and_change_what_they_say(of_python, name):
    run = of_python.runs[0]
    line = line_of(run, Setup.of(run), name)
    plain = network_line(run)
    assert plain.startswith("net = cr.Network(cr.Affine(8), cr.Sigmoid(), cr.Affine(6)")
    made = run_lines(line)
    assert isinstance(made["net"], cr.Network)
    assert len(made["history"].loss) >= len(run.loss)
    same_fit = line.splitlines()[-1] == line_of(run, Setup.of(run), "relu").splitlines()[-1]
    assert (line.splitlines()[0] != plain) == same_fit  # one of the two is changed


def test_the_lines_of_a_run_as_it_was_give_the_same_bits(of_python):
    run = of_python.runs[0]
    again = line_of(run, Setup.of(run), "relu").replace("cr.ReLU()", "cr.Sigmoid()")
    assert run_lines(again)["history"].loss == run.history.loss


def test_scaled_inputs_and_targets_run():
    x, t = 200 * X, 1e3 * (T[:, None] + 2.0)
    net = cr.Network(
        cr.Affine(8), cr.ReLU(), cr.Affine(1), input_shape=64, loss=cr.MeanSquaredError(), seed=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        history = net.fit(x, t, optimizer=cr.SGD(1e-9), epochs=2, callbacks=[Health()])
    run = report(history, net).runs[0]
    line = line_of(run, Setup.of(run), "scaled inputs", "scaled targets")
    names = {"cr": cr, "x": x, "t": t}
    exec(line, names)
    made = names["net"]
    assert made.output.layer.invert
    assert any(isinstance(node.layer, cr.Standardize) and not node.layer.invert for node in made.graph)


SETUP = Setup.of(trained().runs[0])


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize("name", sorted(name for name in CHANGES if CHANGES[name](SETUP).options))
def test_commands_of_the_shell_run(of_python, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("chainrule.cli.train.keep_graph", lambda *given: None)  # pictures, which take time
    iris = "a,b,kind\n" + "".join(f"{5 + k % 4},{(k * 7) % 5 / 2},{k % 3}\n" for k in range(60))
    (tmp_path / "my data.csv").write_text(iris)
    command = "chainrule train 'my data.csv' --target kind --optimizer sgd --learning-rate 0.5 --epochs 1"
    command += " --hidden 4,4 --no-check --no-health --batch-size 20"
    made = of_python.runs[0]
    shell = replace(made, about=About(command=command))
    line = line_of(shell, Setup.of(shell), name)
    assert line.startswith("chainrule train 'my data.csv' --target kind")
    assert line != command
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, (line, result.output)


def test_a_command_is_changed_in_its_options_alone():
    command = "chainrule train --learning-rate=-1 --no-check --hidden 5 -- --odd.csv"
    changed = changed_command(command, {"--learning-rate": "0.1", "--hidden": None, "--epochs": "3"})
    assert changed == "chainrule train --no-check --learning-rate 0.1 --epochs 3 -- --odd.csv"


def test_networks_that_no_line_says_have_none():
    x = cr.Input("x", shape=(64,))
    hidden = cr.ReLU()(cr.Affine(64)(x))
    net = cr.Network(output=cr.Affine(10)(x + hidden), loss=cr.SoftmaxCrossEntropy(), seed=0)
    history = net.fit(X, T, epochs=1, optimizer=cr.SGD(50.0))
    run = report(history, net).runs[0]
    assert network_line(run) == ""
    assert line_of(run, Setup.of(run), "relu") == ""
    assert line_of(run, Setup.of(run), "smaller rate").startswith("history = net.fit(x, t, optimizer=cr.SGD(")

    class Mine(cr.Layer):
        def forward(self, x):
            return 2 * x, None

        def backward(self, dy, saved):
            return 2 * dy

    assert network_line(trained(Mine(), cr.Affine(10)).runs[0]) == ""
    of_mine = replace(run, history=replace(history, settings={"optimizer": "Mine(learning_rate=1)"}))
    assert line_of(of_mine, Setup.of(of_mine), "clip") == ""


def test_findings_carry_lines_and_the_page_shows_them():
    made = trained(cr.Affine(8), cr.ReLU(), cr.Affine(10), optimizer=cr.SGD(1e5))
    (found,) = made.findings
    assert "cr.SGD(learning_rate=0.1)" in found.lines[0]
    page = made.html()
    assert "history = net.fit(x, t, optimizer=cr.SGD(learning_rate=0.1), epochs=2, batch_size=100" in page
    assert "relu" not in found.advice.lower()


# What was looked at, and what to try for more ------------------------------------------------------------------


def test_nothing_wrong_is_said_with_what_was_looked_at():
    history = History(
        loss=np.linspace(2, 1.9, 19).tolist(),
        measured_at=[19],
        train_loss=[1.9],
        train_accuracy=[0.97],
        test_loss=[1.9],
        test_accuracy=[0.9],
        settings={"loss": "SoftmaxCrossEntropy()"},
        stopped="finished",
    )
    answers = Classified(["a", "b"], np.array([[45, 5], [5, 45]]), [], [])
    run = replace(report(history).runs[0], answers=answers)
    page = TrainingReport([run]).html()
    assert "Nothing looks wrong" in page
    for told in (
        "Looked at: the loss of 19 batches; loss and accuracy over the training and test data, 1 time; the "
        "predictions for 100 samples.",
        "Not looked at: the layers (callbacks=[cr.Health()] does it); the gradients "
        "(cr.report(..., check=cr.check(net, x, t)) does it).",
        "97.0 % on the training data and 90.0 % on the test data, so less fitting helps. Try more data, ",
    ):
        assert told in page


@pytest.mark.parametrize(
    ("train", "test", "first"),
    [(0.97, 0.9, "more data"), (0.9, 0.9, "a larger network"), (1.0, 1.0, None)],
)
def test_what_to_try_follows_from_the_gap(train, test, first):
    run = report(History(train_accuracy=[train], test_accuracy=[test], measured_at=[1])).runs[0]
    advised = to_improve(run)
    assert advised is None if first is None else advised is not None and advised.startswith(first)


# Causes that were told wrongly ---------------------------------------------------------------------------------


def health(dead: list[float]) -> dict:
    layers = {"relu1": {"kind": "ReLU", "dead": dead}}
    return {"rows": 9, "iterations": list(range(len(dead))), "layers": layers, "parameters": {}}


@pytest.mark.parametrize(
    ("noise", "dead", "told"), [(0.1, 0.58, []), (3.0, 0.58, ["dead"]), (0.1, 0.97, ["dead"])]
)
def test_units_that_a_converged_regression_does_not_need_are_no_finding(noise, dead, told):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    net = cr.Network(cr.Affine(1), input_shape=3, loss=cr.MeanSquaredError(), seed=0)
    t = x @ rng.normal(size=(3, 1))
    net.fit(x, t, epochs=60, optimizer=cr.SGD(0.1))
    found = judge(net, x, t + noise * rng.normal(size=t.shape))
    run = replace(report(History(health=health([0.1, dead]))).runs[0], answers=found)
    assert [each.code for each in TrainingReport([run]).findings if each.code == "dead"] == told


def test_epochs_are_counted_as_whoever_made_the_run_counts():
    test = [1.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1]
    train = np.linspace(0.9, 0.1, 8).tolist()
    settings = {"samples": 100, "batch_size": 10, "loss": "MeanSquaredError()"}
    at = [20 * k for k in range(1, 9)]  # measured after every second epoch
    loss = np.linspace(1, 0.1, 160).tolist()
    given = {"loss": loss, "test_loss": test, "train_loss": train, "measured_at": at}
    run = report(History(settings={**settings, "epochs": 16}, **given)).runs[0]
    (found,) = [each for each in TrainingReport([run]).findings if each.code == "overfitting"]
    assert "rises since epoch 4 (iteration 40)" in found.text
    run = report(History(settings={**settings, "iterations": 160}, **given)).runs[0]
    (found,) = [each for each in TrainingReport([run]).findings if each.code == "overfitting"]
    assert "rises since iteration 40, from" in found.text
