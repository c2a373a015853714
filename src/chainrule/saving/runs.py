"""The run folder: what is in it, whose run it is, how that stands, and the lock of the process that writes it.

All that a run writes bears its id, so that parts of different runs are told from each other. Whatever reads or
writes a run folder takes the names of its files from here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal, get_args

from chainrule.errors import FileError
from chainrule.files import is_part, read_bytes, write_atomically
from chainrule.loop import History
from chainrule.loop.history_lines import HistoryLines
from chainrule.network import Network
from chainrule.saving import aside
from chainrule.saving.locks import FileLock, is_locked
from chainrule.saving.model import RUN_ID, pieces_of_model

RUN, LOCK = "run.json", "run.lock"
MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
HISTORY, OLD_HISTORY = "history.jsonl", "history.json"
CHECK, EVALUATION, CURVES, REPORT = "check.json", "evaluation.json", "curves.png", "report.html"
GRAPH = "graph.html"
#: All that a run writes, the record first.
NAMES = (RUN, MODEL, CHECKPOINT, HISTORY, OLD_HISTORY, CHECK, EVALUATION, CURVES, GRAPH, REPORT)
#: What is made when the training has ended, or was interrupted.
OF_THE_END = (MODEL, CHECK, EVALUATION, CURVES, GRAPH, REPORT)
FORMAT = "chainrule run 1"

DIVERGED = "diverged"
MOST_RECORD = 10_000_000
_ID = re.compile("[0-9a-f]{8}")

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
        if not _ID.fullmatch(content["id"]):
            raise FileError(
                f"{RUN} is damaged: expected an id of 8 digits from 0 to f, got {content['id'][:20]!a}"
            )
        return cls(content["id"], content["state"], content["settings"], content["stopped"])


class RunFolder(contextlib.AbstractContextManager["RunFolder"]):
    """A run folder that this process writes: while it is open, no other process can.

    `begin` makes one, `reopen` goes on with one. Close it, or use it in a `with` block. A run that has kept nothing
    when it is closed leaves the folder as it was before `begin`.
    """

    def __init__(self, path: Path, lock: FileLock, record: RunRecord, lines: HistoryLines) -> None:
        self.path, self.record = path, record
        self._lock, self._lines = lock, lines
        self._made: list[Path] = []
        self._has_taken, self._has_kept = False, True

    @classmethod
    def begin(
        cls, path: str | os.PathLike[str], settings: Mapping[str, Any], *, force: bool = False
    ) -> RunFolder:
        """A new run in this folder, which is made where there is none.

        With `force`, the files of a run that is there are moved aside, into a folder in it, and deleted when the
        new run has ended, but not when it has diverged. Other files stay where they are.
        Raises: FileError for a folder that holds something and no `force`, or cannot be made; BusyError where a
        process is writing it.
        """
        path = Path(path)
        record = RunRecord(os.urandom(4).hex(), "running", dict(settings))
        folders = _make(path)
        try:
            lock = FileLock(path / LOCK)
        except BaseException:
            _unmake(folders)
            raise
        made = cls(path, lock, record, HistoryLines(record.id))
        made._made, made._has_kept = folders, False
        try:
            if not force and is_taken(path):
                raise FileError(
                    f"{path}: the folder is not empty; choose another, or write into it with force=True"
                )
            made._take_place()
        except BaseException as error:
            made.close()
            if isinstance(error, OSError) and not isinstance(error, FileError):
                raise FileError(
                    f"could not make the run folder {path}: {error.strerror or error}; what was there is untouched"
                ) from error
            raise
        return made

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Go on with the run in this folder. Its history goes on from nothing, unless `follow` says from what.

        Raises: FileError where there is none; BusyError where a process is writing it.
        """
        path = Path(path)
        if record_of(path) is None:
            raise FileError(f"{path} is no run folder: it has no {RUN}")
        lock = FileLock(path / LOCK)
        try:
            record = record_of(path)  # the process that held the lock may have written it since
            if record is None:
                raise FileError(f"{path} is no run folder: it has no {RUN}")
            made = cls(path, lock, record, HistoryLines(record.id, History(), resumes=True))
            made._clean()
        except BaseException:
            lock.release()
            raise
        return made

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process write the folder. A run that has kept nothing is taken back."""
        if not self._lock.is_held:
            return
        if self._has_taken and not self._has_kept:
            with contextlib.suppress(OSError):
                aside.put_back(self.path, self.id, NAMES)
        self._lock.release()
        if not self._has_kept:
            _unmake(self._made)

    @property
    def id(self) -> str:
        """What the parts of this run bear, so that those of another are told from them."""
        return self.record.id

    @property
    def before(self) -> Path | None:
        """Where the files are that this run took the place of; None where there are none."""
        found = aside.aside_of(self.path, self.id)
        return found if found.is_dir() else None

    def write(self, name: str, write: Callable[[IO[bytes]], object], *, sync: bool = True) -> Path:
        """Write one of its files, by way of a temporary file. A link of its name is replaced, not followed."""
        self._has_kept = True
        return write_atomically(self.path / name, write, sync=sync, follow=False)

    def follow(self, history: History) -> None:
        """Append to the history from now on what is new after this record."""
        self._lines = HistoryLines(self.id, history, resumes=True)

    def append_history(self, history: History, *, sync: bool = False) -> None:
        """Append to the history what is new in it."""
        self._has_kept = True
        content = self._lines.new(history)
        path = self.path / HISTORY
        try:
            with open(path, "ab", opener=_not_followed) as file:
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

    def keep_model(self, network: Network) -> Path:
        """Write the model of the run; of one that diverged, too."""
        pieces = pieces_of_model(network, {RUN_ID: self.id})
        return self.write(MODEL, lambda file: file.writelines(pieces))

    def go_on(self) -> None:
        """Note that the run goes on from its checkpoint. What was made of the weights it had is deleted."""
        self._note("running", "")
        if (self.path / CHECKPOINT).exists():
            for name in OF_THE_END:
                (self.path / name).unlink(missing_ok=True)

    def interrupt(self, stopped: str) -> None:
        """Note that the run has stopped before its end."""
        self._note("interrupted", stopped)

    def end(self, stopped: str) -> None:
        """Note that the run has ended. What it replaced is deleted then, unless it diverged, and its checkpoint."""
        self._note("ended", stopped)
        self._clean_end()

    def _take_place(self) -> None:
        """Put the record of this run where that of another may be, whose files are set aside."""
        aside.drop_parts(self.path)
        aside.set_aside(self.path, self.id, NAMES)
        self._has_taken = True
        self._write_record(self.record)
        for name in NAMES[1:]:  # all are set aside, and of this run there is the record alone
            (self.path / name).unlink(missing_ok=True)

    def _clean(self) -> None:
        """Delete what a process that was killed left behind."""
        aside.drop_parts(self.path)
        with contextlib.suppress(OSError):
            for name in NAMES[1:]:
                if aside.is_set_aside(self.path, self.id, name):
                    (self.path / name).unlink(missing_ok=True)
        self._clean_end()

    def _clean_end(self) -> None:
        """Delete what no one needs when the run has ended."""
        if self.record.state != "ended":
            return
        with contextlib.suppress(OSError):
            (self.path / CHECKPOINT).unlink(missing_ok=True)
        if not self.record.stopped.startswith(DIVERGED):
            for each in aside.asides(self.path):
                aside.drop(each, NAMES)

    def _note(self, state: State, stopped: str) -> None:
        self._has_kept = True
        self._write_record(replace(self.record, state=state, stopped=stopped))

    def _write_record(self, record: RunRecord) -> None:
        content = record.to_json().encode()
        write_atomically(self.path / RUN, lambda file: file.write(content), follow=False)
        self.record = record


def record_of(path: str | os.PathLike[str]) -> RunRecord | None:
    """What is noted of the run in a folder; None where there is no note, as in folders of before 0.7."""
    path = Path(path) / RUN
    if not os.path.lexists(path):
        return None
    try:
        return RunRecord.from_json(read_bytes(path, MOST_RECORD).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FileError(f"{RUN} is damaged: {error}") from None


def is_alive(path: str | os.PathLike[str]) -> bool:
    """Whether a process is writing the run folder."""
    return is_locked(Path(path) / LOCK)


def is_taken(path: Path) -> bool:
    """Whether a folder holds something: more than the record of a run that was killed before it kept anything."""
    there = {each.name for each in path.iterdir() if not is_part(each.name)}
    return not there <= {RUN, LOCK}


def _not_followed(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _make(path: Path) -> list[Path]:
    """Make the folder; all that were made for it, the innermost first."""
    made = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _unmake(made)
        raise FileError(f"could not make the run folder {path}: {error.strerror or error}") from error
    return made


def _unmake(folders: list[Path]) -> None:
    """Delete folders that were made, but for those that hold something now."""
    with contextlib.suppress(OSError):
        for each in folders:
            each.rmdir()
