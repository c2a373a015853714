"""Programs: the fast form of a graph agrees with the graph, in both of its forms."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import LayerError
from chainrule.network.native import Native, update_of
from chainrule.network.threads import blas_threads
from chainrule.program import CannotCompile, Program, Update, compiled_form
from chainrule.program.cache import cache_folder, compiled, not_collecting
from chainrule.program.operations import Buffer, Listing, Operation, plan_memory

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


COMPILED = {
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
    "odd names": lambda: graph_form(odd_names),
}
STEP_BY_STEP = {
    "own layer": lambda: chain(cr.Affine(5), Doubled(), cr.ReLU()),
    "dropout": lambda: chain(cr.Affine(5), cr.ReLU(), cr.Dropout(0.4)),
    "batchnorm": lambda: chain(cr.Affine(5), cr.BatchNorm(), cr.ReLU()),
    "layernorm": lambda: chain(cr.Affine(5), cr.LayerNorm(), cr.Tanh()),
    "product": lambda: graph_form(lambda x: cr.Affine(4)(cr.Affine(6)(x) * x * x)),
    "smoothing": lambda: chain(cr.Affine(5), cr.ReLU(), loss=cr.SoftmaxCrossEntropy(label_smoothing=0.1)),
    "explicit": lambda: graph_form(
        lambda x: (x * cr.Parameter("s", np.ones(6))) @ cr.Parameter("M", np.eye(6, 4))
    ),
}


def by_graph(net: cr.Network, feeds: dict[str, Any], **how: Any) -> tuple[float, dict[str, Any]]:
    loss = net.graph.forward(feeds, **how)
    gradients = net.graph.backward(wrt=net.params)
    return float(loss), {name: gradients[name] for name in net.params}


@pytest.mark.parametrize("name", [*COMPILED, *STEP_BY_STEP])
def test_the_step_by_step_form_equals_the_graph(name: str) -> None:
    net = {**COMPILED, **STEP_BY_STEP}[name]()
    program = net.program(16)
    for start, rows in ((0, 16), (16, 16), (32, 5), (37, 1), (0, 16)):
        feeds = {"x": X[start : start + rows], "t": LABELS[start : start + rows]}
        loss, expected = by_graph(net, feeds, training=True, step=rows)
        assert program.step(feeds, training=True, step=rows) == pytest.approx(loss, rel=1e-12)
        for key, gradient in net.params.like(program.gradient).items():
            np.testing.assert_allclose(gradient, expected[key], rtol=1e-10, atol=1e-13, err_msg=key)


@pytest.mark.parametrize(
    "loss", [cr.MeanSquaredError(), cr.MeanAbsoluteError(), cr.SigmoidCrossEntropy(), cr.Huber()]
)
@pytest.mark.parametrize("compile", [False, True])
def test_losses_of_numbers(loss: cr.Loss, compile: bool) -> None:
    t = RNG.random((40, 4))
    nets = [chain(cr.Affine(5), cr.Tanh(), loss=loss) for _ in range(2)]
    expected = nets[0].gradient(X, t)
    by_hand = by_graph(nets[1], {"x": X, "t": t})[1]
    for key, gradient in expected.items():
        np.testing.assert_allclose(gradient, by_hand[key], rtol=1e-10, atol=1e-13)
    if isinstance(loss, cr.Huber):
        compile = False  # it has no kernel
    first = nets[0].fit(X, t, epochs=3, batch_size=16, compile=compile)
    second = nets[1].fit(X, t, epochs=3, batch_size=16, compile=False)
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-10)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", COMPILED)
def test_the_compiled_form_equals_the_step_by_step_form(name: str, parts: int, monkeypatch: Any) -> None:
    if parts == 2:
        monkeypatch.setattr(compiled_form, "WORTH_SHARING", 0)
    nets = [COMPILED[name]() for _ in range(2)]
    histories = [
        net.fit(X, LABELS, epochs=4, batch_size=16, optimizer=cr.Adam(0.01), compile=compile, seed=1)
        for net, compile in zip(nets, (True, False), strict=True)
    ]
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-9)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-7, atol=1e-10)
    assert nets[0].iterations == nets[1].iterations == 12


@pytest.mark.parametrize("name", STEP_BY_STEP)
def test_what_has_no_kernel_trains_all_the_same(name: str) -> None:
    net = STEP_BY_STEP[name]()
    with pytest.raises(CannotCompile):
        net.program(16).source  # noqa: B018  # making it is what fails
    history = net.fit(X, LABELS, epochs=20, batch_size=16, optimizer=cr.Adam(0.02))
    assert np.mean(history.loss[-3:]) < 0.9 * np.mean(history.loss[:3])


@pytest.mark.parametrize(
    "optimizer",
    [
        cr.Nesterov(0.05, weight_decay=0.01, decay_all=True),
        cr.RMSProp(cr.schedules.Cosine(0.01)),
        cr.AdamW(0.02, weight_decay=0.1),
    ],
    ids=repr,
)
def test_every_optimizer_compiled(optimizer: cr.Optimizer) -> None:
    nets = [COMPILED["relu"]() for _ in range(2)]
    for net, compile in zip(nets, (True, False), strict=True):
        net.fit(X, LABELS, iterations=40, batch_size=8, optimizer=optimizer, compile=compile, seed=1)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("size", [1e2, 1e3, 1e30])
def test_a_saturated_network_has_a_loss_of_0_in_both_forms(size: float) -> None:
    """Its gradients are 0 or next to it, and nothing changes."""
    for compile in (True, False):
        net = chain(cr.Affine(5), cr.Sigmoid(), dtype="float32")
        net.params["W2"] *= size
        right = net.predict(X).argmax(axis=1)
        sure = np.ptp(np.sort(net.predict(X), axis=1)[:, -2:], axis=1) > 20
        before = net.params.flat.copy()
        history = net.fit(X[sure], right[sure], epochs=2, batch_size=8, compile=compile, seed=1)
        assert max(history.loss) < 1e-7
        np.testing.assert_allclose(net.params.flat, before, atol=1e-6)


def test_a_rule_of_ones_own_is_not_mistaken_for_its_parents() -> None:
    class Halved(cr.SGD):
        def rule(self, w: Any, g: Any, running: Any, scratch: Any, rate: float, t: int) -> None:
            w -= 0.5 * rate * g

    assert update_of(Halved(0.1)) is None
    assert update_of(cr.Adam(0.01, clip_norm=0.5)) is None


@pytest.mark.parametrize("data", ["float64", "uint8", "strided", "memmap", "read-only"])
def test_data_are_taken_as_they_are_and_never_written_to(data: str, tmp_path: Path) -> None:
    x: Any = RNG.integers(0, 5, (40, 6)).astype("uint8")
    kinds = {"float32": x.astype("float32"), "float64": x.astype("float64"), "uint8": x}
    if data == "memmap":
        np.save(tmp_path / "x.npy", x.astype("float32"))
    given = {
        **kinds,
        "strided": np.repeat(x.astype("float32"), 2, axis=1)[:, ::2],
        "memmap": np.load(tmp_path / "x.npy", mmap_mode="r") if data == "memmap" else None,
        "read-only": x.astype("float32"),
    }[data]
    if data == "read-only":
        given.flags.writeable = False
    before = np.array(given)
    losses = []
    for compile in (True, False):
        net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
        net.gradient(given, LABELS)
        losses.append(net.fit(given, LABELS, epochs=3, batch_size=40, compile=compile).loss)
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
    net.fit(x, t, epochs=3, batch_size=16, compile=False)
    np.testing.assert_array_equal(x, X[:16])
    np.testing.assert_array_equal(t, LABELS[:16])


def test_the_arrays_of_a_step_are_allocated_once() -> None:
    net = chain(cr.Affine(20), cr.ReLU(), cr.Affine(20), cr.ReLU(), dtype="float32")
    x, rows = np.tile(X, (100, 1)).astype("float32"), np.arange(4_000)
    t = np.tile(LABELS, 100)
    program = net.program(4_000)

    def step() -> None:
        program.step(program.gather({"x": x, "t": t}, rows), training=True)

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
    assert after - before < 2_000
    assert peak - before < 40_000  # NumPy's own buffer of 8,192 numbers; the batch alone has 96,000 bytes


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


def test_the_source_is_readable_and_whole() -> None:
    net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
    source = net.program(16).source
    assert "FLOAT = np.float32" in source
    assert "def bias_relu_in_place(z, b):" in source
    assert "value(" not in source
    assert source == chain(cr.Affine(5), cr.ReLU(), dtype="float32").program(16).source
    compile(source, "source", "exec")


def test_without_a_folder_to_write_to_it_works_all_the_same(monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "file"))
    nets = [chain(cr.Affine(3), cr.ReLU()) for _ in range(2)]
    for net, compile in zip(nets, (True, False), strict=True):
        net.fit(X, LABELS, iterations=3, batch_size=8, compile=compile)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-9)


def test_machine_code_is_kept_by_the_content_of_its_source(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    for _ in range(2):
        chain(cr.Affine(3), cr.ReLU()).fit(X, LABELS, iterations=3, batch_size=8, compile=True)
    assert len(list(cache_folder().glob("*.py"))) == 1
    chain(cr.Affine(2), cr.ReLU()).fit(X, LABELS, iterations=3, batch_size=8, compile=True)
    assert len(list(cache_folder().glob("*.py"))) == 2


def test_machine_code_is_loaded_once_in_a_process(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "one"))
    source = chain(cr.Affine(3), cr.ReLU()).program(8).source
    run = compiled(source)
    assert compiled(source) is run
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "other"))
    assert compiled(source) is not run
    assert len(list(cache_folder().glob("*.py"))) == 1


@pytest.mark.parametrize("on", [True, False])
def test_the_garbage_collector_is_left_as_it_was(on: bool) -> None:
    """It is kept out while machine code is loaded, and not while steps are done later."""
    seen = []

    class Watch(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            seen.append(gc.isenabled())

    try:
        if not on:
            gc.disable()
        net = chain(cr.Affine(5), cr.ReLU())
        net.fit(X, LABELS, iterations=3, batch_size=8, compile=True, callbacks=[Watch()])
        with pytest.raises(ZeroDivisionError), not_collecting():
            seen.append(bool(1 / int(gc.isenabled())))
        assert [*seen, gc.isenabled()] == [on] * 4
    finally:
        gc.enable()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("compile", [True, False])
def test_training_copies_no_data(compile: bool, dtype: str) -> None:
    x, t = np.ones((20_000, 600), dtype), np.arange(20_000) % 4
    layers = (cr.Affine(5), cr.ReLU(), cr.Affine(4))
    net = cr.Network(*layers, input_shape=600, loss=cr.SoftmaxCrossEntropy(), seed=0)
    net.fit(x[:64], t[:64], iterations=2, batch_size=16, compile=compile)
    tracemalloc.start()
    net.fit(x, t, iterations=100, batch_size=16, compile=compile)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 2


def test_a_callback_sees_every_iteration_of_a_compiled_training() -> None:
    seen: list[tuple[int, float]] = []

    class Watch(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            seen.append((run.iteration, run.history.loss[-1]))
            if run.iteration == 30:
                run.stop("enough")

    net = chain(cr.Affine(5), cr.ReLU())
    history = net.fit(X, LABELS, epochs=40, batch_size=8, compile=True, callbacks=[Watch()])
    assert [number for number, _ in seen] == list(range(1, 31))
    assert [loss for _, loss in seen] == history.loss
    assert net.iterations == 30


def test_a_compiled_training_that_diverges_says_where_and_keeps_the_weights() -> None:
    net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
    with pytest.raises(cr.errors.DivergedError, match=r"iteration \d+: the loss became") as raised:
        net.fit(1e3 * X, LABELS, iterations=500, batch_size=8, optimizer=cr.SGD(1e30), compile=True)
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


def test_a_place_is_used_again_only_after_its_last_use() -> None:
    names = ["x", "a", "b", "c", "d"]
    listing = Listing(buffers={name: Buffer(name, (10,)) for name in names})
    listing.operations = [Operation("forward", "copy", (one,), (other,)) for one, other in pairwise(names)]
    places, size = plan_memory(listing, {"x"}, {"d"})
    assert size == 20
    for one, other in pairwise(names):
        assert places[one] != places[other]


def test_inputs_are_kept_from_the_start() -> None:
    listing = Listing(buffers={name: Buffer(name, (10,)) for name in ("x", "y", "a", "b")})
    listing.operations = [
        Operation("forward", "copy", ("x",), ("a",)),
        Operation("forward", "copy", ("a",), ("b",)),
        Operation("forward", "add", ("b", "y"), ("b",)),
    ]
    places, _ = plan_memory(listing, {"x", "y"}, {"b"})
    assert len({places["x"], places["y"]}) == 2
    assert places["y"] not in (places["a"], places["b"])


def test_a_subclass_of_a_layer_has_no_kernel() -> None:
    class Mine(cr.ReLU):
        def forward(self, x: Any) -> Any:
            return np.maximum(x, 0.5), np.maximum(x, 0.5)

        def backward(self, dy: Any, y: Any) -> Any:
            return np.where(y > 0.5, dy, 0)

    net = chain(cr.Affine(5), Mine())
    feeds = {"x": X, "t": LABELS}
    loss, _ = by_graph(net, feeds)
    assert net.program(40).step(feeds) == pytest.approx(loss, rel=1e-12)


def test_threads() -> None:
    with pytest.raises(cr.errors.ArgumentError, match="threads"):
        chain().fit(X, LABELS, epochs=1, batch_size=8, threads=0)
    nets = [chain(cr.Affine(5), cr.ReLU()) for _ in range(2)]
    for net, threads in zip(nets, (1, 2), strict=True):
        net.fit(X, LABELS, epochs=2, batch_size=8, threads=threads)
    np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-9)


def test_small_products_use_one_thread_and_large_ones_as_many_as_there_are(monkeypatch: Any) -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    monkeypatch.setattr("chainrule.network.threads.default_threads", lambda: 2)

    def threads(width: int, **arguments: Any) -> set[int]:
        found = set()

        class Look(cr.Callback):
            def on_iteration(self, run: Any) -> None:
                found.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

        layers = (cr.Affine(width), cr.ReLU(), cr.Affine(4))
        net = cr.Network(*layers, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
        net.fit(X, LABELS, iterations=1, batch_size=40, callbacks=[Look()], **arguments)
        return found

    with threadpool_limits(2, user_api="blas"):
        assert threads(50) == {1}
        assert threads(50, threads=2) == {2}
        assert threads(40_000) == {2}
        assert threads(40_000, threads=1) == {1}


def test_blocks_that_limit_blas_may_overlap() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    def number() -> int:
        return next(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        first, second = blas_threads(1), blas_threads(1)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert number() == 1
        second.__exit__(None, None, None)
        assert number() == 2
        with blas_threads(1):
            with blas_threads(2):
                assert number() == 2
            assert number() == 1
        with pytest.raises(RuntimeError), blas_threads(1):
            raise RuntimeError
        assert number() == 2


def test_making_a_network_and_a_program_wakes_no_threads_of_blas() -> None:
    """They would keep the second core busy while the first steps of a training need it."""
    from threadpoolctl import threadpool_info, threadpool_limits

    class Look(cr.layers.Layer):
        """y = x."""

        def __init__(self) -> None:
            self.found: list[int] = []

        def forward(self, x: Any) -> Any:
            self.found += [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
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
        look.found.clear()
        net.predict(X)
        assert 2 in look.found


def test_programs_are_kept_and_not_without_end() -> None:
    net = chain(cr.Affine(5), cr.ReLU())
    assert net.program(8) is net.program(8)
    assert isinstance(net.program(8), Program)
    for size in range(1, 40):
        net.program(size)
    assert len(net._programs) <= 8


# A step shared by two threads -----------------------------------------------------------------------------


@pytest.fixture
def shared(monkeypatch: Any) -> None:
    """Programs so small are cut into two parts all the same."""
    monkeypatch.setattr(compiled_form, "WORTH_SHARING", 0)


def trained(threads: int, dtype: Any = "float32", **arguments: Any) -> Any:
    net = chain(cr.Affine(33), cr.ReLU(), cr.Affine(17), cr.GELU(), dtype=dtype)
    how = {"iterations": 400, "batch_size": 16, "optimizer": cr.Adam(0.01)} | arguments
    rows = how.pop("rows", 40)
    history = net.fit(X[:rows], LABELS[:rows], compile=True, threads=threads, seed=1, **how)
    return history.loss, net.params.flat


@pytest.mark.parametrize(
    "how",
    [{}, {"batch_size": 1}, {"batch_size": 3}, {"rows": 1, "batch_size": 1}, {"batch_size": 40}],
    ids=str,
)
@pytest.mark.usefixtures("shared")
def test_results_do_not_depend_on_the_number_of_threads(how: dict[str, Any]) -> None:
    losses, flat = trained(1, **how)
    for _ in range(3):
        again, flat2 = trained(2, **how)
        assert again == losses
        np.testing.assert_array_equal(flat2, flat)
    assert threading.active_count() == 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "loss", [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy(), cr.MeanSquaredError()], ids=repr
)
@pytest.mark.usefixtures("shared")
def test_a_compiled_training_measures_what_evaluate_does(
    loss: cr.Loss, threads: int, monkeypatch: Any
) -> None:
    """Over more rows than are measured at once, and of validation data of another kind too."""
    net = chain(cr.Affine(5), cr.ReLU(), loss=loss)
    rows = np.tile(np.arange(40), 20)[:777]
    x, t = X[rows], LABELS[rows] if isinstance(loss, cr.SoftmaxCrossEntropy) else (X[rows, :4] > 0) * 1.0
    native = []
    measure = Native.measure

    def watched(self: Native, *data: Any) -> Any:
        native.append(measure(self, *data))
        return native[-1]

    monkeypatch.setattr(Native, "measure", watched)
    for other in ((x[:300], t[:300]), (x[:3], t[:3]), (x[:300].astype("float32"), t[:300])):
        history = net.fit(
            x, t, iterations=3, batch_size=16, compile=True, threads=threads, validation=other, seed=1
        )
        for of, data in (("train", (x, t)), ("test", other)):
            for name, expected in net.evaluate(*data).items():
                assert history.latest(f"{of}_{name}") == pytest.approx(expected, rel=1e-12)
            assert bool(history.train_accuracy) == ("accuracy" in net.evaluate(*data))
    assert [each is None for each in native] == [False] * 5 + [True]  # which has no machine code


@pytest.mark.usefixtures("shared")
def test_results_do_not_depend_on_a_busy_machine() -> None:
    losses, flat = trained(1, iterations=5_000)
    loop = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(loop) for _ in range(2)]
    try:
        for _ in range(3):
            again, flat2 = trained(2, iterations=5_000)
            assert again == losses
            np.testing.assert_array_equal(flat2, flat)
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("row", [0, 15], ids=["part 0", "part 1"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("shared")
def test_divergence_is_found_in_either_part(row: int, threads: int) -> None:
    """One bad row in the batch of iteration 300: the weights stay as they were before it."""
    net = chain(cr.Affine(5), cr.ReLU(), dtype="float32")
    program = net.program(16, LABELS, False)
    run = program.compile(Update("SGD", 0, ()), threads)
    x = X.astype("float32")
    x[39] = np.nan
    rows = RNG.integers(0, 39, (500, 16))
    rows[300, row] = 39
    x.flags.writeable = False
    none, losses = np.zeros(0, "float32"), np.zeros(500)
    assert run([x], LABELS, rows[:1], np.zeros(1), 0, none, [], losses) == 1
    assert run([x], LABELS, rows, np.full(500, 0.01), 0, none, [], losses) == 300
    assert np.isfinite(net.params.flat).all()
    assert np.isfinite(losses[:300]).all()
    assert threading.active_count() == 1


def test_scipys_linear_algebra_is_loaded_only_for_who_needs_it() -> None:
    code = """
