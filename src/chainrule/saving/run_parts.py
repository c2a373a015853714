"""The parts of a run folder as they are read: which file holds which, whose it is, and how the run stands."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chainrule.errors import FileError
from chainrule.files import read_bytes
from chainrule.network import Network
from chainrule.saving import aside
from chainrule.saving.architecture import known_classes
from chainrule.saving.container import read_container, read_metadata
from chainrule.saving.locks import holder, is_locked, is_own
from chainrule.saving.model import KEPT, RUN_ID, network_of
from chainrule.saving.runs import (
    CHECKPOINT,
    DIVERGED,
    HISTORY,
    LOCK,
    MODEL,
    OLD_HISTORY,
    RUN,
    RunRecord,
    record_of,
)

MOST_JSON = 1 << 28

How = Literal["running", "killed", "interrupted", "diverged", "ended"]


@dataclass(frozen=True)
class Standing:
    """How the run in a folder stands: "killed" is one that still runs by its record, and no process writes it."""

    how: How
    #: The number of the process that writes it.
    process: str
    #: The iteration of its checkpoint, from which it goes on; None where none can be read.
    resumes_at: int | None
    begun_in_python: bool
    #: Folders of the runs that were there before it, and that it has not replaced.
    before: tuple[Path, ...]


def standing_of(folder: Path, record: RunRecord) -> Standing:
    """How the run of this record stands. What this process writes has ended: it makes the report of it."""
    lock = folder / LOCK
    alive = is_locked(lock)
    how: How = "ended"
    if record.stopped.startswith(DIVERGED):
        how = "diverged"
    elif record.state == "interrupted":
        how = "interrupted"
    elif record.state == "running" and not is_own(lock):
        how = "running" if alive else "killed"
    begun_in_python = not {"command", "options"} & set(record.settings)
    return Standing(
        how, holder(lock), _resumes_at(folder / CHECKPOINT), begun_in_python, tuple(aside.asides(folder))
    )


def folder_of(path: str | os.PathLike[str]) -> Path:
    """The run folder that a path means: itself, or of the model file in it its folder."""
    path = Path(path)
    return path.parent if path.name in (MODEL, CHECKPOINT) and path.is_file() else path


def model_in(folder: Path) -> Path | None:
    """The model of a run folder, or where there is none yet, its checkpoint; None where there is neither."""
    for name in (MODEL, CHECKPOINT):
        if (folder / name).exists() and not is_of_before(folder, name):
            return folder / name
    return None


def history_in(folder: Path) -> Path:
    """The history of a run folder: the lines, or in a folder of before 0.7 the JSON."""
    of_before = folder / OLD_HISTORY
    is_of_now = (folder / RUN).exists() or (folder / HISTORY).exists() or not of_before.exists()
    return folder / HISTORY if is_of_now else of_before


def is_of_before(folder: Path, name: str) -> bool:
    """Whether a file is that of the run that was set aside: a kill came before it was taken away."""
    try:
        record = record_of(folder)
    except FileError:
        return False
    return record is not None and aside.is_set_aside(folder, record.id, name)


def read_model(path: Path, *, allow_nan: bool = False) -> tuple[Network, str, str]:
    """The network in a model file or a checkpoint, the id of its run, and of a checkpoint, of what it is the model.

    Raises: FileError and DataError, as `load` does.
    """
    metadata, tensors = read_container(path)
    network = network_of(metadata, tensors, path, known_classes(()), allow_nan=allow_nan)
    unfinished = ""
    if KEPT in metadata:
        done = _iteration(metadata)
        after = "some" if done is None else f"{done:,}"
        unfinished = f"the model after {after} iterations, of a run that has not ended"
    return network, metadata.get(RUN_ID, ""), unfinished


def read_json(path: Path) -> tuple[dict[str, Any], str]:
    """The object in a JSON file, and the id of its run, which is taken out. Raises FileError for what is none."""
    try:
        content = json.loads(read_bytes(path, MOST_JSON).decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path.name} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise FileError(f"{path.name} is damaged: expected an object")
    run = content.pop(RUN_ID, "")
    if not isinstance(run, str):
        raise FileError(f"{path.name} is damaged: its {RUN_ID!r} is no id")
    return content, run


def read_check(path: Path) -> tuple[dict[str, Any], str]:
    """The gradient check of a run, as `CheckReport.to_dict` gives it, and the id of its run. Raises FileError."""
    content, run = read_json(path)
    rows, findings = content.get("rows"), content.get("findings")
    whole = isinstance(rows, list) and isinstance(findings, list) and isinstance(content.get("passed"), bool)
    if not whole or not all(isinstance(each, dict) for each in [*(rows or []), *(findings or [])]):
        raise FileError(f"{path.name} is damaged: expected what CheckReport.to_dict gives")
    return content, run


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:50]!r} stands twice in it")
        found[name] = value
    return found


def _resumes_at(checkpoint: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _iteration(read_metadata(checkpoint))
    return None


def _iteration(metadata: Mapping[str, str]) -> int | None:
    """The iterations that a checkpoint's training has done; None where it does not say."""
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
        return int(json.loads(metadata[KEPT])["iteration"])
    return None
