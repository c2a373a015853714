"""Calls of programs: what they are given is checked, and several at a time do not disturb each other."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.program import machine
from conftest import cut_small

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5)).astype("float32")
T = RNG.integers(0, 3, 40)


def network(*layers: cr.Layer, inputs: int = 5, dtype: str = "float32") -> cr.Network:
    layers = layers or (cr.Affine(8), cr.ReLU())
    return cr.Network(
        *layers, cr.Affine(3), input_shape=inputs, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype=dtype
    )


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.usefixtures("executor")
def test_gradients_of_shared_weights_add_up(width: int, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix of a single row is cut into parts as other matrices are, and not as a bias."""
    if parts > 1:
        cut_small(monkeypatch)
    a, b = cr.Input("a", shape=(width,)), cr.Input("b", shape=(width,))
    W, twice = cr.Parameter("W", RNG.normal(size=(width, 30))), cr.Affine(30, bias=False)
    both, biased = cr.ReLU()(twice(a, W) + twice(b, W)), cr.Affine(30)
    output = cr.Affine(1)(biased(both) + biased(cr.Tanh()(both)))
    net = cr.Network(output=output, loss=cr.MeanSquaredError(), dtype="float64", seed=0)
    x, t = {"a": RNG.normal(size=(50, width)), "b": RNG.normal(size=(50, width))}, RNG.normal(size=(50, 1))
    net.graph.forward({**x, "t": t})
    expected = net.graph.backward(wrt=net.params)
    for _ in range(3):
        for name, gradient in net.gradient(x, t).items():
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("executor")
def test_threads_get_the_gradient_of_their_own_batch() -> None:
    net = network()
    batches = [slice(k, k + 10) for k in (0, 10, 20, 30)]
    expected = [net.flat_gradient(X[rows], T[rows]).flat for rows in batches]
    wrong: list[int] = []

    def look(k: int) -> None:
        for _ in range(300):
            wrong.extend(
                [k] * (not np.array_equal(net.flat_gradient(X[batches[k]], T[batches[k]]).flat, expected[k]))
            )

    threads = [threading.Thread(target=look, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_label_out_of_range_is_found_by_either_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.program.machine.WORTH_HELPING", 0)
    net = network(cr.Affine(300), cr.ReLU())
    x, t = np.ones((3000, 5), "float32"), np.zeros(3000, int)
    program = net.program(1, t)
    t[-1] = 99
    for _ in range(50):
        with pytest.raises(DataError, match="t: expected labels from 0 to 2, got 99 in row 2999"):
            program.measure({"x": x, "t": t}, threads=2)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("kind", ["float16", "big-endian", "columns", "misaligned"])
def test_rows_are_told_as_the_caller_numbers_them(kind: str) -> None:
    net = network()
    t = np.tile(T, 3000)
    x = laid_out(np.tile(X, (3000, 1)), kind)
    t[90_001] = 7
    program = net.program(1, T)
    with pytest.raises(DataError, match="got 7 in row 90001"):
        program.measure({"x": x, "t": t})
    optimizer = cr.SGD(0.1)
    trainer = net.program(20, T).trainer(optimizer, optimizer.start(net.params.flat))
    rows = np.arange(90_000, 90_020).reshape(1, -1)
    with pytest.raises(DataError, match="got 7 in row 90001"):
        trainer.steps({"x": x, "t": t}, rows, np.zeros(1), iteration=0)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("kind", ["as it is", "float16"])
def test_batches_of_several_sizes_in_one_call(kind: str, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call does what a call for each batch does, whether data are read where they lie or in blocks."""
    if parts > 1:
        cut_small(monkeypatch)
    monkeypatch.setattr("chainrule.program.machine.BLOCK_BYTES", 500)  # a few steps at a time
    x = X if kind == "as it is" else laid_out(X, kind)
    order, starts = np.random.default_rng(1).permutation(40), np.array([0, 16, 32, 40, 47, 63, 79])
    rows = np.concatenate([order, order[::-1]])
    losses, trained = [], []
    for one_call in (True, False):
        net, optimizer = network(cr.Affine(6), cr.Dropout(0.3)), cr.Momentum(0.1)
        trainer = net.program(16, T).trainer(optimizer, optimizer.start(net.params.flat))
        rates = np.linspace(0.1, 0.2, 6)
        pieces = [(0, 6)] if one_call else [(k, k + 1) for k in range(6)]
        found: list[float] = []
        for a, b in pieces:
            some, begins = rows[starts[a] : starts[b]], starts[a : b + 1] - starts[a]
            given: dict[str, Any] = {"starts": begins} if one_call else {}
            some = some if one_call else some[None]
            found += [*trainer.steps({"x": x, "t": T}, some, rates[a:b], iteration=a, **given)]
        losses.append(found)
        trained.append(net.params.flat.copy())
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(*trained)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("starts", [[0, 3, 9], [1, 3, 8], [0, 3, 3, 8], [0, 5, 3, 8], [0, 8]])
def test_starts_that_do_not_divide_the_rows_are_refused(starts: list[int]) -> None:
    net, optimizer = network(), cr.SGD(0.1)
    trainer = net.program(6, T).trainer(optimizer, optimizer.start(net.params.flat))
    with pytest.raises(ShapeError, match=r"rows: expected|starts: expected|at most 6 rows"):
        trainer.steps(
            {"x": X, "t": T},
            np.arange(8),
            np.zeros(len(starts) - 1),
            iteration=0,
            starts=np.array(starts),
        )


def laid_out(x: np.ndarray, kind: str) -> np.ndarray:
    """The same numbers, laid out otherwise."""
    if kind == "misaligned":
        made = np.ndarray(x.shape, x.dtype, buffer=np.zeros(x.nbytes + 1, np.uint8), offset=1)
        made[...] = x
        assert not made.flags.aligned
        return made
    return {
        "float16": lambda: x.astype("float16"),
        "big-endian": lambda: x.astype(">f4"),
        "columns": lambda: np.asfortranarray(x),
    }[kind]()


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("kind", ["float16", "big-endian", "columns", "misaligned"])
def test_every_layout_gives_the_same(kind: str) -> None:
    x = laid_out(np.round(X, 1), kind)
    plain = np.ascontiguousarray(x, "float32")
    nets = [network() for _ in range(2)]
    for net, data in zip(nets, (x, plain), strict=True):
        net.fit(data, laid_out(T, "misaligned"), epochs=2, batch_size=16)
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)
    np.testing.assert_allclose(nets[0].predict(x), nets[0].predict(plain), rtol=1e-6)
    np.testing.assert_allclose(nets[0].predict(x[:1]), nets[0].predict(plain[:1]), rtol=1e-6)
    assert nets[0].evaluate(x, T) == pytest.approx(nets[0].evaluate(plain, T))


def test_a_layer_may_call_its_own_network() -> None:
    class Calls(cr.Layer):
        """y = x."""

        def forward(self, x: Any) -> Any:
            if len(x) == 10 and calls:
                calls[0].gradient(X[:7], T[:7])
            return x, None

        def backward(self, dy: Any, saved: None) -> Any:
            return dy

    calls: list[cr.Network] = []
    net = network(cr.Affine(8), Calls(), cr.ReLU())
    twin = copy.deepcopy(net)
    calls.append(net)
    net.fit(X, T, iterations=2, batch_size=10)
    calls[:] = []
    twin.fit(X, T, iterations=2, batch_size=10)
    np.testing.assert_array_equal(net.params.flat, twin.params.flat)


@pytest.mark.parametrize("c", [1e-40, 1e-45, 0.0, 3.0, 1e30])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_division_by_a_constant_is_that_of_the_graph(c: float) -> None:
    x = cr.Input("x", shape=(4,))
    net = cr.Network(output=cr.Affine(3)(x / c), loss=cr.SoftmaxCrossEntropy(), seed=0)
    data = np.full((2, 4), 1e-5, "float32")
    with np.errstate(all="ignore"):
        expected = net.graph.evaluate({"x": data}, net.output)
    if np.isfinite(expected).all():
        np.testing.assert_allclose(net.predict(data), expected, rtol=1e-5)
    assert not net.program(2).trains_in_python


@pytest.mark.usefixtures("executor")
def test_a_training_program_predicts_the_same_bits() -> None:
    """A prediction takes the program that is there, whichever was needed first."""
    net, other = network(), network()
    program = other.program(10, T)
    assert other.programs.predicting(rows=2) is program
    x = np.linspace(-3, 3, 700 * 5, dtype="float32").reshape(700, 5)
    for rows in (1, 2, 700):
        np.testing.assert_array_equal(other.predict(x[:rows]), net.predict(x[:rows]))
        np.testing.assert_array_equal(other.predict(x[:rows]), net.predict(x[:rows]))
    assert (other.programs.of_one_row is None) == (net.programs.of_one_row is None)


@pytest.mark.usefixtures("executor")
def test_what_does_not_fit_a_program_is_refused() -> None:
    net = network()
    program = net.program(10, T)
    many, labels = np.ones((5000, 5), "float32"), np.zeros(5000, int)
    with pytest.raises(ShapeError, match="expected at most 10 rows in a batch, got 5000"):
        program.loss_and_gradient({"x": many, "t": labels})
    with pytest.raises(ShapeError, match="x: expected 5 numbers in a row"):
        program.loss_and_gradient({"x": many[:4, :3], "t": labels[:4]})
    with pytest.raises(ArgumentError, match="needs data for 't'"):
        program.loss_and_gradient({"x": many[:4]})
    with pytest.raises(DataError, match="labels in whole numbers"):
        program.loss_and_gradient({"x": many[:4], "t": np.zeros(4)})
    with pytest.raises(DataError, match="expected labels from 0 to 2, got 5 in row 1"):
        program.loss_and_gradient({"x": many[:4], "t": np.array([0, 5, 0, 0])})
    for result in (np.zeros((5000, 1), "f4"), np.zeros((5000, 6), "f4")[:, ::2], np.zeros((3, 3), "f4")):
        with pytest.raises(ShapeError, match=r"result: expected shape|x: expected"):
            program.predict({"x": many[: len(result)] if len(result) > 3 else many[:2]}, result)
    optimizer = cr.SGD(0.1)
    trainer = program.trainer(optimizer, optimizer.start(net.params.flat))
    with pytest.raises(ShapeError, match="at most 10 rows"):
        trainer.steps({"x": many, "t": labels}, np.zeros((1, 500), int), np.zeros(1), iteration=0)
    with pytest.raises(ShapeError, match="rates: expected one for each of the 3 steps, got 1"):
        trainer.steps({"x": many, "t": labels}, np.zeros((3, 5), int), np.zeros(1), iteration=0)
    with pytest.raises(ArgumentError, match="this program only predicts"):
        network().programs.predicting().loss_and_gradient({"x": many[:4], "t": labels[:4]})
    result = np.zeros((5000, 3), "float32")
    program.predict({"x": many}, result)
    np.testing.assert_allclose(result, net.predict(many), rtol=1e-5)


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("name", ["a\\b", "a\nb", "'\"", "\u200b", "x\u00a0y", "\u202e", "data", "loss2"])
def test_inputs_may_have_any_names(name: str) -> None:
    x = cr.Input(name, shape=(5,))
    net = cr.Network(output=cr.Affine(3)(x), loss=cr.SoftmaxCrossEntropy(), seed=0)
    plain = cr.Network(cr.Affine(3), input_shape=5, loss=cr.SoftmaxCrossEntropy(), seed=0)
    for each, data in ((net, {name: X}), (plain, X)):
        each.fit(data, T, epochs=2, batch_size=10)
    np.testing.assert_array_equal(net.params.flat, plain.params.flat)
    np.testing.assert_array_equal(net.predict({name: X}), plain.predict(X))


def test_dropout_drops_nothing_in_a_prediction_and_is_not_in_it() -> None:
    net = network(cr.Affine(8), cr.Dropout(0.5), cr.ReLU(), cr.Dropout(0.2))
    net.fit(X, T, epochs=2, batch_size=10)
    program = net.program(10, T)
    assert not program.trains_in_python
    assert not [each for each in program.predicting.instructions if "dropout" in each.operation.name]
    np.testing.assert_allclose(net.predict(X), net.graph.evaluate({"x": X}, net.output), rtol=1e-5)
    np.testing.assert_allclose(net.predict(X[:1]), net.graph.evaluate({"x": X[:1]}, net.output), rtol=1e-5)


def test_ctrl_c_is_heard_in_a_long_prediction() -> None:
    code = """
import _thread, os, signal, threading, time
import numpy as np, chainrule as cr
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
net = cr.Network(cr.Affine(2000), cr.ReLU(), cr.Affine(2000), cr.ReLU(), cr.Affine(3), input_shape=20, seed=0)
x = np.ones((100_000, 20), "float32")
began = time.perf_counter()
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    net.predict(x)
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted" if time.perf_counter() - began < 3 else "late")
end = time.perf_counter() + 5
while _thread._count() and time.perf_counter() < end:
    time.sleep(0.01)
assert _thread._count() == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "interrupted", done.stdout + done.stderr


@pytest.mark.usefixtures("executor")
def test_nan_in_the_data_is_blamed_on_the_data_and_not_on_a_layer_that_cannot_bear_it() -> None:
    class Strict(cr.Layer):
        """y = x."""

        def forward(self, x: Any) -> Any:
            if np.isnan(x).any():
                raise ValueError("no NaN")
            return x, None

        def backward(self, dy: Any, saved: None) -> Any:
            return dy

    net = network(cr.Affine(8), Strict())
    x = X.copy()
    x[2, 1] = np.nan
    calls = (
        net.predict,
        lambda x: net.loss(x, T),
        lambda x: net.accuracy(x, T),
        lambda x: net.gradient(x, T),
    )
    for call in calls:
        with pytest.raises(DataError, match="x holds nan at row 2, column 1"):
            call(x)


def test_a_network_of_any_size_is_predicted_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a step is so much work that Ctrl-C is listened for after each."""
    started = []
    start = machine._thread.start_new_thread

    def watched(function: Any, arguments: Any) -> Any:
        started.append(function)
        return start(function, arguments)

    monkeypatch.setattr(machine._thread, "start_new_thread", watched)
    monkeypatch.setattr(machine, "AT_ONCE", 1)
    monkeypatch.setattr(machine, "WORTH_HELPING", 1)
    net, many = network(), np.ones((2000, 5), "float32")
    program = net.programs.predicting()
    result = np.zeros((2000, 3), "float32")
    program.predict({"x": many}, result, threads=3)
    assert started
    np.testing.assert_allclose(result, net.predict(many[:1]).repeat(2000, axis=0), rtol=1e-5)


def test_a_first_prediction_of_one_row_takes_an_arena_for_one_row() -> None:
    net = cr.Network(
        cr.Softmax(axis=2),
        cr.Flatten(),
        cr.Affine(3),
        input_shape=(64, 64),
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
    )
    x = RNG.random((3, 64, 64), dtype="float32")
    one = net.predict(x[:1])
    slot = net.programs.of_one_row._free[0]  # type: ignore[union-attr]
    assert sum(array.nbytes for array in slot.machine.memory.arena().values()) < 100_000
    np.testing.assert_allclose(one, net.predict(x)[:1], rtol=1e-5)


def test_a_class_of_weight_0_may_come_first() -> None:
    """A network with a layer in Python is tried on two rows such as the first."""

    class Same(cr.Layer):
        """y = x."""

        def forward(self, x: Any) -> Any:
            return x, None

        def backward(self, dy: Any, saved: None) -> Any:
            return dy

    loss = cr.SoftmaxCrossEntropy(class_weights=[0, 1, 1])
    net = cr.Network(cr.Affine(4), Same(), cr.Affine(3), input_shape=5, loss=loss, seed=0)
    t = np.array([0, 1, 2, 0, 1, 2])
    assert len(net.fit(X[:6], t, iterations=3, batch_size=6).loss) == 3


@pytest.mark.usefixtures("executor")
def test_a_total_of_weights_that_overflows_is_no_loss_of_0() -> None:
    net = network()
    with pytest.raises(cr.errors.DataError, match=r"sum of the weights is 6e[+]39, too large for float32"):
        net.fit(X[:20], T[:20], iterations=1, batch_size=20, sample_weight=np.full(20, 3e38))


@pytest.mark.parametrize("name", ["starts", "rates", "weights", "losses", "rows"])
def test_arrays_of_a_call_that_lie_otherwise_are_refused(name: str) -> None:
    """What C would read beside the numbers, or write to where nothing may be written."""
    net, optimizer = network(), cr.SGD(0.1)
    program = net.program(10, T)
    trainer = program.trainer(optimizer, optimizer.start(net.params.flat))

    def run(**other: Any) -> int:
        given = {"rates": np.full(2, 0.1), "weights": np.full(2, 10.0), "losses": np.zeros(2)} | other
        rows, starts = given.pop("rows", np.arange(20)), given.pop("starts", np.array([0, 10, 20]))
        data = {"x": X, "t": T}
        return trainer.executor.run(program.call_of(data, rows, starts, update=trainer.update, **given))

    assert run() == 2
    apart: dict[str, Any] = {
        "starts": np.array([0, 99, 10, 10**9, 20, 5])[::2],
        "rates": np.zeros(6)[::3],
        "weights": np.zeros(6)[::3],
        "losses": np.zeros(6)[::3],
        "rows": np.arange(40)[::2],
    }
    narrow = {key: array.astype("f4" if array.dtype.kind == "f" else "i4") for key, array in apart.items()}
    read_only = np.zeros(2)
    read_only.flags.writeable = False
    others = [
        apart[name],
        np.ascontiguousarray(narrow[name]),
        np.zeros((1, 3)),
        np.zeros(0, apart[name].dtype),
    ]
    for other in [*others, *([read_only] if name == "losses" else [])]:
        with pytest.raises(ShapeError, match=name):
            run(**{name: other})
