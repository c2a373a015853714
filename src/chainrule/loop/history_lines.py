"""A history as lines of JSON that are only appended to: each holds what has come since the last.

The numbers of every iteration are float64, little-endian, in base64: writing them as text would take longer than a
small network's step.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, FileError
from chainrule.files import read_bytes
from chainrule.loop.history import MEASURES, History

FORMAT = "chainrule history 2"
MOST_BYTES = 1 << 30
BY_ITERATION = ("loss", "learning_rate", "seconds")
Marks = tuple[int, int, int]  # iterations, measurements and examinations


class HistoryLines:
    """What has been written of a history. `new` gives the lines that are not, and `written` notes that they are."""

    def __init__(self, run: str = "", done: History | None = None, *, resumes: bool = False) -> None:
        self._run, self._begins, self._resumes = run, done is None, resumes
        self._marks: Marks = (0, 0, 0) if done is None else marks_of(done)
        self._pending = self._marks
        self._settings = self._pending_settings = ""

    def new(self, history: History) -> bytes:
        """The lines to append: a newline first where a line may have been cut off."""
        self._pending = marks_of(history)
        self._pending_settings = json.dumps(history.settings, default=_plain)
        iterations, measured, examined = self._marks
        part: dict[str, Any] = {"from": iterations}
        if self._resumes:
            part["resumes"] = self._marks
        for name in BY_ITERATION:
            part[name] = _packed(getattr(history, name)[iterations:])
        if len(history.measured_at) > measured:
            names = ("measured_at", *MEASURES)
            part["measures"] = {
                name: getattr(history, name)[measured:] for name in names if getattr(history, name)
            }
        if history.health and self._pending[2] > examined:
            part["health"] = _later(history.health, examined)
        if self._pending_settings != self._settings:
            part["settings"] = history.settings
        if history.stopped:
            part["stopped"] = history.stopped
        head = json.dumps({"format": FORMAT, "run": self._run}) + "\n" if self._begins else ""
        return (("\n" if self._resumes else head) + json.dumps(part, default=_plain) + "\n").encode()

    def written(self) -> None:
        """The lines that `new` gave last are in the file."""
        self._marks, self._settings = self._pending, self._pending_settings
        self._begins = self._resumes = False


class HistoryTail:
    """A history that another thread or process is writing: `read` adds what has come since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.history, self.run, self._at, self._begun = History(), "", 0, False

    def read(self) -> bool:
        """Whether there was more. What is no whole line yet is left for the next time; a shorter file is another.

        Raises: FileError for what is no history.
        """
        try:
            with open(self.path, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._at:
                    self._begin_anew()
                file.seek(self._at)
                content = file.read(MOST_BYTES)
        except FileNotFoundError:
            has_gone = self._at > 0
            self._begin_anew()
            return has_gone
        except OSError as error:
            raise FileError(f"could not read {self.path}: {error.strerror or error}") from error
        whole = content[: content.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in filter(bytes.strip, whole.split(b"\n")):
            self._take(line)
        return bool(whole)

    def _take(self, line: bytes) -> None:
        try:
            part = json.loads(line)
        except (ValueError, RecursionError):
            return  # cut off by a kill, after which another process went on
        try:
            if not self._begun:
                if part.get("format") != FORMAT:
                    raise ValueError(f"it is not of the format {FORMAT!r}")
                self._begun, self.run = True, str(part.get("run", ""))
            else:
                _add(self.history, part)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise FileError(f"the history {self.path} is damaged: {str(error)[:200]}") from None


def is_lines(content: bytes) -> bool:
    """Whether this is how `HistoryLines` begins."""
    return content.startswith(b'{"format": "' + FORMAT.encode())


def history_from_lines(content: bytes) -> tuple[History, str]:
    """The history, and the id of its run. A last line that was cut off, by a kill, is not read.

    Raises: FileError for what is no history, or one that is damaged.
    """
    history, run, begun, cut_off = History(), "", False, -1
    for found in re.finditer(rb"[^\n]+", content):
        if not found[0].strip():
            continue
        try:
            part = json.loads(found[0])
        except (ValueError, RecursionError):
            part = None
        if not begun:
            if not isinstance(part, dict) or part.get("format") != FORMAT:
                raise FileError(f"this is no history of the format {FORMAT!r}; it may need a newer chainrule")
            begun, run = True, str(part.get("run", ""))
        elif part is None:
            cut_off = found.start()
        else:
            try:
                _add(history, part)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
                number = 1 + content.count(b"\n", 0, found.start() if cut_off < 0 else cut_off)
                raise FileError(f"the history is damaged at line {number}: {str(error)[:200]}") from None
    if not begun:
        raise FileError("this is no history: it is empty")
    return History.from_dict(vars(history)), run


def read_history(path: str | os.PathLike[str]) -> tuple[History, str]:
    """The history in a file, of lines or as `History.save` writes it, and the id of its run, "" for none.

    Raises: FileError for what is none.
    """
    if Path(path).is_dir():
        raise FileError(
            f"could not read the history {path}: it is a folder; of a run folder, name the history.jsonl in it"
        )
    content = read_bytes(path, MOST_BYTES)
    if is_lines(content):
        return history_from_lines(content)
    try:
        return History.from_json(content.decode("utf-8")), ""
    except UnicodeDecodeError as error:
        raise FileError(f"could not read the history {path}: {error}") from error


def rewind(history: History, marks: Sequence[int]) -> None:
    """Cut the history back to these numbers of iterations, measurements and examinations.

    Raises: ValueError where there are fewer.
    """
    if not all(0 <= mark <= there for mark, there in zip(marks, marks_of(history), strict=True)):
        raise ValueError(f"it goes back to {list(marks)}, and there are {list(marks_of(history))}")
    iterations, measured, examined = marks
    for name in BY_ITERATION:
        del getattr(history, name)[iterations:]
    for name in ("measured_at", *MEASURES):
        del getattr(history, name)[measured:]
    if not examined:
        history.health = {}
    elif examined < marks_of(history)[2]:
        _cut(history.health, examined)
    history.stopped = ""


def _add(history: History, part: Mapping[str, Any]) -> None:
    """Add what a line holds. Raises ValueError, TypeError or KeyError where it does not fit to what is there."""
    begin, done = part["from"], len(history.loss)
    if type(begin) is not int or not isinstance(part.get("stopped", ""), str):
        raise TypeError("its 'from' is no number, or its 'stopped' no text")
    if "resumes" in part:
        rewind(history, part["resumes"])
        done = len(history.loss)
    if begin != done:
        raise ValueError(f"it goes on from iteration {begin:,}, after {done:,}")
    values = {name: _unpacked(part[name]) for name in BY_ITERATION}
    if len({len(each) for each in values.values()}) != 1:
        raise ValueError(f"{', '.join(BY_ITERATION)} have different lengths")
    for name, numbers in values.items():
        getattr(history, name).extend(numbers)
    for name, each in part.get("measures", {}).items():
        if name not in ("measured_at", *MEASURES):
            raise ValueError(f"there is no measure {name[:50]!r}")
        getattr(history, name).extend(each)
    _join(history.health, part.get("health", {}))
    history.settings = part.get("settings", history.settings)
    history.stopped = part.get("stopped", "")


def _plain(value: Any) -> Any:
    """A number or an array of NumPy's among the settings as JSON has it."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ArgumentError(f"history.settings: expected JSON values (text, numbers, lists), got {value!r}")


def marks_of(history: History) -> Marks:
    """How many iterations, measurements and examinations there are."""
    return len(history.loss), len(history.measured_at), len(history.health.get("iterations", ()))


def _later(health: Mapping[str, Any], examined: int) -> dict[str, Any]:
    """The examinations after the first `examined`: the same part of every list."""
    found: dict[str, Any] = {}
    for name, value in health.items():
        if isinstance(value, Mapping):
            found[name] = _later(value, examined)
        else:
            found[name] = value[examined:] if isinstance(value, list) else value
    return found


def _cut(health: Mapping[str, Any], examined: int) -> None:
    """Delete the examinations after the first `examined`."""
    for value in health.values():
        if isinstance(value, Mapping):
            _cut(value, examined)
        elif isinstance(value, list):
            del value[examined:]


def _join(health: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Append the lists of some examinations to those of the ones before."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            _join(health.setdefault(name, {}), value)
        elif isinstance(value, list) and isinstance(health.get(name), list):
            health[name].extend(value)
        else:
            health[name] = value


def _packed(values: list[float]) -> str:
    return base64.b64encode(np.asarray(values, "<f8").tobytes()).decode()


def _unpacked(text: str) -> list[float]:
    numbers: list[float] = np.frombuffer(base64.b64decode(text, validate=True), "<f8").tolist()
    return numbers
