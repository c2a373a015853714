"""Training: a program with the parameters, the optimizer's state, a place in the order of batches, and the data."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from chainrule.arguments import is_number, number, whole_number
from chainrule.arrays import Array, fingerprint
from chainrule.errors import ArgumentError, BusyError, DataError
from chainrule.loop import (
    Batches,
    Callback,
    History,
    Interrupts,
    Pace,
    ProgressBar,
    Standing,
    is_watched,
    train,
)
from chainrule.loop.batches import Rows
from chainrule.network.divergence import diverged_by_update, diverged_in_step
from chainrule.network.health import NetworkExaminer, seconds_of, steps_worth
from chainrule.network.programs import measured
from chainrule.network.scales import warn_of_nothing_learnt
from chainrule.network.training_state import put_state, state_of
from chainrule.optimizers import Optimizer
from chainrule.randomness import Purpose, stream
from chainrule.sparse import SparseRows, sparse_names

if TYPE_CHECKING:
    from chainrule.network.network import Network

SECONDS = 0.1  # in one call of the machine, at most
Snapshot = tuple[Array, dict[str, Array]]


class Training:
    """A training of a network, step by step: `net.training(x, t, ...)` makes one, and `fit` runs one.

    It owns what training needs: the program, the optimizer's state, the place in the order of batches, and the
    data. A network has one at a time. The last one made may go on; inside `with net.training(...) as training:`
    no other can be made, and other threads cannot assign parameters.

    Raises: BusyError from every call when the network is being trained elsewhere, or another training of it was
    made since.
    """

    def __init__(
        self,
        network: Network,
        data: dict[str, Array],
        optimizer: Optimizer,
        batches: Batches,
        *,
        validation: dict[str, Array] | None = None,
        threads: int | None = None,
        steps: int | None = None,
        total: int | None = None,
        fresh: bool = False,
    ) -> None:
        self.network, self.optimizer, self.batches = network, optimizer, batches
        #: How many steps this training has done, and how many were planned, 0 where none were.
        self.iteration, self.planned = 0, steps or 0
        #: The learning rates of the last call's steps.
        self.rates: list[float] = []
        #: The learning rate of the next steps, in place of that of the optimizer's schedule; None: the schedule's.
        self.learning_rate: float | None = None
        #: The share of the data that was held out for validation, where it was a share.
        self.held_out: float | None = None
        self.data, self.validation, self._threads = data, validation, threads
        self._pace = Pace(SECONDS)
        self._interrupted = False
        self._held: contextlib.ExitStack | None = None
        self._holder = 0
        weighted, sparse = "sample_weight" in data, sparse_names(data)
        self.program = network.program(batches.largest, data["t"], weighted, sparse)
        with network.callers.training():  # last, so that what is refused has changed nothing
            self.progress = network.progress.next(
                network, optimizer, batches, steps=steps, total=total, fresh=fresh
            )
            self._refuse_empty_batches()
            assert self.progress.state is not None
            self.optimizer_state = self.progress.state
            self._trainer = network.programs.training_with(self.program, optimizer, self.optimizer_state)
            network.progress = self.progress

    def __repr__(self) -> str:
        return (
            f"<Training: {self.iteration:,} steps done, in epoch {self.progress.place[0] + 1:,} of the network, "
            f"{self.optimizer!r}, batches of {self.batches.batch_size:,}>"
        )

    def _refuse_empty_batches(self) -> None:
        """Raise DataError where one of the planned batches has rows of weight 0 only: its mean loss is 0 / 0."""
        weights = self.data.get("sample_weight")
        loss = self.network.loss_layer
        useful = None if loss is None else loss.useful_rows(self.data["t"])
        if weights is not None:
            useful = weights > 0 if useful is None else useful & (weights > 0)
        found = None if useful is None else self.progress.batch_without(useful, self.planned)
        if found is not None:
            what = "sample_weight" if weights is not None else "weight of the class"
            raise DataError(
                f"batch {found[1] + 1} of epoch {found[0] + 1} would hold only rows whose {what} is 0, so that "
                f"there is nothing to average: leave the rows of weight 0 out, or give a larger batch_size "
                f"than {self.batches.batch_size}"
            )

    # One at a time --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        # What is held does not hold this training: a block that Ctrl-C keeps from ending ends with the training.
        from chainrule.native.blas import one_thread

        with contextlib.ExitStack() as stack:
            stack.enter_context(self.network.callers.training())
            stack.enter_context(one_thread())
            self._check_last()
            self._holder = threading.get_ident()
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            if kind is None or issubclass(kind, Exception):  # nobody knows what Ctrl-C left undone
                self.network.programs.trainer = self._trainer
            held.close()
        if kind is None:
            self._raise_interrupt()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """The network is this training's alone, and BLAS has one thread, for what stands between the steps, too."""
        if self._held is None:
            with self:
                yield
        elif self._holder == threading.get_ident():
            yield
        else:
            raise BusyError("another thread holds this training in a with block: wait until that has ended")

    def _check_last(self) -> None:
        if self.network.progress is not self.progress:
            raise BusyError(
                "another training of this network was made since this one: go on with that, or make a new one, "
                "net.training(...), which goes on where the last one stopped"
            )

    # Steps ----------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """How many epochs are done, counted from the network's first."""
        self._check_last()
        return self.progress.place[0]

    @property
    def left_of_epoch(self) -> int:
        """How many steps there are to the end of the epoch, at least 1."""
        self._check_last()
        return self.batches.epoch_length - self.progress.place[1]

    @property
    def is_between_epochs(self) -> bool:
        """Whether no epoch has begun that is not done."""
        self._check_last()
        return self.progress.place[1] == 0

    def steps(self, n: int) -> list[float]:
        """Do n steps: forward, backward and update on one batch each. Returns the losses, before each update.

        The machine is called for at most a tenth of a second at a time. Ctrl-C is heard in between: the losses
        of the steps done by then are returned, fewer than n, and the next call, or the end of the `with` block,
        raises KeyboardInterrupt. They are fewer, too, when the next step diverges: the next call then raises
        DivergedError, with the weights as they were before that step.
        """
        n = whole_number("steps", n, 1)
        losses: list[float] = []
        self.rates = []
        with self.working():
            self._raise_interrupt()
            with Interrupts() as interrupts:
                while len(losses) < n and not interrupts.asked:
                    batches = self.progress.next_batches(min(n - len(losses), self._pace.steps))
                    done = self._run(batches)
                    losses += done
                    if len(done) < len(batches.starts) - 1:
                        break
            if not losses:
                if interrupts.asked:
                    raise KeyboardInterrupt
                feeds = {name: array[batches.of(0)] for name, array in self.data.items()}
                raise diverged_in_step(
                    self.network, feeds, self.iteration + 1, self.optimizer, self._next_rate()
                )
        self._interrupted = interrupts.asked
        return losses

    def _run(self, batches: Rows) -> list[float]:
        """One call of the machine. It does fewer steps where one diverges."""
        state = self.optimizer_state
        before = done = state.iteration
        rates = self._rates(before, len(batches.starts) - 1)
        start = time.perf_counter()
        try:
            with self.network.callers.steps(), np.errstate(all="ignore"):  # what overflows is found and named
                losses: list[float] = self._trainer.steps(
                    self.data,
                    batches.numbers,
                    rates,
                    starts=batches.starts,
                    iteration=self.network.iterations,
                    threads=self._threads,
                    weights=self._weights_of(batches),
                ).tolist()
            state.iteration = before + len(losses)  # an optimizer's own `step` need not count
        finally:  # a layer in Python may raise anything, after steps that changed the parameters
            done = state.iteration - before
            self.iteration += done
            self.network.iterations += done
            self.progress.advance(done)
            self.rates += rates[:done].tolist()
        if done:
            self._pace.note(done, time.perf_counter() - start)
        return losses

    def _weights_of(self, batches: Rows) -> Array | None:
        """The sum of the weights of each batch's rows, where a penalty depends on it."""
        weights = self.data.get("sample_weight") if self.optimizer.penalized else None
        if weights is None:
            return None
        return np.add.reduceat(weights[batches.numbers], batches.starts[:-1], dtype=np.float64)

    def _rates(self, first: int, steps: int) -> Array:
        if self.learning_rate is not None:
            return np.full(steps, number("learning_rate", self.learning_rate, "[0, inf)"))
        schedule = self.optimizer.schedule
        found = schedule.rates(first, steps, self.progress.total_for(steps))
        rates = np.array(found, np.float64) if all(map(is_number, found)) else np.array([np.nan])
        if not (np.isfinite(rates) & (rates >= 0)).all():
            wrong = next(each for each in found if not is_number(each) or not 0 <= each < math.inf)
            raise ArgumentError(f"{schedule!r}: expected learning rates in [0, inf), got {wrong!r}")
        return rates

    def _raise_interrupt(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    # Measuring ------------------------------------------------------------------------------------------

    def measure(self) -> dict[str, float]:
        """Loss, and accuracy of a classifier, over all the training data, and over the validation data if any.

        "train_loss", "train_accuracy", "test_loss", "test_accuracy".
        Raises: DivergedError when the last update made the loss over the training data NaN or infinite.
        """
        with self.working(), np.errstate(all="ignore"):
            self._raise_interrupt()
            trained = self._measured(self.data)
            if not np.isfinite(trained["loss"]):
                raise diverged_by_update(
                    self.network,
                    self.data,
                    self.iteration,
                    trained["loss"],
                    self.optimizer,
                    self._next_rate(),
                )
            measures = {f"train_{name}": value for name, value in trained.items()}
            if self.validation is not None:
                measures |= {f"test_{name}": value for name, value in self._measured(self.validation).items()}
        return measures

    def _measured(self, data: Mapping[str, Array]) -> dict[str, float]:
        if "sample_weight" not in data:
            measures = measured(self.program, data, self._threads)
            if measures is not None:
                return measures
        return self.network.measures_of(data, warns=False)

    def snapshot(self) -> Snapshot:
        """A copy of the parameters and of the running statistics."""
        with self.working():
            statistics = {name: array.copy() for name, array in self.network.state.items()}
            return self.network.params.flat.copy(), statistics

    def put_back(self, snapshot: Snapshot) -> None:
        """Put back the weights that `snapshot` returned. The optimizer's state stays as it is."""
        flat, statistics = snapshot
        with self.working():
            self.network.params.flat[:] = flat
            self.network.graph.keep_statistics({name: array.copy() for name, array in statistics.items()})

    def examiner(self, rows: int) -> NetworkExaminer:
        """What examines the layers, on at most `rows` rows of the data. Rows of weight 0 train nothing."""
        weights = self.data.get("sample_weight")
        useful = np.arange(self.batches.samples) if weights is None else np.flatnonzero(weights)
        rng = stream(self.batches.seed, Purpose.SAMPLE, 0, 0, 1)  # batches are drawn from (.., 0, epoch)
        chosen = np.sort(rng.choice(useful, min(rows, len(useful)), replace=False))
        feeds = {name: array[chosen] for name, array in self.data.items()}
        cost, seconds = steps_worth(self.program, len(chosen)), seconds_of(self.program, len(chosen))
        return NetworkExaminer(
            self.network, feeds, self.optimizer, self.optimizer_state, self._next_rate, cost, seconds
        )

    def _next_rate(self) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        done = self.optimizer_state.iteration
        total = self.progress.total or done + 1
        return self.optimizer.schedule(min(done, total - 1), total)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What tells its data from other data: shape, dtype and a hash of the content of every array."""
        tested = {f"validation {name}": array for name, array in (self.validation or {}).items()}
        return {
            name: array.fingerprint() if isinstance(array, SparseRows) else fingerprint(array)
            for name, array in {**self.data, **tested}.items()
        }

    # The whole of it ------------------------------------------------------------------------------------

    def run(
        self,
        callbacks: Sequence[Callback] = (),
        *,
        measure_every: int = 1,
        progress: bool | None = None,
        checkpoint: Callback | None = None,
        resumed: Standing | None = None,
    ) -> History:
        """Do all the planned steps, as `fit` does, or those that are left of a training that is `resumed`."""
        bar = [ProgressBar()] if (is_watched() if progress is None else progress) else []
        last = [] if checkpoint is None else [checkpoint]
        with self:
            history = train(
                self,
                self.planned,
                [*callbacks, *bar, *last],
                measure_every=measure_every,
                settings=self.settings(),
                resumed=resumed,
            )
        # What an estimator trains goes on with another call, and the advice of a network's fit is none for it.
        if not any(each.goes_on_with for each in callbacks):
            warn_of_nothing_learnt(self.network, self.data, history.latest("train_loss"))
        return history

    def settings(self) -> dict[str, Any]:
        """What the history notes of how this training was made."""
        batches = self.batches
        settings = {
            "optimizer": repr(self.optimizer),
            "loss": repr(self.network.loss_layer),
            "batch_size": batches.batch_size,
            "sampling": batches.sampling,
            "samples": batches.samples,
            "seed": batches.seed,
            "dtype": str(self.network.dtype),
            "executor": self.program.executor,
        }
        if batches.joins:
            settings["last_batch"] = f"{batches.largest} rows: BatchNorm can do nothing with one left over"
        if done := self.optimizer_state.iteration:
            settings["goes_on_from"] = f"iteration {done:,} of the training before"
        return settings

    # To keep --------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Array], str]:
        """All that changes: arrays by name, and a JSON text with the counts and with what they belong to."""
        with self.working():
            return state_of(self)

    def restore(self, state: tuple[Mapping[str, Array], str]) -> None:
        """Put back what `state` returned: here, or in a training of an equal network on as many rows of data.

        What follows then has the same bits as it had, or would have had, there.
        Raises: ArgumentError for the state of another training, or what is none; nothing has then changed.
        """
        with self.working():
            put_state(self, state)
