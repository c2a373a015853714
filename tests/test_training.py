"""Training as an object, and a fit that goes on where the last one stopped."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, BusyError, DivergedError, FileError
from chainrule.network import Training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(53, 6)).astype(np.float32)
T = RNG.integers(3, size=53)
WEIGHTS = RNG.random(53)


class Doubled(cr.Layer):
    """y = 2 x, without a kernel."""

    def forward(self, x: Any) -> Any:
        return 2 * x, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return 2 * dy


def dense(seed: int = 0) -> cr.Network:
    return network(cr.Affine(5), cr.ReLU(), seed=seed)


def network(*layers: cr.Layer, seed: int = 0) -> cr.Network:
    return cr.Network(*layers, cr.Affine(3), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=seed)


def rich() -> cr.Network:
    return network(cr.Affine(5), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.3), Doubled())


def bits(net: cr.Network) -> tuple[bytes, ...]:
    return net.params.flat.tobytes(), *(array.tobytes() for array in net.state.values())


# fit goes on


OPTIMIZERS = [
    cr.SGD(0.1),
    cr.Momentum(0.1),
    cr.Adam(0.01, clip_norm=1.0),
    cr.AdamW(0.01),
    cr.Adam(cr.schedules.Step(0.01, every=7)),
    cr.SGD(cr.schedules.LinearWarmup(9, 0.1)),
]


@pytest.mark.parametrize("make", [dense, rich])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_ten_times_one_epoch_is_ten_epochs(
    make: Callable[[], cr.Network], optimizer: Any, sampling: Any
) -> None:
    settings = {"optimizer": optimizer, "batch_size": 10, "sampling": sampling, "sample_weight": WEIGHTS}
    once, parts, odd = make(), make(), make()
    whole = once.fit(X, T, epochs=10, **settings)
    losses: list[float] = []
    rates: list[float] = []
    for _ in range(10):
        history = parts.fit(X, T, epochs=1, **settings)
        losses, rates = losses + history.loss, rates + history.learning_rate
    assert losses == whole.loss
    assert rates == whole.learning_rate
    assert bits(parts) == bits(once)
    left = len(whole.loss)
    for size in (1, 3, 20, left):  # calls that stop inside an epoch
        odd.fit(X, T, iterations=min(size, left), **settings)
        left -= min(size, left)
    assert left == 0
    assert bits(odd) == bits(once)


def test_an_equal_optimizer_is_the_same_and_another_starts_anew() -> None:
    def after(*optimizers: Any, **last: Any) -> tuple[bytes, ...]:
        net = dense()
        for k, optimizer in enumerate(optimizers):
            net.fit(X, T, epochs=2, optimizer=optimizer, **(last if k == len(optimizers) - 1 else {}))
        return bits(net)

    same = after(cr.Adam(0.01), cr.Adam(0.01))
    assert same == after(cr.Adam(0.01), cr.Adam(learning_rate=0.01, beta1=0.9))
    assert same != after(cr.Adam(0.01), cr.Adam(0.01), fresh=True)
    assert same != after(cr.Adam(0.01), cr.Adam(0.02))
    net = dense()
    assert "goes_on_from" not in net.fit(X, T, epochs=2, optimizer=cr.Adam()).settings
    assert net.fit(X, T, epochs=1, optimizer=cr.Adam()).settings["goes_on_from"].startswith("iteration 2 ")
    assert "goes_on_from" not in net.fit(X, T, epochs=1, optimizer=cr.SGD()).settings


def test_a_schedule_that_needs_the_length_must_be_told_it() -> None:
    optimizer = cr.Adam(cr.schedules.Cosine(0.01))
    once, parts, net = dense(), dense(), dense()
    whole = once.fit(X, T, epochs=6, batch_size=10, optimizer=optimizer)
    for epochs in (1, 2, 3):
        parts.fit(X, T, epochs=epochs, batch_size=10, optimizer=optimizer, total_epochs=6)
    assert bits(parts) == bits(once)
    net.fit(X, T, epochs=2, batch_size=10, optimizer=optimizer)
    before = bits(net)
    with pytest.raises(
        ArgumentError, match=r"Cosine.* 12 iterations, 12 .*total_epochs.*one call.*fresh=True"
    ):
        net.fit(X, T, epochs=1, batch_size=10, optimizer=optimizer)
    assert bits(net) == before
    assert net.fit(X, T, epochs=2, batch_size=10, optimizer=optimizer, fresh=True).learning_rate == (
        dense().fit(X, T, epochs=2, batch_size=10, optimizer=optimizer).learning_rate
    )
    with pytest.raises(
        ArgumentError, match=r"Cosine.* 6 iterations, 0 of which are done: there is no place for 12"
    ):
        dense().fit(X, T, epochs=2, batch_size=10, optimizer=optimizer, total_epochs=1)
    assert len(whole.loss) == 36


def test_an_interrupted_schedule_goes_on() -> None:
    class Stop(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            if run.iteration == 8:
                run.stop()

    optimizer = cr.SGD(cr.schedules.Cosine(0.1))
    once, net = dense(), dense()
    once.fit(X, T, iterations=20, batch_size=10, optimizer=optimizer)
    net.fit(X, T, iterations=20, batch_size=10, optimizer=optimizer, callbacks=[Stop()])
    net.fit(X, T, iterations=12, batch_size=10, optimizer=optimizer)
    assert bits(net) == bits(once)


def test_other_batches_begin_a_new_epoch() -> None:
    net = dense()
    net.fit(X, T, iterations=3, batch_size=10)  # inside the first epoch
    assert net.progress.place == (0, 3)
    net.fit(X, T, iterations=2, batch_size=20)
    assert net.progress.place == (1, 2)
    net.fit(X, T, iterations=1, batch_size=20)
    assert net.progress.place == (2, 0)
    net.fit(X, T, iterations=1, batch_size=20, seed=3)
    assert net.progress.place == (2, 1)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"]
)
def test_a_copy_goes_on_as_the_network_does(copied: Callable[[cr.Network], cr.Network]) -> None:
    net = dense()
    net.fit(X, T, iterations=9, batch_size=10, optimizer=cr.Adam())
    twin = copied(net)
    for each in (net, twin):
        each.fit(X, T, iterations=9, batch_size=10, optimizer=cr.Adam())
    assert bits(twin) == bits(net)


def test_measure_every() -> None:
    measured = []

    class Note(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            measured.append((run.epoch, run.is_measured))

    history = dense().fit(X, T, epochs=7, batch_size=10, measure_every=3, callbacks=[Note()])
    assert history.measured_at == [18, 36, 42]
    assert len(history.train_loss) == 3
    assert measured == [(k, k in (3, 6, 7)) for k in range(1, 8)]
    for bad in (0, 1.5, "2", True, None):
        with pytest.raises(ArgumentError, match="measure_every: expected a whole number of at least 1"):
            dense().fit(X, T, epochs=1, measure_every=bad)  # type: ignore[arg-type]
    every, rare = (
        dense().fit(
            X,
            T,
            epochs=40,
            batch_size=10,
            optimizer=cr.SGD(1e-9),
            validation=(X, T),
            measure_every=n,
            callbacks=[cr.EarlyStopping(patience=6, min_change=0.1)],
        )
        for n in (1, 3)
    )
    assert (len(every.measured_at), rare.measured_at[-1]) == (7, 9 * 6)


def test_few_rows_are_one_batch() -> None:
    assert dense().fit(X, T, epochs=1).settings["batch_size"] == 53


# The object


def test_steps_and_measures_are_those_of_fit() -> None:
    by_fit, by_steps = rich(), rich()
    history = by_fit.fit(X, T, epochs=3, batch_size=10, optimizer=cr.Adam(), validation=(X[:20], T[:20]))
    training = by_steps.training(X, T, batch_size=10, optimizer=cr.Adam(), validation=(X[:20], T[:20]))
    losses, rates = training.steps(11), list(training.rates)
    losses += training.steps(7)
    assert losses == history.loss
    assert rates + training.rates == history.learning_rate
    assert {name: [value] for name, value in training.measure().items()} == {
        name: getattr(history, name)[-1:]
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    }
    assert bits(by_steps) == bits(by_fit)
    assert (training.iteration, training.epoch, training.left_of_epoch) == (18, 3, 6)
    assert training.is_between_epochs
    for bad in (0, -1, 1.5, True, "7"):
        with pytest.raises(ArgumentError, match="steps: expected a whole number of at least 1"):
            training.steps(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [dense, rich])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_restored_training_has_the_same_bits(make: Callable[[], cr.Network], optimizer: Any) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "batch_size": 10, "sample_weight": WEIGHTS}
    net = make()
    with net.training(X, T, **settings) as training:
        training.steps(8)
        arrays, text = training.state()
        kept = {name: array.copy() for name, array in arrays.items()}, text
        losses, after = training.steps(20), bits(net)
        assert all(np.array_equal(arrays[name], kept[0][name]) for name in arrays)  # copies
        training.restore(kept)
        assert training.iteration == 8
        assert training.steps(20) == losses
        assert bits(net) == after
    other = make()
    other.params.flat[:] = 0  # whatever they start from
    again = other.training(X, T, **settings)
    again.restore(pickle.loads(pickle.dumps(kept)))
    assert again.steps(20) == losses
    assert bits(other) == after
    assert other.iterations == 28


def test_a_state_of_another_training_is_refused() -> None:
    training = dense().training(X, T, batch_size=10, optimizer=cr.Adam())
    training.steps(3)
    arrays, text = training.state()

    def refused(match: str, state: Any = (arrays, text), net: cr.Network | None = None, **other: Any) -> None:
        settings: dict[str, Any] = {"batch_size": 10, "optimizer": cr.Adam()} | other
        rows = settings.pop("rows", 53)
        into = (net or dense()).training(X[:rows], T[:rows], **settings)
        before = bits(into.network)
        with pytest.raises(ArgumentError, match=match):
            into.restore(state)
        assert bits(into.network) == before
        assert into.iteration == 0

    dense().training(X, T, batch_size=10, optimizer=cr.Adam(0.001, beta1=0.9)).restore(
        (arrays, text)
    )  # the same
    refused("restore: .*optimizer 'Adam.*this one has 'SGD", optimizer=cr.SGD())
    refused("restore: .*optimizer 'Adam.*this one has 'Adam.*0.5", optimizer=cr.Adam(beta1=0.5))
    refused("restore: .*batch_size 10, this one has 20", batch_size=20)
    refused("restore: .*samples 53, this one has 50", rows=50)
    refused("restore: .*seed 0, this one has 1", seed=1)
    refused("restore: .*network_seed 0, this one has 5", net=dense(seed=5), seed=0)
    refused(
        "restore: .*layers 'Affine ReLU .*this one has 'Affine Tanh", net=network(cr.Affine(5), cr.Tanh())
    )
    refused(
        r"restore: expected arrays .*parameters \(43,\) float32, got", net=network(cr.Affine(4), cr.ReLU())
    )
    refused("restore: expected arrays", ({}, text))
    last = sorted(arrays)[-1]
    for other in (arrays[last].astype(float), arrays[last].astype(str), arrays[last] * 1j):
        refused("restore: expected arrays", (arrays | {last: other}, text))
    for none in (5, None, arrays, "state.npz", (text, arrays), (arrays, text, 1)):
        refused(r"restore: expected the pair that state\(\) returned", none)
    wrong = [
        text.replace(*each) for each in (("training 1", "training 9"), ('"updates": 3', '"updates": -3'))
    ]
    wrong += [
        text.replace('"updates": 3', f'"updates": {2**70}'),
        text.replace('"of": {', '"of": [{') + "]",
        5,
    ]
    for bad in ("", "[]", "{}", text[:-9], *wrong):
        refused("restore: ", (arrays, bad))
    refused("restore: the state is damaged: 99 batches", (arrays, text.replace('"done": 3', '"done": 99')))


def test_a_network_has_one_training_at_a_time() -> None:
    net = dense()
    first = net.training(X, T, batch_size=10)
    first.steps(1)
    second = net.training(X, T, batch_size=10)
    for call in (lambda: first.steps(1), first.measure, first.state, first.__enter__):
        with pytest.raises(BusyError, match="another training of this network was made since this one"):
            call()
    second.steps(1)
    with second:
        second.steps(1)
        for attempt in (lambda: net.fit(X, T, epochs=1), lambda: net.training(X, T)):
            with pytest.raises(BusyError, match="is being trained already"):
                attempt()
        caught: list[Exception] = []

        def elsewhere() -> None:
            try:
                net.params["b1"] = np.zeros(5)
            except BusyError as error:
                caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(caught) == 1
        assert second.iteration == 2
    net.fit(X, T, epochs=1)
    assert net.iterations == 4
    with pytest.raises(BusyError):
        second.steps(1)


def test_a_step_that_diverges() -> None:
    with pytest.warns(cr.errors.ChainruleWarning, match="on a scale"):
        training = dense().training(X * 1e18, T, batch_size=10, optimizer=cr.SGD(1e30))
    losses = training.steps(30)
    assert 0 < len(losses) < 30
    before = bits(training.network)
    with pytest.raises(DivergedError, match=rf"iteration {len(losses) + 1}: ") as caught:
        training.steps(1)
    assert caught.value.iteration == training.iteration + 1
    assert bits(training.network) == before


def test_ctrl_c_returns_early_and_is_raised_by_the_next_call() -> None:
    program = """
