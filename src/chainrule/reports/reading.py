"""A run folder read for its report: what is there, what is missing, and what the report lacks for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from chainrule.errors import ChainruleError, FileError
from chainrule.loop import History
from chainrule.loop.history_lines import read_history
from chainrule.network import Network
from chainrule.reports.run import TrainingRun
from chainrule.saving.evaluations import About, read_evaluation
from chainrule.saving.run_parts import (
    folder_of,
    history_in,
    is_of_before,
    model_in,
    read_check,
    read_model,
    standing_of,
)
from chainrule.saving.runs import (
    CHECK,
    CHECKPOINT,
    EVALUATION,
    GRAPH,
    HISTORY,
    MODEL,
    OLD_HISTORY,
    RUN,
    record_of,
)

T = TypeVar("T")

_LACKING = {
    **dict.fromkeys((MODEL, CHECKPOINT), "no picture of the network and of its weights"),
    **dict.fromkeys((HISTORY, OLD_HISTORY), "no curves, no settings, nothing of the layers"),
    RUN: "nothing on how the run stands",
    EVALUATION: "no answers of the network",
    CHECK: "no gradient check",
}


def read_run(folder: str | os.PathLike[str]) -> TrainingRun:
    """What is in a run folder, or in that of a model file.

    Files that are missing, damaged or of another run are named in `missing`.
    Raises: FileError when it is no folder, or holds nothing of a run that can be read.
    """
    path = folder_of(folder)
    if not path.exists():
        raise FileError(f"there is no folder {path}; expected a run folder, as chainrule train makes them")
    if not path.is_dir():
        hint = f"; its folder is {path.parent}" if path.name in _LACKING else ""
        raise FileError(f"expected a run folder, got the file {path}{hint}")
    parts = _Parts(path)
    record = parts.read(path / RUN, lambda file: (record_of(file.parent), "")) if parts.has(RUN) else None
    parts.run = record.id if record is not None else ""
    standing = None if record is None else standing_of(path, record)
    is_over = standing is None or standing.how in ("ended", "diverged")
    history = parts.read(history_in(path), read_history)
    model = parts.read(model_in(path) or path / MODEL, _read_model, is_over)
    evaluation = parts.read(path / EVALUATION, read_evaluation, is_over)
    check = parts.read(path / CHECK, read_check) if parts.has(CHECK) else None
    if record is None and model is None and history is None and evaluation is None:
        raise FileError(
            f"{path}: nothing of a run can be read here: "
            + "; ".join(each.partition(", so the report")[0] for each in parts.missing)
            + ". Expected a folder that chainrule train wrote"
        )
    network, unfinished = model or (None, "")
    command = "" if record is None else str(record.settings.get("command", ""))
    about, answers, image_shape, sample = evaluation or (About(command=command), None, None, None)
    if unfinished:
        parts.missing.append(f"{MODEL} is missing, so the report shows {unfinished}")
    return TrainingRun(
        name=path.resolve().name or str(path),
        history=history or History(),
        about=about,
        network=network,
        answers=answers,
        check=check,
        image_shape=image_shape,
        sample=sample,
        missing=tuple(parts.missing),
        folder=path,
        graph=GRAPH if parts.has(GRAPH) and not is_of_before(path, GRAPH) else "",
        standing=standing,
    )


class _Parts:
    """The parts of a run that can be read, and why others cannot. The first that bears an id says whose all are."""

    def __init__(self, folder: Path) -> None:
        self.run = ""
        self.missing: list[str] = []
        self._folder = folder

    def has(self, name: str) -> bool:
        """Whether there is something of this name."""
        return os.path.lexists(self._folder / name)

    def read(self, path: Path, read: Callable[[Path], tuple[T, str]], is_due: bool = True) -> T | None:
        """What is in a file; None where it cannot be read, or is of another run.

        One that is not due may be missing.
        """
        name = path.name
        try:
            if is_of_before(self._folder, name) or not self.has(name):
                if is_due:
                    self._note(f"{name} is missing", name)
                return None
            found, run = read(path)
        except (ChainruleError, OSError) as error:
            reason = str(error) if isinstance(error, ChainruleError) else str(error.strerror or error)
            reason = reason.replace(str(path), name)
            self._note(reason if name in reason else f"{name}: {reason}", name)
            return None
        self.run = self.run or run
        if run and run != self.run:
            self._note(f"{name} is of another run ({run[:20]}, and this is {self.run[:20]})", name)
            return None
        return found

    def _note(self, reason: str, name: str) -> None:
        self.missing.append(f"{reason}, so the report has {_LACKING[name]}")


def _read_model(path: Path) -> tuple[tuple[Network, str], str]:
    network, run, unfinished = read_model(path, allow_nan=True)
    return (network, unfinished), run
