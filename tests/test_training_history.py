"""History: what is recorded, its file, its frame and its picture; and the progress bar."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.errors import ArgumentError, FileError

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
        "optimizer": "SGD(learning_rate=0.1)",
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
    with pytest.raises(FileError, match=r"could not read the history .*none.json"):
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
