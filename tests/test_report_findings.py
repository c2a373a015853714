"""The report of a training: what it finds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.evaluation import Estimated
from chainrule.loop import Health
from chainrule.reports import TrainingReport, report
from chainrule.saving.evaluations import About
from report_cases import (
    FALLING,
    Digits,
    codes,
    finding,
    health_of,
    labelled,
    run_of,
    trained_digits,
)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return trained_digits()


def test_a_healthy_run_has_no_findings(digits):
    net, history, x, t = digits
    assert codes(report(history, net, x, t)) == []
    assert codes(report(run_of(FALLING))) == []
    assert str(report(run_of(FALLING))) == "training run: no findings"


@pytest.mark.parametrize("optimizer", [cr.Adam(0.01), cr.Momentum(0.05), cr.SGD(0.2)], ids=repr)
@pytest.mark.parametrize("activation", [cr.ReLU, cr.Tanh, cr.LeakyReLU])
def test_ordinary_trainings_raise_no_alarm(optimizer, activation):
    (x, t), (x_test, t_test) = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(32),
        activation(),
        cr.Affine(32),
        activation(),
        cr.Affine(10),
        input_shape=64,
        loss=cr.SoftmaxCrossEntropy(),
        seed=3,
    )
    history = net.fit(x, t, optimizer=optimizer, epochs=15, validation=(x_test, t_test), callbacks=[Health()])
    found = report(history, net, x_test, t_test).findings
    assert [each for each in found if each.severity != "note"] == []


def test_divergence():
    found = finding(report(run_of([2.0] * 16, stopped="diverged: iteration 17: the loss")), "diverged")
    assert "at iteration 17" in found.text
    assert "smaller learning rate" in found.advice
    assert found.severity == "error"
    found = finding(report(run_of([2.0, 1.0, math.inf, math.nan])), "diverged")
    assert found.text == "The loss became inf at iteration 3"
    assert (
        "ended with an error (KeyError)"
        in finding(report(run_of(FALLING, stopped="failed: KeyError")), "failed").text
    )


def test_a_real_divergence():
    x = np.random.default_rng(0).normal(size=(60, 2))
    net = cr.Network(cr.Affine(8), cr.Affine(1), input_shape=2, loss=cr.MeanSquaredError(), seed=0)
    with pytest.raises(cr.errors.DivergedError) as caught:
        net.fit(x, x[:, :1], optimizer=cr.SGD(1e6), epochs=50, batch_size=10, callbacks=[Health()])
    found = finding(report(caught.value.history, net, x, x[:, :1]), "diverged")
    assert f"at iteration {caught.value.iteration}" in found.text


def test_a_loss_at_chance():
    rng = np.random.default_rng(0)
    net = cr.Network(cr.Affine(10), input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=0)
    made = report(run_of(math.log(10) + 0.02 * rng.normal(size=300)), net)
    assert "ln 10 = 2.303" in finding(made, "chance").text
    assert "unfinished" not in codes(made)
    assert "hardly moved" in finding(report(run_of(5 + 0.02 * rng.normal(size=300))), "standstill").text
    assert codes(report(run_of([2.3] * 10))) == []  # too short to say


def test_oscillation_and_spikes():
    up_and_down = [1.0, 0.5, 0.8, 0.4, 0.7, 0.4, 0.8, 0.5, 0.9, 0.4]
    made = report(run_of(FALLING, train_loss=up_and_down))
    assert "in 4 of 10 epochs" in finding(made, "oscillation").text
    spiked = list(FALLING)
    spiked[222] = 40.0
    found = finding(report(run_of(spiked)), "spike")
    assert "40 at iteration 223" in found.text
    noisy = np.array(FALLING) * np.random.default_rng(0).gamma(4, 0.25, 400)
    assert codes(report(run_of(noisy))) == []


def test_a_real_oscillation():
    x = np.linspace(-1, 1, 50)[:, np.newaxis]
    net = cr.Network(cr.Affine(1), input_shape=1, loss=cr.MeanSquaredError(), seed=1)
    history = net.fit(x, 3 * x, optimizer=cr.Momentum(0.3, momentum=0.97), epochs=30)  # it swings around 3
    assert "learning rate looks too high" in finding(report(history), "oscillation").text


def test_overfitting():
    train = [1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05]
    test = [1.1, 0.7, 0.6, 0.7, 0.9, 1.1, 1.4]
    found = finding(report(run_of(FALLING, train_loss=train, test_loss=test)), "overfitting")
    assert "rises since epoch 3 (iteration 171), from 0.6 to 1.4" in found.text
    slightly = [1.1, 0.7, 0.6, 0.65, 0.68, 0.69, 0.7]
    made = report(run_of(FALLING, train_loss=train, test_loss=slightly))
    assert codes(made) == ["overfitting"]
    few = replace(made.runs[0], about=About(test_samples=20))
    assert codes(TrainingReport([few])) == []  # of few samples that is noise
    for samples, told in ((100, []), (400, ["overfitting"])):
        counted = replace(made.runs[0], about=About(test_samples=samples))
        assert codes(TrainingReport([counted])) == told
    found = finding(
        report(run_of(FALLING, train_accuracy=[0.9, 1.0], test_accuracy=[0.8, 0.85])), "overfitting"
    )
    assert "100.0 % right on the training data, 85.0 % on the test data" in found.text
    assert codes(report(run_of(FALLING, train_accuracy=[0.9, 0.97], test_accuracy=[0.9, 0.94]))) == []


def test_an_end_before_the_end():
    falling = np.exp(-np.arange(400) / 100).tolist()
    assert finding(report(run_of(falling)), "unfinished").severity == "note"
    rates = np.linspace(0.1, 0.001, 400).tolist()
    assert codes(report(run_of(falling, rates=rates))) == []  # where the schedule ends
    slower = cr.schedules.InverseSquareRoot(0.01).rates(0, 400, 400)
    assert codes(report(run_of(falling, rates=slower))) == ["unfinished"]  # it falls, and has no end


def test_dead_units():
    layers = {
        "relu1": {"kind": "ReLU", "dead": [0.0, 0.1, 0.2]},
        "relu2": {"kind": "ReLU", "dead": [0.1, 0.5, 0.63]},
    }
    found = finding(report(run_of(FALLING, health=health_of(layers))), "dead")
    assert found.where == "relu2"
    assert "63 % of its units are never active (dead)" in found.text
    assert "LeakyReLU" in found.advice


def test_dead_units_of_a_real_network(digits):
    _, _, x, t = digits
    net = cr.Network(
        cr.Affine(40), cr.ReLU(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    net.params["b1"][:28] = -1e3
    history = net.fit(x, t, epochs=3, callbacks=[Health()])
    assert finding(report(history, net, x, t), "dead").text.startswith("Layer relu1: 7")


def test_saturation():
    layers = {"tanh1": {"kind": "Tanh", "saturated": [0.1, 0.5, 0.8]}}
    found = finding(report(run_of(FALLING, health=health_of(layers))), "saturated")
    assert "tanh1: 80 % of its values are saturated, where the slope of Tanh" in found.text


def test_vanishing_and_exploding_gradients():
    def made(*sizes: float | None) -> TrainingReport:
        names = [f"affine{k + 1}" for k in range(len(sizes))]
        layers = {
            name: {"kind": "Affine", "gradient_std": [size] * 3}
            for name, size in zip(names, sizes, strict=True)
        }
        weights = {f"W{k + 1}": {"layer": name, "norm": [1.0] * 3} for k, name in enumerate(names)}
        return report(run_of(FALLING, health=health_of(layers, weights)))

    found = finding(made(1e-5, 1e-4, 1e-3, 4e-3), "vanishing")
    assert "shrink 400-fold from affine4 to affine1" in found.text
    assert "skip connections" in found.advice
    assert "grow 1,000-fold from affine2 to affine1" in finding(made(1.0, 1e-3), "exploding").text
    assert codes(made(1e-3, 2e-3, 5e-3)) == []
    assert "No gradient reaches affine1" in finding(made(0.0, 1e-3), "vanishing").text
    assert codes(made(None, 1e-3)) == []


def test_vanishing_gradients_of_a_real_network(digits):
    _, _, x, t = digits
    deep = [
        each for _ in range(8) for each in (cr.Affine(20, weights=cr.initializers.Normal(0.3)), cr.Sigmoid())
    ]
    net = cr.Network(*deep, cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0)
    history = net.fit(x, t, optimizer=cr.SGD(0.1), iterations=100, callbacks=[Health()])
    made = report(history, net, x, t)
    assert codes(made) == ["vanishing"]
    assert "the loss stayed at chance" in finding(made, "vanishing").text
    assert finding(made, "vanishing").severity == "error"


def test_large_gradients():
    weights = {"W1": {"layer": "affine1", "gradient_norm": [1.0, 3e4, 5e4], "norm": [1.0] * 3}}
    found = finding(report(run_of(FALLING, health=health_of({}, weights))), "exploding")
    assert found.where == "W1"
    assert "clip_norm" in found.advice


def test_sizes_of_updates():
    def made(weight: float, bias: float) -> TrainingReport:
        return report(
            run_of(
                FALLING,
                health=health_of(
                    {},
                    {
                        "W1": {"layer": "a", "norm": [1.0] * 3, "update_ratio": [weight] * 3},
                        "shift": {"layer": "a", "norm": [0.0, 0.1, 0.1], "update_ratio": [None, bias, bias]},
                    },
                ),
            )
        )

    assert "0.4 of its size" in finding(made(0.4, 0.5), "large updates").text
    assert "1e-6 of its size" in finding(made(1e-6, 0.5), "small updates").text
    assert codes(made(1e-3, 0.5)) == []
    weights = {"W1": {"layer": "a", "norm": [1.0] * 3, "update_ratio": [1e-2, 1e-7, 1e-9]}}
    assert codes(report(run_of(FALLING, health=health_of({}, weights)))) == []  # where a schedule ends


def test_no_better_than_the_most_frequent_class():
    found = finding(labelled([[90, 0], [10, 0]], ["no", "yes"]), "baseline")
    assert "no better than always answering “no”, the most frequent class (90.0 %)" in found.text
    assert "class_weights" in found.advice
    assert codes(labelled([[85, 5], [2, 8]], ["no", "yes"])) == ["baseline"]
    assert codes(labelled([[890, 10], [5, 95]], ["no", "yes"])) == []


def test_a_few_samples_of_a_rare_class():
    assert codes(labelled([[24, 0], [0, 1]], ["no", "yes"])) == []  # all right: nothing to improve
    made = labelled([[23, 0], [1, 1]], ["no", "yes"])
    assert "hardly better than always answering “no”" in finding(made, "baseline").text
    assert finding(made, "baseline").severity == "warning"
    made = labelled([[95, 5, 0], [4, 4, 0], [3, 1, 0]], ["a", "b", "c"])
    assert codes(made) == ["baseline"]
    assert "that is also why class “c” is never answered" in finding(made, "baseline").text
    assert finding(made, "baseline").severity == "error"


def test_classes_that_are_missed():
    made = labelled([[500, 0, 5], [0, 500, 5], [8, 8, 4]], ["a", "b", "c"])
    assert (
        "“c” is rare (20 samples, “a” has 505), and 80 % of it is missed"
        in finding(made, "missed class").text
    )
    made = labelled([[50, 0, 0], [0, 50, 0], [10, 10, 0]], ["a", "b", "c"])
    assert "“c” is never answered, though 20 samples are of it" in finding(made, "missed class").text


def test_a_class_that_is_found_far_less_often_than_the_others():
    found = finding(labelled([[1100, 4], [12, 18]], ["honest", "fraud"]), "missed class")
    assert found.text == "Only 60 % of class “fraud” is found (30 samples), and 100 % of the others"
    assert found.where == "fraud"
    assert "class_weights" in found.advice
    even = finding(labelled([[95, 5], [34, 66]], ["a", "b"]), "missed class")
    assert even.severity == "note"
    assert "class_weights" not in even.advice
    assert codes(labelled([[95, 5], [14, 86]], ["a", "b"])) == []
    assert codes(labelled([[95, 0], [3, 5]], ["a", "b"])) == []  # too few to tell


def test_a_regression_no_better_than_the_mean():
    nothing = np.zeros((0, 1))
    found = Estimated(["y"], np.ones(1), np.ones(1), np.array([-0.2]), nothing, nothing, [], 50)
    made = TrainingReport([replace(report(run_of(FALLING)).runs[0], answers=found)])
    assert "no better than always answering its mean (R² -0.2000)" in finding(made, "baseline").text
    made.runs[0].history.settings["loss"] = repr(cr.Quantile(0.9))  # far from the mean, as it should be
    assert "baseline" not in codes(made)


def test_answers_that_are_not_finite(digits):
    net, history, x, t = digits
    twin = net.astype("float64")
    twin.params["W2"][0, 0] = np.nan
    made = report(history, twin, x, t)
    samples = made.runs[0].answers.not_finite
    assert samples > 0
    assert f"for {samples} samples is NaN or infinite" in finding(made, "not finite").text


def test_a_failed_check(digits):
    class Wrong(cr.layers.Layer):
        def forward(self, x):
            return 2 * x, None

        def backward(self, dy, saved):
            return dy

    _, history, x, t = digits
    net = cr.Network(Wrong(), cr.Affine(10), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0)
    check = cr.check(net, {"x": x[:5], "t": t[:5]})
    found = finding(report(history, check=check), "gradient check")
    assert "wrong1" in found.text
    assert found.severity == "error"
