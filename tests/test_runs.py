"""Run folders: whose they are, how they stand, and that a kill at any step costs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from chainrule.errors import BusyError, ChainruleWarning, FileError
from chainrule.loop import History
from chainrule.saving import aside, locks, run_parts, runs
from chainrule.saving.runs import RunFolder, RunRecord, is_alive, record_of

SETTINGS = {"command": "chainrule train digits", "options": {"seed": 0}}
FOREIGN = {
    "notes.txt": b"mine",
    ".hidden.part": b"mine",
    ".x.0123456789ab.part2": b"mine",
    "before-party": b"mine",
}
PART = ".model.safetensors.0123456789ab.part"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    found = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in found}


def keep(run: RunFolder, losses: list[float]) -> None:
    """What a training leaves."""
    run.append_history(History(loss=losses, learning_rate=losses, seconds=losses))
    for name in (runs.MODEL, runs.CHECKPOINT, runs.REPORT):
        content = f"{name} of {run.id}".encode()
        run.write(name, _writing(content))


def _writing(content: bytes) -> Callable[[IO[bytes]], object]:
    return lambda file: file.write(content)


def ended(folder: Path) -> RunRecord:
    """A run that has ended, beside files that are no run's."""
    with RunFolder.begin(folder, SETTINGS) as run:
        keep(run, [1.0, 0.5])
        run.end("finished")
    for name, content in FOREIGN.items():
        (folder / name).write_bytes(content)
    return run.record


# What becomes of a run -------------------------------------------------------------------------------------


def test_a_run_from_its_begin_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    assert record_of(tmp_path) is None
    with RunFolder.begin(folder, SETTINGS) as run:
        assert record_of(folder) == RunRecord(run.id, "running", SETTINGS)
        assert is_alive(folder)
        assert locks.holder(folder / runs.LOCK) == str(os.getpid())
        keep(run, [1.0])
        run.end("finished")
    assert not is_alive(folder)
    record = record_of(folder)
    assert record == RunRecord(run.id, "ended", SETTINGS, "finished")
    assert sorted(os.listdir(folder)) == ["history.jsonl", "model.safetensors", "report.html", "run.json"]
    assert History.load(folder / runs.HISTORY).loss == [1.0]


def test_a_run_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    history = History(loss=[1.0, 0.5], learning_rate=[0.1, 0.1], seconds=[1.0, 2.0])
    with RunFolder.begin(tmp_path, SETTINGS) as run:
        run.append_history(history)
        run.write(runs.CHECKPOINT, lambda file: file.write(b"weights"))
        run.interrupt("interrupted")
    record = record_of(tmp_path)
    assert record is not None
    assert (record.state, record.stopped) == ("interrupted", "interrupted")
    with RunFolder.reopen(tmp_path) as again:
        assert again.id == run.id
        again.follow(history)
        again.go_on()
        assert record_of(tmp_path) == RunRecord(run.id, "running", SETTINGS)
        history.add_iterations([0.25], [0.1], 2.0, 3.0)
        again.append_history(history)
        again.end("finished")
    assert History.load(tmp_path / runs.HISTORY).loss == [1.0, 0.5, 0.25]
    assert not (tmp_path / runs.CHECKPOINT).exists()


def test_what_kept_nothing_leaves_nothing(tmp_path: Path) -> None:
    with RunFolder.begin(tmp_path / "a" / "b", SETTINGS):
        pass
    assert list(tmp_path.iterdir()) == []
    ended(tmp_path)
    before = contents(tmp_path)
    with RunFolder.begin(tmp_path, {}, force=True) as run:
        assert not (tmp_path / runs.MODEL).exists()
    assert contents(tmp_path) == before
    assert run.id != json.loads(before[runs.RUN])["id"]
    with pytest.raises(KeyboardInterrupt), RunFolder.begin(tmp_path, {}, force=True):
        raise KeyboardInterrupt
    assert contents(tmp_path) == before


