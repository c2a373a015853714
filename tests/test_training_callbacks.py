"""Callbacks, early stopping, Ctrl-C, threads, and what is left when a training ends before its time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, FileError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
T = RNG.integers(3, size=20)
BATCHES = {"batch_size": 8}  # three in an epoch


def network(*layers, seed=0):
    layers = layers or (cr.Affine(5), cr.ReLU(), cr.Affine(3))
    return cr.Network(*layers, input_shape=(4,), loss=cr.SoftmaxCrossEntropy(), seed=seed)


class Diary(cr.Callback):
    """Notes every call, and what the run says at the time."""

    def __init__(self):
        self.entries = []

    def _note(self, name, run):
        done = len(run.history.loss), len(run.history.train_loss)
        self.entries.append((name, run.iteration, run.epoch, *done))

    def on_start(self, run):
        self._note("start", run)

    def on_iteration(self, run):
        self._note("iteration", run)

    def on_epoch(self, run):
        self._note("epoch", run)

    def on_end(self, run):
        self._note("end", run)


class StopAt(cr.Callback):
    """Asks for a stop at an iteration, or after an epoch."""

    def __init__(self, *, iteration=None, epoch=None, reason="enough"):
        self.iteration, self.epoch, self.reason = iteration, epoch, reason

    def on_iteration(self, run):
        if run.iteration == self.iteration:
            run.stop(self.reason)

    def on_epoch(self, run):
        if run.epoch == self.epoch:
            run.stop(self.reason)


def test_the_order_of_the_calls():
    diary = Diary()
    network().fit(X, T, iterations=5, callbacks=[diary], **BATCHES)
    assert diary.entries == [
        ("start", 0, 0, 0, 0),
        ("iteration", 1, 0, 1, 0),
        ("iteration", 2, 0, 2, 0),
        ("iteration", 3, 0, 3, 0),
        ("epoch", 3, 1, 3, 1),
        ("iteration", 4, 1, 4, 1),
        ("iteration", 5, 1, 5, 1),
        ("epoch", 5, 2, 5, 2),
        ("end", 5, 2, 5, 2),
    ]


def test_callbacks_see_the_run():
    seen = {}

    class Look(cr.Callback):
        def on_start(self, run):
            seen.update(total=run.total, settings=dict(run.history.settings))

        def on_end(self, run):
            seen["snapshot"] = run.training.snapshot()

    net = network()
    net.fit(X, T, epochs=2, callbacks=(Look(),), **BATCHES)
    assert seen["total"] == 6
    assert seen["settings"]["batch_size"] == 8
    np.testing.assert_array_equal(seen["snapshot"][0], net.params.flat)
    assert not np.shares_memory(seen["snapshot"][0], net.params.flat)


def test_stop_ends_after_the_iteration():
    diary = Diary()
    net = network()
    history = net.fit(X, T, epochs=9, callbacks=[StopAt(iteration=4), diary], **BATCHES)
    assert (len(history.loss), net.iterations, history.stopped) == (4, 4, "enough")
    assert history.measured_at == [3]
    assert [entry[0] for entry in diary.entries[-2:]] == ["iteration", "end"]
    whole = network().fit(X, T, epochs=9, **BATCHES)
    assert history.loss == whole.loss[:4]


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize(
    ("every", "expected"),
    [(True, list(range(1, 15))), (1, list(range(1, 15))), (4, [4, 8, 12, 14]), (99, [14])],
)
def test_a_callback_says_how_often_it_is_called(every, expected):
    class Some(cr.Callback):
        every_iteration = every

        def __init__(self):
            self.seen = []

        def on_iteration(self, run):
            self.seen.append((run.iteration, len(run.history.loss)))

    some = Some()
    network().fit(X, T, iterations=14, callbacks=[some], **BATCHES)
    assert some.seen == [(number, number) for number in expected]


def test_two_callbacks_are_each_called_when_they_say_so():
    class Some(cr.Callback):
        def __init__(self, every):
            self.every_iteration, self.seen = every, []

        def on_iteration(self, run):
            self.seen.append(run.iteration)

    three, five, loose = Some(3), Some(5), Some(False)
    network().fit(X, T, iterations=12, callbacks=[three, five, loose], **BATCHES)
    assert three.seen == [3, 6, 9, 12]
    assert five.seen == [5, 10, 12]
    assert set(three.seen) | set(five.seen) <= set(loose.seen) <= set(range(1, 13))


@pytest.mark.parametrize("every", [0, -3, 2.5, "ten", None])
def test_how_often_is_a_whole_number(every):
    class Some(cr.Callback):
        every_iteration = every

    with pytest.raises(
        ArgumentError, match=r"Some.every_iteration: expected a whole number of at least 1, got"
    ):
        network().fit(X, T, iterations=2, callbacks=[Some()], **BATCHES)


def test_stop_ends_after_the_epoch_and_needs_no_reason():
    history = network().fit(X, T, epochs=9, callbacks=[StopAt(epoch=2, reason="")], **BATCHES)
    assert (len(history.loss), history.measured_at) == (6, [3, 6])
    assert history.stopped == "a callback asked"


def test_an_error_in_a_callback_is_not_hidden_and_on_end_is_called():
    class Fail(cr.Callback):
        def on_iteration(self, run):
            raise RuntimeError("mine")

    ends = []

    class End(cr.Callback):
        def on_end(self, run):
            ends.append((run.iteration, run.history.stopped))

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="mine"):
        network().fit(X, T, epochs=1, callbacks=[End(), Fail()], **BATCHES)
    assert ends == [(1, "failed: RuntimeError")]
    assert signal.getsignal(signal.SIGINT) is before


# Early stopping


class Script(cr.Callback):
    """Replaces the test loss of each epoch with a number, and keeps the state after each."""

    def __init__(self, net, values, name="test_loss"):
        self.net, self.values, self.name, self.states = net, values, name, []

    def on_epoch(self, run):
        getattr(run.history, self.name)[-1] = self.values[run.epoch - 1]
        statistics = {name: value.copy() for name, value in self.net.state.items()}
        self.states.append((self.net.params.flat.copy(), statistics))


def run_script(values, stopping, *, epochs=9, name="test_loss"):
    net = network(cr.Affine(5), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.3), cr.Affine(3))
    script = Script(net, values, name)
    history = net.fit(X, T, epochs=epochs, callbacks=[script, stopping], validation=(X, T), **BATCHES)
    return net, script, history


@pytest.mark.parametrize("restore_best", [True, False])
def test_early_stopping_puts_back_the_best_weights_and_statistics(restore_best):
    stopping = cr.EarlyStopping(patience=2, restore_best=restore_best)
    net, script, history = run_script([5, 3, 1, 2, 2, 0, 0, 0, 0], stopping)
    assert (len(script.states), stopping.best, stopping.best_epoch) == (5, 1, 3)
    assert history.stopped == "early: test_loss did not improve for 2 epochs"
    flat, statistics = script.states[2 if restore_best else 4]
    np.testing.assert_array_equal(net.params.flat, flat)
    assert set(statistics) == {"running_mean1", "running_var1"}
    for name, value in statistics.items():
        np.testing.assert_array_equal(net.state[name], value)
    assert (script.states[2][0] != script.states[4][0]).any()
    assert (script.states[2][1]["running_mean1"] != script.states[4][1]["running_mean1"]).any()


def test_the_best_weights_come_back_also_when_nothing_stopped_early():
    net, script, history = run_script([5, 1, 2, 3], cr.EarlyStopping(patience=9), epochs=4)
    assert history.stopped == "finished"
    np.testing.assert_array_equal(net.params.flat, script.states[1][0])


def test_early_stopping_on_accuracy_looks_for_the_highest():
    stopping = cr.EarlyStopping("test_accuracy", patience=2)
    net, script, _ = run_script([0.1, 0.6, 0.5, 0.6, 0.9], stopping, name="test_accuracy")
    assert (len(script.states), stopping.best, stopping.best_epoch) == (4, 0.6, 2)
    np.testing.assert_array_equal(net.params.flat, script.states[1][0])


def test_min_change_and_nan():
    stopping = cr.EarlyStopping(patience=2, min_change=0.5)
    _, script, _ = run_script([5, 4.6, 4.4, 4.3, 4.2, 0], stopping)
    assert (len(script.states), stopping.best_epoch) == (5, 3)
    stopping = cr.EarlyStopping(patience=2)
    _, script, _ = run_script([float("nan"), 3, float("nan"), 4, 0], stopping)
    assert (len(script.states), stopping.best) == (4, 3)


def test_one_early_stopping_serves_two_trainings():
    stopping = cr.EarlyStopping(patience=1)
    run_script([1, 2, 3], stopping)
    _, script, _ = run_script([50, 40, 41], stopping)
    assert (len(script.states), stopping.best) == (3, 40)


def test_what_is_watched_must_be_measured():
    with pytest.raises(ArgumentError, match=r"'test_loss', which is not measured.*validation=\(x, t\)"):
        network().fit(X, T, epochs=1, callbacks=[cr.EarlyStopping()], **BATCHES)
    network().fit(X, T, epochs=2, callbacks=[cr.EarlyStopping("train_accuracy")], **BATCHES)


# Ctrl-C


class Interrupt(cr.Callback):
    """Presses Ctrl-C at an iteration, once or more."""

    def __init__(self, at, times=1):
        self.at, self.times = at, times

    def on_iteration(self, run):
        if run.iteration == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interruptible():
    """Python's own handler, whatever the test run was started with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_after_the_step_and_keeps_everything():
    diary = Diary()
    net = network()
    history = net.fit(X, T, epochs=9, callbacks=[Interrupt(4), diary], **BATCHES)
    assert (len(history.loss), net.iterations, history.stopped) == (4, 4, "interrupted")
    assert diary.entries[-1][0] == "end"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    part = network()
    part.fit(X, T, iterations=4, **BATCHES)
    np.testing.assert_array_equal(net.params.flat, part.params.flat)


