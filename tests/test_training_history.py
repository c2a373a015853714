"""History: what is recorded, its file, its frame and its picture; and the progress bar."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import sys
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.drawing.history import history_html
from chainrule.errors import ArgumentError, FileError
from chainrule.loop.curves import moving_mean

matplotlib.use("Agg")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4))
T = RNG.integers(3, size=20)


def fit(loss=None, t=T, **arguments):
    loss = cr.SoftmaxCrossEntropy() if loss is None else loss
    net = cr.Network(cr.Affine(5), cr.ReLU(), cr.Affine(3), input_shape=(4,), loss=loss, seed=0)
    return net, net.fit(X, t, **({"epochs": 3, "batch_size": 8} | arguments))


def test_what_is_recorded():
    net, history = fit(validation=(X[:7], T[:7]))
    assert len(history.loss) == len(history.learning_rate) == len(history.seconds) == 9
    assert history.measured_at == [3, 6, 9]
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert len(getattr(history, name)) == 3, name
        assert history.latest(name) == getattr(history, name)[-1]
    assert history.train_loss[-1] == net.loss(X, T)
    assert history.train_accuracy[-1] == net.accuracy(X, T)
    assert history.test_loss[-1] == net.loss(X[:7], T[:7])
    assert history.test_accuracy[-1] == net.accuracy(X[:7], T[:7])
    assert history.stopped == "finished"
    assert history.settings == {
        "optimizer": "Adam(learning_rate=InverseSquareRoot(rate=0.01), clip_norm=1.0)",
        "loss": "SoftmaxCrossEntropy()",
        "batch_size": 8,
        "sampling": "shuffle",
        "samples": 20,
        "seed": 0,
        "dtype": "float32",
        "executor": "machine",
    }


def test_the_loss_of_an_iteration_is_that_of_its_batch_before_its_update():
    net = cr.Network(cr.Affine(3), input_shape=(4,), loss=cr.SoftmaxCrossEntropy(), seed=0, dtype="float64")
    before = net.loss(X, T)
    assert net.fit(X, T, iterations=1, batch_size=20).loss[0] == pytest.approx(before, rel=1e-12)


def test_what_cannot_be_measured_stays_empty():
    _, history = fit(loss=cr.MeanSquaredError(), t=X[:, :3])
    assert history.train_loss
    assert history.train_accuracy == history.test_loss == history.test_accuracy == []
    assert history.latest("test_loss") is None
    with pytest.raises(ArgumentError, match=r"unknown measure 'test_los'; did you mean 'test_loss'\?"):
        history.latest("test_los")


def test_training_inside_an_epoch_is_measured_at_its_end():
    _, history = fit(epochs=None, iterations=7)
    assert history.measured_at == [3, 6, 7]
    assert len(history.train_loss) == 3


# Its file


def test_json_round_trip(tmp_path):
    _, history = fit(validation=(X, T), batch_size=np.int64(8), seed=np.int32(4))
    assert cr.History.from_json(history.to_json()) == history
    path = history.save(tmp_path / "history.json")
    assert cr.History.load(path) == history
    content = json.loads(path.read_text())
    assert content["format"] == "chainrule history 1"
    assert content["loss"] == history.loss


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"format": "chainrule history 2"}',
        '{"format": "chainrule history 1", "loss": 3}',
        '{"format": "chainrule history 1", "loss": ["a"]}',
        '{"format": "chainrule history 1", "loss": [null]}',
        '{"format": "chainrule history 1", "settings": []}',
        '{"format": "chainrule history 1", "other": []}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_history(text):
    with pytest.raises(FileError, match=r"histor"):
        cr.History.from_json(text)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cut=st.integers(0, 900), put=st.text('0[]{},:"ex', max_size=3))
def test_a_damaged_history_is_a_file_error(cut, put):
    text = cr.History(loss=[1.0, 2.0], settings={"a": 1}, stopped="finished").to_json()
    cut = min(cut, len(text))
    with contextlib.suppress(FileError):
        cr.History.from_json(text[:cut] + put + text[cut + 1 :])


def test_a_history_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match=r"could not read .*none.json"):
        cr.History.load(tmp_path / "none.json")
    with pytest.raises(FileError, match=r"could not read the history"):
        cr.History.load(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match=r"could not read the history"):
        cr.History.load(tmp_path / "bytes.json")
    with pytest.raises(FileError, match=r"could not write"):
        fit()[1].save(tmp_path / "no folder" / "history.json")


# Its frame and its picture


def test_frames():
    _, history = fit(epochs=None, iterations=7, validation=(X, T))
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "learning_rate", "seconds"]
    assert frame.index.name == "iteration"
    assert frame.index.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert frame["loss"].tolist() == history.loss
    frame = history.to_frame("epoch")
    assert list(frame.columns) == ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert frame.index.tolist() == [3, 6, 7]
    assert frame["test_loss"].tolist() == history.test_loss
    with pytest.raises(ArgumentError, match=r"did you mean 'epoch'\?"):
        history.to_frame("epochs")
    assert len(cr.History().to_frame()) == len(cr.History().to_frame("epoch")) == 0


def curves(axes):
    return {line.get_label().split(" (")[0]: np.asarray(line.get_ydata()) for line in axes.get_lines()}


def test_plot_shows_what_was_recorded():
    _, history = fit(epochs=60, validation=(X, T))
    left, right = history.plot().axes
    np.testing.assert_array_equal(curves(left)["each batch"], history.loss)
    np.testing.assert_allclose(curves(left)["mean of 3"][0], np.mean(history.loss[:3]))
    assert len(curves(left)["mean of 3"]) == 178
    np.testing.assert_array_equal(curves(right)["train accuracy"], history.train_accuracy)
    np.testing.assert_array_equal(curves(right)["test accuracy"], history.test_accuracy)
    np.testing.assert_array_equal(right.get_lines()[0].get_xdata(), history.measured_at)
    assert (left.get_xlabel(), right.get_ylabel()) == ("iteration", "accuracy")


@pytest.mark.parametrize(
    "history",
    [
        cr.History(),
        cr.History(loss=[1.0], learning_rate=[0.1], seconds=[0.1]),
        cr.History(loss=[1e300, 1.0], measured_at=[2], train_loss=[1e307]),
        cr.History(loss=[1.0, 2.0], measured_at=[1, 2], train_loss=[1.0, 2.0], test_loss=[2.0, float("nan")]),
    ],
)
def test_plot_draws_any_history(history):
    picture = io.BytesIO()
    history.plot().savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_plot_of_a_regression_shows_losses():
    _, history = fit(loss=cr.MeanSquaredError(), t=X[:, :3], validation=(X, X[:, :3]))
    right = history.plot().axes[1]
    assert set(curves(right)) == {"train loss", "test loss"}


# The progress bar


def test_nothing_is_shown_where_nobody_watches(capsys):
    fit()
    fit(progress=False)
    assert capsys.readouterr() == ("", "")


def test_the_bar_is_shown_when_asked_for(capsys):
    fit(progress=True)
    assert "9/9" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(("arguments", "shown"), [("", True), (", progress=False", False)])
def test_in_a_terminal_the_bar_shows_itself(arguments, shown):
    import pty

    program = (
        "import numpy as np, chainrule as cr\n"
        "net = cr.TwoLayerNet(4, 5, 3, seed=0)\n"
        f"net.fit(np.ones((50, 4)), np.zeros(50, int), epochs=3, batch_size=10{arguments})\n"
    )
    main, other = pty.openpty()
    import subprocess

    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150"}
    subprocess.run(
        [sys.executable, "-c", program], stdout=other, stderr=other, env=environment, check=True, timeout=60
    )
    os.close(other)
    seen = b""
    try:
        while piece := os.read(main, 65536):
            seen += piece
    except OSError:  # Linux says so at the end
        pass
    finally:
        os.close(main)
    assert (b"15/15" in seen, b"train accuracy" in seen) == (shown, shown)


# In one line


def line(**arguments):
    return repr(cr.History(**arguments))


def test_a_history_is_one_line():
    _, history = fit(validation=(X[:7], T[:7]))
    assert re.fullmatch(
        r"<History: 9 iterations, 3 epochs, train loss [\d.]+, test accuracy [\d.]+, 0\.\d\d s, finished>",
        repr(history),
    )
    assert str(history) == repr(history)


def test_the_line_of_a_regression_and_of_a_training_without_test_data():
    _, history = fit(
        cr.MeanSquaredError(), X[:, :3], epochs=None, iterations=4, validation=(X[:7], X[:7, :3])
    )
    assert re.match(
        r"<History: 4 iterations, 1\.33 epochs, train loss [\d.]+, test loss [\d.]+, 0", repr(history)
    )
    _, history = fit(epochs=1, sampling="replacement")
    assert re.match(
        r"<History: 2 iterations, 1 epoch, train loss [\d.]+, train accuracy [\d.]+, 0", repr(history)
    )


def test_the_line_counts_a_last_batch_that_joins_another():
    net = cr.Network(
        cr.Affine(5), cr.BatchNorm(), cr.Affine(3), input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=0
    )
    history = net.fit(X[:17], T[:17], epochs=2, batch_size=8)
    assert repr(history).startswith("<History: 4 iterations, 2 epochs, ")


def test_the_line_of_what_is_short_or_went_wrong():
    assert line() == "<History: 0 iterations>"
    assert line(loss=[2.5], seconds=[0.25]) == "<History: 1 iteration, last batch's loss 2.5000, 0.25 s>"
    told = line(
        loss=[1e-5] * 1200, seconds=[3990.0], stopped="failed: KeyboardInterrupt", train_loss=[math.nan]
    )
    assert told == "<History: 1,200 iterations, train loss nan, 1 h 6 min, failed: KeyboardInterrupt>"
    assert line(train_loss=[10**400], seconds=[10**400]) == "<History: 0 iterations, train loss inf, inf>"
    assert line(train_loss=[0.0], stopped="a\nb " + "c" * 200).endswith("train loss 0.0000, a b ...>")
    assert line(loss=[1.0], settings={"samples": "many", "batch_size": None}).startswith("<History: 1 it")
    net = cr.Network(cr.Affine(3), input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=0)
    with pytest.raises(cr.errors.DivergedError) as caught:
        net.fit(X, T, optimizer=cr.SGD(1e300), epochs=9, batch_size=8)
    assert re.fullmatch(r"<History: .*, diverged: iteration \d+: .* \.\.\.>", repr(caught.value.history))
    assert len(repr(caught.value.history)) < 200


# As HTML


def paths(page):
    """Of each curve its points, as (x, y) in the picture; y grows downward."""
    found = re.findall(r'<path d="([^"]*)"', page)
    return [np.array([point.split(",") for point in re.findall(r"[\d.]+,[\d.]+", d)], float) for d in found]


def test_as_html_it_has_two_curves_and_the_final_figures():
    _, history = fit(validation=(X[:7], T[:7]))
    page = history_html(history)
    ElementTree.fromstring(page)  # each element is closed
    assert page.count("<svg") == 2
    assert [len(points) for points in paths(page)] == [9, 3, 3]
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert f">{history.latest(name):.4f}</td>" in page
    assert "9 iterations, 3 epochs" in page
    assert "url(" not in page
    assert " id=" not in page  # several histories stand in one notebook


def test_no_spike_is_lost_of_a_long_curve():
    loss = np.linspace(3, 1, 100_000)
    loss[54_321], loss[77_777], loss[10:20] = 9.0, 0.5, np.nan
    page = history_html(cr.History(loss=loss.tolist()))
    points = paths(page)[0]
    assert len(points) < 400
    assert len(page) < 20_000
    x, y = points.T
    span = x.max() - x.min()
    assert (x[y.argmin()] - x.min()) / span == pytest.approx(0.54321, abs=0.001)
    assert (x[y.argmax()] - x.min()) / span == pytest.approx(0.77777, abs=0.001)
    assert re.search(r'd="M[^"]*M', page), "the line is broken where the loss was not finite"


@pytest.mark.parametrize(
    ("loss", "curves"),
    [
        *[([], 0), ([1.0], 0), ([math.nan] * 5, 0), ([1.0, math.inf], 0), ([1.0, 1e300], 0)],
        *[([2.0] * 3, 1), ([0.0] * 3, 1), ([5e-324, 1.0], 1), ([1, 2], 1), ([10**400, 2.0, 1.0], 1)],
        *[([1e-99, 1e99], 1), ([-1e99, 1e99], 1), ([1e99, 1e99], 1), ([1e16, 1e16 + 2], 1)],
    ],
)
def test_curves_of_strange_losses(loss, curves):
    page = history_html(cr.History(loss=loss, stopped="<i>&"))
    ElementTree.fromstring(page)
    assert page.count("<svg") == curves
    assert "nan" not in re.sub(r">[^<]*<", "><", page)
    assert "&lt;i&gt;&amp;" in page


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(), max_size=60), st.lists(st.floats(), max_size=8))
def test_any_history_has_a_line_and_a_page(loss, measured):
    history = cr.History(
        loss=loss, train_loss=measured, test_accuracy=measured, measured_at=list(range(len(measured)))
    )
    assert "\n" not in repr(history)
    ElementTree.fromstring(history_html(history))


@pytest.mark.parametrize("count", [100, 999, 5_000, 100_001])
def test_the_mean_of_the_curves_is_one_of_the_values_before(count):
    values = np.random.default_rng(0).normal(size=count)
    window = count // 50
    at, means = moving_mean(values, window)
    assert len(at) == len(means) >= 40
    assert at[-1] >= count - window // 10 - 1
    width = window // max(window // 20, 1) * max(window // 20, 1)
    for k in (0, len(at) // 2, -1):
        np.testing.assert_allclose(means[k], values[at[k] - width : at[k]].mean(), rtol=1e-9)