def test_a_folder_that_holds_something_is_refused_and_stays(tmp_path: Path) -> None:
    ended(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FileError, match="the folder is not empty; choose another"):
        RunFolder.begin(tmp_path, {})
    assert contents(tmp_path) == before
    assert not is_alive(tmp_path)


def test_a_run_that_was_killed_before_it_kept_anything_is_in_no_ones_way(tmp_path: Path) -> None:
    (tmp_path / runs.RUN).write_text(RunRecord("0" * 8, "running").to_json())
    (tmp_path / runs.LOCK).write_text("1\n")
    with RunFolder.begin(tmp_path, {}) as run:
        keep(run, [1.0])
        run.end("finished")
    assert not list(tmp_path.glob("before-*"))


# --force ---------------------------------------------------------------------------------------------------


def test_force_deletes_the_run_of_before_when_the_new_one_has_ended(tmp_path: Path) -> None:
    old = ended(tmp_path)
    before = contents(tmp_path)
    with RunFolder.begin(tmp_path, {}, force=True) as run:
        assert run.before == tmp_path / f"before-{run.id}"
        moved = {name: content for name, content in before.items() if name not in FOREIGN}
        assert contents(run.before) == moved
        assert record_of(run.before) == old
        keep(run, [3.0])
        run.end("finished")
        assert run.before is None
    assert History.load(tmp_path / runs.HISTORY).loss == [3.0]
    assert {name: (tmp_path / name).read_bytes() for name in FOREIGN} == FOREIGN


@pytest.mark.parametrize("end", ["interrupted", "diverged: the loss is NaN", "killed"])
def test_force_keeps_the_run_of_before_when_the_new_one_came_to_nothing(tmp_path: Path, end: str) -> None:
    old = ended(tmp_path)
    with RunFolder.begin(tmp_path, {}, force=True) as run:
        keep(run, [3.0])
        if end != "killed":
            (run.interrupt if end == "interrupted" else run.end)(end)
    assert run.before is not None
    assert record_of(run.before) == old
    assert History.load(run.before / runs.HISTORY).loss == [1.0, 0.5]
    with RunFolder.begin(tmp_path, {}, force=True) as last:
        assert len(list(tmp_path.glob("before-????????"))) == 2
        keep(last, [4.0])
        last.end("finished")
    assert not list(tmp_path.glob("before-????????"))
    assert (tmp_path / "before-party").read_bytes() == b"mine"


def test_force_replaces_a_run_of_before_07(tmp_path: Path) -> None:
    (tmp_path / runs.OLD_HISTORY).write_text(History(loss=[1.0]).to_json())
    (tmp_path / runs.MODEL).write_bytes(b"old")
    assert run_parts.history_in(tmp_path) == tmp_path / runs.OLD_HISTORY
    with RunFolder.begin(tmp_path, {}, force=True) as run:
        assert run.before is not None
        assert run_parts.history_in(run.before) == run.before / runs.OLD_HISTORY
        assert run_parts.history_in(tmp_path) == tmp_path / runs.HISTORY
        assert run_parts.model_in(tmp_path) is None


