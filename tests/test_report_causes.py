"""Findings that follow from each other are one: its first cause, and advice that makes sense for the run."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import typer

import chainrule as cr
from chainrule.cli.app import app
from chainrule.errors import ChainruleWarning, DivergedError
from chainrule.evaluation import Classified, Estimated
from chainrule.loop import Health, History
from chainrule.reports import TrainingReport, report
from chainrule.reports.causes import EXPLAINED, ONLY_AS_CAUSES
from chainrule.reports.remedies import REMEDIES, advice
from chainrule.reports.setup import Setup
from chainrule.saving.evaluations import About

HE = cr.initializers.He()
RNG = np.random.default_rng(0)
(X, T), (X_TEST, T_TEST) = cr.datasets.load_digits()
NUMBERS = RNG.normal(size=(300, 5))
TARGETS = NUMBERS @ RNG.normal(size=(5, 1)) / 2 + 0.1 * RNG.normal(size=(300, 1))


def layers(outputs, hidden=(50,), activation=cr.ReLU, **weights):
    inside = [each for units in hidden for each in (cr.Affine(units, **weights), activation())]
    return [*inside, cr.Affine(outputs, **weights)]


def trained(
    inside, optimizer, epochs=20, x=X, t=T, test=(X_TEST, T_TEST), health=True, **given
) -> TrainingReport:
    regression = np.asarray(t).ndim == 2
    loss = cr.MeanSquaredError() if regression else cr.SoftmaxCrossEntropy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        net = cr.Network(*inside, input_shape=x.shape[1], loss=loss, seed=0)
        try:
            callbacks = [Health()] if health else []
            history = net.fit(
                x, t, optimizer=optimizer, epochs=epochs, validation=test, callbacks=callbacks, **given
            )
        except DivergedError as error:
            history = error.history
    return report(history, net, *test)


def the_one(made: TrainingReport):
    """The one finding."""
    (found,) = made.findings
    return found


def of_numbers(optimizer, **given) -> TrainingReport:
    test = NUMBERS[200:], TARGETS[200:]
    given = {"x": NUMBERS[:200], "t": TARGETS[:200], "test": test, "batch_size": 20} | given
    return trained(layers(1), optimizer, **given)


@pytest.mark.parametrize("optimizer", [cr.SGD(100), cr.Adam(1), cr.SGD(1e6), cr.Adam(1e6)], ids=repr)
@pytest.mark.parametrize(
    "train", [lambda each: trained(layers(10), each), of_numbers], ids=["digits", "numbers"]
)
def test_a_rate_that_is_too_high_is_the_one_cause(optimizer, train):
    found = the_one(train(optimizer))
    assert found.code in ("diverged", "large updates")
    assert found.advice.startswith("a smaller learning rate (it was ")
    assert "is usual for" in found.advice
    assert "relu" not in found.advice.lower()


def test_what_a_high_rate_did_is_in_its_words():
    found = the_one(trained(layers(10, weights=HE), cr.SGD(100)))
    assert found.severity == "error"
    assert "The first update of W2 was 15 times as large as the weights" in found.text
    assert "100 % of relu1's units are dead and no gradient reaches affine1" in found.text
    without = the_one(trained(layers(10, weights=HE), cr.SGD(100), health=False))
    assert (without.code, without.severity) == ("oscillation", "error")
    assert "it was 100; 0.1 is usual for sgd" in without.advice


@pytest.mark.parametrize("optimizer", [cr.SGD(1e-6), cr.Adam(1e-6)], ids=repr)
@pytest.mark.parametrize("health", [True, False])
def test_a_rate_that_is_too_low(optimizer, health):
    found = the_one(trained(layers(10, weights=HE), optimizer, health=health))
    assert found.code == ("small updates" if health else "standstill")
    assert "a larger learning rate (it was 1e-6; " in found.advice
    assert "smaller" not in found.advice
    assert "labels" not in found.advice  # whose fault it can hardly be
    assert ("cr.Adam()" in found.advice) == (health and isinstance(optimizer, cr.SGD))


def test_a_training_that_has_only_begun():
    found = the_one(trained(layers(10, weights=HE), cr.SGD(0.001)))
    assert found.code == "unfinished"
    assert "fell as fast at the end as before" in found.text
    assert "class “0” is never answered" in found.text
    assert found.advice.startswith(
        "a larger learning rate (it was 0.001; 0.1 is usual for sgd), or more epochs"
    )


def test_inputs_on_a_scale_of_their_own():
    large = the_one(trained(layers(10), cr.SGD(0.1), x=X * 255, test=(X_TEST * 255, T_TEST)))
    assert large.code == "scale"
    assert "The inputs are large: about 123" in large.text
    assert "100 % of relu1's units are dead" in large.text
    assert large.advice == "cr.Standardize.of(x) as the first layer"
    small = the_one(trained(layers(10), cr.SGD(0.1), x=X / 1000, test=(X_TEST / 1000, T_TEST)))
    assert "The inputs are small" in small.text
    wide = of_numbers(cr.SGD(0.1), t=1e4 * TARGETS[:200], test=(NUMBERS[200:], 1e4 * TARGETS[200:]))
    assert "The targets are large" in the_one(wide).text
    assert the_one(wide).advice == "cr.Standardize.of(t, invert=True) as the last layer"


def test_a_scale_that_did_no_harm_is_not_told():
    assert "scale" not in [
        each.code
        for each in trained(layers(10), cr.Adam(0.001), x=X * 20, test=(X_TEST * 20, T_TEST)).findings
    ]


def test_weights_that_start_far_too_large():
    made = trained(layers(10, (50,) * 8, weights=cr.initializers.Normal(1.0)), cr.SGD(0.1))
    found = the_one(made)
    assert found.code == "exploding"
    assert "that is also why the training diverged" in found.text
    assert found.advice.startswith(
        "weights=cr.initializers.He() in the layers, clip_norm=1.0 in the optimizer"
    )


def test_sigmoids_in_a_deep_network():
    found = the_one(trained(layers(10, (20,) * 8, cr.Sigmoid), cr.SGD(0.1), epochs=10))
    assert found.code == "vanishing"
    assert found.advice.startswith("cr.ReLU()")
    assert "He" not in found.advice  # which the layers start from


@pytest.mark.parametrize(("last", "told"), [(cr.Softmax(), "takes logits"), (cr.ReLU(), "takes logits")])
def test_an_activation_as_the_last_layer(last, told):
    found = the_one(trained([*layers(10), last], cr.SGD(0.1)))
    assert (found.code, found.severity) == ("output activation", "error")
    assert told in found.text
    assert found.advice == f"leave {last!r} out"
    regression = trained(
        [*layers(1), cr.Sigmoid()], cr.SGD(0.1), x=NUMBERS, t=TARGETS, test=(NUMBERS, TARGETS)
    )
    assert regression.findings[0].code == "output activation"
    assert "gives numbers from 0 to 1" in regression.findings[0].text


def test_labels_that_are_not_of_their_samples():
    shuffled = RNG.permutation(T)
    found = the_one(trained(layers(10, (200,)), cr.Adam(0.003), epochs=60, t=shuffled))
    assert found.code == "overfitting"
    assert found.advice.startswith("check that the labels belong to their samples")


def test_ordinary_lengths_raise_no_alarm():
    assert trained(layers(10), cr.SGD(0.1), epochs=1).findings == ()
    assert trained(layers(10), cr.SGD(0.1), epochs=200).findings == ()
    for epochs in (1, 5, 20, 50):
        assert trained(layers(10), None, epochs=epochs).findings == ()
    narrow = the_one(trained(layers(10, (1,)), cr.SGD(0.1)))
    assert "more hidden units" in narrow.advice
    assert "smaller network" not in narrow.advice


def test_overfitting_is_not_answered_with_what_is_there():
    optimizer = cr.Adam(0.003, weight_decay=1e-5)
    inside = [cr.Affine(8), cr.ReLU(), cr.Affine(10)]
    made = trained(inside, optimizer, epochs=3)
    train, test = [1.0, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05], [1.1, 0.7, 0.6, 0.7, 0.9, 1.1, 1.4]
    run = made.runs[0]
    history = replace(run.history, train_loss=train, test_loss=test, train_accuracy=[], test_accuracy=[])
    history.settings = {**history.settings, "early_stopping": "test_loss, patience 5"}
    history.measured_at = list(range(1, 8))
    (found,) = [
        each
        for each in TrainingReport([replace(run, history=history, answers=None)]).findings
        if each.code == "overfitting"
    ]
    assert found.advice == "more data"
    history.settings["weights_after_iteration"] = 3  # whose weights were put back
    assert [
        each
        for each in TrainingReport([replace(run, history=history, answers=None)]).findings
        if each.code == "overfitting"
    ] == []


def test_weights_of_classes_are_judged_by_the_classes():
    confusion = np.array([[95, 15], [1, 5]])
    run = replace(report(History()).runs[0], answers=Classified(["no", "yes"], confusion, [], []))
    assert [each.code for each in TrainingReport([run]).findings] == ["baseline"]
    weighed = History(settings={"loss": "SoftmaxCrossEntropy(class_weights=[0.5, 10.0])"})
    assert TrainingReport([replace(run, history=weighed)]).findings == ()


def test_of_uneven_classes_overfitting_asks_for_weights_not_for_other_labels():
    history = History(loss=[1.0] * 30, train_accuracy=[0.9, 1.0], test_accuracy=[0.9, 0.9])
    for rare, first in ((10, "class_weights in the loss"), (48, "check that the labels")):
        confusion = np.array([[100 - rare, 0], [rare, 0]])
        of_chance = replace(history, test_accuracy=[0.9, 1 - rare / 100])
        run = replace(
            report(of_chance).runs[0], answers=Classified(["no", "yes"], confusion, [], []), about=About()
        )
        advised = [each.advice for each in TrainingReport([run]).findings if each.code == "overfitting"]
        assert advised[0].startswith(first)


def test_a_class_that_is_missed_at_the_very_start_is_no_fault_of_the_classes():
    answers = Classified(["a", "b", "c"], np.array([[30, 0, 0], [2, 30, 0], [5, 5, 0]]), [], [])
    for iterations, told in ((15, []), (30, ["missed class"])):
        run = replace(report(History(loss=np.linspace(2, 1, iterations).tolist())).runs[0], answers=answers)
        assert [each.code for each in TrainingReport([run]).findings if each.code == "missed class"] == told


def test_every_code_has_its_place_among_the_causes():
    import ast
    from pathlib import Path

    folder = Path(cr.__file__).parent / "reports"
    codes = set()
    for path in folder.glob("symptoms_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Symptom":
                codes.add(node.args[0].value)
    assert codes <= set(EXPLAINED)
    assert set(EXPLAINED) - codes == {"exploding at the start", "first update", "resting"}
    assert set(EXPLAINED) >= ONLY_AS_CAUSES
    assert set().union(*EXPLAINED.values()) <= set(EXPLAINED)


# Remedies -----------------------------------------------------------------------------------------------------


def options() -> set[str]:
    command = typer.main.get_command(app).commands["train"]
    return {option for each in command.params for option in each.opts}


def test_remedies_of_the_command_line_are_its_options():
    known = options()
    for name, remedy in REMEDIES.items():
        assert not re.search(r"\bcr\.|\w=", remedy.option), name
        assert set(re.findall(r"--[a-z-]+", remedy.option)) <= known, name


def test_remedies_in_python_are_there():
    for name, remedy in REMEDIES.items():
        for called in re.findall(r"cr(?:\.\w+)+", remedy.argument):
            found = cr
            for part in called.split(".")[1:]:
                found = getattr(found, part)
            assert callable(found), name
    assert cr.SGD(0.1, clip_norm=1.0, weight_decay=1e-4).clip_norm == 1.0
    assert cr.Affine(2, weights=cr.initializers.He()).units == 2
    assert cr.SoftmaxCrossEntropy(class_weights=[1, 2]).class_weights is not None


def test_the_command_that_made_a_run_decides_the_words():
    run = report(History(settings={"optimizer": "SGD(learning_rate=0.1)"}, learning_rate=[0.1])).runs[0]
    assert (
        advice(run, "smaller rate", "clip")
        == "a smaller learning rate (it was 0.1), or clip_norm=1.0 in the optimizer"
    )
    shell = replace(run, about=replace(run.about, command="chainrule train digits"))
    assert (
        advice(shell, "smaller rate", "clip", "scaled inputs")
        == "a smaller --learning-rate (it was 0.1), or --clip-norm 1.0"
    )


def test_how_a_run_was_set_up():
    net = cr.Network(
        *layers(10, (7, 3), weights=cr.initializers.Xavier()),
        input_shape=64,
        loss=cr.SoftmaxCrossEntropy(class_weights=[1.0] * 10),
        seed=0,
    )
    optimizer = cr.AdamW(cr.schedules.Cosine(0.01), clip_value=3)
    stop = cr.EarlyStopping(patience=2)
    history = net.fit(X, T, epochs=2, optimizer=optimizer, validation=(X, T), callbacks=[Health(), stop])
    setup = Setup.of(report(history, net).runs[0])
    assert (setup.optimizer, setup.rate, setup.initializer, setup.hidden) == ("adamw", 0.01, "Xavier", (7, 3))
    assert setup.is_clipped
    assert setup.decay == 0.01
    assert setup.is_scheduled
    assert setup.stops_early
    assert setup.weighs_classes
    assert not setup.is_of_shell
    assert setup.input_size == pytest.approx(np.sqrt(np.mean(X**2)), rel=0.4)
    plain = Setup.of(report(net.fit(X, T, epochs=1, optimizer=cr.SGD(0.1, weight_decay=0.0))).runs[0])
    assert not any([plain.is_clipped, plain.decay, plain.is_scheduled, plain.stops_early])


def test_no_advice_is_empty():
    run = report(History()).runs[0]
    shell = replace(run, about=About(command="chainrule train a.csv"))
    for name in REMEDIES:
        assert advice(run, name)
        assert advice(shell, name)
    assert advice(shell, "normalization", "skip connections") == "another --learning-rate"
    assert advice(run) == "another learning rate"


@pytest.mark.parametrize(
    ("optimizer", "is_strong"),
    [
        ("SGD(learning_rate=0.1, weight_decay=0.1)", True),
        ("SGD(learning_rate=0.1, weight_decay=0.01)", False),
        ("AdamW(learning_rate=0.001, weight_decay=0.1)", False),
        ("AdamW(learning_rate=0.001, weight_decay=10)", True),
        ("AdamW(learning_rate=0.001)", False),
        ("SGD(learning_rate=0.1)", False),
    ],
)
def test_a_strong_weight_decay_is_to_be_smaller(optimizer, is_strong):
    run = report(History(settings={"optimizer": optimizer})).runs[0]
    assert ("a smaller weight_decay" in advice(run, "less decay", "data")) == is_strong


@pytest.mark.parametrize(
    "optimizer", [cr.SGD(0.1, weight_decay=3.0), cr.Adam(0.001, weight_decay=10.0)], ids=repr
)
def test_what_weight_decay_did_is_not_the_rates_fault(optimizer):
    found = the_one(trained(layers(10), optimizer))
    assert found.advice.startswith("a smaller weight_decay")
    assert "the learning rate looks too high" not in found.text


@pytest.mark.parametrize("weights", [cr.initializers.Normal(0.001), cr.initializers.Normal(0.01)], ids=repr)
def test_a_first_update_of_weights_near_0_is_no_sign_of_a_high_rate(weights):
    made = trained(layers(10, weights=weights), None, epochs=1)
    assert [each for each in made.findings if each.code == "large updates"] == []
    assert not made.findings or not made.findings[0].advice.startswith("a smaller learning rate")
    found = the_one(trained(layers(10, weights=weights), cr.SGD(1e4), epochs=20))
    assert found.advice.startswith("a smaller learning rate")


def of_curves(answers=None, about=None, **given):
    settings = {"loss": "SoftmaxCrossEntropy()"} | given.pop("settings", {})
    run = report(History(settings=settings, **given)).runs[0]
    return replace(run, answers=answers, about=about or About())


def codes(run):
    return [each.code for each in TrainingReport([run]).findings]


def test_only_training_data_that_are_fitted_are_fitted_too_well():
    answers = Classified(["a", "b"], np.array([[35, 15], [15, 35]]), [], [])
    for loss, told in ((0.3, True), (0.7, False), (1e5, False)):  # one answer for all has ln 2 = 0.69
        run = of_curves(
            answers, train_loss=[loss], train_accuracy=[0.99], test_accuracy=[0.7], measured_at=[9]
        )
        assert ("overfitting" in codes(run)) == told
    for scale, told in ((1.0, True), (1e6, False)):
        train, test = [scale * each for each in (0.9, 0.7, 0.5, 0.3)], [0.8, 0.9, 1.2, 1.4]
        about = About(loss_unit="share of the target's variance")
        run = of_curves(None, about, train_loss=train, test_loss=[scale * each for each in test])
        assert ("overfitting" in codes(run)) == told


def test_a_training_that_stopped_early_is_not_asked_for_more_epochs():
    stopped = of_curves(stopped="early: test_loss did not improve for 1 epoch")
    assert (
        advice(stopped, "epochs", "patience", "data") == "a larger patience of cr.EarlyStopping, or more data"
    )
    assert advice(of_curves(stopped="finished"), "epochs", "patience", "data") == "more epochs, or more data"


def test_inputs_and_targets_that_are_both_off_are_both_named():
    x, t = 2000 * NUMBERS, 2e5 * TARGETS
    rate = cr.SGD(0.1)
    found = the_one(of_numbers(rate, x=x[:200], t=t[:200], test=(x[200:], t[200:])))
    assert found.text.startswith("The targets are large: the loss began at ")
    assert ", and the inputs are large: about " in found.text
    first, last = (
        "cr.Standardize.of(x) as the first layer",
        "cr.Standardize.of(t, invert=True) as the last layer",
    )
    assert found.advice == f"{last} and {first}"
    x, t = 0.05 * NUMBERS, 170 * TARGETS
    found = the_one(of_numbers(rate, x=x[:200], t=t[:200], test=(x[200:], t[200:])))
    assert "the targets are large" in found.text.lower()
    assert "the inputs are small: about 0.0" in found.text
    x, t = 1e4 * NUMBERS, 100 * TARGETS
    found = the_one(of_numbers(rate, x=x[:200], t=t[:200], test=(x[200:], t[200:])))
    assert found.advice == f"{first} and {last}"


def test_a_training_that_has_nothing_left_to_learn_is_not_unfinished():
    falling = np.linspace(1, 0.1, 50) ** 2
    about, of_numbers = About(loss_unit="share of the target's variance"), {"loss": "MeanSquaredError()"}
    for scale, told in ((1.0, True), (0.5, False)):
        run = of_curves(
            None,
            about,
            settings=of_numbers,
            loss=falling.tolist(),
            test_loss=(scale * falling).tolist(),
            stopped="finished",
        )
        assert ("unfinished" in codes(run)) == told
    for accuracy, told in ((0.9, True), (1.0, False)):
        given = {"loss": falling.tolist(), "test_loss": falling.tolist(), "stopped": "finished"}
        assert ("unfinished" in codes(of_curves(test_accuracy=[accuracy], **given))) == told


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ([0.01, 0.005, 0.002], "it fell from 0.01 to 0.002"),
        ([0.01] * 3, "it was 0.01"),
        ([0.001, 0.005, 0.002], "it was up to 0.005"),
        ([0.1, 0.05, 0.02], "it fell from 0.1 to 0.02; 0.001 is usual for adam"),
    ],
)
def test_the_rate_is_told_as_it_was(rates, told):
    run = of_curves(settings={"optimizer": "Adam(learning_rate=x)"}, learning_rate=rates)
    assert advice(run, "smaller rate") == f"a smaller learning rate ({told})"


def test_whole_numbers_taken_for_classes_may_be_numbers_to_estimate():
    confusion = np.full((6, 6), 6)
    about = About(command="chainrule train a.csv", columns=["a"])
    whole = [str(k) for k in range(6)]
    for names, of, given, told in (
        (whole, about, {}, True),
        (list("abcdef"), about, {}, False),
        (whole, replace(about, columns=None), {}, False),
        (whole, about, {"task": "classification"}, False),
    ):
        run = of_curves(Classified(names, confusion, [], []), of, settings=given)
        (found,) = TrainingReport([run]).findings
        assert found.code == "baseline"
        assert ("--task regression if they are numbers to estimate" in found.advice) == told


def test_few_test_samples_are_too_few_to_tell():
    about = About(command="chainrule train a.csv")
    for count, told in ((1, True), (2, False)):
        answers = Classified(["a", "b"], count * np.array([[9, 1], [7, 3]]), [], [])
        (found,) = TrainingReport([of_curves(answers, about)]).findings
        assert ("hardly better" in found.text, "too few to tell" in found.text) == (True, told)
        assert found.advice.startswith("a larger --test-share") == told


def test_of_few_rows_of_a_table_overfitting_asks_for_early_stopping_and_a_linear_model():
    curves = {"train_loss": [0.5, 0.4, 0.3, 0.2, 0.1, 0.05], "test_loss": [0.5, 0.4, 0.5, 0.6, 0.7, 0.8]}
    small = trained(layers(10), None, epochs=1, health=False).runs[0].network
    for samples, columns, network, told in (
        (300, ["a"], small, True),
        (3_000, ["a"], small, False),
        (300, None, small, False),
        (300, ["a"], None, False),
    ):
        about = About(command="chainrule train a.csv", columns=columns, samples=samples)
        run = replace(of_curves(None, about, measured_at=[1, 2, 3, 4, 5, 6], **curves), network=network)
        (found,) = [each for each in TrainingReport([run]).findings if each.code == "overfitting"]
        assert "--early-stopping 5" in found.advice
        assert ("--hidden 0, a linear model" in found.advice) == told


def test_losses_of_different_kinds_and_tasks_are_not_compared():
    weighted = "SoftmaxCrossEntropy(class_weights=[1, 5])"
    answers = [Classified(names, np.eye(2, dtype=int), [], []) for names in (["a", "b"], ["c", "d"])]

    def bold(one, other):
        runs = []
        for loss, found, value in ((*one, 0.5), (*other, 0.4)):
            measured = {"test_loss": [value], "test_accuracy": [1 - value], "measured_at": [1]}
            runs.append(of_curves(found, settings={"loss": loss}, **measured))
        results = TrainingReport(runs).html().partition('id="results"')[2].partition("</section>")[0]
        return re.findall(r"<b>([^<]*)</b>", results)

    plain = "SoftmaxCrossEntropy()"
    assert bold((plain, answers[0]), (plain, answers[0])) == ["60.00 %", "0.4"]
    assert bold((plain, answers[0]), (weighted, answers[0])) == ["60.00 %"]
    assert bold((plain, answers[0]), (plain, answers[1])) == []


def test_a_comparison_says_only_what_differs_and_what_applies():
    nothing = np.zeros((0, 1))
    estimated = Estimated(["y"], np.ones(1), np.ones(1), np.array([0.5]), nothing, nothing, [], 50)
    classified = Classified(["a", "b"], np.eye(2, dtype=int), [], [])
    short, whole = "Adam(learning_rate=0.1)", "Adam(learning_rate=0.1, beta1=0.9, beta2=0.999)"
    runs = [
        of_curves(estimated, settings={"optimizer": short}, test_loss=[0.5], measured_at=[1]),
        of_curves(classified, settings={"optimizer": whole}, test_accuracy=[0.75], measured_at=[1]),
    ]
    page = TrainingReport(runs).html()
    results = page.partition('id="results"')[2].partition("</section>")[0]
    assert "not measured" not in results
    assert results.count("–") == 4, results  # an accuracy of the one, R², RMSE and MAE of the other
    settings = page.partition('id="settings"')[2].partition("</section>")[0]
    assert "beta" not in settings
    assert "learning rate" not in settings
