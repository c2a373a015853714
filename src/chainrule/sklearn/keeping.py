"""Fits that a run folder keeps: what begins there, what goes on there, and what is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ArgumentError, DataError, FileError
from chainrule.loop import Callback, History
from chainrule.loop.history_lines import read_history
from chainrule.saving.checkpoint import Checkpoint, is_own
from chainrule.saving.resuming import restored
from chainrule.saving.runs import CHECKPOINT, HISTORY, MODEL, RunFolder, RunRecord, record_of

if TYPE_CHECKING:
    from pathlib import Path

    from chainrule.sklearn.stochastic import Epochs

#: Parameters that a fit which goes on may change: they are outside of the training, or compared as data.
FREE = ("verbose", "progress", "checkpoint", "validation_set", "callbacks")
MOST_TOLD = 200  # characters of a parameter in a message


def run_kept(
    epochs: Epochs, callbacks: list[Callback], progress: bool, checkpoint: Checkpoint | None
) -> History:
    """Train with callbacks, kept in the folder of a checkpoint, or on with the run that was interrupted there."""
    training, called = epochs.training, [epochs, *callbacks]
    if checkpoint is None or checkpoint.folder is None:
        return training.run(called, progress=progress, checkpoint=checkpoint)
    estimator, path = epochs.estimator, checkpoint.folder
    notes = _notes_of(estimator, callbacks)
    record = record_of(path)
    if record is not None and record.state == "ended" and not checkpoint.force:
        raise FileError(_of_ended(path))
    if record is None or record.state == "ended" or not (path / CHECKPOINT).exists():
        anew = checkpoint.force or (record is not None and _has_kept_nothing(path, record))
        return training.run(called, progress=progress, checkpoint=checkpoint.noting(notes, force=anew))
    with RunFolder.reopen(path) as folder:
        _refuse_another(folder, notes)
        own = {type(node.layer) for node in training.network.graph if is_own(node.layer)}
        try:
            standing = restored(folder, training, own)  # type: ignore[arg-type]
        except DataError:
            if not estimator.early_stopping or isinstance(estimator.random_state, Integral):
                raise
            raise ValueError(
                f"{path}: the run was begun with other data, or other rows were held out: early_stopping with a "
                f"checkpoint needs a whole number as random_state"
            ) from None
        except ArgumentError as error:
            if not str(error).startswith("restore:"):
                raise
            raise ValueError(
                f"{path}: the run was begun with another network, optimizer or seed; give the same, with a whole "
                f"number as random_state, or another folder as checkpoint"
            ) from error
        return training.run(
            called, progress=progress, checkpoint=checkpoint.going_on(folder), resumed=standing
        )


def _has_kept_nothing(path: Path, record: RunRecord) -> bool:
    """Whether an estimator began the run, and it was killed before there was anything to go on from."""
    return "parameters" in record.settings and not (path / MODEL).exists()


def _of_ended(path: Path) -> str:
    how = ""
    with contextlib.suppress(FileError, IndexError):
        history, _ = read_history(path / HISTORY)
        how = f" (loss {history.train_loss[-1]:.4g} after {len(history.train_loss)} epochs)"
    return (
        f"{path}: the run in this folder has ended{how}; give another folder, replace the run by "
        f"checkpoint=cr.Checkpoint(folder, force=True), or load its network, cr.load({str(path / MODEL)!r}). In "
        f"searches and cross-validation, which fit many times, leave checkpoint out"
    )


def _notes_of(estimator: Any, callbacks: Sequence[Callback]) -> dict[str, Any]:
    """What the folder notes of a fit, to compare it with one that would go on."""
    told = {
        name: _told(value) for name, value in estimator.get_params(deep=False).items() if name not in FREE
    }
    return {
        "estimator": type(estimator).__name__,
        "parameters": {name: text for name, text in told.items() if " at 0x" not in text},
        "callbacks": [type(each).__name__ for each in callbacks],
    }


def _told(value: Any) -> str:
    """A parameter as text that is the same for equal ones."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return f"[{', '.join(map(_told, value))}]"
    return repr(value)


def _refuse_another(folder: RunFolder, notes: dict[str, Any]) -> None:
    """Raise ValueError where the run was begun by another estimator, or by one with other parameters.

    Callbacks may be added behind those that the run had: they begin where it goes on.
    """
    had, path = folder.record.settings, folder.path
    if had.get("estimator") != notes["estimator"]:
        raise ValueError(
            f"{path}: the run was begun by {had.get('estimator', 'no estimator')}, got {notes['estimator']}; give "
            f"another folder as checkpoint"
        )
    if "parameters" not in had:  # of a version that noted none
        return
    for name, now in notes["parameters"].items():
        before = had["parameters"].get(name, now)
        if before != now:
            raise _begun_with(path, name, before, now)
    before, now = had.get("callbacks", []), notes["callbacks"]
    if now[: len(before)] != before:
        raise _begun_with(path, "callbacks", *(f"[{', '.join(each)}]" for each in (before, now)))


def _begun_with(path: Path, name: str, before: str, now: str) -> ValueError:
    told, got = (f"{text[:MOST_TOLD]}..." if len(text) > MOST_TOLD else text for text in (before, now))
    return ValueError(
        f"{path}: the run was begun with {name}={told}, got {got}; give the same, or another folder as checkpoint"
    )
