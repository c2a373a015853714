"""The training loop. It knows a step, not a network."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.arguments import whole_number
from chainrule.errors import DivergedError
from chainrule.loop.callbacks import Callback, Run, Trainee
from chainrule.loop.history import History
from chainrule.loop.interrupts import Interrupts
from chainrule.loop.pace import Pace

SECONDS = 0.05  # between looks at Ctrl-C, the progress bar and the callbacks


@dataclass(frozen=True)
class Standing:
    """How far a training has come that is to go on: its record, and what its callbacks had gathered, in order."""

    history: History
    iteration: int = 0
    epoch: int = 0
    states: Sequence[dict[str, Any]] = ()


def train(
    training: Trainee,
    iterations: int,
    callbacks: Sequence[Callback] = (),
    *,
    measure_every: int = 1,
    settings: Mapping[str, Any] | None = None,
    resumed: Standing | None = None,
) -> History:
    """Do so many steps, measure after every epoch or every few, and record all, with `settings` noted beside.

    A training that is `resumed` goes on with the record that it has, until all `iterations` are done.

    Steps are done some at a time, for about a twentieth of a second. Ctrl-C ends the training after them, with the
    history and the weights kept; a second Ctrl-C interrupts at once.
    Raises DivergedError, with the record so far as its `history`, when a step diverges.
    """
    at = resumed or Standing(History(settings=dict(settings or {})))
    history = at.history
    run = Run(training, history, iterations, callbacks, measure_every, at.iteration, at.epoch)
    pace, start = Pace(SECONDS), time.perf_counter() - (history.seconds[-1] if history.seconds else 0.0)
    with Interrupts() as interrupts:
        started: list[Callback] = []
        try:
            for k, callback in enumerate(callbacks):
                is_kept = k < len(at.states)
                if resumed is None or not (is_kept or callback.keeps):  # one that is new to the training
                    callback.on_start(run)
                else:
                    callback.on_resume(run, at.states[k] if is_kept else {})
                started.append(callback)
            rhythms = _rhythms(callbacks)
            while run.iteration < run.total and not run.stopped:
                before = time.perf_counter() - start
                losses = training.steps(_steps_together(run, pace, rhythms))
                now = time.perf_counter() - start
                history.add_iterations(losses, training.rates, before, now)
                pace.note(len(losses), now - before)
                run.iteration += len(losses)
                for callback in callbacks:
                    if _is_its_turn(callback, run):
                        callback.on_iteration(run)
                if not run.stopped:
                    _end_of_epoch(run, callbacks, measure_every)
                if not run.stopped and interrupts.asked and run.iteration < run.total:
                    run.stop("interrupted")
                    run.interrupted = True
                    for callback in callbacks:
                        callback.on_interrupt(run)
        except DivergedError as error:
            run.stopped = f"diverged: {error}"
            error.history = error.history or history
            history.settings["diverged_by"] = error.cause
            raise
        except BaseException as error:
            run.stopped, run.failed = f"failed: {type(error).__name__}", True
            raise
        finally:
            history.stopped = run.stopped or "finished"
            with contextlib.ExitStack() as stack:  # each is told of the end, whatever another raises
                for callback in reversed(started):
                    stack.callback(callback.on_end, run)
    return history


def _end_of_epoch(run: Run, callbacks: Sequence[Callback], measure_every: int) -> None:
    """What is due where an epoch ends; the end of the training inside an epoch is such a place too."""
    at_the_end = run.iteration == run.total
    if not at_the_end and not run.training.is_between_epochs:
        return
    run.epoch += 1
    if at_the_end or run.epoch % measure_every == 0:
        run.history.add_measures(run.training.measure())
    for callback in callbacks:
        callback.on_epoch(run)


def _steps_together(run: Run, pace: Pace, rhythms: Sequence[int]) -> int:
    """How many steps to do before anything else is due."""
    due = (every - run.iteration % every for every in rhythms)
    return min(pace.steps, run.total - run.iteration, run.training.left_of_epoch, *due)


def _rhythms(callbacks: Sequence[Callback]) -> list[int]:
    """After how many iterations each callback is to be called, of those that say so."""
    rhythms = []
    for callback in callbacks:
        every = callback.every_iteration
        if not isinstance(every, bool):
            whole_number(f"{type(callback).__name__}.every_iteration", every, 1)
        if every and type(callback).on_iteration is not Callback.on_iteration:
            rhythms.append(int(every))
    return rhythms


def _is_its_turn(callback: Callback, run: Run) -> bool:
    every = callback.every_iteration
    return not every or run.iteration % every == 0 or run.iteration == run.total
