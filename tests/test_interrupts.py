"""Ctrl-C at any moment, and forks in odd places: nothing hangs, and what comes after is right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.loop.interrupts import Interrupts
from chainrule.native import blas
from chainrule.program.machine import Machine
from chainrule.signals import ENDING

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(3000, 40)).astype("float32"), RNG.integers(0, 5, 3000)


def network(*layers: cr.Layer) -> cr.Network:
    layers = layers or (cr.Affine(200), cr.ReLU())
    return cr.Network(*layers, cr.Affine(5), input_shape=40, loss=cr.SoftmaxCrossEntropy(), seed=0)


def interrupted_at(function: Callable[..., Any], event: int, work: Callable[[], Any]) -> bool:
    """Do the work, and raise KeyboardInterrupt at that event within the function. Returns whether there was one."""
    seen = 0

    def within(frame: Any, kind: str, argument: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == event:
            sys.settrace(None)
            raise KeyboardInterrupt
        return within

    def trace(frame: Any, kind: str, argument: Any) -> Any:
        return within if frame.f_code is function.__code__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("function", [Machine._shared, Machine._workers, Machine._run, Machine._loop])
def test_what_follows_an_interrupted_call_is_right(
    function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainrule.program.machine.WORTH_HELPING", 1)
    net = network()
    expected, shuffled = net.predict(X), X[::-1].copy()
    for event in range(1, 60):
        if not interrupted_at(
            function,
            event,
            lambda: net.predict(
                shuffled,
            ),
        ):
            break
        np.testing.assert_array_equal(net.predict(X), expected)
        np.testing.assert_array_equal(net.predict(X[:1]), net.predict(X[:1]))
    assert event > 3


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A job in the background ignores Ctrl-C, and its tests with it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_an_interrupt_counts_no_step_that_was_not_done() -> None:
    net = network()

    class Third(cr.Callback):
        every_iteration = 1

        def on_iteration(self, run: Any) -> None:
            if run.iteration == 3:
                signal.raise_signal(signal.SIGINT)  # asks for a stop
                signal.raise_signal(signal.SIGINT)  # and insists

    with pytest.raises(KeyboardInterrupt):
        net.fit(X, T, iterations=10, batch_size=500, callbacks=[Third()])
    assert net.iterations == 3
    for event in range(1, 40):
        before, flat = net.iterations, net.params.flat.copy()
        work = lambda: net.fit(X, T, iterations=1, batch_size=500)  # noqa: E731
        if not interrupted_at(Machine._train, event, work):
            break
        assert net.iterations == before or not np.array_equal(net.params.flat, flat)
    net.fit(X, T, iterations=1, batch_size=500)


@pytest.fixture
def usual_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_is_noted_and_the_second_acts(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in ENDING]
    with Interrupts() as interrupts:
        with Interrupts() as inner:
            assert not interrupts.asked
            signal.raise_signal(number)
        assert (interrupts.asked, inner.asked) == (True, False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if number.name == "SIGHUP":  # a terminal that is closed may send it twice
            signal.raise_signal(number)
    assert [signal.getsignal(each) for each in ENDING] == before


@pytest.mark.usefixtures("usual_signals")
def test_signals_that_are_ignored_or_handled_elsewhere_stay_so() -> None:
    heard = []
    for number in ENDING:
        signal.signal(number, lambda number, frame: heard.append(number))
    with Interrupts() as interrupts:
        for number in ENDING:
            signal.raise_signal(number)
    assert (heard, interrupts.asked) == (list(ENDING), False)
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    with Interrupts() as interrupts:
        for number in ENDING:
            signal.raise_signal(number)
    assert not interrupts.asked


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", ENDING)
def test_every_signal_to_end_stops_a_training(number: signal.Signals) -> None:
    class Third(cr.Callback):
        every_iteration = 1

        def on_iteration(self, run: Any) -> None:
            if run.iteration == 3:
                signal.raise_signal(number)

    net = network()
    history = net.fit(X, T, iterations=10, batch_size=500, callbacks=[Third()])
    assert (history.stopped, net.iterations) == ("interrupted", 3)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_interrupts_at_random_moments_leave_nothing_locked() -> None:
    script = """
    import random, signal, threading, time
    import numpy as np, chainrule as cr
    from chainrule.native import blas

    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    random.seed(0)
    x, t = np.ones((8, 4)), np.zeros(8, int)
    def made():
        return cr.Network(cr.Affine(3), input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=1)
    net, expected = made(), made().predict(x)
    end = time.time() + 4
    count = 0
    while time.time() < end:
        count += 1
        try:
            signal.setitimer(signal.ITIMER_REAL, random.random() * 0.0015)
            (lambda: net.fit(x, t, iterations=3, batch_size=8, threads=3), lambda: net.predict(x),
             lambda: net.evaluate(x, t))[count % 3]()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert count > 1000, count
    other = threading.Thread(target=lambda: net.fit(x, t, iterations=3, batch_size=8))
    other.start()
    other.join(20)
    assert not other.is_alive()
    assert np.array_equal(made().predict(x), expected)
    with blas.one_thread():
        pass
    assert not blas._BLOCKS
    print("free")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout.strip() == "free", done.stdout + done.stderr


def test_a_block_that_was_kept_from_ending_ends_with_its_last_reference() -> None:
    found = blas.found()
    if found is None or found.get_threads is None:
        pytest.skip("this BLAS has no number of threads")
    before = found.get_threads()
    own = blas._Block()
    blas._enter(own)
    del own
    with blas.one_thread():
        assert found.get_threads() == 1
    assert found.get_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("ending", ["raise SystemExit(7)", "os._exit(7)", "CHILD.append(1)"])
def test_a_layer_may_fork_while_helpers_are_there(ending: str) -> None:
    script = f"""
    import os, sys
    import numpy as np, chainrule as cr
    from chainrule.program import table
    table.PART, table.LEAST_ROWS = 1, 2
    CHILD = []

    class Forks(cr.Layer):
        calls = 0

        def forward(self, x, *, training):
            Forks.calls += training
            if Forks.calls == 4 and training:
                Forks.calls += 1
                pid = os.fork()
                if pid == 0:
                    {ending}
                else:
                    _, status = os.waitpid(pid, 0)
                    print("child", os.waitstatus_to_exitcode(status), flush=True)
            return x, None

        def backward(self, dy, saved):
            return dy

    layers = cr.Affine(30), Forks(), cr.ReLU(), cr.Affine(3)
    net = cr.Network(*layers, input_shape=9, loss=cr.SoftmaxCrossEntropy(), seed=0)
    x, t = np.ones((64, 9), "float32"), np.zeros(64, int)
    net.fit(x, t, iterations=8, batch_size=32, threads=3)
    if CHILD:
        sys.exit(7)
    print("parent", net.iterations)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["child", "7", "parent", "8"], done.stdout + done.stderr