@pytest.mark.usefixtures("interruptible")
def test_a_second_ctrl_c_interrupts_at_once():
    ends = Diary()
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, T, epochs=9, callbacks=[ends, Interrupt(2, times=2)], **BATCHES)
    assert ends.entries[-1][0] == "end"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_only_pythons_own_handler_is_replaced(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        history = network().fit(X, T, epochs=1, callbacks=[Interrupt(2)], **BATCHES)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (history.stopped, len(history.loss)) == (
        "finished",
        3,
    )  # an application's handler decides for itself


def test_a_signal_from_outside_stops_a_training():
    program = """
import numpy as np, chainrule as cr, signal
class Say(cr.Callback):
    def on_iteration(self, run):
        if run.iteration == 3:
            print("going", flush=True)
net = cr.TwoLayerNet(4, 5, 3, seed=0)
history = net.fit(np.ones((50, 4)), np.zeros(50, int), iterations=10**7, batch_size=10, callbacks=[Say()])
restored = signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(history.stopped, len(history.loss) == net.iterations >= 3, restored)
"""
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "going\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "interrupted True True\n", "")


def test_fit_works_in_threads():
    alone = network().fit(X, T, epochs=30, **BATCHES).loss
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(network().fit(X, T, epochs=30, **BATCHES).loss))
        for _ in range(3)
    ]
    before = signal.getsignal(signal.SIGINT)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [alone] * 3
    assert signal.getsignal(signal.SIGINT) is before


