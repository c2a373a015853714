"""A training that is killed, wherever that is, and resumed ends with the same bits as one that never was."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import schedules
from chainrule.errors import (
    ArgumentError,
    BusyError,
    ChainruleWarning,
    DataError,
    DivergedError,
    FileError,
)
from chainrule.saving import resuming
from chainrule.saving.intervals import interval_of
from chainrule.saving.runs import CHECKPOINT, HISTORY, MODEL, RUN, RunFolder, is_alive, record_of

ROWS = 90
RNG = np.random.default_rng(5)
X = RNG.normal(size=(ROWS, 6)).astype(np.float32)
T = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
Y = X[:, :1] * 2 + 0.1
WEIGHTS = RNG.random(ROWS)
OTHERS = np.random.default_rng(1).choice(["yes", "no"], 30)  # labels that cannot be learnt


class Doubled(cr.Layer):
    """y = 2 x, without a kernel."""

    def forward(self, x: Any) -> Any:
        return 2 * x, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return 2 * dy


class Halving(schedules.Schedule):
    """A schedule of the user's."""

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def rate_at(self, t: float, total: float) -> float:
        return float(self.rate * 0.5 ** (10 * t / total))


class Slow(cr.optimizers.Optimizer):
    """An optimizer of the user's."""

    running = ("sum",)

    def rule(self, w: Any, g: Any, running: Any, scratch: Any, rate: float, t: int) -> None:
        running["sum"] += g
        w -= rate / t * running["sum"]


class Gathering(cr.Callback):
    """A callback of the user's that gathers something, and says so."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.weights = np.zeros(2)

    def on_resume(self, run: Any, state: dict[str, Any]) -> None:
        self.seen, self.weights = list(state["seen"]), state["weights"]["copy"]

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen, "weights": {"copy": self.weights}, "limit": (math.inf, None)}

    def on_epoch(self, run: Any) -> None:
        self.seen.append(run.history.loss[-1])
        self.weights = self.weights + run.iteration


class KilledAt(cr.Callback):
    """Copies the run folder as it is at an iteration, as if the process had been killed there."""

    def __init__(self, iteration: int, folder: Path, copy: Path) -> None:
        self.iteration, self.folder, self.copy = iteration, folder, copy

    def on_iteration(self, run: Any) -> None:
        if run.iteration == self.iteration:
            while not (self.folder / CHECKPOINT).exists():
                time.sleep(0.001)
            shutil.copytree(
                self.folder, self.copy, ignore_dangling_symlinks=True, copy_function=copy_if_there
            )


def copy_if_there(source: str, target: str) -> None:
    """A part file may become the checkpoint meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


def plain() -> cr.Network:
    return network(cr.Affine(5), cr.ReLU())


def rich() -> cr.Network:
    return network(cr.Affine(8), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.3), cr.LayerNorm())


def own() -> cr.Network:
    return network(cr.Affine(5), Doubled(), cr.Tanh(), dtype="float64")


def network(*layers: cr.Layer, **more: Any) -> cr.Network:
    return cr.Network(*layers, cr.Affine(2), input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=1, **more)


def estimating() -> cr.Network:
    return cr.Network(
        cr.Affine(5), cr.Sigmoid(), cr.Affine(1), input_shape=6, loss=cr.MeanSquaredError(), seed=1
    )


def with_two_inputs() -> cr.Network:
    a, b = cr.Input("a", shape=(4,)), cr.Input("b", shape=(2,))
    shared = cr.Affine(3)
    return cr.Network(
        output=shared(cr.Affine(2)(a)) + shared(b) + cr.Constant(np.ones(3), "one"),
        loss=cr.MeanSquaredError(),
        seed=4,
    )


def same_history(one: cr.History, other: cr.History) -> bool:
    """All but the seconds; NaN equals NaN."""
    content = [{**vars(each), "seconds": len(each.seconds)} for each in (one, other)]
    return json.dumps(content[0]) == json.dumps(content[1])


def bits(net: cr.Network) -> tuple[bytes, ...]:
    return net.params.flat.tobytes(), *(array.tobytes() for array in net.state.values())