import sys
import numpy as np, chainrule as cr
net = cr.Network(cr.Affine(4), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
net.fit(np.ones((64, 6)), np.zeros(64, int), iterations=5, batch_size=32, compile=True)
assert "numba" in sys.modules
print("scipy.linalg" in sys.modules)
import numba
product = numba.njit(lambda a, b: np.dot(a, b))
np.testing.assert_array_equal(product(np.ones((2, 3)), np.ones((3, 4))), np.full((2, 4), 3.0))
print("scipy.linalg" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_ctrl_c_leaves_no_thread_behind() -> None:
    code = """
import os, signal, threading, time
import numpy as np, chainrule as cr
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it, as would its tests
from chainrule.program import compiled_form
compiled_form.WORTH_SHARING = 0
net = cr.Network(cr.Affine(64), cr.ReLU(), cr.Affine(4), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)
x, t = np.ones((64, 6), "float32"), np.zeros(64, int)
net.fit(x, t, iterations=50, batch_size=32, compile=True, threads=2)
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
started = time.perf_counter()
try:
    history = net.fit(x, t, iterations=3_000_000, batch_size=32, compile=True, threads=2)
except KeyboardInterrupt:
    history = None
assert time.perf_counter() - started < 20
assert threading.active_count() == 1, threading.enumerate()
assert np.isfinite(net.params.flat).all()
print("clean")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip().endswith("clean"), done.stderr


def test_without_numba_compiling_the_parts_run_one_after_the_other() -> None:
    code = """
import numpy as np, chainrule as cr
from chainrule.program import compiled_form
compiled_form.WORTH_SHARING = 0
nets = [cr.Network(cr.Affine(5), cr.ReLU(), cr.Affine(4), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0,
                   dtype="float64") for _ in range(2)]
x, t = np.random.default_rng(0).standard_normal((40, 6)), np.arange(40) % 4
for net, compile in zip(nets, (True, False)):
    net.fit(x, t, iterations=30, batch_size=16, compile=compile, seed=1, threads=2)
np.testing.assert_allclose(nets[0].params.flat, nets[1].params.flat, rtol=1e-8)
print("equal")
"""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.stdout.strip().endswith("equal"), done.stderr
