"""Programs: the fast form of a graph agrees with the graph, by the machine and by NumPy."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError, LayerError
from chainrule.native import blas
from chainrule.program import Program
from chainrule.program import program as programs
from chainrule.program.operations.updates import UPDATE, update_of
from chainrule.program.table import Instruction, Operation, Place, Table, Turn, plan
from conftest import cut_small

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
LABELS = RNG.integers(0, 4, 40)


class Doubled(cr.Layer):
    """y = 2 x: a layer of one's own, without a kernel."""

    def forward(self, x: Any) -> Any:
        return 2 * x, None

    def backward(self, dy: Any, saved: None) -> Any:
        return 2 * dy


def chain(*layers: cr.Layer, loss: Any = None, dtype: str = "float64") -> cr.Network:
    return cr.Network(
        *layers, cr.Affine(4), input_shape=6, loss=loss or cr.SoftmaxCrossEntropy(), seed=3, dtype=dtype
    )


def graph_form(make: Any, **arguments: Any) -> cr.Network:
    x = cr.Input("x", shape=(6,))
    return cr.Network(output=make(x), loss=cr.SoftmaxCrossEntropy(), seed=3, dtype="float64", **arguments)


def paths(x: cr.Node) -> cr.Node:
    """Scaled data, a layer used twice, and a path around it."""
    scaled = ((x - X.mean(axis=0)) / 3 + 1) * 2
    twice = cr.Affine(6)
    hidden = cr.ReLU()(twice(cr.Sigmoid()(twice(scaled))))
    return cr.Affine(4)(hidden + scaled + hidden)


def odd_names(x: cr.Node) -> cr.Node:
    hidden = cr.ReLU()(cr.Affine(5)(x, name="lambda"), name="a b-é")
    return cr.Affine(4)(cr.Tanh()(hidden, name="np"), name="rows")


NATIVE = {
    "one layer": lambda: chain(),
    "no bias": lambda: graph_form(lambda x: cr.Affine(4, bias=False)(x)),
    "tiles": lambda: chain(cr.Affine(16), cr.ReLU(), cr.Affine(40), cr.Tanh(), cr.Affine(8), cr.ReLU()),
    "relu": lambda: chain(cr.Affine(5), cr.ReLU()),
    "deep": lambda: chain(
        cr.Affine(5), cr.ReLU(), cr.Affine(7), cr.Tanh(), cr.Affine(5, bias=False), cr.Sigmoid()
    ),
    "keep input": lambda: chain(
        cr.Softplus(), cr.Affine(5), cr.GELU(), cr.Affine(5), cr.SiLU(), cr.Affine(3), cr.ELU()
    ),
    "two slopes": lambda: chain(
        cr.Affine(5), cr.LeakyReLU(0.1), cr.Flatten(), cr.Affine(5), cr.LeakyReLU(0.3)
    ),
    "paths": lambda: graph_form(paths),
    "smoothing": lambda: chain(cr.Affine(5), cr.ReLU(), loss=cr.SoftmaxCrossEntropy(label_smoothing=0.1)),
    "product": lambda: graph_form(lambda x: cr.Affine(4)(cr.Affine(6)(x) * x * x)),
    "explicit": lambda: graph_form(
        lambda x: (x * cr.Parameter("s", np.ones(6))) @ cr.Parameter("M", np.eye(6, 4))
    ),
    "odd names": lambda: graph_form(odd_names),
    "dropout": lambda: chain(cr.Affine(5), cr.ReLU(), cr.Dropout(0.4)),
    "batchnorm": lambda: chain(cr.Affine(5), cr.BatchNorm(), cr.ReLU()),
    "standardize": lambda: chain(
        cr.Standardize([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]), cr.Affine(5), cr.Standardize(1, 2), cr.Tanh()
    ),
    "standardize back": lambda: chain(cr.Affine(5), cr.Standardize([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], True)),
    "layernorm": lambda: chain(cr.Affine(5), cr.LayerNorm(), cr.Tanh()),
}
IN_PYTHON = {
    "own layer": lambda: chain(cr.Affine(5), Doubled(), cr.ReLU()),
}