def assert_same(net: cr.Network, history: cr.History, whole: cr.Network, record: cr.History) -> None:
    assert bits(net) == bits(whole)
    assert same_history(history, record)
    assert (net.iterations, net.classes, net.progress.place) == (
        whole.iterations,
        whole.classes,
        whole.progress.place,
    )
    state, wanted = net.progress.state, whole.progress.state
    assert state is not None
    assert wanted is not None
    assert state.iteration == wanted.iteration
    assert {k: v.tobytes() for k, v in state.arrays.items()} == {
        k: v.tobytes() for k, v in wanted.arrays.items()
    }


CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "plain": (plain, {"x": X, "t": T}, {"epochs": 8}),
    "of text, a share held out": (
        rich,
        {"x": X, "t": T},
        {"epochs": 8, "validation": 0.2, "callbacks": [cr.Health(every=3), cr.EarlyStopping(patience=99)]},
    ),
    "stopped early": (  # after iteration 36, with the weights of iteration 12
        plain,
        {"x": X, "t": T},
        {
            "epochs": 40,
            "optimizer": cr.Adam(0.1),
            "validation": (X[:30], OTHERS),
            "callbacks": [cr.EarlyStopping("test_accuracy", patience=4)],
        },
    ),
    "iterations": (rich, {"x": X, "t": T}, {"iterations": 43, "sampling": "replacement", "seed": 9}),
    "not all measured": (rich, {"x": X, "t": T}, {"epochs": 8, "measure_every": 3}),
    "of the user's": (
        own,
        {"x": X, "t": T},
        {"epochs": 8, "optimizer": Slow(Halving(0.2), clip_norm=2.0), "callbacks": Gathering()},
    ),
    "a schedule": (
        estimating,
        {"x": X, "t": Y},
        {"epochs": 8, "optimizer": cr.Momentum(schedules.OneCycle(0.1), weight_decay=0.01, clip_value=1.0)},
    ),
    "weighted": (
        estimating,
        {"x": X, "t": Y, "sample_weight": WEIGHTS},
        {"epochs": 8, "optimizer": "rmsprop", "validation": (X, Y)},
    ),
    "two inputs": (
        with_two_inputs,
        {"x": {"a": X[:, :4], "b": X[:, 4:]}, "t": np.hstack([Y, Y, -Y])},
        {"epochs": 8, "callbacks": [cr.Health()]},
    ),
}
OWN = [Doubled, Slow, Halving]


def fit(name: str, folder: Path, *more: cr.Callback, **checkpoint: Any) -> tuple[cr.Network, cr.History]:
    """The training of that name, kept in the folder."""
    make, data, arguments = CASES[name]
    net, called = make(), arguments.get("callbacks", [])
    called = [type(called)(), *more] if isinstance(called, cr.Callback) else [*called, *more]
    kept = cr.Checkpoint(folder, **checkpoint)
    history = net.fit(**data, batch_size=16, **{**arguments, "callbacks": called, "checkpoint": kept})
    return net, history


