"""Checkpoints: a training kept in a run folder as it goes, so that it can go on after the process was killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.arrays import Array
from chainrule.errors import FileError, warn
from chainrule.loop import Callback, ProgressBar, Run
from chainrule.network import Network
from chainrule.network.training import Training
from chainrule.network.training_state import PARAMETERS, STATISTICS
from chainrule.saving.container import pieces_of
from chainrule.saving.intervals import interval_of
from chainrule.saving.kept_training import REBUILT, keep
from chainrule.saving.model import (
    CONSTANT,
    KEPT,
    KEY,
    RUN_ID,
    STATE,
    TRAINING,
    architecture_of,
    tensors_of,
)
from chainrule.saving.runs import CHECKPOINT, RunFolder
from chainrule.versions import facts

EVERY = "60s"
HISTORY_SECONDS, HISTORY_SHARE = 1.0, 0.002
"""Between checkpoints the history is written so often, for who watches; of the time, so much is spent on it."""


class Checkpoint(Callback):
    """Keep a training in a run folder, `fit(..., checkpoint=cr.Checkpoint("runs/mine"))`.

    The folder holds the run from its start: `run.json` says how it stands, `history.jsonl` what was recorded, and a
    checkpoint all that the training goes on from. `cr.resume("runs/mine", x, t)` then ends with the same bits as if
    it had never stopped. At the end there is the model in place of the checkpoint. A process that is killed leaves
    the last checkpoint; Ctrl-C, SIGTERM and SIGHUP leave one of that very moment.

    `every` is a number of iterations, 500, or a time, "60s", "5min" or "1h". The first checkpoint is of the start;
    the others are written by another thread while the training goes on, and take the place of the last when
    complete. One that cannot be written, since the disk is full, is a warning. What is written at the end and on
    Ctrl-C survives the machine's death too.

    With `force` the run takes the place of one that is there, which is deleted when the new one has ended.

    Raises: ArgumentError for an `every` that is none; before the first step, FileError for a folder that holds
    something, or cannot be written, and BusyError for one that another process writes.
    """

    keeps = True

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
        self._given, self.force = folder, force
        self._notes: Mapping[str, Any] = {}
        self._owns = not isinstance(folder, RunFolder) if owns is None else owns
        self._open: _Open | None = None

    def on_start(self, run: Run) -> None:
        held = self._begin(run)
        try:
            held.keep_first(run)
        except BaseException:
            held.close()
            raise

    def on_resume(self, run: Run, state: dict[str, Any]) -> None:
        self._begin(run).kept_at = run.iteration

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

    @property
    def folder(self) -> Path | None:
        """The folder it was given, where that is no run that is open already."""
        return None if isinstance(self._given, RunFolder) else Path(self._given)

    def going_on(self, run: RunFolder) -> Checkpoint:
        """The same for a run that is open again."""
        return Checkpoint(run, every=self.every, owns=True)

    def noting(self, notes: Mapping[str, Any], *, force: bool) -> Checkpoint:
        """The same for a run whose record notes these, too, beside the settings of its history."""
        made = copy(self)
        made._notes, made.force = notes, force
        return made

    def _begin(self, run: Run) -> _Open:
        folder = self._given
        if not isinstance(folder, RunFolder):
            folder = RunFolder.begin(folder, {**run.history.settings, **self._notes}, force=self.force)
        self._open = _Open(folder, str(self.every), owns=self._owns)
        return self._open

    def _keep_if_due(self, run: Run) -> None:
        assert self._open is not None
        if run.stopped or run.iteration == run.total:
            return
        if run.iteration % self._iterations == 0 if self._iterations else self._open.age >= self._seconds:
            self._open.keep(run)
        else:
            self._open.tell_history(run)


class _Open:
    """The folder of a training that is going on, and the thread that writes its checkpoints."""

    def __init__(self, folder: RunFolder, every: str, *, owns: bool) -> None:
        self._folder, self._every, self._owns = folder, every, owns
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._written: Future[None] | None = None
        self._facts, self._last, self.kept_at = facts(), time.perf_counter(), -1
        self._warned = False
        self._told_at, self._tell_cost = self._last, 0.0

    @property
    def age(self) -> float:
        """Seconds since the last checkpoint."""
        return time.perf_counter() - self._last

    def keep_first(self, run: Run) -> None:
        """Write the checkpoint of the start, before anything is trained that could not be kept.

        Raises: ArgumentError for what a checkpoint cannot hold. What cannot be written is a warning.
        """
        content = self._content(run)
        try:
            self._folder.append_history(run.history)
            self._write(*content, sync=False)
        except FileError as error:
            self._tell(error)
        self._last = time.perf_counter()

    def keep(self, run: Run, *, sync: bool = False) -> None:
        """Write a checkpoint: with `sync` at once and for certain, else while the training goes on."""
        try:
            self._wait()
            self._folder.append_history(run.history, sync=sync)  # first: a checkpoint needs its history
            self._written = self._thread.submit(self._write, *self._content(run), sync=sync)
            if sync:
                self._wait()
        except Exception as error:  # no trouble with a checkpoint ends a training
            self._tell(error)
        self._last = time.perf_counter()

    def tell_history(self, run: Run) -> None:
        """Write what is new in the history, now and then."""
        begun = time.perf_counter()
        if begun - self._told_at < max(HISTORY_SECONDS, self._tell_cost / HISTORY_SHARE):
            return
        try:
            self._folder.append_history(run.history)
        except Exception as error:  # no trouble with it ends a training
            self._tell(error)
        self._told_at = time.perf_counter()
        self._tell_cost = self._told_at - begun

    def _content(self, run: Run) -> tuple[int, dict[str, Array], dict[str, str]]:
        """The iteration, copies of the arrays, and the texts of a checkpoint."""
        training = _training_of(run)
        arrays, kept = keep(
            run,
            _kept(run.callbacks),
            every=self._every,
            facts=self._facts,
        )
        texts = {KEY: architecture_of(training.network), RUN_ID: self._folder.id, KEPT: kept.to_json()}
        return run.iteration, _by_names(training.network, arrays), texts

    def _write(self, iteration: int, arrays: dict[str, Array], texts: dict[str, str], *, sync: bool) -> None:
        pieces = pieces_of(arrays, texts)
        self._folder.write(CHECKPOINT, lambda file: file.writelines(pieces), sync=sync)
        self.kept_at = iteration

    def _wait(self) -> None:
        """Wait for the checkpoint that is being written. Raises what kept it from being."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _tell(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            last = "there is none yet" if self.kept_at < 0 else f"the last is of iteration {self.kept_at:,}"
            warn(f"no checkpoint could be kept: {error}. The training goes on without; {last}")

    def end(self, run: Run) -> None:
        """Keep the history and the model, and let go of the folder unless it is another's."""
        try:
            try:
                self._wait()
            except Exception as error:
                self._tell(error)
            if self._owns:
                self._keep_end(run)
            else:
                self._folder.append_history(run.history, sync=True)
        finally:
            self.close()

    def close(self) -> None:
        """End the thread, and let go of the folder unless it is another's."""
        try:
            self._thread.shutdown()
        finally:
            if self._owns:
                self._folder.close()

    def _keep_end(self, run: Run) -> None:
        """Keep the history, the model, and how it ended: what can be, where something cannot."""
        folder, lost = self._folder, []
        steps: list[Callable[[], object]] = [partial(folder.append_history, run.history, sync=True)]
        if not run.failed:
            steps.append(partial(folder.keep_model, _training_of(run).network))
        for step in steps:
            try:
                step()
            except Exception as error:  # a full disk, or what a user has put into the settings
                lost.append(str(error))
        stopped = run.history.stopped
        try:
            if not lost and (run.failed or run.interrupted):
                folder.interrupt(stopped)
            elif not lost:
                folder.end(stopped)
        except FileError as error:
            lost.append(str(error))
        if lost:
            warn(
                f"the run could not be kept: {'; '.join(lost)}. Keep what it came to with cr.save(net, path) and "
                f"history.save(path)"
            )
        elif run.failed or run.interrupted:
            warn(
                f"{stopped} after {run.iteration:,} of {run.total:,} iterations; go on with {self._call(run)}"
            )

    def _call(self, run: Run) -> str:
        """The call that goes on, with all that it asks for."""
        if own := [each.goes_on_with for each in run.callbacks if each.goes_on_with]:
            return own[0]
        training = _training_of(run)
        given = ["sample_weight=..."] if "sample_weight" in training.data else []
        if training.validation is not None and training.held_out is None:
            given.append("validation=...")
        own = [type(node.layer).__name__ for node in training.network.graph if is_own(node.layer)]
        own += [
            type(each).__name__ for each in (training.optimizer, training.optimizer.schedule) if is_own(each)
        ]
        if own:
            given.append(f"layers=[{', '.join(dict.fromkeys(own))}]")
        if called := [type(each).__name__ for each in _kept(run.callbacks) if type(each) not in REBUILT]:
            given.append(f"callbacks=[{', '.join(f'{name}(...)' for name in called)}]")
        return f"cr.resume({', '.join([repr(str(self._folder.path)), 'x', 't', *given])})"


def is_own(each: object) -> bool:
    """Whether it is of a class of the user's."""
    return each is not None and not type(each).__module__.startswith("chainrule.")


def _kept(callbacks: Sequence[Callback]) -> list[Callback]:
    """Those that a checkpoint keeps the state of."""
    return [each for each in callbacks if not each.keeps and not isinstance(each, ProgressBar)]


def _training_of(run: Run) -> Training:
    assert isinstance(run.training, Training)
    return run.training


def _by_names(network: Network, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays of a state by their names in the file, where those of the network stand as in a model."""
    own = tensors_of(network)  # which refuses names that the file cannot hold
    found: dict[str, Array] = {name: array for name, array in own.items() if name.startswith(CONSTANT)}
    found |= network.params.like(arrays[PARAMETERS])
    for name, array in arrays.items():
        if name.startswith(STATISTICS):
            found[STATE + name.removeprefix(STATISTICS)] = array
        elif name != PARAMETERS:
            found[TRAINING + name] = array
    return found