import os, signal, threading, time
import numpy as np, chainrule as cr
net = cr.TwoLayerNet(200, 100, 3, seed=0)
training = net.training(np.ones((500, 200)), np.zeros(500, int), batch_size=100)
training.steps(1)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
start = time.perf_counter()
losses = training.steps(10**7)
assert time.perf_counter() - start < 5, "it was not heard"
assert len(losses) == training.iteration - 1 == net.iterations - 1 > 1
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
try:
    training.steps(1)
except KeyboardInterrupt:
    print("raised", len(training.steps(2)))
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    with training:
        training.steps(10**7)
except KeyboardInterrupt:
    print("raised by the block")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.stdout.strip(), done.stderr) == ("raised 2\nraised by the block", "")


def test_one_call_of_the_machine_takes_a_tenth_of_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    training = cr.TwoLayerNet(100, 50, 3, seed=0).training(RNG.random((500, 100)), RNG.integers(3, size=500))
    calls: list[tuple[int, float]] = []
    run = training._trainer.steps

    def timed(data: Any, rows: Any, *args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        losses = run(data, rows, *args, **named)
        calls.append((len(losses), time.perf_counter() - start))
        return losses

    monkeypatch.setattr(training._trainer, "steps", timed)
    assert len(training.steps(400)) == 400
    assert calls[0][0] == 1
    assert sum(many for many, _ in calls) == 400
    assert np.median([seconds for _, seconds in calls]) < 0.5  # generous: the machine may be busy


def test_a_training_is_made_only_of_what_fit_takes() -> None:
    net = dense()
    assert isinstance(net.training(X, T), Training)
    with pytest.raises(ArgumentError, match="total_epochs: expected a whole number"):
        net.training(X, T, total_epochs=0)
    with pytest.raises(
        ArgumentError, match=r"Cosine.*depends on the length of the training: say .*total_epochs="
    ):
        net.training(X, T, optimizer=cr.SGD(cr.schedules.Cosine(0.1))).steps(1)
    limited = net.training(X, T, optimizer=cr.SGD(cr.schedules.Cosine(0.1)), batch_size=10, total_epochs=1)
    assert len(limited.steps(6)) == 6
    with pytest.raises(ArgumentError, match="6 iterations, 6 of which are done"):
        limited.steps(1)


# What must not go wrong without a word


def test_a_refused_fit_has_changed_nothing() -> None:
    net, twin = dense(), dense()
    for each in (net, twin):
        each.fit(X, T, iterations=9, batch_size=10, optimizer=cr.Adam())
    training = net.training(X, T, batch_size=10, optimizer=cr.Adam())
    cosine = cr.Adam(cr.schedules.Cosine(0.1))
    for wrong in ({"total_epochs": 2, "batch_size": 10}, {"total_epochs": 1, "fresh": True}):
        with pytest.raises(ArgumentError, match="there is no place for"):
            net.fit(X, T, optimizer=cosine, epochs=3, **wrong)  # type: ignore[arg-type]
    training.steps(3)  # still the last one
    net.fit(X, T, iterations=9, batch_size=10, optimizer=cr.Adam())
    twin.fit(X, T, iterations=12, batch_size=10, optimizer=cr.Adam())
    assert bits(net) == bits(twin)


def test_the_length_that_a_schedule_was_told_does_not_change_on_the_way() -> None:
    optimizer = cr.SGD(cr.schedules.Cosine(0.1))
    net = dense()
    net.fit(X, T, epochs=2, batch_size=10, total_epochs=4, optimizer=optimizer)
    for other in ({"batch_size": 20}, {"batch_size": 10, "total_epochs": 6}):
        with pytest.raises(
            ArgumentError, match=r"was told a length of 24 iterations.*12 of which are done, and now"
        ):
            net.fit(X, T, epochs=1, optimizer=optimizer, **({"total_epochs": 4} | other))  # type: ignore[arg-type]
    assert len(net.fit(X, T, epochs=2, batch_size=10, optimizer=optimizer).loss) == 12  # said once is enough
    failed = dense()
    with pytest.raises(ZeroDivisionError):
        failed.fit(X, T, epochs=1, batch_size=10, optimizer=optimizer, callbacks=[Fails()])
    assert len(failed.fit(X, T, epochs=2, batch_size=10, optimizer=optimizer).loss) == 12


class Fails(cr.Callback):
    def on_start(self, run: Any) -> None:
        raise ZeroDivisionError


def test_callbacks_are_told_of_the_end_whatever_another_raises() -> None:
    told = []

    class Tells(cr.Callback):
        def on_end(self, run: Any) -> None:
            told.append("end")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dense().fit(X, T, epochs=1, callbacks=[Tells(), Tells(), Tells()])
    assert told == ["end"] * 3
    with pytest.raises(ZeroDivisionError):
        dense().fit(X, T, epochs=1, callbacks=[Tells(), Fails(), Tells()])
    assert told == ["end"] * 4  # of those that were told of the start


def test_one_thread_at_a_time_uses_a_training() -> None:
    with dense().training(X, T, batch_size=10) as training:
        kept = training.state()
        caught: list[str] = []

        def elsewhere() -> None:
            for call in (
                lambda: training.steps(1),
                training.state,
                lambda: training.restore(kept),
                training.snapshot,
            ):
                try:
                    call()
                except BusyError as error:
                    caught.append(str(error))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(caught) == 4
        assert "another thread holds this training" in caught[0]
        training.steps(1)


def test_a_training_that_is_not_the_last_changes_nothing() -> None:
    net = dense()
    old = net.training(X, T, batch_size=10)
    kept = old.snapshot()
    with net.training(X, T, batch_size=20) as training:
        training.steps(5)
        before = bits(net)
        for call in (lambda: old.put_back(kept), old.snapshot, lambda: old.epoch, lambda: old.left_of_epoch):
            with pytest.raises(BusyError):
                call()
        assert bits(net) == before


def test_an_optimizer_with_a_step_of_its_own() -> None:
    class Plain(cr.optimizers.Optimizer):
        def rule(self, *arguments: Any) -> None:
            raise NotImplementedError

        def step(
            self, parameters: Any, gradient: Any, state: Any, *, learning_rate: float | None = None
        ) -> None:
            parameters -= learning_rate * gradient

    own, usual = dense(), dense()
    history = own.fit(X, T, epochs=3, batch_size=10, optimizer=Plain(0.1))
    expected = usual.fit(X, T, epochs=3, batch_size=10, optimizer=cr.SGD(0.1))
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-5)
    assert (own.iterations, len(history.learning_rate), own.progress.place) == (18, 18, (3, 0))


