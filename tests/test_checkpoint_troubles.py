"""Checkpoints where something is wrong: the data, the disk, the folder, the file, or what a user gives."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import (
    ArgumentError,
    BusyError,
    ChainruleWarning,
    DataError,
    DivergedError,
    FileError,
)
from chainrule.saving import resuming
from chainrule.saving.container import CHECKSUMS, pieces_of, read_container
from chainrule.saving.intervals import interval_of
from chainrule.saving.runs import CHECKPOINT, HISTORY, MODEL, RUN, RunFolder, is_alive, record_of
from checkpoint_cases import (
    CHILD,
    OWN,
    WEIGHTS,
    Doubled,
    Gathering,
    Halving,
    KilledAt,
    Slow,
    T,
    X,
    assert_same,
    bits,
    child,
    copied_at,
    copy_resumed,
    fit,
    killed_run,
    plain,
    resumed,
)


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


def test_settings_of_the_users(tmp_path: Path) -> None:
    """NumPy's numbers, infinity and tuples are kept; what is no JSON value costs neither training nor model."""

    class Noting(cr.Callback):
        def on_epoch(self, run: Any) -> None:
            run.history.settings |= values

    values: dict[str, Any] = {"best": np.float32(0.5), "limit": math.inf, "pair": (1, 2)}
    copied_at(plain(), tmp_path, 14, Noting(), every=3, epochs=4)
    _, history = copy_resumed(tmp_path, Noting())
    assert history.settings["limit"] == math.inf
    values = {"what": object()}
    net = plain()
    with pytest.warns(ChainruleWarning) as told:
        net.fit(
            X,
            T,
            epochs=4,
            batch_size=16,
            callbacks=Noting(),
            checkpoint=cr.Checkpoint(tmp_path / "b", every=7),
        )
    assert "history.settings" in str(told[-1].message)
    assert bits(cr.load(tmp_path / "b" / MODEL)) == bits(net)
    assert not is_alive(tmp_path / "b")


def test_a_callback_that_says_interrupted_has_ended(tmp_path: Path) -> None:
    class Stop(cr.Callback):
        def on_iteration(self, run: Any) -> None:
            run.stop("interrupted")

    plain().fit(X, T, epochs=2, callbacks=Stop(), checkpoint=cr.Checkpoint(tmp_path / "a"))
    assert record_of(tmp_path / "a").state == "ended"  # type: ignore[union-attr]


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


def change_training(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a checkpoint says of its training, under checksums that are right again."""
    metadata, tensors = read_container(folder / CHECKPOINT)
    kept = json.loads(metadata["training"])
    change(kept)
    texts = {k: v for k, v in metadata.items() if k != CHECKSUMS} | {"training": json.dumps(kept)}
    (folder / CHECKPOINT).write_bytes(b"".join(pieces_of(tensors, texts)))


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
    folder = killed_run(tmp_path)
    change_training(folder, lambda kept: kept.update({name: value}))
    with pytest.raises((FileError, ArgumentError, DataError)):
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))
    assert not is_alive(folder)


def test_messages_about_damage_are_short(tmp_path: Path) -> None:
    folder = killed_run(tmp_path, "stopped early")
    state = {"$tensor": "callbacks" + "1" * 200_000}
    change_training(folder, lambda kept: kept["callbacks"][0].update({"state": state}))
    with pytest.raises(FileError, match="cannot be made again") as raised:
        cr.resume(folder, X, T, callbacks=KilledAt(-1, folder, folder))
    assert len(str(raised.value)) < 1_000
