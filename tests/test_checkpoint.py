"""A training that is killed, wherever that is, and resumed ends with the same bits as one that never was."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import schedules
from chainrule.errors import (
    ChainruleWarning,
)
from chainrule.saving import resuming
from chainrule.saving.runs import CHECKPOINT, HISTORY, MODEL, RUN, is_alive, record_of
from checkpoint_cases import (
    CASES,
    OWN,
    ROWS,
    Gathering,
    KilledAt,
    T,
    X,
    Y,
    assert_same,
    bits,
    child,
    copied_at,
    copy_resumed,
    estimating,
    fit,
    killed_run,
    plain,
    resumed,
    same_history,
)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("at", [1, 6, 12, 31])
def test_it_ends_with_the_same_bits(name: str, at: int, tmp_path: Path) -> None:
    folder, copy = tmp_path / "run", tmp_path / "killed"
    killed = KilledAt(at, folder, copy)
    whole, record = fit(name, folder, killed, every=5)
    again = KilledAt(-1, folder, copy)
    net, history = resumed(name, copy, again)
    assert_same(net, history, whole, record)
    assert (record_of(copy).state, sorted(each.name for each in copy.iterdir())) == (  # type: ignore[union-attr]
        "ended",
        sorted([HISTORY, MODEL, RUN]),
    )
    assert same_history(cr.History.load(copy / HISTORY), record)


def test_checkpoints_change_nothing(tmp_path: Path) -> None:
    for name, (make, data, arguments) in CASES.items():
        if name == "of the user's":
            continue
        bare = make()
        record = bare.fit(**data, batch_size=16, **arguments)
        assert_same(*fit(name, tmp_path / name, every=1), bare, record)


@settings(max_examples=25, deadline=None)
@given(at=st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True), every=st.integers(1, 50))
def test_killed_again_and_again(at: list[int], every: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("runs")
    name, places = "of text, a share held out", sorted(at)
    folder = tmp_path / "0"
    whole, record = fit(name, folder, KilledAt(places[0], folder, tmp_path / "1"), every=every)
    for k, place in enumerate([*places[1:], -1], 1):
        net, history = resumed(
            name, tmp_path / f"{k}", KilledAt(place, tmp_path / f"{k}", tmp_path / f"{k + 1}")
        )
    assert_same(net, history, whole, record)


def test_the_network_goes_on_afterwards(tmp_path: Path) -> None:
    """`fit` after `resume` is `fit` after `fit`; and a training that itself went on is resumed as one."""
    make, data, _ = CASES["plain"]
    whole, part = make(), make()
    whole.fit(**data, epochs=3, batch_size=16)
    second = whole.fit(**data, epochs=3, batch_size=16)
    third = whole.fit(**data, epochs=2, batch_size=16)
    part.fit(**data, epochs=3, batch_size=16)
    copied_at(part, tmp_path, 8, every=4, epochs=3)
    net, history = copy_resumed(tmp_path)
    assert same_history(history, second)
    assert same_history(net.fit(**data, epochs=2, batch_size=16), third)
    assert bits(net) == bits(whole)


def test_a_schedule_knows_its_length(tmp_path: Path) -> None:
    def begun() -> cr.Network:
        net = estimating()
        net.fit(X, Y, epochs=2, batch_size=16, optimizer=optimizer, total_epochs=9)
        return net

    optimizer = cr.SGD(schedules.Cosine(0.1))
    whole, part = begun(), begun()
    record = whole.fit(X, Y, epochs=3, batch_size=16, optimizer=optimizer, total_epochs=9)
    copied_at(part, tmp_path, 7, every=3, t=Y, epochs=3, optimizer=optimizer, total_epochs=9)
    net, history = copy_resumed(tmp_path, t=Y)
    assert same_history(history, record)
    assert_same(net, history, whole, record)


def test_processes_that_are_killed(tmp_path: Path) -> None:
    """SIGKILL, four times, at moments that nobody chose."""
    out, err = child("none").communicate(timeout=120)
    expected = out.splitlines()[-1]
    kills = 0
    for pause in (0.02, 0.1, 0.25, 0.4):
        killed = child(tmp_path / "run")
        assert killed.stdout is not None
        if not (tmp_path / "run" / RUN).exists():
            killed.stdout.readline()
        try:
            killed.wait(timeout=1.0 + pause)
        except subprocess.TimeoutExpired:
            killed.send_signal(signal.SIGKILL)
            kills += 1
        killed.communicate()
        assert not is_alive(tmp_path / "run")
    out, err = child(tmp_path / "run").communicate(timeout=120)
    assert out.splitlines()[-1] == expected, err
    assert not list((tmp_path / "run").glob("*.part"))


class Interrupting(cr.Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_iteration(self, run: Any) -> None:
        if run.iteration == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("at", [1, 5, 12, 30])
@pytest.mark.parametrize("name", ["of text, a share held out", "stopped early", "plain"])
def test_ctrl_c_keeps_a_checkpoint_of_that_moment(at: int, name: str, tmp_path: Path) -> None:
    whole, record = fit(name, tmp_path / "whole", Interrupting(-1))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(
            ChainruleWarning, match=r"interrupted after \d+ of .* cr\.resume\('.*run', x, t, .*callbacks="
        ):
            fit(name, tmp_path / "run", Interrupting(at))
    finally:
        signal.signal(signal.SIGINT, before)
    kept = resuming.read_checkpoint(tmp_path / "run" / CHECKPOINT).training
    assert kept.iteration == at
    assert (record_of(tmp_path / "run").state, is_alive(tmp_path / "run")) == ("interrupted", False)  # type: ignore[union-attr]
    assert cr.load(tmp_path / "run" / MODEL).params.flat.size == whole.params.flat.size
    assert cr.History.load(tmp_path / "run" / HISTORY).stopped == "interrupted"
    net, history = resumed(name, tmp_path / "run", Interrupting(-1))
    assert_same(net, history, whole, record)


def test_a_run_that_has_ended_is_returned(tmp_path: Path) -> None:
    whole, record = fit("plain", tmp_path / "run")
    net, history = resumed("plain", tmp_path / "run")
    assert bits(net) == bits(whole)
    assert vars(history) == vars(record)


def test_what_callbacks_gathered_goes_on(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "of the user's")
    gathering = Gathering()
    cr.resume(folder, X, T, layers=OWN, callbacks=[gathering, KilledAt(-1, folder, folder)])
    record = cr.History.load(folder / HISTORY)
    assert gathering.seen == record.loss[5::6]
    assert gathering.weights.tolist() == [sum(range(6, 49, 6))] * 2


def test_a_checkpoint_is_a_model(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "of text, a share held out")
    net = cr.load(folder / CHECKPOINT)
    assert net.classes == ["no", "yes"]
    assert net.iterations in (12, 16, 20)
    assert net.classify(X[:3]).tolist()


def test_the_first_checkpoint_by_time(tmp_path: Path) -> None:
    """Besides that of the start, none before the time has passed."""
    kept = []

    class Watch(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            if (tmp_path / "a" / CHECKPOINT).exists():
                kept.append((tmp_path / "a" / CHECKPOINT).stat().st_mtime_ns)

    plain().fit(X, T, epochs=300, callbacks=Watch(), checkpoint=cr.Checkpoint(tmp_path / "a"))
    assert len(set(kept)) == 1


def test_arrays_with_alike_names_are_told_apart(tmp_path: Path) -> None:
    class Both(Gathering):
        def state(self) -> dict[str, Any]:
            return {"a/b": np.zeros(1), "a": {"b": np.ones(1)}}

        def on_resume(self, run: Any, state: dict[str, Any]) -> None:
            kept.append((state["a/b"][0], state["a"]["b"][0]))

    kept: list[tuple[float, float]] = []
    copied_at(plain(), tmp_path, 6, Both(), every=2, epochs=2)
    copy_resumed(tmp_path, Both())
    assert kept == [(0.0, 1.0)]


def test_rows_of_weight_0_ahead_of_the_end_do_not_matter(tmp_path: Path) -> None:
    """Only the batches that are left must have something to average."""
    weights = np.ones(ROWS)
    net = plain()
    order = net.training(X, T, batch_size=10, epochs=1).batches.order_of(1)
    weights[order[-10:]] = 0  # the last batch of the second epoch, which is not trained on
    whole = plain()
    record = copied_at(whole, tmp_path, 16, every=1, iterations=17, batch_size=10, sample_weight=weights)
    net, history = copy_resumed(tmp_path, sample_weight=weights)
    assert_same(net, history, whole, record)


def test_a_length_that_is_no_whole_number_of_epochs(tmp_path: Path) -> None:
    """The schedule was told 50 iterations by a training that was stopped, and the next one does the other 40."""

    class Stop(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            if run.iteration == 10:
                run.stop()

    optimizer = cr.Adam(schedules.Cosine(0.05))
    whole = plain()
    whole.fit(X, T, iterations=50, batch_size=16, optimizer=optimizer, callbacks=Stop())
    record = copied_at(whole, tmp_path, 25, every=5, iterations=39, optimizer=optimizer)
    net, history = copy_resumed(tmp_path)
    assert_same(net, history, whole, record)


def test_subclasses_of_our_callbacks_are_the_users(tmp_path: Path) -> None:
    class Mine(cr.EarlyStopping):
        pass

    whole = plain()
    record = copied_at(whole, tmp_path, 9, Mine("train_loss", patience=50), every=2, epochs=3)
    net, history = copy_resumed(tmp_path, Mine("train_loss", patience=50))
    assert_same(net, history, whole, record)