def test_where_files_cannot_have_two_names_they_are_copied(tmp_path: Path, monkeypatch: Any) -> None:
    old = ended(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(os, "link", no_links)
    with RunFolder.begin(tmp_path, {}, force=True):
        pass
    assert contents(tmp_path) == before
    with RunFolder.begin(tmp_path, {}, force=True) as run:
        keep(run, [3.0])
        assert run.before is not None
        assert record_of(run.before) == old
        assert History.load(run.before / runs.HISTORY).loss == [1.0, 0.5]
    with RunFolder.reopen(tmp_path) as again:  # which takes its own files for nothing else
        assert History.load(tmp_path / runs.HISTORY).loss == [3.0]
        again.end("finished")
    assert History.load(tmp_path / runs.HISTORY).loss == [3.0]
    assert not list(tmp_path.glob("before-????????"))


def no_links(*_: object, **__: object) -> None:
    raise OSError(1, "no links here")


def test_what_is_of_before_is_told_without_opening_pipes_or_following_links(tmp_path: Path) -> None:
    there = aside.aside_of(tmp_path, "01234567")
    there.mkdir()
    for place in (tmp_path, there):
        os.mkfifo(place / runs.MODEL)
        (place / runs.CHECK).symlink_to("nowhere")
    (tmp_path / runs.CURVES).write_text("same")
    (there / runs.CURVES).symlink_to(tmp_path / runs.CURVES)
    is_old = {name: aside.is_set_aside(tmp_path, "01234567", name) for name in runs.NAMES}
    assert [name for name in is_old if is_old[name]] == [runs.CHECK]


#: What changes what is on the disk. A kill comes before one of them, or behind the last.
STEPS = ("mkdir", "rename", "replace", "unlink", "rmdir", "link", "write", "open", "sendfile", "utime")


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that is killed before its n-th change of the disk; whether it was."""
    child = os.fork()
    if child == 0:
        done = 0

        def counted(usual: Any) -> Any:
            def call(*arguments: Any, **more: Any) -> Any:
                nonlocal done
                if done == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                done += 1
                return usual(*arguments, **more)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("has_links", [True, False])
def test_the_run_of_before_survives_a_kill_at_every_step(
    tmp_path: Path, has_links: bool, monkeypatch: Any
) -> None:
    """Until the new run has ended, the old one is whole: in its place, or where it was set aside."""
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)

    def replaced() -> None:
        with RunFolder.begin(folder, {}, force=True) as run:
            keep(run, [3.0])
            run.end("finished")

    def taken_back() -> None:
        with RunFolder.begin(folder, {}, force=True):
            pass

    for work in (replaced, taken_back):
        for step in range(200):
            folder = tmp_path / f"{work.__name__}-{step}"
            old = ended(folder)
            before = {name: content for name, content in contents(folder).items() if name not in FOREIGN}
            was_killed = killed_at(step, work)
            record = record_of(folder)
            assert record is not None
            assert {name: (folder / name).read_bytes() for name in FOREIGN} == FOREIGN
            if record.state == "ended" and record.id != old.id:  # the commit
                assert work is replaced
                assert History.load(folder / runs.HISTORY).loss == [3.0]
            else:
                place = folder if record.id == old.id else folder / f"before-{record.id}"
                there = contents(place)
                assert {name: there.get(name) for name in before} == before, (work, step)
                if place != folder:
                    for name in before:  # what is left in the old place is not taken for the new run's
                        is_old = (folder / name).exists() and (folder / name).read_bytes() == before[name]
                        assert not is_old or run_parts.is_of_before(folder, name), name
            with RunFolder.begin(folder, {}, force=True) as run:  # and nothing is in the way of another
                keep(run, [4.0])
                run.end("finished")
            assert set(os.listdir(folder)) == {
                *FOREIGN,
                "history.jsonl",
                "model.safetensors",
                "report.html",
                "run.json",
            }
            if not was_killed:
                break
        else:
            raise AssertionError("it never ended")


@pytest.mark.parametrize("odd", ["link", "pipe"])
def test_links_and_pipes_in_a_run_folder_are_replaced(tmp_path: Path, odd: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with RunFolder.begin(tmp_path / "run", {}) as run:
        for name in (runs.RUN, runs.MODEL, runs.CHECKPOINT, runs.REPORT, runs.HISTORY):
            path = run.path / name
            path.unlink(missing_ok=True)
            path.symlink_to(precious) if odd == "link" else os.mkfifo(path)
        with pytest.raises(FileError, match=r"could not write .*history\.jsonl"):
            keep(run, [1.0])
        (run.path / runs.HISTORY).unlink()
        keep(run, [1.0])
        run.interrupt("interrupted")
        for name in (runs.RUN, runs.MODEL, runs.CHECKPOINT, runs.REPORT):
            assert (run.path / name).is_file()
            assert not (run.path / name).is_symlink()
    assert precious.read_text() == "mine"


def test_parts_that_a_kill_left_are_cleaned_up_and_no_others(tmp_path: Path) -> None:
    ended(tmp_path)
    for again in (lambda: RunFolder.begin(tmp_path, {}, force=True), lambda: RunFolder.reopen(tmp_path)):
        (tmp_path / PART).write_bytes(b"half")
        (tmp_path / ".before-01234567.0123456789ab.part").mkdir()
        (tmp_path / ".before-01234567.0123456789ab.part" / "run.json").write_text("")
        with again():
            pass
        assert not list(tmp_path.glob(".*.0123456789ab.part"))
        assert {name: (tmp_path / name).read_bytes() for name in FOREIGN} == FOREIGN


# Two processes ---------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from chainrule.errors import BusyError
from chainrule.saving.runs import RunFolder
try:
    with RunFolder.begin(sys.argv[1], {}, force=True) as run:
        print("holds", flush=True)
        sys.stdin.readline()
except BusyError as error:
    print(error, flush=True)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that hold a folder, and end them."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str = HOLD) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for each in started:
        each.kill()
        each.communicate()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path, start: Any) -> None:
    first = start()
    assert told(first) == "holds"
    assert is_alive(tmp_path / "run")
    busy = f"{tmp_path}/run is being written by process {first.pid}: wait until that has ended, or stop it"
    assert told(start()) == busy
    with pytest.raises(BusyError, match=f"process {first.pid}:"):
        RunFolder.reopen(tmp_path / "run")
    first.kill()
    first.wait()
    assert not is_alive(tmp_path / "run")
    assert locks.holder(tmp_path / "run" / runs.LOCK) == str(first.pid)
    RunFolder.reopen(tmp_path / "run").close()


def test_of_eight_that_start_at_once_exactly_one_goes_on(tmp_path: Path, start: Any) -> None:
    answers = [told(each) for each in [start() for _ in range(8)]]
    assert answers.count("holds") == 1
    assert sum("is being written by process" in each for each in answers) == 7


def test_a_child_does_not_hold_the_lock_of_its_parent(tmp_path: Path, start: Any) -> None:
    parent = start(
        "import os, sys, time\n"
        "from chainrule.saving.runs import RunFolder\n"
        "run = RunFolder.begin(sys.argv[1], {})\n"
        "if os.fork() == 0:\n"
        "    run.close()\n"  # which takes nothing back
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "sys.stdin.readline()\n"
    )
    child = int(told(parent))
    try:
        assert is_alive(tmp_path / "run")
        assert record_of(tmp_path / "run") is not None
        parent.kill()
        parent.wait()
        assert not is_alive(tmp_path / "run")
    finally:
        os.kill(child, signal.SIGKILL)


def test_of_two_processes_of_one_number_one_holds_the_lock(tmp_path: Path, start: Any) -> None:
    """As in two containers that share a disk: each has its own process 1."""
    told(start())
    (tmp_path / "run" / runs.LOCK).write_text(f"{os.getpid()}\n")
    record = record_of(tmp_path / "run")
    assert record is not None
    assert run_parts.standing_of(tmp_path / "run", record).how == "running"
    with RunFolder.begin(tmp_path / "own", {}) as own:
        assert run_parts.standing_of(own.path, own.record).how == "ended"  # it makes its report


def test_who_only_looks_is_in_no_ones_way(tmp_path: Path, start: Any) -> None:
    looking = start(
        "import sys\nfrom chainrule.saving.runs import is_alive\nprint('looks', flush=True)\n"
        "while True: is_alive(sys.argv[1])\n"
    )
    told(looking)
    for _ in range(100):
        RunFolder.begin(tmp_path / "run", {}).close()


# Hostile places --------------------------------------------------------------------------------------------


def test_a_file_system_without_locks_is_warned_of(tmp_path: Path, monkeypatch: Any) -> None:
    def without(file: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks, "flock", without)
    with pytest.warns(ChainruleWarning, match="a file system without locks"):
        run = RunFolder.begin(tmp_path, {})
    assert not is_alive(tmp_path)
    run.close()


def test_a_full_disk_when_the_lock_is_written(tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    there = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FileError, match=r"could not lock .*run\.lock: No space left"):
        RunFolder.begin(tmp_path / "run", {})
    assert list(tmp_path.iterdir()) == []  # and no child of another thread's holds it
    assert not os.path.isdir("/proc/self/fd") or len(os.listdir("/proc/self/fd")) == there
    monkeypatch.undo()
    RunFolder.begin(tmp_path / "run", {}).close()


def test_a_lock_that_is_a_link_or_a_pipe(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / runs.LOCK).symlink_to(precious)
    with pytest.raises(FileError, match="could not lock"):
        RunFolder.begin(tmp_path / "run", {}, force=True)
    assert precious.read_text() == "mine"
    (tmp_path / "run" / runs.LOCK).unlink()
    os.mkfifo(tmp_path / "run" / runs.LOCK)
    begin = time.monotonic()
    assert not is_alive(tmp_path / "run")
    assert locks.holder(tmp_path / "run" / runs.LOCK) == "unknown"
    with pytest.raises(FileError, match="could not lock"):
        RunFolder.begin(tmp_path / "run", {}, force=True)
    assert time.monotonic() - begin < 5


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(FileError, match="could not make the run folder"):
            RunFolder.begin(path, {})
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(FileError, match="could not"):
            RunFolder.begin(tmp_path / "locked", {})


FULL = """
import resource, sys
from chainrule.errors import FileError
from chainrule.loop import History
from chainrule.saving.runs import RunFolder
run = RunFolder.begin(sys.argv[1], {})
history = History(loss=[1.0], learning_rate=[1.0], seconds=[1.0])
run.append_history(history)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
history.add_iterations([0.5] * 1000, [1.0] * 1000, 1.0, 2.0)
try:
    run.append_history(history)
except FileError as error:
    print(str(error).replace(sys.argv[1], "run"), flush=True)
sys.stdin.readline()
"""


def test_a_full_disk_costs_nothing_that_was_there(tmp_path: Path, start: Any) -> None:
    assert told(start(FULL)) == "could not write run/history.jsonl: File too large"
    assert History.load(tmp_path / "run" / runs.HISTORY).loss == [1.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{" * 100_000,
        '{"format": "chainrule run 2"}',
        '{"format": "chainrule run 1", "id": 5, "state": "ended", "settings": {}, "stopped": ""}',
        '{"format": "chainrule run 1", "id": "a", "state": "odd", "settings": {}, "stopped": ""}',
        '{"format": "chainrule run 1", "id": "a", "state": ["ended"], "settings": {}, "stopped": ""}',
        '{"format": "chainrule run 1", "id": "a", "state": {}, "settings": {}, "stopped": ""}',
        "1" * 100_000,
        "\ufeff{}",
        *(
            RunRecord(odd, "ended").to_json()
            for odd in ("", "a\0b", "\ud800", "../../x", "a" * 5000, "0123abcD")
        ),
    ],
)
def test_a_record_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / runs.RUN).write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=r"run\.json"):
        record_of(tmp_path)
    with pytest.raises(FileError, match=r"run\.json"):
        RunFolder.reopen(tmp_path)
    assert not (tmp_path / runs.LOCK).exists()


def test_a_record_that_is_no_file(tmp_path: Path) -> None:
    for make in (
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.write_bytes(b"\xff\xfe"),
    ):
        make(tmp_path / runs.RUN)
        with pytest.raises(FileError, match=r"run\.json"):
            record_of(tmp_path)
        (tmp_path / runs.RUN).rmdir() if (tmp_path / runs.RUN).is_dir() else (tmp_path / runs.RUN).unlink()


def test_names_of_folders_of_before_are_exact(tmp_path: Path) -> None:
    for name in ("before-0123abcd", "before-0123ABCD", "before-party", "xbefore-0123abcd"):
        (tmp_path / name).mkdir()
    (tmp_path / "before-01234567").write_text("")
    assert aside.asides(tmp_path) == [tmp_path / "before-0123abcd"]
    assert aside.asides(tmp_path / "none") == []
