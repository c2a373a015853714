"""The report of a training: what it shows."""

from __future__ import annotations

import html
import json
import math
import re
import warnings
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, r2_score, recall_score

import chainrule as cr
from chainrule.errors import ArgumentError, FileError
from chainrule.evaluation import Classified, Estimated, image_shape_of, judge
from chainrule.loop import History
from chainrule.reports import TrainingReport, report
from chainrule.reports.images import picture
from chainrule.reports.network import weights_of_images
from chainrule.saving.evaluations import from_json, to_json
from chainrule.text import short
from report_cases import (
    ODD_NAMES,
    Digits,
    codes,
    data_in,
    trained_digits,
)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return trained_digits()


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
    assert [each.row - 1 for each in found.wrong[:24]] == expected[:24].tolist()
    assert [each.row - 1 for each in found.unsure] == np.argsort(p.max(axis=1))[:12].tolist()
    first = found.wrong[0]
    k = first.row - 1
    assert first.true == t[k]
    assert first.predicted == p[k].argmax()
    np.testing.assert_allclose(first.probabilities, p[k], atol=1e-4)
    np.testing.assert_allclose(first.x, x[k], rtol=1e-2)


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
    assert "Confusion matrix" not in report(history, net, x, labels).html()


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
    assert [each.row - 1 for each in found.worst] == np.argsort(-left)[:12].tolist()
    page = made.html()
    assert "Predicted against true" in page
    assert short(float(found.rmse[0])) in page
    assert codes(made) == []


def test_a_history_alone(digits):
    page = report(digits[1]).html()
    assert "Loss" in page
    assert "Confusion matrix" not in page
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
    np.testing.assert_allclose(shown.x, data[first][shown.row - 1].reshape(-1), rtol=5e-3, atol=1e-6)

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
