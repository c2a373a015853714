"""The training loop. It knows a step, not a network."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from chainrule.arguments import one_of, whole_number
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, DivergedError
from chainrule.loop.callbacks import Callback, Run, Trainee
from chainrule.loop.history import History
from chainrule.randomness import Purpose, stream

Sampling = Literal["shuffle", "replacement"]
CHUNK_SECONDS = 0.05  # between looks at Ctrl-C, the progress bar and the callbacks
SAMPLINGS = ("shuffle", "replacement")


@dataclass(frozen=True)
class Plan:
    """How long to train and on which batches.

    `samples` rows of data, in batches of `batch_size`. "shuffle" goes through all the data in a new order every
    epoch, the last batch of an epoch being what is left; "replacement" draws every row independently, and its
    epoch is `samples // batch_size` iterations. `first` is the number of iterations done in earlier trainings,
    so that a second training does not repeat the draws of the first. What is left of an epoch joins the batch
    before it when it has fewer than `least` rows.
    """

    samples: int
    iterations: int
    batch_size: int
    sampling: Sampling
    seed: int
    first: int = 0
    least: int = 1

    @classmethod
    def make(
        cls,
        samples: int,
        *,
        epochs: int | None,
        iterations: int | None,
        batch_size: int,
        sampling: str,
        seed: int,
        first: int = 0,
        least: int = 1,
    ) -> Plan:
        """Check the arguments of `fit` and turn epochs into iterations."""
        epochs = None if epochs is None else whole_number("epochs", epochs, 1)
        iterations = None if iterations is None else whole_number("iterations", iterations, 1)
        batch_size, seed = whole_number("batch_size", batch_size, 1), whole_number("seed", seed, 0)
        if batch_size > samples:
            raise ArgumentError(
                f"batch_size: expected at most the number of samples, {samples}, got {batch_size}"
            )
        one_of("sampling", sampling, SAMPLINGS)
        if (epochs is None) == (iterations is None):
            raise ArgumentError(
                "say how long to train: either epochs= or iterations="
                + (", not both" if epochs is not None else "")
            )
        plan = cls(samples, iterations or 1, batch_size, sampling, seed, first, least)  # type: ignore[arg-type]  # checked
        return plan if epochs is None else cls(**{**vars(plan), "iterations": epochs * plan.epoch_length})

    @property
    def epoch_length(self) -> int:
        """How many iterations an epoch has."""
        left = self.samples % self.batch_size
        return self.samples // self.batch_size + (self.sampling == "shuffle" and left > 0 and not self.joins)

    @property
    def joins(self) -> bool:
        """Whether what is left of an epoch joins the batch before it."""
        return self.sampling == "shuffle" and 0 < self.samples % self.batch_size < self.least

    @property
    def largest(self) -> int:
        """The rows of the largest batch."""
        return self.batch_size + (self.samples % self.batch_size if self.joins else 0)

    def batches(self) -> Iterator[Array]:
        """The row numbers of each batch, in order."""
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[Array]:
        """The row numbers of batches of one size, a row each: an epoch, or its smaller last batch."""
        done = 0
        for epoch in range(-(-self.iterations // self.epoch_length)):
            rng = stream(self.seed, Purpose.SAMPLE, self.first, epoch)
            whole = self.samples // self.batch_size - self.joins
            if self.sampling == "shuffle":
                order = rng.permutation(self.samples)
                parts = [
                    order[: whole * self.batch_size].reshape(whole, self.batch_size),
                    order[None, whole * self.batch_size :],
                ]
            else:
                parts = [rng.integers(self.samples, size=(whole, self.batch_size))]
            for part in parts:
                block = part[: self.iterations - done]
                if block.size:
                    yield block
                    done += len(block)


def train(
    trainee: Trainee,
    plan: Plan,
    callbacks: Sequence[Callback] = (),
    settings: Mapping[str, Any] | None = None,
) -> History:
    """Do the steps of the plan, one batch after another, and record them, with `settings` noted beside.

    Steps are done some at a time, for about a twentieth of a second, where the trainee is faster so. Ctrl-C
    ends the training after them, with the history and the weights kept; a second Ctrl-C interrupts at once.
    Raises DivergedError, with the record so far as its `history`, when a step diverges.
    """
    history = History(settings=dict(settings or {}))
    run = Run(trainee, history, plan.iterations, plan.seed)
    start = time.perf_counter()
    with _stopping_on_interrupt(run):
        for callback in callbacks:
            callback.on_start(run)
        try:
            for batches in _in_chunks(plan, trainee, callbacks, run):
                before = time.perf_counter() - start
                losses, rates = trainee.steps(batches, run.iteration, plan.iterations)
                history.add_iterations(losses, rates, before, time.perf_counter() - start)
                run.iteration += len(losses)
                for callback in callbacks:
                    if _is_its_turn(callback, run):
                        callback.on_iteration(run)
                if run.stopped:
                    break
                if run.iteration % plan.epoch_length == 0 or run.iteration == plan.iterations:
                    run.epoch += 1
                    history.add_measures(trainee.measure())
                    for callback in callbacks:
                        callback.on_epoch(run)
                if run.stopped:
                    break
        except DivergedError as error:
            run.stopped = f"diverged: {error}"
            error.history = history
            raise
        except BaseException as error:
            run.stopped, run.failed = f"failed: {type(error).__name__}", True
            raise
        finally:
            history.stopped = run.stopped or "finished"
            for callback in callbacks:
                callback.on_end(run)
    return history


def _in_chunks(plan: Plan, trainee: Trainee, callbacks: Sequence[Callback], run: Run) -> Iterator[Array]:
    """The batches of the plan, as many at a time as the trainee likes and the clock and the callbacks allow."""
    rhythms = _rhythms(callbacks)
    seconds = run.history.seconds
    for block in plan.blocks():
        done = 0
        while done < len(block):
            pace = seconds[-1] - seconds[-2] if len(seconds) > 1 else CHUNK_SECONDS
            quick = max(1, int(CHUNK_SECONDS / max(pace, 1e-9)))
            before = run.iteration
            many = min(trainee.together, quick, *(every - before % every for every in rhythms))
            yield block[done : done + many]
            done += run.iteration - before


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


@contextlib.contextmanager
def _stopping_on_interrupt(run: Run) -> Iterator[None]:
    """Let the first Ctrl-C ask for a stop after the present step. Only the main thread receives signals.

    Where Ctrl-C is ignored, as in a shell script's background job, it stays so.
    """
    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or before in (None, signal.SIG_IGN):
        yield
        return

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        run.stop("interrupted")
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask_to_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