def resumed(name: str, folder: Path, *more: cr.Callback, **changed: Any) -> tuple[cr.Network, cr.History]:
    _, data, arguments = CASES[name]
    validation = arguments.get("validation")
    own_callback = [Gathering()] if isinstance(arguments.get("callbacks"), Gathering) else []
    return cr.resume(
        folder,
        **data,
        validation=validation if isinstance(validation, tuple) else None,
        layers=OWN,
        **{"callbacks": [*own_callback, *more], **changed},
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
    killed = KilledAt(8, tmp_path / "a", tmp_path / "b")
    part.fit(
        **data, epochs=3, batch_size=16, callbacks=killed, checkpoint=cr.Checkpoint(tmp_path / "a", every=4)
    )
    net, history = cr.resume(tmp_path / "b", **data, callbacks=KilledAt(-1, tmp_path, tmp_path))
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
    killed = KilledAt(7, tmp_path / "a", tmp_path / "b")
    part.fit(
        X,
        Y,
        epochs=3,
        batch_size=16,
        optimizer=optimizer,
        total_epochs=9,
        callbacks=killed,
        checkpoint=cr.Checkpoint(tmp_path / "a", every=3),
    )
    net, history = cr.resume(tmp_path / "b", X, Y, callbacks=KilledAt(-1, tmp_path, tmp_path))
    assert same_history(history, record)
    assert_same(net, history, whole, record)


CHILD = """
import sys
import numpy as np
import chainrule as cr
rng = np.random.default_rng(0)
x = rng.normal(size=(400, 20)).astype(np.float32)
t = rng.integers(3, size=400)
folder = sys.argv[1]
if folder != "none" and __import__("pathlib").Path(folder, "run.json").exists():
    net, history = cr.resume(folder, x, t, progress=False)
else:
    net = cr.Network(
        cr.Affine(30), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.2), cr.Affine(3),
        input_shape=20, loss="cross_entropy", seed=0,
    )
    kept = {} if folder == "none" else {"checkpoint": cr.Checkpoint(folder, every=25)}
    callbacks = [cr.Health(), cr.EarlyStopping(patience=500)]
    print("begun", flush=True)
    history = net.fit(
        x, t, epochs=400, batch_size=32, validation=0.2, callbacks=callbacks, progress=False, **kept
    )
print(net.params.flat.tobytes().hex(), [history.loss, history.test_loss, history.health, history.settings])
"""


def child(folder: Path | str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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


def killed_run(tmp_path: Path, name: str = "plain") -> Path:
    """A folder of a run that was killed after iteration 20."""
    tmp_path.mkdir(exist_ok=True)
    fit(name, tmp_path / "run", KilledAt(20, tmp_path / "run", tmp_path / "killed"), every=4)
    return tmp_path / "killed"


def test_a_run_that_has_ended_is_returned(tmp_path: Path) -> None:
    whole, record = fit("plain", tmp_path / "run")
    net, history = resumed("plain", tmp_path / "run")
    assert bits(net) == bits(whole)
    assert vars(history) == vars(record)


def test_other_data_are_refused_with_what_both_are(tmp_path: Path) -> None:
    folder = killed_run(tmp_path)
    before = {each.name: each.read_bytes() for each in folder.iterdir() if each.name != RUN}
    other = X.copy()
    other[3, 3] += 1
    killed = KilledAt(-1, folder, folder)
    with pytest.raises(
        DataError, match=r"x: .*other data: expected .*\(90, 6\) float32 \w{16}, got \(90, 6\) float32"
    ):
        cr.resume(folder, other, T, callbacks=killed)
    with pytest.raises(DataError, match=r"expected 90 rows, got 80"):
        cr.resume(folder, X[:80], T[:80], callbacks=killed)
    with pytest.raises(DataError, match=r"^t: "):
        cr.resume(folder, X, np.roll(T, 1), callbacks=killed)
    with pytest.raises(DataError, match=r"sample_weight: .* expected .* none, got \(90,\)"):
        cr.resume(folder, X, T, sample_weight=WEIGHTS, callbacks=killed)
    with pytest.raises(DataError, match=r"validation t: .*none"):
        cr.resume(folder, X, T, validation=(X, T), callbacks=killed)
    with pytest.raises(ArgumentError, match=r"callbacks: the run had KilledAt.* got none"):
        cr.resume(folder, X, T)
    with pytest.raises(ArgumentError, match="every: expected"):
        cr.resume(folder, X, T, callbacks=killed, every="soon")
    assert all(
        (folder / name).read_bytes() == content
        for name, content in before.items()
        if name in (CHECKPOINT, HISTORY)
    )
    assert not is_alive(folder)
    assert cr.resume(folder, X, T, callbacks=killed)[1].stopped == "finished"


def test_own_classes_are_asked_for(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "of the user's")
    callbacks = [Gathering(), KilledAt(-1, folder, folder)]
    with pytest.raises(FileError, match=r"cr\.resume\(folder, x, t, layers=\[Doubled\]\)"):
        cr.resume(folder, X, T, layers=Slow, callbacks=callbacks)
    for layers, missing in (
        ([Slow, Halving], "Doubled"),
        ([Doubled, Halving], "Slow"),
        ([Doubled, Slow], "Halving"),
    ):
        with pytest.raises(FileError, match=missing):
            cr.resume(folder, X, T, layers=layers, callbacks=callbacks)
    with pytest.raises(ArgumentError, match=r"Gathering, KilledAt.*got KilledAt, Gathering"):
        cr.resume(folder, X, T, layers=OWN, callbacks=callbacks[::-1])
    cr.resume(folder, X, T, layers=OWN, callbacks=callbacks)
    assert len(callbacks[0].seen) == 8  # type: ignore[attr-defined]


def test_what_callbacks_gathered_goes_on(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "of the user's")
    gathering = Gathering()
    cr.resume(folder, X, T, layers=OWN, callbacks=[gathering, KilledAt(-1, folder, folder)])
    record = cr.History.load(folder / HISTORY)
    assert gathering.seen == record.loss[5::6]
    assert gathering.weights.tolist() == [sum(range(6, 49, 6))] * 2


def test_other_versions_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = killed_run(tmp_path)
    monkeypatch.setattr(resuming, "facts", lambda: {"NumPy": "9.9", "executor": "an abacus", "threads": "77"})
    with pytest.warns(
        ChainruleWarning, match=r"may differ in the last bits \(NumPy: \d.*, here 9\.9; executor: .*abacus"
    ):
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))


