"""Going on with a training from its last checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.arrays import Array, ArrayLike
from chainrule.configured import Configured
from chainrule.errors import ArgumentError, ChainruleError, DataError, FileError, ShapeError, warn
from chainrule.initializers import Initializer
from chainrule.layers import Layer
from chainrule.loop import Batches, Callback, History, Standing
from chainrule.loop.history_lines import read_history, rewind
from chainrule.network import Network
from chainrule.network.feeds import Data
from chainrule.network.making import checked_callbacks
from chainrule.network.training import Training
from chainrule.network.training_state import PARAMETERS, STATISTICS
from chainrule.saving.architecture import known_classes
from chainrule.saving.checkpoint import KEPT, Checkpoint
from chainrule.saving.container import read_container
from chainrule.saving.kept_training import (
    KeptTraining,
    callbacks_of,
    fingerprints_of,
    kinds_of,
    optimizer_of,
    states_of,
)
from chainrule.saving.model import TRAINING, load, network_of
from chainrule.saving.runs import CHECKPOINT, HISTORY, MODEL, RUN, RunFolder
from chainrule.versions import facts


def resume(
    folder: str | os.PathLike[str],
    x: Data,
    t: Any,
    *,
    sample_weight: ArrayLike | None = None,
    validation: tuple[Data, Any] | list[Any] | None = None,
    layers: Iterable[type[Configured]] = (),
    callbacks: Callback | Sequence[Callback] = (),
    every: int | str | None = None,
    progress: bool | None = None,
    threads: int | None = None,
) -> tuple[Network, History]:
    """Go on with the run in a folder that `fit(..., checkpoint=cr.Checkpoint(folder))` keeps, to its end.

    Network and history have the same bits as if the training had never stopped, but for the seconds. That is
    promised on the same machine with the same versions; elsewhere it goes on, too, and warns.

    The data must be those that the run was begun with: `x`, `t`, and `sample_weight` and a pair for `validation`
    where there were any. Layers, initializers, optimizers and schedules of your own are named in `layers`, as for
    `cr.load`, and callbacks of your own given in `callbacks`, in their order; `Health` and `EarlyStopping` are made
    again. `every` changes how often there is a checkpoint. Of a run that has ended, what it came to is returned.

    Raises: FileError where there is no such run, or it is damaged; BusyError while another process goes on with
    it; DataError for other data, with what both are; DivergedError as `fit` does.
    """
    with RunFolder.reopen(folder) as run:
        if run.record.state == "ended":
            return load(run.path / MODEL, layers=_of_networks(layers)), History.load(run.path / HISTORY)
        network, train = made_ready(
            run,
            x,
            t,
            sample_weight=sample_weight,
            validation=validation,
            layers=layers,
            callbacks=callbacks,
            every=every,
            progress=progress,
            threads=threads,
            owns=True,
        )
        return network, train()


def made_ready(
    run: RunFolder,
    x: Data,
    t: Any,
    *,
    sample_weight: ArrayLike | None = None,
    validation: tuple[Data, Any] | list[Any] | None = None,
    layers: Iterable[type[Configured]] = (),
    callbacks: Callback | Sequence[Callback] = (),
    every: int | str | None = None,
    progress: bool | None = None,
    threads: int | None = None,
    owns: bool = False,
) -> tuple[Network, Callable[[], History]]:
    """The network of a run that is open, as it was at the checkpoint, and what goes on with its training."""
    path, layers = run.path / CHECKPOINT, list(layers)
    kept, arrays, network = read_checkpoint(path, layers)
    kinds, given = kinds_of(layers), checked_callbacks(callbacks)
    try:
        optimizer, states = optimizer_of(kept, kinds), states_of(kept, arrays, kinds)
        called = callbacks_of(kept, given, kinds)
        history = _history_at(run, kept)
        _refuse_other_rows(kept, t, validation)
        training = _made_again(network, kept, x, t, optimizer, sample_weight, validation, threads)
        _refuse_other_data(kept, training)
        training.restore((_of_training(network, arrays), kept.state))
    except ShapeError as error:
        raise DataError(
            f"the run was begun with other data: {str(error).partition(';')[0]}; give the same, or begin a new run"
        ) from error
    except ChainruleError:
        raise
    except Exception as error:  # what constructors raise for damaged values is open-ended
        raise FileError(f"{path} is damaged: its training cannot be made again ({error!r})") from error
    checkpoint = Checkpoint(run, every=kept.every if every is None else every, owns=owns)
    _warn_of_other_bits(kept)
    run.follow(history)
    run.go_on()
    standing = Standing(history, kept.iteration, kept.epoch, states)
    train = partial(
        training.run,
        called,
        measure_every=kept.measure_every,
        progress=progress,
        checkpoint=checkpoint,
        resumed=standing,
    )
    return network, train


def read_checkpoint(
    path: Path, layers: Sequence[type[Configured]] = ()
) -> tuple[KeptTraining, dict[str, Array], Network]:
    """What a checkpoint keeps: the training, its arrays by name, and the network. Raises FileError."""
    if not path.exists():
        raise FileError(
            f"{path.parent} has no checkpoint to go on from: the run was stopped before its first; begin it anew"
        )
    metadata, tensors = read_container(path)
    if KEPT not in metadata:
        raise FileError(f"{path} is a model and no checkpoint: it says nothing of a training")
    try:
        kept = KeptTraining.from_json(metadata[KEPT])
    except FileError as error:
        raise FileError(f"{path}: {error}") from None
    arrays = {
        name.removeprefix(TRAINING): array for name, array in tensors.items() if name.startswith(TRAINING)
    }
    network = network_of(metadata, tensors, path, known_classes(_of_networks(layers)), allow_nan=True)
    return kept, arrays, network


def _of_networks(layers: Iterable[type[Configured]]) -> list[type[Configured]]:
    """Those of the caller's classes that networks are made of."""
    return [each for each in layers if not isinstance(each, type) or issubclass(each, (Layer, Initializer))]