@contextlib.contextmanager
def on_numpy() -> Iterator[None]:
    """Programs run on NumPy inside the block, as where there is no library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "machine", lambda: None)
        yield


def by_graph(net: cr.Network, feeds: dict[str, Any], **how: Any) -> tuple[float, dict[str, Any]]:
    loss = net.graph.forward(feeds, **how)
    gradients = net.graph.backward(wrt=net.params)
    return float(loss), {name: gradients[name] for name in net.params}


@pytest.mark.parametrize("name", [*NATIVE, *IN_PYTHON])
@pytest.mark.parametrize("executor", ["machine", "NumPy"])
def test_a_program_equals_the_graph(name: str, executor: str, monkeypatch: Any) -> None:
    net = {**NATIVE, **IN_PYTHON}[name]()
    program = net.program(16)
    assert program.training is not None
    program._free[id(program.training)] = [program.make_executor(program.training, executor)]
    for start, rows in ((0, 16), (16, 16), (32, 5), (37, 1), (0, 16)):
        feeds = {"x": X[start : start + rows], "t": LABELS[start : start + rows]}
        loss, expected = by_graph(net, feeds, training=True, step=rows)
        found, flat = program.loss_and_gradient(feeds, training=True, step=rows)
        assert found == pytest.approx(loss, rel=1e-12)
        for key, gradient in net.params.like(flat).items():
            np.testing.assert_allclose(gradient, expected[key], rtol=1e-10, atol=1e-13, err_msg=key)


@pytest.mark.parametrize(
    "loss",
    [
        cr.MeanSquaredError(),
        cr.MeanAbsoluteError(),
        cr.SigmoidCrossEntropy(),
        cr.Huber(),
        cr.Quantile(0.7),
        cr.HalfSquaredError(),
        cr.HalfPoissonDeviance(),
    ],
)
def test_losses_of_numbers(loss: cr.Loss) -> None:
    t = RNG.random((40, 4))
    nets = [chain(cr.Affine(5), cr.Tanh(), loss=loss) for _ in range(2)]
    expected = nets[0].gradient(X, t)
    by_hand = by_graph(nets[1], {"x": X, "t": t})[1]
    for key, gradient in expected.items():
        np.testing.assert_allclose(gradient, by_hand[key], rtol=1e-10, atol=1e-13)
    first = nets[0].fit(X, t, epochs=3, batch_size=16)
    with on_numpy():
        second = nets[1].fit(X, t, epochs=3, batch_size=16)
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-10)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", [*NATIVE, *IN_PYTHON])
def test_training_on_the_machine_equals_that_on_numpy(name: str, parts: int, monkeypatch: Any) -> None:
    if parts == 2:
        cut_small(monkeypatch)
    nets = [{**NATIVE, **IN_PYTHON}[name]() for _ in range(2)]
    how: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 16,
        "optimizer": cr.Adam(0.01),
        "seed": 1,
        "threads": parts,
    }
    histories = [nets[0].fit(X, LABELS, **how)]
    with on_numpy():
        histories.append(nets[1].fit(X, LABELS, **how))
    assert [history.settings["executor"] for history in histories] == ["machine", "NumPy"]
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-9)
    # The gradient of a bias before BatchNorm is 0 but for rounding, 1e-17, which Adam divides by its epsilon, 1e-8.
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-7, atol=1e-9)
    for key, value in nets[0].state.items():
        np.testing.assert_allclose(value, nets[1].state[key], rtol=1e-9, atol=1e-10)  # a mean near 0 is a sum
    assert nets[0].iterations == nets[1].iterations == 12


@pytest.mark.parametrize("name", IN_PYTHON)
def test_what_has_no_kernel_trains_all_the_same(name: str) -> None:
    net = IN_PYTHON[name]()
    assert any(turn.kind == "python" for turn in net.program(16).training.turns)  # type: ignore[union-attr]
    history = net.fit(X, LABELS, epochs=20, batch_size=16, optimizer=cr.Adam(0.02))
    assert np.mean(history.loss[-3:]) < 0.9 * np.mean(history.loss[:3])


@pytest.mark.parametrize("name", NATIVE)
def test_what_has_kernels_is_done_by_the_machine_alone(name: str) -> None:
    program = NATIVE[name]().program(16)
    assert not program.trains_in_python
    assert not program.predicting.in_python


@pytest.mark.parametrize(
    "optimizer",
    [
        cr.Nesterov(0.05, weight_decay=0.01, decay_all=True),
        cr.RMSProp(cr.schedules.Cosine(0.01)),
        cr.AdamW(0.02, weight_decay=0.1),
        cr.Momentum(0.02, clip_norm=0.1),
        cr.Adam(0.02, clip_value=0.01, weight_decay=0.1),
    ],
    ids=repr,
)
def test_every_optimizer_on_the_machine_and_on_numpy(optimizer: cr.Optimizer) -> None:
    nets = [NATIVE["relu"]() for _ in range(2)]
    how: dict[str, Any] = {"iterations": 40, "batch_size": 8, "optimizer": optimizer, "seed": 1}
    nets[0].fit(X, LABELS, **how)
    with on_numpy():
        nets[1].fit(X, LABELS, **how)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("size", [1e2, 1e3, 1e30])
def test_a_saturated_network_has_a_loss_of_0_in_both_forms(size: float) -> None:
    """Its gradients are 0 or next to it, and nothing changes."""
    for where in (contextlib.nullcontext, on_numpy):
        net = chain(cr.Affine(5), cr.Sigmoid(), dtype="float32")
        net.params["W2"] *= size
        right = net.predict(X).argmax(axis=1)
        sure = np.ptp(np.sort(net.predict(X), axis=1)[:, -2:], axis=1) > 20
        before = net.params.flat.copy()
        with where():
            history = net.fit(X[sure], right[sure], optimizer=cr.SGD(0.1), epochs=2, batch_size=8, seed=1)
        assert max(history.loss) < 1e-7
        np.testing.assert_allclose(net.params.flat, before, atol=1e-6)


def test_a_rule_of_ones_own_is_not_mistaken_for_its_parents() -> None:
    class Halved(cr.SGD):
        def rule(self, w: Any, g: Any, running: Any, scratch: Any, rate: float, t: int) -> None:
            w -= 0.5 * rate * g

    for optimizer in (Halved(0.1), Halved(0.1, clip_norm=0.5)):
        w = np.zeros(3)
        assert update_of(optimizer, optimizer.start(w), w.dtype)[0].operation is UPDATE
    nets = [chain(cr.Affine(5), cr.ReLU()) for _ in range(2)]
    for net, kind in zip(nets, (Halved(0.1), cr.SGD(0.05)), strict=True):
        net.fit(X, LABELS, iterations=20, batch_size=8, optimizer=kind, seed=1)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-12)


@pytest.mark.parametrize(
    "data",
    [
        "float64",
        "float16",
        "uint8",
        "int64",
        "bool",
        "big-endian",
        "strided",
        "backwards",
        "memmap",
        "read-only",
    ],
)
def test_data_are_taken_as_they_are_and_never_written_to(data: str, tmp_path: Path) -> None:
    x: Any = RNG.integers(0, 5, (40, 6)).astype("uint8")
    kinds = {"float32": x.astype("float32"), "float64": x.astype("float64"), "uint8": x}
    if data == "memmap":
        np.save(tmp_path / "x.npy", x.astype("float32"))
    given = {
        **kinds,
        "float16": x.astype("float16"),
        "int64": x.astype("int64"),
        "bool": x > 2,
        "big-endian": x.astype(">f4"),
        "backwards": x.astype("float32")[::-1],
        "strided": np.repeat(x.astype("float32"), 2, axis=1)[:, ::2],
        "memmap": np.load(tmp_path / "x.npy", mmap_mode="r") if data == "memmap" else None,
        "read-only": x.astype("float32"),
    }[data]
    if data == "read-only":
        given.flags.writeable = False
    before = np.array(given)
    losses = []
    for where in (contextlib.nullcontext, on_numpy):
        net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
        with where():
            net.gradient(given, LABELS)
            losses.append(net.fit(given, LABELS, epochs=3, batch_size=40).loss)
            np.testing.assert_allclose(net.predict(given), net.predict(np.array(given, "float32")), rtol=1e-5)
    reference = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    np.testing.assert_allclose(
        losses[0], reference.fit(before, LABELS, epochs=3, batch_size=40).loss, rtol=1e-5
    )
    np.testing.assert_array_equal(given, before)


def test_a_batch_as_large_as_the_data_of_an_earlier_gradient_leaves_these_alone() -> None:
    x, t = X[:16].copy(), LABELS[:16].copy()
    net = chain(cr.Affine(5), cr.ReLU())
    net.gradient(x, t)
    net.fit(x, t, epochs=3, batch_size=16)
    np.testing.assert_array_equal(x, X[:16])
    np.testing.assert_array_equal(t, LABELS[:16])


def test_the_arrays_of_a_step_are_allocated_once() -> None:
    net = chain(cr.Affine(20), cr.ReLU(), cr.Affine(20), cr.ReLU(), dtype="float32")
    x = np.tile(X, (100, 1)).astype("float32")
    t = np.tile(LABELS, 100)
    program = net.program(4_000)

    def step() -> None:
        program.loss_and_gradient({"x": x, "t": t}, training=True, threads=1)

    for _ in range(3):
        step()
    tracemalloc.start()
    step()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(20):
        step()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 5_000  # boxed numbers that Python keeps for the next
    assert peak - before < 70_000  # the numbers of the rows; the batch alone has 96,000 bytes


def test_the_listing_says_what_is_done_fused_and_left_out() -> None:
    text = str(chain(cr.Affine(5), cr.ReLU(), dtype="float32").program(16))
    for part in (
        "relu1 = matmul(x, W1)",
        "bias_activation_in_place(relu1, b1)",
        "fused: bias and activation",
        "softmax_cross_entropy(affine2, t)",
        "dW1 = matmul(xᵀ, drelu1)",
        "the gradient of x: it is data",
        "(16, 5)",
    ):
        assert part in text


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_training_copies_no_data(dtype: str) -> None:
    x, t = np.ones((20_000, 600), dtype), np.arange(20_000) % 4
    layers = (cr.Affine(5), cr.ReLU(), cr.Affine(4))
    net = cr.Network(*layers, input_shape=600, loss=cr.SoftmaxCrossEntropy(), seed=0)
    net.fit(x[:64], t[:64], iterations=2, batch_size=16)
    tracemalloc.start()
    net.fit(x, t, iterations=100, batch_size=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 2


def test_a_callback_sees_every_iteration() -> None:
    seen: list[tuple[int, float]] = []

    class Watch(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            seen.append((run.iteration, run.history.loss[-1]))
            if run.iteration == 30:
                run.stop("enough")

    net = chain(cr.Affine(5), cr.ReLU())
    history = net.fit(X, LABELS, epochs=40, batch_size=8, callbacks=[Watch()])
    assert [number for number, _ in seen] == list(range(1, 31))
    assert [loss for _, loss in seen] == history.loss
    assert net.iterations == 30


def test_a_training_that_diverges_says_where_and_keeps_the_weights() -> None:
    net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
    with (
        pytest.warns(cr.errors.ChainruleWarning, match="on a scale"),
        pytest.raises(cr.errors.DivergedError, match=r"iteration \d+: the loss became") as raised,
    ):
        net.fit(1e4 * X, LABELS, iterations=500, batch_size=8, optimizer=cr.SGD(1e30))
    assert len(raised.value.history.loss) == raised.value.iteration - 1 == net.iterations
    assert raised.value.node in net.graph.names
    assert np.isfinite(net.params.flat).all()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda dy: dy[:, :2], "returned a gradient of shape \\(2, 2\\) for its input x of shape \\(2, 5\\)"),
        (lambda dy: dy.astype(complex), "returned a gradient of dtype complex128"),
        (lambda dy: None, "no gradient reaches the parameter 'W1'"),
    ],
)
def test_a_layer_that_breaks_the_contract_is_named_when_the_program_is_made(
    returned: Any, message: str
) -> None:
    class Broken(cr.Layer):
        def forward(self, x: Any) -> Any:
            return x, None

        def backward(self, dy: Any, saved: None) -> Any:
            return returned(dy)

    with pytest.raises(LayerError, match=message):
        chain(cr.Affine(5), Broken()).program(8)


COPY = Operation("copy", ("B D", "=B D"), "{1} = copy({0})", kernel="copy")


def planned(*turns: list[tuple[Place, ...]], by_turn: bool) -> int:
    """How wide the arena is for copies between the places, turn by turn."""
    parts = 2 if by_turn else 1
    made = [Turn("rows", tuple(Instruction(COPY, places) for places in turn), parts) for turn in turns]
    table = Table(made, 4, turns[-1][-1][-1])
    plan(table)
    return table.arena_width


def test_a_place_is_used_again_only_after_its_last_use() -> None:
    places = [Place(name, "arena", (10,)) for name in "xabcd"]
    assert planned(list(pairwise(places)), by_turn=False) == 20
    for one, other in pairwise(places):
        assert one.start != other.start


def test_parts_of_a_turn_share_no_place() -> None:
    """They do not wait for each other: one may be at the end of the turn, and the other at its beginning."""
    places = [Place(name, "arena", (10,)) for name in "xabcd"]
    pairs = list(pairwise(places))
    assert planned(pairs, by_turn=True) == 50
    assert planned(pairs[:2], pairs[2:], by_turn=True) == 30


def test_a_subclass_of_a_layer_has_no_kernel() -> None:
    class Mine(cr.ReLU):
        def forward(self, x: Any) -> Any:
            return np.maximum(x, 0.5), np.maximum(x, 0.5)

        def backward(self, dy: Any, y: Any) -> Any:
            return np.where(y > 0.5, dy, 0)

    net = chain(cr.Affine(5), Mine())
    feeds = {"x": X, "t": LABELS}
    loss, _ = by_graph(net, feeds)
    assert net.program(40).loss_and_gradient(feeds)[0] == pytest.approx(loss, rel=1e-12)


def test_threads() -> None:
    with pytest.raises(cr.errors.ArgumentError, match="threads"):
        chain().fit(X, LABELS, epochs=1, batch_size=8, threads=0)
    nets = [chain(cr.Affine(5), cr.ReLU()) for _ in range(2)]
    for net, threads in zip(nets, (1, 2), strict=True):
        net.fit(X, LABELS, epochs=2, batch_size=8, threads=threads)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-9)


def blas_threads() -> int:
    """How many threads NumPy's BLAS may use now; SciPy brings a second one."""
    found = blas.found()
    assert found is not None
    assert found.get_threads is not None
    return found.get_threads()