@pytest.mark.parametrize("wrong", [-1.0, "0.1", np.nan, np.inf, None, np.ones(2), True])
def test_a_schedule_of_ones_own_is_checked(wrong: Any) -> None:
    class Own(cr.schedules.Schedule):
        needs_total = False

        def rate_at(self, iteration: int, total: int) -> Any:
            return wrong if iteration == 2 else 0.1

    net = dense()
    with pytest.raises(ArgumentError, match=r"Own\(\): expected learning rates in \[0, inf\), got"):
        net.fit(X, T, iterations=9, batch_size=10, optimizer=cr.SGD(Own()))
    assert np.isfinite(net.params.flat).all()


def test_optimizers_that_cannot_be_hashed_or_compared_are_still_the_same_object() -> None:
    class Own(cr.SGD):
        def __init__(self, learning_rate: float = 0.1, groups: Any = None) -> None:
            super().__init__(learning_rate)

    once, parts = dense(), dense()
    for groups in ({"a"}, [object()], lambda: 1):
        optimizer = Own(groups=groups)
        once.fit(X, T, epochs=2, batch_size=10, optimizer=optimizer)
        for _ in range(2):
            parts.fit(X, T, epochs=1, batch_size=10, optimizer=optimizer)
        assert bits(once) == bits(parts)


