"""The run folder: what is in it, whose run it is, how that stands, and the lock of the process that writes it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self, get_args

from chainrule.errors import FileError
from chainrule.files import write_atomically
from chainrule.loop import History
from chainrule.loop.history_lines import HistoryLines
from chainrule.saving.locks import FileLock, is_locked

RUN, LOCK = "run.json", "run.lock"
MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
HISTORY, OLD_HISTORY = "history.jsonl", "history.json"
CHECK, EVALUATION, CURVES, REPORT = "check.json", "evaluation.json", "curves.png", "report.html"
#: All that a run writes, the record first: what takes away a run takes that away first.
NAMES = (RUN, MODEL, CHECKPOINT, HISTORY, OLD_HISTORY, CHECK, EVALUATION, CURVES, REPORT)
BEFORE = "before-"  # and the id of the run that took the place
FORMAT = "chainrule run 1"

State = Literal["running", "interrupted", "ended"]


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` says of a run. `state` "ended" is written last: then all its files are there, and its own."""

    id: str
    state: State
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: How it ended, as `history.stopped` has it; "" while it runs.
    stopped: str = ""

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """What `to_json` wrote. Raises FileError for anything else."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{RUN} is damaged: {error}") from None
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise FileError(f"{RUN} is not of the format {FORMAT!r}; it may need a newer chainrule")
        texts = [content.get(name) for name in ("id", "stopped")]
        is_whole = all(isinstance(each, str) for each in texts) and isinstance(content.get("settings"), dict)
        if not is_whole or content.get("state") not in get_args(State):
            raise FileError(f"{RUN} is damaged: expected an id, a state of {get_args(State)} and settings")
        return cls(content["id"], content["state"], content["settings"], content["stopped"])


class RunFolder:
    """A run folder that this process writes: while it is open, no other process can.

    `begin` makes one, `reopen` goes on with one. Close it, or use it in a `with` block.
    """

    def __init__(self, path: Path, lock: FileLock, record: RunRecord, lines: HistoryLines) -> None:
        self.path, self.record = path, record
        self._lock, self._lines = lock, lines

    @classmethod
    def begin(
        cls, path: str | os.PathLike[str], settings: Mapping[str, Any], *, force: bool = False
    ) -> RunFolder:
        """A new run in this folder, which is made where there is none.

        With `force`, the files of a run that is there are moved aside, into a folder in it, and deleted when the
        new run has ended.
        Raises: FileError for a folder that holds something and no `force`, or cannot be made; BusyError where a
        process is writing it.
        """
        path = Path(path)
        _make(path)
        lock = FileLock(path / LOCK)
        try:
            if not force and _holds_something(path):
                raise FileError(
                    f"{path}: the folder is not empty; choose another, or write into it with force=True"
                )
            record = RunRecord(os.urandom(4).hex(), "running", dict(settings))
            aside = path / f"{BEFORE}{record.id}"
            for name in NAMES:
                if (path / name).exists():
                    aside.mkdir(exist_ok=True)
                    os.replace(path / name, aside / name)
            made = cls(path, lock, record, HistoryLines(record.id))
            made._write_record(record)
        except OSError as error:
            lock.release()
            raise FileError(f"could not make the run folder {path}: {error.strerror or error}") from error
        except BaseException:
            lock.release()
            raise
        return made

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Go on with the run in this folder. Its history goes on from nothing, unless `follow` says from what.

        Raises: FileError where there is none; BusyError where a process is writing it.
        """
        path = Path(path)
        record = record_of(path)
        if record is None:
            raise FileError(f"{path} is no run folder: it has no {RUN}")
        lock = FileLock(path / LOCK)
        made = cls(path, lock, record, HistoryLines(record.id, History(), resumes=True))
        made.clean()
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write the folder."""
        self._lock.release()

    @property
    def id(self) -> str:
        """What the parts of this run bear, so that those of another are told from them."""
        return self.record.id

    def write(self, name: str, write: Callable[[IO[bytes]], object], *, sync: bool = True) -> Path:
        """Write one of its files, by way of a temporary file."""
        return write_atomically(self.path / name, write, sync=sync)

    def follow(self, history: History) -> None:
        """Append to the history from now on what is new after this record."""
        self._lines = HistoryLines(self.id, history, resumes=True)

    def append_history(self, history: History, *, sync: bool = False) -> None:
        """Append to the history what is new in it."""
        content = self._lines.new(history)
        path = self.path / HISTORY
        try:
            with open(path, "ab") as file:
                size = file.tell()
                try:
                    file.write(content)
                    file.flush()
                    if sync:
                        os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        os.truncate(path, size)
                    raise
        except OSError as error:
            raise FileError(f"could not write {path}: {error.strerror or error}") from error
        self._lines.written()

    def go_on(self) -> None:
        """Note that the run goes on."""
        self._write_record(replace(self.record, state="running", stopped=""))

    def interrupt(self, stopped: str) -> None:
        """Note that the run has stopped before its end."""
        self._write_record(replace(self.record, state="interrupted", stopped=stopped))

    def end(self, stopped: str) -> None:
        """Note that the run has ended. What it replaced, and its checkpoint, are deleted then."""
        self._write_record(replace(self.record, state="ended", stopped=stopped))
        self.clean()

    def clean(self) -> None:
        """Delete what a process that was killed left half-written, and after the end what no one needs."""
        with contextlib.suppress(OSError):
            for part in self.path.glob(".*.part"):
                part.unlink(missing_ok=True)
            if self.record.state == "ended":
                (self.path / CHECKPOINT).unlink(missing_ok=True)
                for aside in self.path.glob(f"{BEFORE}*"):
                    shutil.rmtree(aside, ignore_errors=True)

    def _write_record(self, record: RunRecord) -> None:
        self.write(RUN, lambda file: file.write(record.to_json().encode()))
        self.record = record


def record_of(path: str | os.PathLike[str]) -> RunRecord | None:
    """What is noted of the run in a folder; None where there is no note, as in folders of before 0.7."""
    try:
        return RunRecord.from_json((Path(path) / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"could not read {Path(path) / RUN}: {error}") from error


def is_alive(path: str | os.PathLike[str]) -> bool:
    """Whether a process is writing the run folder."""
    return is_locked(Path(path) / LOCK)


def _holds_something(path: Path) -> bool:
    """Whether there is more in the folder than the record of a run that was killed before it kept anything."""
    there = {each.name for each in path.iterdir()} - {LOCK}
    return not there <= {RUN}


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"could not make the run folder {path}: {error.strerror or error}") from error
