"""The report of a training: what it shows, what it finds, and what it makes of damaged runs."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, r2_score, recall_score

import chainrule as cr
from chainrule.arrays import as_floats
from chainrule.drawing.thinning import rounded, smoothed, thinned
from chainrule.errors import ArgumentError, ChainruleError, FileError
from chainrule.evaluation import Classified, Estimated, image_shape_of, judge
from chainrule.loop import Health, History
from chainrule.reports import TrainingReport, report
from chainrule.reports.answers import alike
from chainrule.reports.images import picture
from chainrule.reports.network import weights_of_images
from chainrule.reports.reading import read_run
from chainrule.saving.evaluations import About, described, from_json, to_json, write_evaluation
from chainrule.text import duration, fold, percent, short

ODD_NAMES = [
    "<script>alert(1)</script>",
    'say "two"',
    "三",
    "naïve 🙂",
    "a&b",
    "'",
    "$x_7$",
    "[bold]",
    "",
    "\x1b[31mred\u202e",
]
Digits = tuple[cr.Network, History, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits() -> Digits:
    (x, t), (x_test, t_test) = cr.datasets.load_digits()
    net = cr.Network(
        cr.Affine(50),
        cr.ReLU(),
        cr.Affine(10),
        input_shape=64,
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
    )
    history = net.fit(x, t, epochs=20, validation=(x_test, t_test), callbacks=[Health()])
    return net, history, x_test, t_test


def data_in(page: str) -> list[dict]:
    """The charts that a page hands to its script."""
    found = re.search(r'<script type="application/json" id="data-charts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def codes(made: TrainingReport) -> list[str]:
    return [each.code for each in made.findings]


# What it shows ----------------------------------------------------------------------------------------------


def test_the_curves_are_the_history(digits):
    net, history, x, t = digits
    made = report(history, net, x, t, title="digits")
    charts = {chart["title"]: chart for chart in data_in(made.html())}
    loss = charts["Loss"]
    assert loss["tables"][0]["x"] == list(range(1, len(history.loss) + 1))
    np.testing.assert_allclose(loss["tables"][0]["y"][0], history.loss, rtol=1e-5)
    assert [each["name"] for each in loss["series"]] == [
        "each batch",
        "mean of 6",
        "training data",
        "test data",
    ]
    accuracy = charts["Accuracy"]
    assert accuracy["tables"][0]["x"] == history.measured_at
    np.testing.assert_allclose(accuracy["tables"][0]["y"][0], history.train_accuracy, rtol=1e-5)
    np.testing.assert_allclose(accuracy["tables"][0]["y"][1], history.test_accuracy, rtol=1e-5)
    dead = charts["Dead units"]["tables"][0]
    assert dead["x"] == history.health["iterations"]
    np.testing.assert_allclose(dead["y"][0], history.health["layers"]["relu1"]["dead"], rtol=1e-3)
    assert f"{100 * history.test_accuracy[-1]:.2f} %" in made.html()
    assert f"{history.test_loss[-1]:.4g}" in made.html()


def test_confusion_precision_and_recall_are_those_of_scikit_learn(digits):
    net, _, x, t = digits
    found = judge(net, x, t)
    assert isinstance(found, Classified)
    given = net.predict(x).argmax(axis=1)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(t, given))
    np.testing.assert_allclose(found.precision, precision_score(t, given, average=None))
    np.testing.assert_allclose(found.recall, recall_score(t, given, average=None))
    assert found.accuracy == pytest.approx(net.accuracy(x, t))


def test_the_most_wrong_and_the_least_certain_are_those(digits):
    net, _, x, t = digits
    found = judge(net, x, t)
    assert isinstance(found, Classified)
    p = net.predict_proba(x)
    of_truth = p[np.arange(len(t)), t]
    wrong = np.flatnonzero(p.argmax(axis=1) != t)
    expected = wrong[np.argsort(of_truth[wrong])]
    assert [each.row for each in found.wrong[:24]] == expected[:24].tolist()
    assert [each.row for each in found.unsure] == np.argsort(p.max(axis=1))[:12].tolist()
    first = found.wrong[0]
    assert first.true == t[first.row]
    assert first.predicted == p[first.row].argmax()
    np.testing.assert_allclose(first.probabilities, p[first.row], atol=1e-4)
    np.testing.assert_allclose(first.x, x[first.row], rtol=1e-2)


def test_labels_as_distributions_and_a_single_logit(digits):
    net, _, x, t = digits
    assert to_json(judge(net, x, np.eye(10)[t])) == to_json(judge(net, x, t))
    two = cr.Network(cr.Affine(1), input_shape=64, loss=cr.SigmoidCrossEntropy(), seed=0)
    labels = (t > 4).astype(float)
    found = judge(two, x, labels[:, None], class_names=["low", "high"])
    assert isinstance(found, Classified)
    given = two.predict(x)[:, 0] > 0
    np.testing.assert_array_equal(found.confusion, confusion_matrix(t > 4, given))
    assert found.classes == ["low", "high"]


def test_several_labels_a_sample_have_no_confusion(digits):
    _, history, x, t = digits
    net = cr.Network(cr.Affine(3), input_shape=64, loss=cr.SigmoidCrossEntropy(), seed=0)
    labels = np.stack([t > 2, t > 5, t % 2 == 0], axis=1).astype(float)
    assert judge(net, x, labels) is None
    assert "Confusions" not in report(history, net, x, labels).html()


def test_a_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    t = x[:, :1] * 2 + 0.3 * rng.normal(size=(300, 1))
    net = cr.Network(cr.Affine(1), input_shape=3, loss=cr.MeanSquaredError(), seed=1)
    history = net.fit(x, t, optimizer=cr.SGD(0.1), epochs=30, batch_size=20)
    made = report(history, net, x, t, title="line")
    found = made.runs[0].answers
    assert isinstance(found, Estimated)
    assert found.r_squared[0] == pytest.approx(r2_score(t, net.predict(x)), rel=1e-5)
    left = np.abs(net.predict(x) - t)[:, 0]
    assert [each.row for each in found.worst] == np.argsort(-left)[:12].tolist()
    page = made.html()
    assert "Predicted against true" in page
    assert short(float(found.rmse[0])) in page
    assert codes(made) == []


def test_a_history_alone(digits):
    page = report(digits[1]).html()
    assert "Loss" in page
    assert "Confusions" not in page
    assert "Nothing looks wrong" in page
    assert "<h1>training run</h1>" in page


def test_arguments_by_position_and_by_name(digits):
    net, history, x, t = digits
    pages = [
        report(history, net, x, t).html(),
        report(history, network=net, x=x, t=t).html(),
        report(history=history, network=net, x=x, t=t).html(),
    ]
    assert pages[0] == pages[1] == pages[2]


def test_the_page_is_one_file_and_small(digits):
    net, history, x, t = digits
    page = report(history, net, x, t).html()
    data = sum(len(each) for each in re.findall(r'id="data-charts">(.*?)</script>', page))
    pictures = sum(len(each) for each in re.findall(r'src="data:image/png[^"]*"', page))
    assert len(page) - data - pictures < 300_000
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_a_long_training_is_thinned_with_its_spikes():
    rng = np.random.default_rng(0)
    loss = np.exp(-np.arange(200_000) / 50_000) + 0.1 * rng.random(200_000)
    loss[123_456], loss[150_001] = 9.5, np.nan
    history = History(loss=loss.tolist(), learning_rate=[0.1] * 200_000, seconds=loss.cumsum().tolist())
    page = report(history).html()
    table = data_in(page)[0]["tables"][0]
    assert len(table["x"]) < 1_300
    assert max(value for value in table["y"][0] if value is not None) == 9.5
    assert table["x"][table["y"][0].index(None)] == 150_002
    assert table["x"][0] == 1
    assert table["x"][-1] == 200_000
    assert len(page) < 250_000


def test_the_notebook_shows_a_frame(digits):
    made = report(digits[1])
    frame = made._repr_html_()
    assert frame.startswith("<iframe")
    assert 'sandbox="allow-scripts"' in frame
    inside = re.search(r'srcdoc="([^"]*)"', frame)
    assert inside is not None
    assert html.unescape(inside.group(1)) == made.html()


def test_saving(digits, tmp_path):
    net, history, x, t = digits
    made = report(history, net, x, t, class_names=ODD_NAMES)
    assert made.save(tmp_path / "a.html").read_text(encoding="utf-8") == made.html()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert made.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        written = made.save_pictures(tmp_path / "pieces")
    names = ["curves.png", "health.png", "weights.png", "confusion.png", "examples.png"]
    assert [path.name for path in written] == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    with pytest.raises(ArgumentError, match=r"ends in .html or .png"):
        made.save(tmp_path / "a.pdf")
    with pytest.raises(FileError, match="could not write"):
        made.save(tmp_path / "missing" / "a.html")


def test_the_check_is_shown(digits):
    net, history, x, t = digits
    check = cr.check(net, {"x": x[:5], "t": t[:5]})
    page = report(history, net, x, t, check=check).html()
    assert "Backpropagation agrees with numerical differentiation" in page
    assert f"{len(check.rows)} gradients compared" in page
    assert report(history, check=check.to_dict()).html().count("affine1") > 1


def test_images_are_found_and_told():
    assert image_shape_of((784,), None) == (28, 28)
    assert image_shape_of((64,), None) == (8, 8)
    assert image_shape_of((3072,), None) == (32, 32, 3)
    assert image_shape_of((1, 28, 28), None) == (28, 28)
    assert image_shape_of((3, 4, 5), None) == (3, 4, 5)
    assert image_shape_of((64,), (), None) is None
    assert image_shape_of((64,), None, ["a"] * 64) is None
    assert image_shape_of((10,), None) is None
    assert image_shape_of((10,), (2, 5)) == (2, 5)
    for wrong in ((2, 4), (10,), (2, 5, 1, 1)):
        with pytest.raises(ArgumentError, match=r"image_shape: expected \(H, W\)"):
            image_shape_of((10,), wrong)


def test_tables_and_indices_are_no_images():
    assert image_shape_of((10, 8), None) is None  # a sequence
    assert image_shape_of((28, 28), None) == (28, 28)
    words = cr.Network(
        cr.Embedding(20, 2), cr.Flatten(), cr.Affine(2), input_shape=64, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    ids, t = np.arange(64 * 20).reshape(20, 64) % 20, np.arange(20) % 2
    made = report(words.fit(ids, t, epochs=1, batch_size=10), words, ids, t)
    assert made.runs[0].image_shape is None
    assert "First layer" not in made.html()


def test_the_first_weights_are_those_that_the_pixels_meet():
    x = cr.Input("x", shape=(28, 28))
    other = cr.Input("other", shape=(784,))
    hidden = cr.Affine(6)(cr.Flatten()((x - 0.5) / 0.25), name="first")
    both = cr.Affine(3)(hidden + cr.Affine(6)(other, name="second"))
    net = cr.Network(output=both, loss=cr.SoftmaxCrossEntropy(), seed=0)
    rng = np.random.default_rng(0)
    data = {"other": rng.normal(size=(12, 784)), "x": rng.uniform(size=(12, 28, 28))}
    t = np.arange(12) % 3
    made = report(net.fit(data, t, epochs=1, batch_size=4), net, data, t)
    first = next(iter(net.input_shapes))
    found = weights_of_images(made.runs[0])
    assert found is not None
    layer = net.graph.position({"x": "first", "other": "second"}[first])
    assert found[0] == net.graph.name_of(net.graph.source_positions(layer)[1])
    shown = made.runs[0].answers.unsure[0]
    np.testing.assert_allclose(shown.x, data[first][shown.row].reshape(-1), rtol=5e-3, atol=1e-6)

    embedded = cr.Network(  # 64 rows of an embedding are no pixels
        cr.Affine(4), cr.ReLU(), cr.Affine(64), cr.ReLU(), cr.Affine(2), input_shape=(3, 2, 2), seed=0
    )
    run = report(History()).runs[0]
    assert weights_of_images(replace(run, network=embedded, image_shape=(8, 8))) is None


def test_weights_of_one_unit_without_an_axis_of_their_own_are_no_picture():
    x = cr.Input("x", shape=(784,))
    net = cr.Network(output=x @ cr.Parameter("w", np.zeros(784)), loss=cr.MeanSquaredError())
    made = report(History(), net)
    assert "First layer" not in made.html()
    assert weights_of_images(made.runs[0]) is None


def test_data_in_any_mapping():
    net = cr.Network(output=cr.Affine(2)(cr.Input("a", shape=(3,))), loss=cr.SoftmaxCrossEntropy(), seed=0)
    data, t = {"a": np.ones((8, 3))}, np.arange(8) % 2
    history = net.fit(data, t, epochs=1, batch_size=4)
    assert report(history, net, MappingProxyType(data), t).html() == report(history, net, data, t).html()


def test_large_pictures_are_shown_and_too_large_ones_told():
    for side, shown in ((64, True), (200, False)):
        net = cr.Network(
            cr.Flatten(), cr.Affine(2), input_shape=(3, side, side), loss=cr.SoftmaxCrossEntropy(), seed=0
        )
        x, t = np.random.default_rng(0).uniform(size=(20, 3, side, side)), np.arange(20) % 2
        answers = from_json(json.loads(json.dumps(to_json(judge(net, x, t)))))
        assert isinstance(answers, Classified)
        page = TrainingReport([replace(report(History(), net).runs[0], answers=answers)]).html()
        assert ('alt="sample' in page) == shown
        assert (f"and {3 * side * side - 12:,} more, too many for a picture here" in page) != shown


def test_a_constant_target_has_no_variance_to_explain():
    net = cr.Network(cr.Affine(1), input_shape=2, loss=cr.MeanSquaredError(), seed=0)
    answers = judge(net, np.random.default_rng(0).normal(size=(30, 2)), np.full((30, 1), 0.1))
    assert isinstance(answers, Estimated)
    assert math.isnan(answers.r_squared[0])


def test_pictures_are_png_that_others_read():
    from io import BytesIO

    from matplotlib.image import imread

    def read(url: str) -> np.ndarray:
        import base64

        return imread(BytesIO(base64.b64decode(url.partition(",")[2])))

    grey = np.array([[0, 0.5, 1], [1, 0.25, 0]])
    np.testing.assert_allclose(read(picture(grey.ravel(), (2, 3))), 1 - grey, atol=0.01)
    colour = np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_allclose(read(picture(colour.ravel(), (4, 5, 3)))[..., :3], colour, atol=0.01)
    channels = np.moveaxis(colour, -1, 0)
    np.testing.assert_allclose(read(picture(channels.ravel(), (3, 4, 5)))[..., :3], colour, atol=0.01)
    assert read(picture(np.array([np.nan, np.inf, -1, 5.0]), (2, 2))).shape == (2, 2)


# What it finds ----------------------------------------------------------------------------------------------


def run_of(loss, **more) -> History:
    """A history with this loss; measured values every tenth iteration, if given."""
    count = len(loss)
    measures = {name: list(more.pop(name)) for name in list(more) if name.startswith(("train_", "test_"))}
    points = max(map(len, measures.values()), default=0)
    return History(
        loss=list(loss),
        learning_rate=more.pop("rates", [0.1] * count),
        seconds=[0.01 * (k + 1) for k in range(count)],
        measured_at=[round((k + 1) * count / points) for k in range(points)],
        settings={"loss": "SoftmaxCrossEntropy()"},
        stopped=more.pop("stopped", "finished"),
        **measures,
        **more,
    )


FALLING = (0.3 + 2 * np.exp(-np.arange(400) / 40)).tolist()


def health_of(layers=None, parameters=None) -> dict:
    return {
        "rows": 256,
        "iterations": [0, 50, 100],
        "layers": layers or {},
        "parameters": parameters or {},
    }


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


def finding(made: TrainingReport, code: str):
    """The one finding of this code, whose sentence and advice are on the page."""
    (found,) = [each for each in made.findings if each.code == code]
    page = made.html()
    assert f"<p>{html.escape(found.text)}.</p>" in page
    assert html.escape(found.advice) in page
    assert str(found) in str(made)
    return found


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
    assert "in 4 of 8 epochs" in finding(made, "oscillation").text
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


def labelled(confusion, names) -> TrainingReport:
    found = Classified(list(names), np.array(confusion), [], [])
    made = report(run_of(FALLING))
    return TrainingReport([replace(made.runs[0], answers=found)])


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


def test_a_regression_no_better_than_the_mean():
    nothing = np.zeros((0, 1))
    found = Estimated(["y"], np.ones(1), np.ones(1), np.array([-0.2]), nothing, nothing, [], 50)
    made = TrainingReport([replace(report(run_of(FALLING)).runs[0], answers=found)])
    assert "no better than always answering its mean (R² -0.2000)" in finding(made, "baseline").text


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


# Run folders ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(digits, tmp_path) -> Path:
    net, history, x, t = digits
    path = tmp_path / "a run"
    path.mkdir()
    cr.save(net, path / "model.safetensors")
    history.save(path / "history.json")
    check = cr.check(net, {"x": x[:3], "t": t[:3]})
    (path / "check.json").write_text(json.dumps(check.to_dict()))
    about = About("digits", 1438, 359, described(net), 3760, "chainrule train digits", {"Python": "3"})
    write_evaluation(path, about, judge(net, x, t), (8, 8), (x[:1], t[:1]))
    return path


def test_a_folder_is_enough(folder, digits):
    net, history, x, t = digits
    made = report(folder)
    page = made.html()
    right = percent(net.accuracy(x, t), 2)
    for told in ("chainrule train digits", right, "64 → 50 → 10, ReLU", "First layer", "Gradient check"):
        assert told in page
    assert "Missing" not in page
    again = made.runs[0].answers
    assert to_json(again) == to_json(judge(net, x, t))
    assert data_in(page)[0] == data_in(report(history, net, x, t).html())[0]


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "a list": lambda path: path.write_text("[1, 2]"),
    "another object": lambda path: path.write_text(
        '{"format": "x", "rows": 3, "findings": [1], "passed": 7}'
    ),
    "deep": lambda path: path.write_text("[" * 100_000),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["model.safetensors", "history.json", "evaluation.json", "check.json"])
def test_what_is_missing_is_named(folder, name, damage):
    DAMAGES[damage](folder / name)
    page = report(folder).html()
    if (name, damage) == ("check.json", "missing"):
        assert "Missing" not in page  # a run need not be checked
    else:
        assert "<b>Missing</b>" in page
        assert (name if damage != "missing" else name.replace("y.json", "y.jsonl")) in page
        assert "so the report has" in page
    assert ("Confusions" in page) == (name != "evaluation.json")
    assert ('data-chart="0"' in page) == (name != "history.json")


def test_an_evaluation_damaged_in_one_place(folder):
    whole = json.loads((folder / "evaluation.json").read_text())

    def places(value, path=()):
        yield path
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value[:2])
            if isinstance(value, list)
            else ()
        )
        for key, each in items:
            yield from places(each, (*path, key))

    for path in list(places(whole))[1:]:
        for wrong in (None, "x", -1, [], {}, 10**400, [[1], 2]):
            content = json.loads(json.dumps(whole))
            target = content
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = wrong
            (folder / "evaluation.json").write_text(json.dumps(content))
            run = read_run(folder)
            assert run.missing or run.about is not None
            if len(path) < 4:
                TrainingReport([run]).html()


def test_a_history_with_numbers_that_are_none(folder):
    content = json.loads((folder / "history.json").read_text())
    for name in ("loss", "learning_rate", "seconds", "train_loss", "test_loss", "test_accuracy"):
        content[name][3], content[name][-1] = 10**400, math.nan
    content["measured_at"][2] = math.inf
    (folder / "history.json").write_text(json.dumps(content))
    made = report(folder)
    assert "diverged" in codes(made)
    page = made.html()
    assert '"inf"' not in page.partition("data-charts")[2]
    made.save(folder / "a.png")


def test_folders_with_nothing_of_a_run(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileError, match=r"nothing of a run can be read here: history.jsonl is missing; model"
    ):
        report(tmp_path / "empty")
    with pytest.raises(FileError, match="there is no folder"):
        report(tmp_path / "nowhere")
    file = tmp_path / "history.json"
    file.write_text("{}")
    with pytest.raises(FileError, match=r"expected a run folder, got the file .*; its folder is"):
        report(file)


def test_several_folders_are_compared(folder, tmp_path):
    other = tmp_path / "other" / "a run"
    shutil.copytree(folder, other)
    history = History.load(other / "history.json")
    history.settings["seed"] = "<script>alert(1)</script>"
    history.stopped = "interrupted"
    history.save(other / "history.json")
    made = report(folder, other)
    page = made.html()
    assert "a run (1)" in page
    assert "a run (2)" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "interrupted" in page
    charts = {chart["title"]: chart for chart in data_in(page)}
    assert [each["name"] for each in charts["Test accuracy"]["series"]] == ["a run (1)", "a run (2)"]
    table = charts["Test accuracy"]["tables"][0]
    np.testing.assert_allclose(table["y"][0], history.test_accuracy, rtol=1e-5)
    seconds = [history.seconds[k - 1] for k in history.measured_at]
    np.testing.assert_allclose(table["seconds"], seconds, rtol=1e-3)
    settings = page.partition('id="settings"')[2].partition("</section>")[0]
    assert re.findall(r"<tr><td>(\w+)", settings) == ["seed"]
    assert made.save(tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    (other / "history.json").unlink()
    assert "history.jsonl is missing" in report(folder, other).html()
    assert all(each.where.startswith("a run (") for each in report(folder, other).findings)


# Bad input --------------------------------------------------------------------------------------------------


def test_odd_names_are_shown_as_text(digits):
    net, history, x, t = digits
    net.metadata = {"data": "<img src=x onerror=alert(1)>", "target": "</script>"}
    try:
        made = report(history, net, x, t, title=ODD_NAMES[0] + '"', class_names=ODD_NAMES, image_shape=())
        page = made.html()
    finally:
        net.metadata = {}
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    for name in ODD_NAMES[:8]:
        assert html.escape(name) in page
    assert "\x1b" not in page
    assert page.encode()


def test_names_of_layers_and_settings_are_shown_as_text():
    bad = "<script>alert(1)</script>"
    layers = {bad: {"kind": bad, "dead": [0.9] * 3, "gradient_std": [1.0] * 3}}
    weights = {bad + "W": {"layer": bad, "norm": [1.0] * 3, "update_ratio": [0.5] * 3}}
    history = run_of(FALLING, health=health_of(layers, weights), stopped=bad)
    history.settings = {bad: {bad: [bad]}}
    assert (
        bad not in report(history, check={"passed": False, "rows": [{"node": bad}], "findings": [{}]}).html()
    )


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((), {}, "expected a history, or run folders"),
        ((3,), {}, "expected a History, as fit returns it, or the path of a run folder, got int"),
        (("h", "net"), {"x": 1}, "x goes with one history"),
        (("h",), {"network": 3}, "expected network to be a cr.Network, got int"),
        (("h",), {"x": [[1.0]]}, "x and t go together"),
        (("h", "net", "x"), {}, "x and t go together"),
        (("h",), {"check": 3}, "what cr.check returned, got int"),
        (("h",), {"titel": "x"}, "there is no argument 'titel'"),
        (("h", "net", "x", "t"), {"class_names": ["a"]}, "expected 10 names, one for each class"),
        (("h", "net", "x", "t"), {"class_names": "abcdefghij"}, "expected 10 names"),
        (("h", "net", "x", "t"), {"image_shape": (7, 9)}, r"image_shape: expected \(H, W\)"),
        (("h", "net", "x", "t"), {"sample": 10_000}, "expected a row of x, 0 to 358, got 10000"),
        (("h", "net", "x", "x"), {}, "SoftmaxCrossEntropy"),
    ],
)
def test_bad_arguments(digits, arguments, named, message):
    given = dict(zip(("net", "h", "x", "t"), digits, strict=True))
    values = [given.get(each, each) if isinstance(each, str) else each for each in arguments]
    if arguments[:2] == ("h", "net") and named == {"x": 1}:
        values = [given["h"], given["h"]]
    with pytest.raises(ChainruleError, match=message):
        report(*values, **named)


def test_damaged_answers():
    for content in (None, 3, [], {}, {"classes": 3}, {"names": []}, {"classes": ["a"], "confusion": [[1.5]]}):
        with pytest.raises(ValueError, match=r"damaged|fit|arranged"):
            from_json(content)


# Words and thinning -----------------------------------------------------------------------------------------


def test_numbers_as_people_read_them():
    assert [short(each) for each in (0, 0.25149, 1438, 12345, 1e-9, 3e20, math.nan)] == [
        "0",
        "0.2515",
        "1438",
        "12,345",
        "1e-9",
        "3e20",
        "nan",
    ]
    assert [duration(each) for each in (0.153, 31.61, 125, 7260)] == [
        "0.15 s",
        "31.6 s",
        "2 min 5 s",
        "2 h 1 min",
    ]
    assert [fold(each) for each in (400, 1234, 5e7)] == ["400-fold", "1,200-fold", "5e7-fold"]
    assert percent(0.93035) == "93.0 %"
    assert rounded([1.23456789, math.nan, -math.inf, 3.0]) == [1.23457, None, None, 3]
    assert as_floats([10**400, "x", None, 2]).tolist()[0] == math.inf


@pytest.mark.parametrize("count", [0, 1, 2, 1199, 1200, 1201, 5000])
def test_thinning(count):
    values = np.random.default_rng(count).normal(size=count)
    kept = thinned(values)
    assert len(kept) <= 1202
    assert (np.diff(kept) > 0).all()
    if count:
        assert kept[0] == 0
        assert kept[-1] == count - 1
        assert values[kept].max() == values.max()
        assert values[kept].min() == values.min()
    smooth = smoothed(values)
    assert len(smooth) == count
    half = max(count // 50, 1) // 2
    for k in range(0, count, 97):
        assert smooth[k] == pytest.approx(values[max(k - half, 0) : k + half + 1].mean())


def test_the_numbers_of_an_example_have_the_same_digits():
    assert alike([210_123.4, 360_345.0, -150_221.6]) == ["210,123", "360,345", "-150,222"]
    assert alike([0.01234, 0.5, -0.48766]) == ["0.0123", "0.5000", "-0.4877"]
    assert alike([12.3456, 8.1, 4.2456]) == ["12.35", "8.10", "4.25"]
    assert alike([1e12, 2e12, 0.0]) == ["1e12", "2e12", "0"]
    assert alike([0.0, 0.0, 0.0]) == ["0", "0", "0"]