def test_a_full_disk_costs_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From iteration 100 to 200 nothing can be written."""
    bare = plain()
    record = bare.fit(X, T, epochs=60, batch_size=16)
    kept = RunFolder.write

    def write(self: RunFolder, name: str, content: Any, **more: Any) -> Path:
        if full:
            raise FileError(f"could not write {name}: No space left on device")
        return kept(self, name, content, **more)

    class Fills(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            if run.iteration == 100:
                full.append(True)
            if run.iteration == 200:
                full.clear()

    full: list[bool] = []
    monkeypatch.setattr(RunFolder, "write", write)
    net = plain()
    with pytest.warns(
        ChainruleWarning, match=r"no checkpoint could be kept.*No space left.*goes on without; the last is of"
    ) as told:
        history = net.fit(
            X,
            T,
            epochs=60,
            batch_size=16,
            callbacks=Fills(),
            checkpoint=cr.Checkpoint(tmp_path / "a", every=10),
        )
    assert len(told) == 1
    assert_same(net, history, bare, record)
    assert record_of(tmp_path / "a").state == "ended"  # type: ignore[union-attr]


def test_a_disk_that_stays_full_is_said_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def append(*_: Any, **__: Any) -> None:
        raise FileError("could not write history.jsonl: No space left on device")

    monkeypatch.setattr(RunFolder, "append_history", append)
    net = plain()
    with pytest.warns(ChainruleWarning) as told:
        history = net.fit(X, T, epochs=3, checkpoint=cr.Checkpoint(tmp_path / "a", every=2))
    assert ["there is none yet" in str(each.message) for each in told] == [True, False]
    assert "cr.save(net, path)" in str(told[1].message)
    assert history.stopped == "finished"
    assert not is_alive(tmp_path / "a")


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="files cannot be limited here")
def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """The same with a limit of the system's, in a process of its own."""
    code = CHILD.replace("import sys", "import sys, resource", 1).replace(
        "folder = sys.argv[1]",
        "folder = sys.argv[1]; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))",
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no checkpoint could be kept" in done.stderr
    assert "File too large" in done.stderr
    assert child("none").communicate(timeout=120)[0].splitlines()[-1] == done.stdout.splitlines()[-1]
    cr.History.load(tmp_path / "run" / HISTORY)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("")
    net = plain()
    before = bits(net)
    for folder, said in (
        (tmp_path / "full", "not empty"),
        (tmp_path / "file", "File exists"),
        (tmp_path / "file/a", "Not a dir"),
    ):
        with pytest.raises(FileError, match=said):
            net.fit(X, T, epochs=1, checkpoint=cr.Checkpoint(folder))
    assert (bits(net), net.iterations) == (before, 0)
    for folder in (tmp_path / "full", tmp_path / "none", tmp_path / "file"):
        with pytest.raises(FileError):
            cr.resume(folder, X, T)
    assert not (tmp_path / "none").exists()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    class Others(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            if run.iteration == 3:
                for call in (
                    lambda: cr.resume(tmp_path / "a", X, T),
                    lambda: plain().fit(X, T, epochs=1, checkpoint=cr.Checkpoint(tmp_path / "a", force=True)),
                ):
                    with pytest.raises(BusyError, match=f"process {os.getpid()}"):
                        call()

    net = plain()
    net.fit(X, T, epochs=1, callbacks=Others(), batch_size=16, checkpoint=cr.Checkpoint(tmp_path / "a"))
    with pytest.raises(FileError, match="not empty"):
        net.fit(X, T, epochs=1, checkpoint=cr.Checkpoint(tmp_path / "a"))
    net.fit(X, T, epochs=1, checkpoint=cr.Checkpoint(tmp_path / "a", force=True))
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == sorted([HISTORY, MODEL, RUN])


class Failing(cr.Callback):
    fails = True

    def on_iteration(self, run: Any) -> None:
        if self.fails and run.iteration == 14:
            raise KeyError("a mistake of the user's")


def test_a_mistake_of_the_users_costs_no_run(tmp_path: Path) -> None:
    with pytest.raises(KeyError), pytest.warns(ChainruleWarning, match="failed: KeyError after 14"):
        fit("plain", tmp_path / "run", Failing(), every=4)
    assert record_of(tmp_path / "run").state == "interrupted"  # type: ignore[union-attr]
    mended = Failing()
    mended.fails = False
    net, history = resumed("plain", tmp_path / "run", mended)
    whole, record = fit("plain", tmp_path / "whole", mended)
    assert_same(net, history, whole, record)


def test_a_training_that_diverges_has_ended(tmp_path: Path) -> None:
    net = plain()
    with pytest.raises(DivergedError), np.errstate(all="ignore"):
        net.fit(X, T, epochs=50, optimizer=cr.SGD(1e30), checkpoint=cr.Checkpoint(tmp_path / "a"))
    record = record_of(tmp_path / "a")
    assert record is not None
    assert (record.state, record.stopped[:9]) == ("ended", "diverged:")
    assert cr.History.load(tmp_path / "a" / HISTORY).settings["diverged_by"]


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    folder = killed_run(tmp_path)
    content = (folder / CHECKPOINT).read_bytes()
    (folder / CHECKPOINT).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileError, match="cut off"):
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))
    (folder / CHECKPOINT).unlink()
    with pytest.raises(FileError, match="no checkpoint"):
        cr.resume(folder, X, T)
    cr.save(plain(), folder / CHECKPOINT)
    with pytest.raises(FileError, match="a model and no checkpoint"):
        cr.resume(folder, X, T)
    (folder / CHECKPOINT).write_bytes(content)
    (folder / HISTORY).write_bytes((folder / HISTORY).read_bytes()[:400])
    with pytest.raises(FileError, match=r"history\.jsonl.*cr\.load"):
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))


