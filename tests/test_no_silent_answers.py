"""What must not pass for an answer: NaN, overflow, parameters that the network no longer sees."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli.app import app
from chainrule.errors import ArgumentError, ChainruleWarning, DataError, DivergedError, ShapeError
from chainrule.network.finite import not_finite

pytestmark = pytest.mark.usefixtures("without_curves")

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(30, 4)), RNG.integers(3, size=30)


def network(*layers: cr.Layer, dtype: Any = "float32") -> cr.Network:
    layers = layers or (cr.Affine(5), cr.ReLU())
    return cr.Network(
        *layers, cr.Affine(3), input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype=dtype
    )


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_assigning_to_the_flat_vector_changes_the_network() -> None:
    net = network()
    before = net.loss(X, T)
    net.params.flat = net.params.flat - 0.5 * net.flat_gradient(X, T).flat
    assert net.loss(X, T) < before
    net.fit(X, T, epochs=20, batch_size=10)
    assert net.loss(X, T) < 0.9 * before
    with pytest.raises(ShapeError, match=r"params.flat: expected shape \(43,\)"):
        net.params.flat = np.zeros(3)


def test_assigning_all_parameters_copies_them() -> None:
    net, other = network(), network()
    other.fit(X, T, epochs=3, batch_size=10)
    net.params = other.params
    np.testing.assert_array_equal(net.predict(X), other.predict(X))
    assert net.params is not other.params
    with pytest.raises(ArgumentError, match="params: expected an array for each of W1, b1, W2, b2"):
        net.params = {"W1": np.zeros((4, 5))}  # type: ignore[assignment]


def test_numbers_too_large_for_the_dtype_are_refused() -> None:
    for call in (
        network().predict,
        lambda x: network().loss(x, T[:2]),
        lambda x: network().gradient(x, T[:2]),
    ):
        with pytest.raises(DataError, match=r"x holds 1e\+300 at row 1, column 0: too large for float32"):
            call(np.array([[0.0] * 4, [1e300] * 4]))
    assert np.isfinite(network(dtype="float64").predict(np.full((2, 4), 1e100))).all()


def test_an_output_of_nan_is_not_a_right_answer() -> None:
    net = network()
    net.params["b2"] = np.full(3, np.nan)
    with pytest.warns(ChainruleWarning, match="b2 holds NaN at 0"):
        assert net.accuracy(X, T) == 0


def calls(net: cr.Network, x: Any, t: Any) -> list[Any]:
    """Every way to an answer that may not be finite."""
    return [
        lambda: net.predict(x),
        lambda: net.predict(x[:1]),
        lambda: net.predict(x[:1].astype(net.dtype)),
        lambda: net.predict_proba(x),
        lambda: net.loss(x, t),
        lambda: net.loss(x, t, np.ones(len(x))),
        lambda: net.accuracy(x, t),
        lambda: net.evaluate(x, t),
    ]


class Same(cr.Layer):
    """y = x,    dL/dx = dL/dy; of one's own, so that Python runs it."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        return x, None

    def backward(self, dy, saved):  # type: ignore[no-untyped-def]
        return dy


