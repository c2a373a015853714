"""Going on with a training from its last checkpoint."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.arrays import Array, ArrayLike
from chainrule.configured import Configured
from chainrule.errors import ArgumentError, ChainruleError, DataError, FileError, ShapeError, warn
from chainrule.initializers import Initializer
from chainrule.layers import Layer
from chainrule.loop import Batches, Callback, History, Standing
from chainrule.loop.history_lines import read_history, rewind
from chainrule.network import Network
from chainrule.network.feeds import Data
from chainrule.network.labels import Label
from chainrule.network.making import checked_callbacks
from chainrule.network.training import Training
from chainrule.network.training_state import PARAMETERS, STATISTICS
from chainrule.optimizers import Optimizer
from chainrule.saving.architecture import decode, known_classes
from chainrule.saving.checkpoint import Checkpoint
from chainrule.saving.container import read_container
from chainrule.saving.kept_training import (
    CALLBACKS,
    KeptTraining,
    callbacks_of,
    kinds_of,
    optimizer_of,
    states_of,
)
from chainrule.saving.model import KEPT, RUN_ID, TRAINING, load, network_of
from chainrule.saving.runs import CHECKPOINT, HISTORY, MODEL, RUN, RunFolder
from chainrule.versions import facts


def resume(
    folder: str | os.PathLike[str],
    x: Data,
    t: Any,
    *,
    sample_weight: ArrayLike | None = None,
    validation: tuple[Data, Any] | list[Any] | float | None = None,
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
    again. `every` changes the interval of the checkpoints. If the run has ended, its network and history are
    returned.

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
            threads=threads,
            owns=True,
        )
        return network, train(progress=progress)


def made_ready(
    run: RunFolder,
    x: Data,
    t: Any,
    *,
    validation: tuple[Data, Any] | list[Any] | float | None = None,
    layers: Iterable[type[Configured]] = (),
    callbacks: Callback | Sequence[Callback] = (),
    every: int | str | None = None,
    owns: bool = False,
    **more: Any,
) -> tuple[Network, Callable[..., History]]:
    """The network of a run that is open, as it was at the checkpoint, and what goes on with its training.

    The arguments are those of `resume`; `more` goes to `Network.training`.
    """
    path = run.path / CHECKPOINT
    layers = [layers] if isinstance(layers, type) else list(layers)  # type: ignore[list-item]  # a class is forgiven
    kinds, given = kinds_of(layers), checked_callbacks(callbacks)
    run_id, kept, arrays, network = read_checkpoint(path, layers)
    classes = network.classes
    try:
        optimizer, states = optimizer_of(kept, kinds), states_of(kept, arrays, kinds)
        called = callbacks_of(kept, given, kinds)
        history = _history_at(run, run_id, kept)
        _refuse_other_arguments(kept, t, validation)
        training = _made_again(network, kept, x, t, optimizer, validation, **more)
        _refuse_other_data(kept, training, classes)
        training.restore((_of_training(network, arrays), kept.state))
        if training.iteration != kept.iteration:
            raise FileError(
                f"{path} is damaged: it is of iteration {kept.iteration}, and of {training.iteration}"
            )
    except ShapeError as error:
        raise DataError(
            f"the run was begun with other data: {str(error).partition(';')[0]}; give the same, or begin a new run"
        ) from error
    except ChainruleError:
        raise
    except Exception as error:  # what constructors raise for damaged values is open-ended
        raise FileError(
            f"{path} is damaged: its training cannot be made again ({repr(error)[:200]})"
        ) from error
    checkpoint = Checkpoint(run, every=kept.every if every is None else every, owns=owns)
    _warn_of_other_bits(kept)
    run.follow(history)
    run.go_on()
    standing = Standing(history, kept.iteration, kept.epoch, states)
    train = partial(
        training.run,
        called,
        measure_every=kept.measure_every,
        checkpoint=checkpoint,
        resumed=standing,
    )
    return network, train


def restored(run: RunFolder, training: Training, layers: Iterable[type[Configured]] = ()) -> Standing:
    """Put a training that was made as that of an open run to where its checkpoint left it: what goes on from there.

    Raises: FileError where there is no checkpoint, or it is damaged; DataError for other data; ArgumentError for a
    training with other settings. Nothing has then changed.
    """
    run_id, kept, arrays, network = read_checkpoint(run.path / CHECKPOINT, list(layers))
    history = _history_at(run, run_id, kept)
    _refuse_other_data(kept, training, network.classes)
    if kept.planned != training.planned:
        raise ArgumentError(
            f"the run was begun for {kept.planned:,} iterations, got {training.planned:,}; give the same settings"
        )
    states = states_of(kept, arrays, {})
    training.restore((_of_training(network, arrays), kept.state))
    _warn_of_other_bits(kept)
    run.follow(history)
    run.go_on()
    return Standing(history, kept.iteration, kept.epoch, states)


class ReadCheckpoint(NamedTuple):
    """What a checkpoint keeps."""

    run_id: str
    training: KeptTraining
    #: Of the training, by name.
    arrays: dict[str, Array]
    network: Network


def read_checkpoint(path: Path, layers: Sequence[type[Configured]] = ()) -> ReadCheckpoint:
    """Read a checkpoint. Raises FileError for what is none."""
    if not path.exists():
        raise FileError(
            f"{path.parent} has no checkpoint to go on from: none was to be kept, or the run was stopped "
            f"before its first; begin it anew"
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
    try:
        network = network_of(metadata, tensors, path, known_classes(_of_networks(layers)), allow_nan=True)
    except FileError as error:
        raise FileError(str(error).replace("cr.load(path,", "cr.resume(folder, x, t,")) from None
    return ReadCheckpoint(metadata.get(RUN_ID, ""), kept, arrays, network)


def _of_networks(layers: Iterable[type[Configured]]) -> list[type[Configured]]:
    """Those of the caller's classes that networks are made of."""
    return [each for each in layers if not isinstance(each, type) or issubclass(each, (Layer, Initializer))]


