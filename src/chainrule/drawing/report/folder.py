"""A run folder: what `chainrule train` leaves there for a report, and how it is read again."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from functools import partial
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
from chainrule.saving import load

MODEL, HISTORY, CHECK, EVALUATION = "model.safetensors", "history.json", "check.json", "evaluation.json"
REPORT = "report.html"
FORMAT = "chainrule evaluation 1"

T = TypeVar("T")
Evaluation = tuple[About, Answers | None, Shape | None, tuple[Array, Array] | None]

_LACKING = {
    MODEL: "no picture of the network and of its weights",
    HISTORY: "no curves, no settings, nothing of the layers",
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
) -> Path:
    """Write what history and model don't hold: the answers on the test data, versions, the command."""
    content = {
        "format": FORMAT,
        "about": {**dataclasses.asdict(about), "versions": dict(about.versions)},
        "answers": None if answers is None else answers_of_runs.to_json(answers),
        "image_shape": image_shape,
        "sample": None if sample is None else {"x": sample[0].tolist(), "t": sample[1].tolist()},
    }
    return write_bytes(folder / EVALUATION, (json.dumps(content) + "\n").encode())


def folder_of(path: str | os.PathLike[str]) -> Path:
    """The run folder that a path means: itself, or of the model file in it its folder."""
    path = Path(path)
    return path.parent if path.name == MODEL and path.is_file() else path


def read_run(folder: str | os.PathLike[str]) -> Material:
    """What is in a run folder, or in that of a model file. Files missing or damaged are named in `missing`.

    Raises: FileError when it is no folder, or holds nothing of a run that can be read.
    """
    path = folder_of(folder)
    if not path.exists():
        raise FileError(f"there is no folder {path}; expected a run folder, as chainrule train makes them")
    if not path.is_dir():
        hint = f"; its folder is {path.parent}" if path.name in _LACKING else ""
        raise FileError(f"expected a run folder, got the file {path}{hint}")
    missing: list[str] = []
    network = _read(path / MODEL, partial(load, allow_nan=True), missing)
    history = _read(path / HISTORY, History.load, missing)
    evaluation = _read(path / EVALUATION, _read_evaluation, missing)
    check = _read(path / CHECK, _read_check, missing) if (path / CHECK).exists() else None
    if network is None and history is None and evaluation is None:
        raise FileError(
            f"{path}: nothing of a run can be read here: "
            + "; ".join(each.partition(": not shown")[0] for each in missing)
            + ". Expected a folder that chainrule train wrote"
        )
    about, answers, image_shape, sample = evaluation or (About(), None, None, None)
    return Material(
        name=path.resolve().name or str(path),
        history=history or History(),
        about=about,
        network=network,
        answers=answers,
        check=check,
        image_shape=image_shape,
        sample=sample,
        missing=tuple(missing),
    )


def _read(path: Path, read: Callable[[Path], T], missing: list[str]) -> T | None:
    try:
        if not path.exists():
            raise FileError(f"{path.name} is missing")
        return read(path)
    except ChainruleError as error:
        reason = str(error).replace(str(path), path.name)
        reason = reason if path.name in reason else f"{path.name}: {reason}"
        missing.append(f"{reason}: not shown therefore: {_LACKING[path.name]}")
    except OSError as error:
        missing.append(f"{path.name}: {error.strerror or error}: not shown therefore: {_LACKING[path.name]}")
    return None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path.name} could not be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path.name} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise FileError(f"{path.name} is damaged: expected an object")
    return content


def _read_evaluation(path: Path) -> Evaluation:
    content = _content(path)
    if content.get("format") != FORMAT:
        raise FileError(f"{path.name} is not of the format {FORMAT!r}; it may need a newer chainrule")
    try:
        answers, sample = content["answers"], content["sample"]
        shape = content["image_shape"]
        return (
            _about(content["about"]),
            None if answers is None else answers_of_runs.from_json(answers),
            None if shape is None else _image_shape(shape),
            None if sample is None else (np.array(sample["x"]), np.array(sample["t"])),
        )
    except _HARMED as error:
        raise FileError(f"{path.name} is damaged: {error!r}") from None


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


def _read_check(path: Path) -> dict[str, Any]:
    content = _content(path)
    rows, findings = content.get("rows"), content.get("findings")
    whole = isinstance(rows, list) and isinstance(findings, list) and isinstance(content.get("passed"), bool)
    if not whole or not all(isinstance(each, dict) for each in [*(rows or []), *(findings or [])]):
        raise FileError(f"{path.name} is damaged: expected what CheckReport.to_dict gives")
    return content
