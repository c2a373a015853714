"""Checkpoints: a training kept in a run folder as it goes, so that it can go on after the process was killed."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, FileError, warn
from chainrule.loop import Callback, ProgressBar, Run
from chainrule.network.training import Training
from chainrule.network.training_state import PARAMETERS, STATISTICS
from chainrule.saving.architecture import constants_of
from chainrule.saving.container import pieces_of
from chainrule.saving.kept_training import KeptTraining, fingerprints_of, keep
from chainrule.saving.model import CONSTANT, KEY, STATE, TRAINING, architecture_of
from chainrule.saving.runs import CHECKPOINT, RunFolder
from chainrule.versions import facts

EVERY = "60s"
UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
KEPT = "training"
"""The key of the training in the file's metadata, beside that of the architecture."""


class Checkpoint(Callback):
    """Keep a training in a run folder, `fit(..., checkpoint=cr.Checkpoint("runs/mine"))`.

    The folder holds the run from its start: `run.json` says how it stands, `history.jsonl` what was recorded, and a
    checkpoint all that the training goes on from. `cr.resume("runs/mine", x, t)` then ends with the same bits as if
    it had never stopped. At the end there is the model in place of the checkpoint. A process that is killed leaves
    the last checkpoint; Ctrl-C, SIGTERM and SIGHUP leave one of that very moment.

    `every` is a number of iterations, 500, or a time, "60s", "5min" or "1h". A checkpoint is written by another
    thread while the training goes on, and takes the place of the last when it is complete. One that cannot be
    written, since the disk is full, is a warning. What is written at the end and on Ctrl-C survives the machine's
    death too.

    With `force` the run takes the place of one that is there, which is deleted when the new one has ended.

    Raises: ArgumentError for an `every` that is none; before the first step, FileError for a folder that holds
    something, or cannot be written, and BusyError for one that another process writes.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | RunFolder,
        *,
        every: int | str = EVERY,
        force: bool = False,
        owns: bool | None = None,
    ) -> None:
        self.every = every
        self._iterations, self._seconds = interval_of(every)
        self.every_iteration = self._iterations or False
        self._given, self._force = folder, force
        self._owns = not isinstance(folder, RunFolder) if owns is None else owns
        self._open: _Open | None = None

    def on_start(self, run: Run) -> None:
        self._begin(run).keep(run)

    def on_resume(self, run: Run, state: dict[str, Any]) -> None:
        self._begin(run)

    def on_iteration(self, run: Run) -> None:
        if not run.training.is_between_epochs:  # else on_epoch comes, when all is done that is due there
            self._keep_if_due(run)

    def on_epoch(self, run: Run) -> None:
        self._keep_if_due(run)

    def on_interrupt(self, run: Run) -> None:
        assert self._open is not None
        self._open.keep(run, sync=True)

    def on_end(self, run: Run) -> None:
        held, self._open = self._open, None
        assert held is not None
        held.end(run)

    def _begin(self, run: Run) -> _Open:
        if run.callbacks[-1:] != [self] or not isinstance(run.training, Training):
            raise ArgumentError(
                "Checkpoint: expected it as fit(..., checkpoint=cr.Checkpoint(...)), got it among the callbacks"
            )
        folder = self._given
        if not isinstance(folder, RunFolder):
            folder = RunFolder.begin(folder, run.history.settings, force=self._force)
        self._open = _Open(folder, str(self.every), owns=self._owns)
        return self._open

    def _keep_if_due(self, run: Run) -> None:
        assert self._open is not None
        if run.stopped or run.iteration == run.total:
            return
        if run.iteration % self._iterations == 0 if self._iterations else self._open.age >= self._seconds:
            self._open.keep(run)


class _Open:
    """The folder of a training that is going on, and the thread that writes its checkpoints."""

    def __init__(self, folder: RunFolder, every: str, *, owns: bool) -> None:
        self._folder, self._every, self._owns = folder, every, owns
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._written: Future[None] | None = None
        self._facts, self._fingerprints = facts(), dict[str, str]()
        self._last, self._kept_at = time.perf_counter(), -1
        self._warned = False

    @property
    def age(self) -> float:
        """Seconds since the last checkpoint."""
        return time.perf_counter() - self._last

    def keep(self, run: Run, *, sync: bool = False) -> None:
        """Write a checkpoint: with `sync` at once and for certain, else while the training goes on."""
        training = run.training
        assert isinstance(training, Training)
        try:
            self._wait()
            self._folder.append_history(run.history, sync=sync)  # first: a checkpoint needs its history
            arrays, kept = keep(
                run,
                [each for each in run.callbacks if not isinstance(each, (Checkpoint, ProgressBar))],
                run_id=self._folder.id,
                every=self._every,
                facts=self._facts,
                fingerprints=self._fingerprints,
            )
            tensors, architecture = _of_network(training, arrays)
            written = self._thread.submit(self._write, training, tensors, architecture, kept, sync)
            self._written = written
            if sync:
                self._wait()
        except FileError as error:
            self._tell(error)
        self._last = time.perf_counter()

    def _write(
        self,
        training: Training,
        tensors: dict[str, Array],
        architecture: str,
        kept: KeptTraining,
        sync: bool,
    ) -> None:
        if not self._fingerprints:
            self._fingerprints = fingerprints_of(training)
            kept = replace(kept, fingerprints=self._fingerprints)
        pieces = pieces_of(tensors, {KEY: architecture, "run": self._folder.id, KEPT: kept.to_json()})
        self._folder.write(CHECKPOINT, lambda file: file.writelines(pieces), sync=sync)
        self._kept_at = kept.iteration

    def _wait(self) -> None:
        """Wait for the checkpoint that is being written. Raises FileError where it could not be."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _tell(self, error: FileError) -> None:
        if not self._warned:
            self._warned = True
            last = "there is none yet" if self._kept_at < 0 else f"the last is of iteration {self._kept_at:,}"
            warn(f"no checkpoint could be kept: {error}. The training goes on; {last}")

    def end(self, run: Run) -> None:
        """Keep what the training came to, and let go of the folder unless it is another's."""
        try:
            self._wait()
        except FileError as error:
            self._tell(error)
        self._thread.shutdown()
        try:
            self._folder.append_history(run.history, sync=True)
            if self._owns:
                self._keep_end(run)
        except FileError as error:
            warn(
                f"the run could not be kept: {error}. Keep what it came to with cr.save(net, path) and "
                f"history.save(path)"
            )
        finally:
            if self._owns:
                self._folder.close()

    def _keep_end(self, run: Run) -> None:
        training = run.training
        assert isinstance(training, Training)
        if not run.failed:
            self._folder.keep_model(training.network)
        if run.failed or run.stopped == "interrupted":
            self._folder.interrupt(run.history.stopped)
            warn(
                f"{run.history.stopped} after {run.iteration:,} of {run.total:,} iterations; go on with "
                f"cr.resume({str(self._folder.path)!r}, x, t)"
            )
        else:
            self._folder.end(run.history.stopped)