def test_parts_of_another_run_are_refused(tmp_path: Path) -> None:
    folder, other = killed_run(tmp_path), killed_run(tmp_path / "other")
    for name in (CHECKPOINT, HISTORY, RUN):
        kept = (folder / name).read_bytes()
        shutil.copy(other / name, folder / name)
        with pytest.raises(FileError, match="is of another run"):
            cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))
        (folder / name).write_bytes(kept)
    cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))


def test_a_checkpoint_is_a_model(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "of text, a share held out")
    net = cr.load(folder / CHECKPOINT)
    assert net.classes == ["no", "yes"]
    assert net.iterations in (12, 16, 20)
    assert net.classify(X[:3]).tolist()


def test_it_goes_last(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"fit\(\.\.\., checkpoint="):
        plain().fit(X, T, epochs=1, callbacks=[cr.Checkpoint(tmp_path / "a"), cr.Health()])
    with pytest.raises(ArgumentError, match=r"checkpoint: expected cr\.Checkpoint"):
        plain().fit(X, T, epochs=1, checkpoint="a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("every", "found"),
    [
        (500, (500, 0)),
        ("500", (500, 0)),
        ("60s", (0, 60)),
        ("0.5 s", (0, 0.5)),
        ("5min", (0, 300)),
        (" 1H ", (0, 3600)),
    ],
)
def test_intervals(every: int | str, found: tuple[int, float]) -> None:
    assert interval_of(every) == found