@pytest.mark.parametrize(
    "layers", [(cr.Affine(5), cr.ReLU()), (cr.Affine(5), Same()), (Same(), cr.Affine(5))]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(layers: Any, value: float) -> None:
    net = network(*layers)
    net.predict(X[:1])  # so that single rows have their own way
    net.params["W2"][4, 1] = value
    net.params["W1"] = np.abs(net.params["W1"])
    held = f"W2 holds {'NaN' if value != value else 'infinity'} at 4, 1; go back"
    for call in calls(net, np.abs(X), T):
        with pytest.warns(ChainruleWarning, match=held) as caught:
            call()
        assert [each.filename for each in caught] == [__file__]


def test_statistics_that_are_not_finite_are_named() -> None:
    net = network(cr.BatchNorm(), cr.Affine(5))
    net.state["running_mean1"][2] = np.nan
    with pytest.warns(ChainruleWarning, match="running_mean1 holds NaN at 2"):
        net.predict(X)


@pytest.mark.parametrize("scale", [1e20, 3e38])
def test_what_overflows_is_named(scale: float) -> None:
    net = network(cr.Affine(5), cr.ReLU())
    x = np.full((9, 4), scale)
    net.params["W2"] = np.full((5, 3), 1e20)
    net.params["W1"] = np.full((4, 5), 0.2)
    for call in calls(net, x, T[:9]):
        with pytest.warns(
            ChainruleWarning, match=r"output is inf at row 0, column 0.*affine2 overflows float32"
        ):
            call()
    assert np.isfinite(net.astype("float64").predict(x)).all()


def test_a_node_that_is_not_finite_is_named() -> None:
    net = network(cr.Log(), cr.Affine(5))
    with pytest.warns(
        ChainruleWarning, match="output is nan at row 2, .*log1 is the first node that is not finite"
    ):
        net.predict(np.where(np.arange(6)[:, np.newaxis] == 2, -1, np.ones((6, 4))))


def test_a_training_does_not_warn_of_what_it_raises() -> None:
    net = network(dtype="float64")
    with pytest.raises(DivergedError):
        net.fit(X, T, optimizer=cr.SGD(1e300), epochs=9)


def test_a_network_that_is_not_finite_is_neither_saved_nor_loaded_unasked(tmp_path: Path) -> None:
    for break_it, message in (
        (lambda net: net.params["W2"].__setitem__((1, 2), np.nan), "W2 holds NaN at 1, 2"),
        (lambda net: net.params["b3"].__setitem__(0, np.inf), "b3 holds infinity at 0"),
        (lambda net: net.state["running_var1"].__setitem__(3, np.nan), "running_var1 holds NaN at 3"),
    ):
        net = network(cr.BatchNorm(), cr.Affine(5), cr.Affine(5))
        path = cr.save(net, tmp_path / "good.safetensors")
        break_it(net)
        bad = tmp_path / "bad.safetensors"
        with pytest.raises(DataError, match=rf"{message}: .*allow_nan=True"):
            cr.save(net, bad)
        assert not bad.exists()
        cr.save(net, bad, allow_nan=True)
        bad = bad.rename(tmp_path / "kept.safetensors")
        with pytest.raises(DataError, match=rf"kept.safetensors: {message}: .*allow_nan=True"):
            cr.load(bad)
        assert not_finite({**cr.load(bad, allow_nan=True).params, **net.state}) == message
        cr.load(path)


#: Names that one language or another takes for the same identifier, or for none.
FOLDED = [
    ("\u03b8", "\u03d1"), ("\u03bc", "\u00b5"), ("\u017f", "s"), ("K", "\u212a"), ("\ufb01", "fi"),
    ("\u00e9", "e\u0301"), ("\u00aa", "a"), ("x\u00b2", "x2"), ("h\u2081", "h1"), ("\u03a9", "\u2126"),
    ("\u210c", "H"), ("a b", "a_b"), ("__debug__", "None"), ("sgd", "matmul"), ("dx", "x"), ("B", "rows"),
]  # fmt: skip


@pytest.mark.parametrize("names", FOLDED, ids=ascii)
def test_nodes_may_have_any_names(names: tuple[str, str]) -> None:
    """Two names that fold together are still two nodes, and none means anything to a program."""

    def trained(first: str, second: str) -> Any:
        x = cr.Input("in", shape=(4,))
        one = cr.ReLU()(cr.Affine(5)(x), name=first)
        other = cr.Tanh()(cr.Affine(5)(x), name=second)
        net = cr.Network(output=cr.Affine(3)(one + other), loss=cr.SoftmaxCrossEntropy(), seed=0)
        return net.fit(X, T, iterations=5, batch_size=10).loss, net.params.flat.tolist()

    assert trained(*names) == trained("one", "other")


def test_every_pair_of_letters_that_folds_together_is_kept_apart() -> None:
    """200 pairs that Python's own identifiers take for one."""
    pairs = []
    for code in range(0x80, 0x20000):
        letter, folded = chr(code), unicodedata.normalize("NFKC", chr(code))
        if letter != folded and letter.isidentifier() and folded.isidentifier():
            pairs.append((letter, folded))
    nets = []
    for one, other in [pairs[k] for k in np.linspace(0, len(pairs) - 1, 200).astype(int)] + [("h", "g")]:
        x = cr.Input("in", shape=(4,))
        sum_ = cr.Affine(2)(x, name=one) + cr.Tanh()(cr.Affine(2)(x), name=other)
        net = cr.Network(output=cr.Affine(3)(sum_), loss=cr.SoftmaxCrossEntropy(), seed=0)
        nets.append(net.gradient(X[:8], T[:8]))
    for gradients in nets:
        for mine, expected in zip(gradients.values(), nets[-1].values(), strict=True):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64", "int64", ">i4"])
def test_labels_of_any_whole_dtype(dtype: str) -> None:
    labels = T.astype(dtype)
    expected = network().gradient(X, T)
    for name, gradient in network().gradient(X, labels).items():
        np.testing.assert_array_equal(gradient, expected[name])
    network().fit(X, labels, epochs=1, batch_size=10)


@pytest.mark.parametrize("threads", ["2", 1.5, 0, True])
def test_threads_are_a_whole_number(threads: Any) -> None:
    with pytest.raises(ArgumentError, match="threads: expected a whole number of at least 1"):
        network().fit(X, T, epochs=1, batch_size=10, threads=threads)


@pytest.mark.parametrize("targets", [5, []])
def test_example_targets_have_a_row(targets: Any) -> None:
    with pytest.raises(ArgumentError, match="at least one row"):
        network().program(10, targets=targets)


def test_no_dtype_is_no_dtype() -> None:
    with pytest.raises(ArgumentError, match="float32 or float64, got None"):
        network(dtype=None)


def prices(folder: Path, rows: int = 80) -> str:
    size = RNG.permutation(np.arange(20, 20 + rows))
    lines = [f"{s},{RNG.integers(1, 9)},{1000 * s + 7}" for s in size]
    (folder / "price.csv").write_text("size,rooms,price\n" + "\n".join(lines) + "\n")
    return str(folder / "price.csv")


def test_whole_numbers_can_be_estimated(tmp_path: Path) -> None:
    table, out = prices(tmp_path), str(tmp_path / "run")
    code, text = command("train", table, "--target", "price", "--out", out)
    assert code == 0, text
    assert "80 different whole numbers: taken as numbers to estimate" in text
    assert "--task classification if they are classes" in text
    history = cr.History.load(tmp_path / "run" / "history.jsonl")
    assert history.test_loss[-1] < 0.1
    assert command("train", table, "--target", "price", "--task", "regresion")[0] == 2


@pytest.mark.parametrize("option", [("--test-share", "0.9"), ("--task", "regression")])
def test_options_of_tables_are_refused_for_named_data(option: tuple[str, str]) -> None:
    code, text = command("train", "digits", *option)
    assert code == 2
    assert f"{option[0]} is for tables" in text


def test_the_command_line_takes_nan_for_no_answer(tmp_path: Path) -> None:
    table, out = prices(tmp_path), tmp_path / "run"
    arguments = ("--target", "price", "--task", "regression", "--epochs", "2", "--out", str(out))
    assert command("train", table, *arguments)[0] == 0
    model = out / "model.safetensors"
    net = cr.load(model)
    for value, message in ((3e38, "the model's output for row 1 is"), (np.inf, "b1 holds infinity at 0")):
        net.params.flat = np.full_like(net.params.flat, 3e38)
        net.params["b1"] = np.full_like(net.params["b1"], value)
        cr.save(net, model, allow_nan=True)
        for words in (("evaluate", str(model), table), ("predict", str(model), table)):
            code, text = command(*words)
            assert code == 2, text
            assert message in text