def test_the_machine_leaves_blas_one_thread_whatever_the_size() -> None:
    from threadpoolctl import threadpool_limits

    def threads(width: int, **arguments: Any) -> set[int]:
        found = set()

        class Look(cr.Callback):
            def on_iteration(self, run: Any) -> None:
                found.add(blas_threads())

        layers = (cr.Affine(width), cr.ReLU(), cr.Affine(4))
        net = cr.Network(*layers, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
        net.fit(X, LABELS, iterations=1, batch_size=40, callbacks=[Look()], **arguments)
        return found

    with threadpool_limits(2, user_api="blas"):
        for width, arguments in ((50, {}), (50, {"threads": 2}), (40_000, {}), (40_000, {"threads": 1})):
            assert threads(width, **arguments) == {1}
        assert blas_threads() == 2


def test_a_check_and_a_training_that_overlap_leave_blas_its_threads() -> None:
    from threadpoolctl import threadpool_limits

    net = chain(cr.Affine(5), cr.ReLU())

    class Check(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            thread = threading.Thread(target=lambda: cr.check(cr.ReLU(), X))
            thread.start()
            run.threads = [*getattr(run, "threads", []), thread]

    with threadpool_limits(2, user_api="blas"):
        net.fit(X, LABELS, iterations=5, batch_size=8, callbacks=[Check()])
        while threading.active_count() > 1:
            time.sleep(0.01)
        assert blas_threads() == 2


def test_blocks_that_limit_blas_may_overlap() -> None:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2, user_api="blas"):
        first, second = blas.one_thread(), blas.one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas_threads() == 1
        second.__exit__(None, None, None)
        assert blas_threads() == 2
        with blas.one_thread():
            with blas.one_thread():
                assert blas_threads() == 1
            assert blas_threads() == 1
        with pytest.raises(RuntimeError), blas.one_thread():
            raise RuntimeError
        assert blas_threads() == 2


def test_making_a_network_and_a_program_wakes_no_threads_of_blas() -> None:
    """They would keep the second core busy while the first steps of a training need it."""
    from threadpoolctl import threadpool_limits

    class Look(cr.layers.Layer):
        """y = x."""

        def __init__(self) -> None:
            self.found: list[int] = []

        def forward(self, x: Any) -> Any:
            self.found.append(blas_threads())
            return x, None

        def backward(self, dy: Any, saved: Any) -> Any:
            return dy

    look = Look()
    with threadpool_limits(2, user_api="blas"):
        net = cr.Network(cr.Affine(4), look, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
        made = len(look.found)
        net.program(8)
        assert made > 0
        assert len(look.found) > made
        assert set(look.found) == {1}


def test_programs_are_kept_and_not_without_end() -> None:
    net = chain(cr.Affine(5), cr.ReLU())
    assert net.program(8) is net.program(8)
    assert isinstance(net.program(8), Program)
    for size in range(1, 40):
        net.program(size)
    assert len(net.programs) <= 8


# A step shared by two threads -----------------------------------------------------------------------------


def trained(threads: int, dtype: Any = "float32", **arguments: Any) -> Any:
    net = chain(cr.Affine(33), cr.ReLU(), cr.Affine(17), cr.GELU(), dtype=dtype)
    how = {"iterations": 150, "batch_size": 16, "optimizer": cr.Adam(0.01)} | arguments
    rows = how.pop("rows", 40)
    history = net.fit(X[:rows], LABELS[:rows], threads=threads, seed=1, **how)
    return history.loss, net.params.flat


@pytest.mark.parametrize(
    "how",
    [{}, {"batch_size": 1}, {"batch_size": 3}, {"rows": 1, "batch_size": 1}, {"batch_size": 40}],
    ids=str,
)
@pytest.mark.usefixtures("many_parts")
def test_results_do_not_depend_on_the_number_of_threads(how: dict[str, Any]) -> None:
    losses, flat = trained(1, **how)
    for threads in (2, 2, 3, 4, 16):
        again, flat2 = trained(threads, **how)
        assert again == losses
        np.testing.assert_array_equal(flat2, flat)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "loss",
    [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy(), cr.MeanSquaredError(), cr.Huber()],
    ids=repr,
)
@pytest.mark.usefixtures("many_parts")
def test_a_training_measures_what_the_graph_says(loss: Any, threads: int, monkeypatch: Any) -> None:
    """Over more rows than are measured at once, and of validation data of another dtype too."""
    monkeypatch.setattr("chainrule.program.machine.WORTH_HELPING", 0)
    net = chain(cr.Affine(5), cr.ReLU(), loss=loss)
    rows = np.tile(np.arange(40), 20)[:777]
    x, t = X[rows], LABELS[rows] if isinstance(loss, cr.SoftmaxCrossEntropy) else (X[rows, :4] > 0) * 1.0
    for other in ((x[:300], t[:300]), (x[:3], t[:3]), (x[:300].astype("float32"), t[:300])):
        history = net.fit(x, t, iterations=3, batch_size=16, threads=threads, validation=other, seed=1)
        for of, (inputs, targets) in (("train", (x, t)), ("test", other)):
            output = net.graph.evaluate({"x": inputs}, net.output)
            expected = net.graph.evaluate({"x": inputs, "t": targets})
            assert history.latest(f"{of}_loss") == pytest.approx(float(expected), rel=1e-12)
            assert net.loss(inputs, targets) == pytest.approx(float(expected), rel=1e-12)
            correct = loss.correct(output, targets)
            assert bool(history.train_accuracy) == (correct is not None)
            if correct is not None:
                assert history.latest(f"{of}_accuracy") == pytest.approx(correct.mean(), rel=1e-12)
                assert net.accuracy(inputs, targets) == pytest.approx(correct.mean(), rel=1e-12)


@pytest.mark.usefixtures("many_parts")
def test_results_do_not_depend_on_a_busy_machine() -> None:
    losses, flat = trained(1, iterations=1_000)
    loop = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(loop) for _ in range(2)]
    try:
        for _ in range(3):
            again, flat2 = trained(2, iterations=1_000)
            assert again == losses
            np.testing.assert_array_equal(flat2, flat)
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("row", [0, 15], ids=["part 0", "part 1"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("many_parts")
def test_divergence_is_found_in_either_part(row: int, threads: int) -> None:
    """One bad row in the batch of iteration 300: the weights stay as they were before it."""
    net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
    program, optimizer = net.program(16, LABELS, False), cr.SGD(0.01)
    trainer = program.trainer(optimizer, optimizer.start(net.params.flat))
    x = X.astype("float32")
    x[39] = np.nan
    rows = RNG.integers(0, 39, (500, 16))
    rows[300, row] = 39
    data: dict[str, Any] = {"x": x, "t": LABELS}
    assert len(trainer.steps(data, rows[:1], np.zeros(1), iteration=0, threads=threads)) == 1
    losses = trainer.steps(data, rows, np.full(500, 0.01), iteration=1, threads=threads)
    assert len(losses) == 300
    assert trainer.update.state.iteration == 301
    assert np.isfinite(net.params.flat).all()
    assert np.isfinite(losses).all()
    assert threading.active_count() == 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("many_parts")
def test_row_numbers_and_labels_are_checked_where_they_are_read(threads: int) -> None:
    """The data are the caller's, who may change them while a network trains."""
    net = chain(cr.Affine(5), cr.ReLU())
    optimizer = cr.SGD(0.01)
    trainer = net.program(16, LABELS, False).trainer(optimizer, optimizer.start(net.params.flat))
    rows = RNG.integers(0, 40, (20, 16))
    for number, what in (
        (40, "row numbers from 0 to 39, got 40 in row 12 of the batch"),
        (-1, "row numbers from 0 to 39, got -1 in row 12"),
    ):
        wrong = rows.copy()
        wrong[10, 12] = number
        with pytest.raises(DataError, match=what):
            trainer.steps({"x": X, "t": LABELS}, wrong, np.zeros(20), iteration=0, threads=threads)
    for label in (4, -1, 2**62):
        t = LABELS.copy()
        t[rows[3, 7]] = label
        with pytest.raises(
            DataError, match=f"t: expected labels from 0 to 3, got {label} in row {rows[3, 7]}"
        ):
            trainer.steps({"x": X, "t": t}, rows, np.zeros(20), iteration=0, threads=threads)
    assert len(trainer.steps({"x": X, "t": LABELS}, rows, np.zeros(20), iteration=0, threads=threads)) == 20


def test_ctrl_c_leaves_no_thread_behind() -> None:
    code = """
import _thread, os, signal, threading, time
import numpy as np, chainrule as cr
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it, as would its tests
from chainrule.program import table
table.PART, table.LEAST_ROWS = 1, 2
net = cr.Network(cr.Affine(64), cr.ReLU(), cr.Affine(4), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
x, t = np.ones((64, 6), "float32"), np.zeros(64, int)
net.fit(x, t, iterations=50, batch_size=32, threads=2)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
started = time.perf_counter()
try:
    history = net.fit(x, t, iterations=3_000_000, batch_size=32, threads=2)
except KeyboardInterrupt:
    history = None
assert time.perf_counter() - started < 20
end = time.perf_counter() + 5
while _thread._count() and time.perf_counter() < end:
    time.sleep(0.01)
assert _thread._count() == 0
assert np.isfinite(net.params.flat).all()
print("clean")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip().endswith("clean"), done.stderr


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'; did you mean 'epochs'"):
        chain().fit(X, LABELS, epoch=1, batch_size=8)