def _history_at(run: RunFolder, kept: KeptTraining) -> History:
    """The record as it was at the checkpoint."""
    history, run_id = read_history(run.path / HISTORY)
    for name, found in ((CHECKPOINT, kept.run_id), (HISTORY, run_id)):
        if found != run.id:
            raise FileError(
                f"{run.path / name} is of another run, {found!r}, and not of {run.id!r}, as {RUN} says: "
                f"files of two runs are mixed in the folder; put back those of one"
            )
    try:
        rewind(history, kept.marks)
    except ValueError:
        raise FileError(
            f"{run.path / HISTORY} holds {len(history.loss):,} iterations, and the checkpoint is of iteration "
            f"{kept.iteration:,}: it was cut off; the model is there all the same, "
            f"cr.load({str(run.path / CHECKPOINT)!r})"
        ) from None
    history.settings, history.stopped = kept.settings, ""
    return history


def _refuse_other_rows(kept: KeptTraining, t: Any, validation: Any) -> None:
    """Raise DataError for another number of rows, before one about the size of batches or the like would come."""
    rows = len(t) if hasattr(t, "__len__") else kept.rows
    if rows != kept.rows:
        raise DataError(
            f"the run was begun with other data: expected {kept.rows:,} rows, got {rows:,}; give the same, or "
            f"begin a new run"
        )
    if kept.held_out is not None and validation is not None:
        raise ArgumentError(
            f"validation: the run holds out a share of its data, {kept.held_out:g}, got others; leave "
            f"validation out"
        )


def _made_again(
    network: Network,
    kept: KeptTraining,
    x: Data,
    t: Any,
    optimizer: Any,
    sample_weight: ArrayLike | None,
    validation: Any,
    threads: int | None,
) -> Training:
    """A training as the one that was kept, before its state is put back."""
    batches, total = Batches(**kept.batches), json.loads(kept.state)["total"]
    whole = total is not None and total != kept.planned and total % batches.epoch_length == 0
    return network.training(
        x,
        t,
        optimizer=optimizer,
        iterations=kept.planned,
        batch_size=batches.batch_size,
        sampling=batches.sampling,
        sample_weight=sample_weight,
        validation=validation if kept.held_out is None else kept.held_out,
        seed=batches.seed,
        total_epochs=total // batches.epoch_length if whole else None,
        threads=threads,
    )


def _refuse_other_data(kept: KeptTraining, training: Training) -> None:
    """Raise DataError, with what both are, unless these are the data that the run was begun with."""
    found = fingerprints_of(training)
    for name in sorted(found.keys() | kept.fingerprints.keys()):
        had, got = kept.fingerprints.get(name, "none"), found.get(name, "none")
        if had != got:
            raise DataError(
                f"{name}: the run was begun with other data: expected shape, dtype and hash {had}, got {got}; give "
                f"the same, or begin a new run"
            )


def _of_training(network: Network, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays of `Training.state`: those of the network, and those that are kept beside it."""
    found = {PARAMETERS: network.params.flat.copy()}
    found |= {STATISTICS + name: array for name, array in network.state.items()}
    return found | {name: array for name, array in arrays.items() if not name.startswith("callbacks/")}


def _warn_of_other_bits(kept: KeptTraining) -> None:
    """Warn where the results may differ from those of a run that was never interrupted."""
    here = facts()
    names = [name for name in here if name != "threads" and kept.facts.get(name) != here[name]]
    if names:
        told = "; ".join(f"{name}: {kept.facts.get(name, 'unknown')}, here {here[name]}" for name in names)
        warn(f"the run was begun elsewhere, so its results may differ in the last bits ({told})")
