"""One network used by several threads, and by processes that are forked off meanwhile."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import BusyError, ShapeError

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(900, 6)).astype("float32"), RNG.integers(0, 4, 900)


def network(*layers: cr.Layer, **arguments: Any) -> cr.Network:
    layers = layers or (cr.Affine(16), cr.ReLU(), cr.Affine(9), cr.GELU())
    return cr.Network(
        *layers, cr.Affine(4), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=1, **arguments
    )


def in_threads(work: Callable[[int], None], number: int) -> None:
    """Run `work(k)` in so many threads at once, and raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(k: int) -> None:
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(k,)) for k in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Halved(cr.Layer):
    """y = x / 2,    dL/dx = dL/dy / 2, in Python."""

    def forward(self, x: Any) -> Any:
        return x / 2, None

    def backward(self, dy: Any, saved: None) -> Any:
        return dy / 2


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize(
    "layers",
    [(), (cr.Affine(8), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.5)), (cr.Affine(5), Halved(), cr.Tanh())],
    ids=["dense", "statistics", "python"],
)
def test_calls_from_several_threads_give_what_they_give_alone(layers: tuple[cr.Layer, ...]) -> None:
    net = network(*layers)
    net.fit(X, T, epochs=1, batch_size=50)
    sizes = [1, 2, 7, 50, 300, 513, 900]
    calls: list[Callable[[slice], Any]] = [
        lambda rows: net.predict(X[rows]),
        lambda rows: net.predict_proba(X[rows]),
        lambda rows: net.evaluate(X[rows], T[rows]),
        lambda rows: net.loss(X[rows], T[rows]),
        lambda rows: net.gradient(X[rows], T[rows], training=False)["W1"],
    ]
    wanted = [(call, slice(start, start + size)) for call in calls for size in sizes for start in (0, 3)]
    alone = [call(rows) for call, rows in wanted]

    def work(k: int) -> None:
        order = np.random.default_rng(k).permutation(len(wanted))
        for _ in range(8):
            for number in order:
                call, rows = wanted[number]
                np.testing.assert_equal(call(rows), alone[number])

    in_threads(work, 4)


@contextmanager
def trained_meanwhile(
    net: cr.Network, optimizer: cr.Optimizer, x: Any = X, t: Any = T, batch_size: int = 50
) -> Iterator[None]:
    """Inside the block another thread trains the network."""
    stop = threading.Event()

    class Stop(cr.Callback):
        every_iteration = 50

        def on_iteration(self, run: Any) -> None:
            if stop.is_set():
                run.stop("enough")

    how = {"iterations": 10**7, "batch_size": batch_size, "optimizer": optimizer, "callbacks": [Stop()]}
    thread = threading.Thread(target=lambda: net.fit(x, t, **how))
    before = net.iterations
    thread.start()
    while net.iterations == before and thread.is_alive():
        time.sleep(0.001)
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("executor")
def test_predictions_beside_a_training_never_mix_rows_up() -> None:
    net = network()
    expected = {size: net.predict(X[:size]) for size in (1, 7, 300, 900)}
    with trained_meanwhile(net, cr.SGD(1e-30)):  # steps that change nothing

        def work(k: int) -> None:
            for _ in range(60):
                for size, output in expected.items():
                    np.testing.assert_array_equal(net.predict(X[:size]), output)

        in_threads(work, 2)
    with trained_meanwhile(net, cr.Adam(0.01)):
        for _ in range(60):
            assert np.isfinite(net.predict(X)).all()
            assert net.evaluate(X, T)["accuracy"] > 0


def in_step(flat: np.ndarray) -> bool:
    """Whether all weights are those of one step: in `equal_weights` they are equal after each."""
    return bool((flat == flat[0]).all())


def equal_weights() -> tuple[cr.Network, Any, Any]:
    """A network whose weights stay equal to each other, step by step: its gradient is one number everywhere."""
    affine = cr.Affine(1, weights=cr.initializers.Zeros())
    net = cr.Network(affine, input_shape=200_000, loss=cr.MeanAbsoluteError(), seed=0)
    return net, np.ones((4, 200_000), "float32"), np.full((4, 1), 1e9, "float32")


@pytest.mark.filterwarnings("ignore:t is on a scale")
def test_what_is_saved_copied_checked_or_drawn_lies_between_two_steps(tmp_path: Path) -> None:
    net, x, t = equal_weights()
    seen = set()
    with trained_meanwhile(net, cr.SGD(1e-3), x, t, batch_size=4):
        for k in range(10):
            flat = cr.load(cr.save(net, tmp_path / f"{k}.safetensors")).params.flat
            assert in_step(flat)
            seen.add(float(flat[0]))
            for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.settled()):
                assert in_step(twin.params.flat)
            assert in_step(net.astype("float64").params.flat)
    assert len(seen) > 3  # the training went on meanwhile
    small = network()
    with trained_meanwhile(small, cr.SGD(0.01)):
        for _ in range(3):
            assert cr.check(small, X[:4], T[:4]).passed
            cr.draw(small, X[:2], T[:2]).svg()