def _history_at(run: RunFolder, run_id: str, kept: KeptTraining) -> History:
    """The record as it was at the checkpoint."""
    history, of_run = read_history(run.path / HISTORY)
    for name, found in ((CHECKPOINT, run_id), (HISTORY, of_run)):
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
    settings = decode(kept.settings, {})
    if not isinstance(settings, dict):
        raise FileError(f"{run.path / CHECKPOINT} is damaged: the settings of its history are {settings!r}")
    history.settings = settings
    return history


def _refuse_other_arguments(kept: KeptTraining, t: Any, validation: Any) -> None:
    """Raise DataError for another number of rows, before one about the size of batches or the like would come, and
    ArgumentError for another share to hold out.
    """
    rows = kept.rows
    with contextlib.suppress(TypeError):
        rows = len(t)
    if rows != kept.rows:
        raise DataError(
            f"the run was begun with other data: expected {kept.rows:,} rows, got {rows:,}; give the same, or "
            f"begin a new run"
        )
    is_share = isinstance(validation, Real)
    if (kept.held_out is not None or is_share) and validation not in (None, kept.held_out):
        had = "no share" if kept.held_out is None else f"a share of {kept.held_out:g}"
        got = f"{validation:g}" if is_share else "other data"
        raise ArgumentError(
            f"validation: the run holds out {had} of its data, got {got}; leave validation out"
        )


def _made_again(
    network: Network,
    kept: KeptTraining,
    x: Data,
    t: Any,
    optimizer: Optimizer,
    validation: Any,
    **more: Any,
) -> Training:
    """A training as the one that was kept, before its state is put back."""
    batches = Batches(**kept.batches)
    training = network.training(
        x,
        t,
        optimizer=optimizer,
        iterations=kept.planned - kept.iteration,
        batch_size=batches.batch_size,
        sampling=batches.sampling,
        validation=validation if kept.held_out is None else kept.held_out,
        seed=batches.seed,
        **more,
    )
    training.planned, training.progress.total = kept.planned, json.loads(kept.state)["total"]
    return training


def _refuse_other_data(kept: KeptTraining, training: Training, classes: list[Label] | None) -> None:
    """Raise DataError, with what both are, unless these are the data that the run was begun with."""
    if training.network.classes != classes:
        had = "numbers of classes" if classes is None else f"the classes {classes}"
        raise DataError(
            f"t: the run was begun with {had}, got labels, {training.network.classes}; give the same, or "
            f"begin a new run"
        )
    found = training.fingerprints
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
    return found | {name: array for name, array in arrays.items() if not name.startswith(CALLBACKS)}


def _warn_of_other_bits(kept: KeptTraining) -> None:
    """Warn where the results may differ from those of a run that was never interrupted."""
    here = facts()
    names = [name for name in here if name != "threads" and kept.facts.get(name) != here[name]]
    if names:
        told = "; ".join(f"{name}: {kept.facts.get(name, 'unknown')}, here {here[name]}" for name in names)
        warn(f"the run was begun elsewhere, so its results may differ in the last bits ({told})")