def test_seconds_are_those_of_the_clock():
    class Wait(cr.Callback):
        def on_iteration(self, run):
            time.sleep(0.02)

    start = time.perf_counter()
    history = network().fit(X, T, iterations=3, callbacks=[Wait()], **BATCHES)
    assert 0 < history.seconds[0] < history.seconds[1] < history.seconds[2] < time.perf_counter() - start
    assert history.seconds[2] > 0.04


@pytest.mark.parametrize(
    "change",
    [
        {"best": "low"},
        {"best": None},
        {"best_epoch": float("inf")},
        {"iteration": []},
        {"weights": (np.zeros(3, np.float32),)},
        {"weights": (np.zeros(4, np.float32), {})},
        {"weights": (np.zeros(3), {})},
        {"weights": (np.zeros(3, np.float32), {"running_mean1": np.zeros(1)})},
        {"weights": 3},
    ],
    ids=str,
)
def test_early_stopping_refuses_what_it_did_not_keep(change):
    """As a checkpoint of other origin may hand it."""
    training = SimpleNamespace(snapshot=lambda: (np.ones(3, np.float32), {}))
    state = {"best": 0.5, "best_epoch": 2, "iteration": 20, "weights": (np.zeros(3, np.float32), {})}
    stopping = cr.EarlyStopping()
    stopping.on_resume(SimpleNamespace(training=training), state)
    assert (stopping.best, stopping.best_epoch) == (0.5, 2)
    with pytest.raises(FileError, match=r"what the callback EarlyStopping kept is damaged"):
        stopping.on_resume(SimpleNamespace(training=training), state | change)
    del state["best"]
    with pytest.raises(FileError, match=r"EarlyStopping kept is damaged: KeyError\('best'\)"):
        stopping.on_resume(SimpleNamespace(training=training), state)