@pytest.mark.parametrize(
    "every", [0, -1, True, 1.5, None, "", "0s", "s", "60m", "1e3", "1.5", "9" * 400, "-1s", "nans"]
)
def test_what_is_no_interval(every: Any) -> None:
    with pytest.raises(ArgumentError, match=r"every: expected a number of iterations.*got"):
        cr.Checkpoint("a", every=every)
    assert not Path("a").exists()


def test_the_first_checkpoint_by_time(tmp_path: Path) -> None:
    """Besides that of the start, none before the time has passed."""
    kept = []

    class Watch(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            if (tmp_path / "a" / CHECKPOINT).exists():
                kept.append((tmp_path / "a" / CHECKPOINT).stat().st_mtime_ns)

    plain().fit(X, T, epochs=300, callbacks=Watch(), checkpoint=cr.Checkpoint(tmp_path / "a"))
    assert len(set(kept)) == 1


class Keeping(cr.Callback):
    """A callback that gives a checkpoint this."""

    def __init__(self, what: Any, after: int = 0) -> None:
        self.what, self.after, self.iteration = what, after, 0

    def on_iteration(self, run: Any) -> None:
        self.iteration = run.iteration

    def state(self) -> dict[Any, Any]:
        return self.what if self.iteration >= self.after else {}


UNKEPT = [
    ({"a": np.array(["text"])}, r"Keeping\.state: expected arrays of numbers"),
    ({"a": np.zeros(2, complex)}, r"Keeping\.state: expected arrays of numbers"),
    ({1: 2}, r"Keeping\.state: expected texts as the keys"),
    ({"a": object()}, r"Keeping\.state: expected texts, numbers"),
]


@pytest.mark.parametrize(("what", "said"), UNKEPT)
def test_what_cannot_be_kept_is_refused_before_training(what: Any, said: str, tmp_path: Path) -> None:
    net = plain()
    with pytest.raises(ArgumentError, match=said):
        net.fit(X, T, epochs=1, callbacks=Keeping(what), checkpoint=cr.Checkpoint(tmp_path / "a"))
    assert net.iterations == 0
    assert not (tmp_path / "a").exists()
    net.metadata["mine"] = object()
    with pytest.raises(ArgumentError, match="metadata"):
        net.fit(X, T, epochs=1, checkpoint=cr.Checkpoint(tmp_path / "b"))
    del net.metadata["mine"]
    net.fit(X, T, epochs=1, checkpoint=cr.Checkpoint(tmp_path / "b", force=True))
    assert [each.name for each in tmp_path.glob("b/*")].count(MODEL) == 1


@pytest.mark.parametrize("what", [what for what, _ in UNKEPT])
def test_what_cannot_be_kept_later_ends_no_training(what: Any, tmp_path: Path) -> None:
    net = plain()
    with pytest.warns(
        ChainruleWarning, match=r"no checkpoint could be kept: .*; the last is of iteration 4$"
    ):
        net.fit(
            X,
            T,
            epochs=3,
            batch_size=16,
            callbacks=Keeping(what, 8),
            checkpoint=cr.Checkpoint(tmp_path / "a", every=4),
        )
    assert record_of(tmp_path / "a").state == "ended"  # type: ignore[union-attr]
    assert bits(cr.load(tmp_path / "a" / MODEL)) == bits(net)


def test_arrays_with_alike_names_are_told_apart(tmp_path: Path) -> None:
    class Both(Gathering):
        def state(self) -> dict[str, Any]:
            return {"a/b": np.zeros(1), "a": {"b": np.ones(1)}}

        def on_resume(self, run: Any, state: dict[str, Any]) -> None:
            kept.append((state["a/b"][0], state["a"]["b"][0]))

    kept: list[tuple[float, float]] = []
    folder = tmp_path / "run"
    killed = KilledAt(6, folder, tmp_path / "killed")
    plain().fit(
        X, T, epochs=2, batch_size=16, callbacks=[Both(), killed], checkpoint=cr.Checkpoint(folder, every=2)
    )
    cr.resume(tmp_path / "killed", X, T, callbacks=[Both(), KilledAt(-1, folder, folder)])
    assert kept == [(0.0, 1.0)]


def test_settings_of_the_users(tmp_path: Path) -> None:
    """NumPy's numbers, infinity and tuples are kept; what is no JSON value costs neither training nor model."""

    class Noting(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            run.history.settings |= values

    values: dict[str, Any] = {"best": np.float32(0.5), "limit": math.inf, "pair": (1, 2)}
    folder = tmp_path / "a"
    more: dict[str, Any] = {"epochs": 4, "batch_size": 16}
    killed = KilledAt(14, folder, tmp_path / "killed")
    plain().fit(X, T, callbacks=[Noting(), killed], checkpoint=cr.Checkpoint(folder, every=3), **more)
    _, history = cr.resume(tmp_path / "killed", X, T, callbacks=[Noting(), KilledAt(-1, folder, folder)])
    assert history.settings["limit"] == math.inf
    values = {"what": object()}
    net = plain()
    with pytest.warns(ChainruleWarning) as told:
        net.fit(X, T, callbacks=Noting(), checkpoint=cr.Checkpoint(tmp_path / "b", every=7), **more)
    assert "history.settings" in str(told[-1].message)
    assert bits(cr.load(tmp_path / "b" / MODEL)) == bits(net)
    assert not is_alive(tmp_path / "b")


def test_rows_of_weight_0_ahead_of_the_end_do_not_matter(tmp_path: Path) -> None:
    """Only the batches that are left must have something to average."""
    weights = np.ones(ROWS)
    net = plain()
    order = np.concatenate(
        [part.ravel() for part in net.training(X, T, batch_size=10, epochs=1).batches.of_epoch(1)]
    )
    weights[order[-10:]] = 0  # the last batch of the second epoch, which is not trained on
    folder = tmp_path / "a"
    killed = KilledAt(16, folder, tmp_path / "killed")
    whole = plain()
    record = whole.fit(
        X,
        T,
        iterations=17,
        batch_size=10,
        sample_weight=weights,
        callbacks=killed,
        checkpoint=cr.Checkpoint(folder, every=1),
    )
    net, history = cr.resume(
        tmp_path / "killed", X, T, sample_weight=weights, callbacks=KilledAt(-1, folder, folder)
    )
    assert_same(net, history, whole, record)


def test_a_length_that_is_no_whole_number_of_epochs(tmp_path: Path) -> None:
    """The schedule was told 50 iterations by a training that was stopped, and the next one does the other 40."""

    class Stop(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            if run.iteration == 10:
                run.stop()

    optimizer, folder = cr.Adam(schedules.Cosine(0.05)), tmp_path / "a"
    whole = plain()
    whole.fit(X, T, iterations=50, batch_size=16, optimizer=optimizer, callbacks=Stop())
    killed = KilledAt(25, folder, tmp_path / "killed")
    record = whole.fit(
        X,
        T,
        iterations=39,
        batch_size=16,
        optimizer=optimizer,
        callbacks=killed,
        checkpoint=cr.Checkpoint(folder, every=5),
    )
    net, history = cr.resume(tmp_path / "killed", X, T, callbacks=KilledAt(-1, folder, folder))
    assert_same(net, history, whole, record)


def test_a_callback_that_says_interrupted_has_ended(tmp_path: Path) -> None:
    class Stop(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            run.stop("interrupted")

    plain().fit(X, T, epochs=2, callbacks=Stop(), checkpoint=cr.Checkpoint(tmp_path / "a"))
    assert record_of(tmp_path / "a").state == "ended"  # type: ignore[union-attr]


def test_subclasses_of_our_callbacks_are_the_users(tmp_path: Path) -> None:
    class Mine(cr.EarlyStopping):
        pass

    folder = tmp_path / "a"
    called = [Mine("train_loss", patience=50), KilledAt(9, folder, tmp_path / "killed")]
    whole = plain()
    record = whole.fit(
        X, T, epochs=3, batch_size=16, callbacks=called, checkpoint=cr.Checkpoint(folder, every=2)
    )
    again = [Mine("train_loss", patience=50), KilledAt(-1, folder, folder)]
    net, history = cr.resume(tmp_path / "killed", X, T, callbacks=again)
    assert_same(net, history, whole, record)


def test_the_same_share_may_be_said_again(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "of text, a share held out")
    killed = KilledAt(-1, folder, folder)
    for validation, got in ((0.3, "0.3"), ((X, T), "other data")):
        with pytest.raises(ArgumentError, match=rf"holds out a share of 0\.2 of its data, got {got}"):
            cr.resume(folder, X, T, callbacks=killed, validation=validation)
    numbered, copy = tmp_path / "numbered", tmp_path / "copy"
    calls = KilledAt(9, numbered, copy)
    numbers = (T == "yes").astype(int)
    plain().fit(X, numbers, epochs=3, batch_size=16, callbacks=calls, checkpoint=cr.Checkpoint(numbered))
    with pytest.raises(DataError, match=r"t: the run was begun with .*, got labels, \['no', 'yes'\]"):
        cr.resume(copy, X, T, callbacks=killed)
    assert cr.resume(folder, X, T, callbacks=killed, validation=0.2)[1].stopped == "finished"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("measure_every", 0),
        ("planned", 3),
        ("iteration", 10**30),
        ("epoch", 10**40),
        ("marks", [0, 0, 0]),
        ("marks", [1, 2]),
        ("marks", "abc"),
        ("callbacks", {}),
        ("callbacks", [5]),
        ("every", 5.5),
        ("every", "soon"),
        ("held_out", "a"),
        ("held_out", 7),
        ("batches", {"samples": -1}),
        ("batches", []),
        ("optimizer", None),
        ("optimizer", {"$class": "SGD", "arguments": {"learning_rate": -1}}),
        ("state", "{}"),
        ("settings", 5),
        ("facts", None),
    ],
)
def test_checkpoints_that_contradict_themselves(name: str, value: Any, tmp_path: Path) -> None:
    from chainrule.saving.container import CHECKSUMS, pieces_of, read_container

    folder = killed_run(tmp_path)
    metadata, tensors = read_container(folder / CHECKPOINT)
    kept = json.loads(metadata["training"]) | {name: value}
    texts = {k: v for k, v in metadata.items() if k != CHECKSUMS} | {"training": json.dumps(kept)}
    (folder / CHECKPOINT).write_bytes(b"".join(pieces_of(tensors, texts)))
    with pytest.raises((FileError, ArgumentError, DataError)):
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))
    assert not is_alive(folder)


def test_messages_about_damage_are_short(tmp_path: Path) -> None:
    from chainrule.saving.container import CHECKSUMS, pieces_of, read_container

    folder = killed_run(tmp_path, "stopped early")
    metadata, tensors = read_container(folder / CHECKPOINT)
    kept = json.loads(metadata["training"])
    kept["callbacks"][0]["state"] = {"$tensor": "callbacks" + "1" * 200_000}
    texts = {k: v for k, v in metadata.items() if k != CHECKSUMS} | {"training": json.dumps(kept)}
    (folder / CHECKPOINT).write_bytes(b"".join(pieces_of(tensors, texts)))
    with pytest.raises(FileError, match="cannot be made again") as raised:
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))
    assert len(str(raised.value)) < 1_000