def interval_of(every: Any) -> tuple[int, float]:
    """How many iterations, or seconds, are between two checkpoints; the other is 0. Raises ArgumentError."""
    text = str(every).strip().lower()
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?) ?([a-z]*)", text)
    if not isinstance(every, bool) and isinstance(every, (int, str)) and found:
        number, unit = float(found[1]), found[2]
        if number > 0 and not unit and number.is_integer():
            return int(number), 0.0
        if number > 0 and unit in UNITS:
            return 0, number * UNITS[unit]
    raise ArgumentError(
        f'every: expected a number of iterations, such as 500, or a time, such as "60s", "5min" or "1h", '
        f"got {every!r}"
    )


def _of_network(training: Training, arrays: dict[str, Array]) -> tuple[dict[str, Array], str]:
    """The arrays of a checkpoint's file, of those of the training's state, and the architecture."""
    network = training.network
    tensors: dict[str, Array] = dict(network.params.like(arrays[PARAMETERS]))
    tensors |= {CONSTANT + name: value for name, value in constants_of(network).items()}
    for name, array in arrays.items():
        if name.startswith(STATISTICS):
            tensors[STATE + name.removeprefix(STATISTICS)] = array
        elif name != PARAMETERS:
            tensors[TRAINING + name] = array
    return tensors, architecture_of(network)