def test_a_second_training_and_assignments_are_refused_meanwhile() -> None:
    net = network()
    with trained_meanwhile(net, cr.SGD(0.01)):
        with pytest.raises(
            BusyError, match=r"being trained already, by another thread: .*copy.deepcopy\(net\)"
        ):
            net.fit(X, T, epochs=1)
        for assign in (
            lambda: net.params.__setitem__("b1", np.zeros(16)),
            lambda: setattr(net.params, "flat", net.params.flat),
            lambda: setattr(net, "params", dict(net.params)),
        ):
            with pytest.raises(BusyError, match="cannot be assigned: another thread is training it"):
                assign()
        copy.deepcopy(net).fit(X, T, epochs=1)  # as the message says
    net.params["b1"] = np.zeros(16)
    net.fit(X, T, epochs=1)


def test_parameters_are_read_only_while_another_thread_trains() -> None:
    net = network()
    with trained_meanwhile(net, cr.SGD(0.01)):
        for change in (net.params["b1"], net.params.flat, copy.copy(net.params)["b1"]):
            with pytest.raises(ValueError, match="read-only"):
                change += 1
    net.params["b1"] += 1
    np.testing.assert_array_equal(net.params["b1"], net.params.flat[6 * 16 : 7 * 16])


def test_statistics_are_assigned_in_place() -> None:
    net = network(cr.Affine(8), cr.BatchNorm())
    net.fit(X, T, epochs=1, batch_size=50)
    mean = net.state["running_mean1"]
    net.state["running_mean1"] = np.arange(8.0)
    assert net.state["running_mean1"] is mean
    np.testing.assert_array_equal(mean, np.arange(8))
    net.fit(X, T, epochs=1, batch_size=50)
    assert net.state["running_mean1"] is mean
    assert mean[7] != 7
    state = net.state
    state |= {"running_mean1": np.zeros(8)}
    net.state.update(running_mean1=[1.0] * 8)
    np.testing.assert_array_equal(mean, np.ones(8))
    with pytest.raises(ShapeError, match=r"running_mean1: expected statistics of shape \(8,\), got \(2, 4\)"):
        net.state["running_mean1"] = np.zeros((2, 4))
    twin = copy.deepcopy(net)
    assert twin.state["running_mean1"] is not mean
    np.testing.assert_array_equal(twin.state["running_mean1"], mean)


def test_a_callback_may_assign_but_not_train() -> None:
    net = network()

    class Meddles(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            net.params["b1"] = np.zeros(16)
            with pytest.raises(BusyError, match=r"by this thread: .*a fit whose callback"):
                net.fit(X, T, epochs=1)

    net.fit(X, T, epochs=2, callbacks=[Meddles()])
    np.testing.assert_array_equal(net.params["b1"], np.zeros(16))


def test_a_failed_training_leaves_the_network_free() -> None:
    net = network()

    class Fails(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        net.fit(X, T, epochs=1, callbacks=[Fails()])
    net.fit(X, T, epochs=1)


def test_parameters_are_copied_with_their_views() -> None:
    params = network().params
    for twin in (copy.deepcopy(params), pickle.loads(pickle.dumps(params))):
        twin["b1"] += 1
        assert not np.array_equal(twin.flat, params.flat)
        np.testing.assert_array_equal(twin["W1"], params["W1"])


FORKS = """
import multiprocessing, os, sys, threading
import numpy as np, chainrule as cr

rng = np.random.default_rng(0)
x, t = rng.normal(size=(600, 20)).astype("float32"), rng.integers(0, 3, 600)

def made():
    return cr.Network(
        cr.Affine(256), cr.ReLU(), cr.Affine(256), cr.ReLU(), cr.Affine(3),
        input_shape=20, loss=cr.SoftmaxCrossEntropy(), seed=0,
    )

net, fixed = made(), made()
expected = fixed.predict(x)
busy = True

def train():
    while busy:
        net.fit(x, t, iterations=50, batch_size=100)

def predict():
    while busy:
        fixed.predict(x); fixed.predict(x[:1]); fixed.gradient(x, t); made().predict(x[:2])

def child(_=0):
    assert np.array_equal(fixed.predict(x), expected)
    fixed.predict(x[:1]); fixed.evaluate(x, t)
    net.predict(x)
    net.fit(x, t, iterations=5, batch_size=100)
    net.params["b1"] = 0 * net.params["b1"]
    return 7

threads = [threading.Thread(target=each, daemon=True) for each in (train, predict)]
for thread in threads:
    thread.start()
if sys.argv[1] == "os.fork":
    for _ in range(40):
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(child())
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7
else:
    context = multiprocessing.get_context("fork")
    for _ in range(10):
        with context.Pool(2) as pool:
            assert pool.map(child, range(4)) == [7] * 4
busy = False
for thread in threads:
    thread.join()
print("all ended")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("how", ["os.fork", "multiprocessing"])
def test_a_fork_while_threads_train_and_predict_is_safe(how: str, tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(FORKS)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), how],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout.strip() == "all ended", done.stdout + done.stderr
