"""A run folder: what `chainrule train` leaves there for a report, and how it is read again."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.drawing.report import answers as answers_of_runs
from chainrule.drawing.report.material import About, Material
from chainrule.drawing.report.pixels import is_image
from chainrule.drawing.report.words import whole
from chainrule.errors import ChainruleError, FileError
from chainrule.evaluation import Answers
from chainrule.files import write_bytes
from chainrule.loop import History
from chainrule.loop.history_lines import read_history
from chainrule.network import Network
from chainrule.saving.model import RUN_ID
from chainrule.saving.run_parts import (
    folder_of,
    history_in,
    is_of_before,
    model_in,
    read_json,
    read_model,
    standing_of,
)
from chainrule.saving.runs import (
    CHECK,
    CHECKPOINT,
    EVALUATION,
    HISTORY,
    MODEL,
    OLD_HISTORY,
    RUN,
    record_of,
)

FORMAT = "chainrule evaluation 1"

T = TypeVar("T")
Evaluation = tuple[About, Answers | None, Shape | None, tuple[Array, Array] | None]

_LACKING = {
    **dict.fromkeys((MODEL, CHECKPOINT), "no picture of the network and of its weights"),
    **dict.fromkeys((HISTORY, OLD_HISTORY), "no curves, no settings, nothing of the layers"),
    RUN: "nothing on how the run stands",
    EVALUATION: "no answers of the network, no command that repeats the run",
    CHECK: "no gradient check",
}
_HARMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)


def write_evaluation(
    folder: Path,
    about: About,
    answers: Answers | None,
    image_shape: Shape | None,
    sample: tuple[Array, Array] | None,
    run: str = "",
) -> Path:
    """Write what history and model don't hold: the answers on the test data, versions, the command."""
    content = {
        "format": FORMAT,
        RUN_ID: run,
        "about": {**dataclasses.asdict(about), "versions": dict(about.versions)},
        "answers": None if answers is None else answers_of_runs.to_json(answers),
        "image_shape": image_shape,
        "sample": None if sample is None else {"x": sample[0].tolist(), "t": sample[1].tolist()},
    }
    return write_bytes(folder / EVALUATION, (json.dumps(content) + "\n").encode(), follow=False)


def read_run(folder: str | os.PathLike[str]) -> Material:
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
    evaluation = parts.read(path / EVALUATION, _read_evaluation, is_over)
    check = parts.read(path / CHECK, _read_check) if parts.has(CHECK) else None
    if record is None and model is None and history is None and evaluation is None:
        raise FileError(
            f"{path}: nothing of a run can be read here: "
            + "; ".join(each.partition(", so the report")[0] for each in parts.missing)
            + ". Expected a folder that chainrule train wrote"
        )
    network, unfinished = model or (None, "")
    about, answers, image_shape, sample = evaluation or (About(), None, None, None)
    if unfinished:
        parts.missing.append(f"{MODEL} is missing, so the report shows {unfinished}")
    return Material(
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


def _read_evaluation(path: Path) -> tuple[Evaluation, str]:
    content, run = read_json(path)
    if content.get("format") != FORMAT:
        raise FileError(f"{path.name} is not of the format {FORMAT!r}; it may need a newer chainrule")
    try:
        answers, sample = content["answers"], content["sample"]
        shape = content["image_shape"]
        found = (
            _about(content["about"]),
            None if answers is None else answers_of_runs.from_json(answers),
            None if shape is None else _image_shape(shape),
            None if sample is None else (np.array(sample["x"]), np.array(sample["t"])),
        )
    except _HARMED as error:
        raise FileError(f"{path.name} is damaged: {repr(error)[:200]}") from None
    return found, run


def _image_shape(lengths: Any) -> Shape:
    shape = tuple(int(length) for length in lengths)
    if min(shape) < 1 or not is_image(shape):
        raise ValueError(f"{shape} is no image")
    return shape


def _about(content: dict[str, Any]) -> About:
    texts = {name: str(content[name]) for name in ("data", "network", "command", "loss_unit")}
    counts = {
        name: None if content[name] is None else whole(content[name])
        for name in ("samples", "test_samples", "parameters")
    }
    columns, on_training = content["columns"], content.get("on_training", {})  # older folders have none
    if on_training and set(on_training) != {"r2", "rmse", "mae"}:
        raise ValueError("the errors on the training data are not those of a regression")
    return About(
        data=texts["data"],
        network=texts["network"],
        command=texts["command"],
        loss_unit=texts["loss_unit"],
        samples=counts["samples"],
        test_samples=counts["test_samples"],
        parameters=counts["parameters"],
        columns=None if columns is None else [str(name) for name in columns],
        on_training={name: float(value) for name, value in on_training.items()},
        notes=[str(note) for note in content.get("notes", [])],
        versions={str(name): str(value) for name, value in content["versions"].items()},
    )


def _read_check(path: Path) -> tuple[dict[str, Any], str]:
    content, run = read_json(path)
    rows, findings = content.get("rows"), content.get("findings")
    whole = isinstance(rows, list) and isinstance(findings, list) and isinstance(content.get("passed"), bool)
    if not whole or not all(isinstance(each, dict) for each in [*(rows or []), *(findings or [])]):
        raise FileError(f"{path.name} is damaged: expected what CheckReport.to_dict gives")
    return content, run