def test_a_fit_that_is_over_holds_no_data() -> None:
    for diverges in (False, True):
        net, x = dense(), X.copy()
        gone = weakref.ref(x)
        optimizer = cr.SGD(1e38 if diverges else 0.1)
        with contextlib.suppress(DivergedError):
            net.fit(x, T, epochs=2, optimizer=optimizer, callbacks=[cr.Health()])
        del x
        gc.collect()
        assert gone() is None


@pytest.mark.parametrize(
    "progress",
    [
        {"place": [0, 3], "batches": None},
        {
            "place": [0, 99],
            "batches": {"samples": 53, "batch_size": 10, "sampling": "shuffle", "seed": 0, "least": 1},
        },
        {"place": [int("9" * 4300), 0], "batches": None},
        {
            "place": [0, 0],
            "batches": {"samples": 1e308, "batch_size": 1, "sampling": "shuffle", "seed": 0, "least": 1},
        },
        {
            "place": [0, 0],
            "batches": {"samples": 9, "batch_size": None, "sampling": "shuffle", "seed": 0, "least": 1},
        },
        {"place": [0, 0], "batches": {"samples": 9, "batch_size": 1, "sampling": [], "seed": 0, "least": 1}},
        {"place": 5, "batches": None},
        [],
    ],
)
def test_a_damaged_place_in_a_file_is_refused(progress: Any, tmp_path: Path) -> None:
    net = dense()
    net.progress.to_dict = lambda: progress  # type: ignore[method-assign]
    sys.set_int_max_str_digits(0)
    try:
        path = cr.save(net, tmp_path / "net")
        with pytest.raises(FileError, match=r"is damaged|is not a readable model file"):
            cr.load(path)
    finally:
        sys.set_int_max_str_digits(4300)


def test_steps_over_several_epochs_are_those_of_one_at_a_time() -> None:
    found = []
    for at_once in (1, 3, 40):
        net = network()
        training = net.training(X[:50], T[:50], optimizer=cr.Adam(), batch_size=15, epochs=10)
        losses: list[float] = []
        while len(losses) < 40:
            losses += training.steps(min(at_once, 40 - len(losses)))
        found.append((losses, net.params.flat.tobytes(), training.epoch))
    assert found[0] == found[1] == found[2]
    assert found[0][2] == 10


def test_a_learning_rate_may_stand_in_place_of_the_schedules() -> None:
    nets = network(), network()
    given, said = (
        net.training(X, T, optimizer=cr.SGD(rate), epochs=2)
        for net, rate in zip(nets, (0.1, 0.3), strict=True)
    )
    said.learning_rate = 0.1
    assert given.steps(1) == said.steps(1)
    assert said.rates == [0.1]
    assert np.array_equal(nets[0].params.flat, nets[1].params.flat)
