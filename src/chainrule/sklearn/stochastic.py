"""Epochs of a training, and scikit-learn's rules of when to stop."""

from __future__ import annotations

import math
import signal
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, DivergedError
from chainrule.loop import Callback
from chainrule.loop.callbacks import Run
from chainrule.loop.interrupts import Interrupts
from chainrule.network.training import Training
from chainrule.saving.checkpoint import Checkpoint
from chainrule.sklearn.keeping import run_kept
from chainrule.sklearn.order import AHEAD, RowOrder
from chainrule.sklearn.wording import divergence_of, settings_of

SMALLEST_RATE = 1e-6  # that "adaptive" still divides
#: The attributes of an estimator that a checkpoint keeps.
NOTED = (
    "n_iter_",
    "t_",
    "loss_curve_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_loss_",
    "best_validation_score_",
    "_no_improvement_count",
    "_pace",
)


@dataclass
class SolverState:
    """What a stochastic solver goes on with: the learning rate of the next epoch, and the one it began with."""

    learning_rate: float
    first_rate: float


@dataclass
class Validation:
    """Data that each epoch is judged by: `judge` returns their score, and their loss."""

    data: dict[str, Array] = field(repr=False)
    judge: Callable[[], tuple[float, float]]
    decides: bool
    """Whether the score says when to stop, and which weights are kept."""
    best: Any = field(default=None, repr=False)
    """The weights of the best score."""


class Epochs(Callback):
    """What an estimator notes of each epoch, and when it ends: scikit-learn's rules, one for one.

    It is a callback, for a training with others; without any, `run_alone` does the same with fewer calls.
    """

    every_iteration = False
    goes_on_with = "the same fit on the same data: an estimator with the same parameters and checkpoint"

    def __init__(
        self, estimator: Any, training: Training, limit: int, *, outputs: int, validation: Validation | None
    ) -> None:
        self.estimator, self.training, self.limit, self.validation = estimator, training, limit, validation
        batches = training.batches
        #: How much each batch counts in the loss of an epoch.
        self.shares = np.diff(batches.starts) / (batches.samples * outputs)
        #: Whether training is over, whether that is because of the limit of epochs, and why.
        self.ended = self.at_limit = False
        self.reason = "finished"
        self._recorded = 0
        self._begun = time.perf_counter() - (estimator._pace[-1][1] if estimator._pace else 0)

    @property
    def _scales(self) -> bool:
        """Whether the learning rate is another in each epoch."""
        e = self.estimator
        return bool(
            e.solver == "sgd" and e.learning_rate == "invscaling" and e.learning_rate_schedule is None
        )

    def _set_rate(self, rate: float) -> None:
        self.estimator._optimizer.learning_rate = rate
        if self.training.learning_rate is not None:  # else a schedule decides
            self.training.learning_rate = rate

    @property
    def ahead(self) -> int:
        """How many epochs are sure to be done before anything is decided."""
        e = self.estimator
        if self.validation is not None or e.verbose or self._scales:
            return 1
        left = min(self.limit - e.n_iter_, 1 + AHEAD // self.training.batches.samples)
        return int(max(1, min(left, e.n_iter_no_change - e._no_improvement_count + 1)))

    def run_alone(self) -> None:
        """Epochs until the end."""
        length = len(self.shares)
        while not self.ended:
            losses: list[float] = []
            rates: list[float] = []
            asked = self.ahead * length
            try:
                while len(losses) < asked:
                    losses += self.training.steps(asked - len(losses))
                    rates += self.training.rates
            finally:  # what was done before Ctrl-C, too
                for last in range(length, len(losses) + 1, length):
                    self.note(losses[last - length : last], rates[last - 1])

    def on_start(self, run: Run) -> None:
        run.history.settings |= settings_of(self.estimator)

    def state(self) -> dict[str, Any]:
        e, order = self.estimator, self.training.batches
        assert isinstance(order, RowOrder)
        noted = {name: getattr(e, name) for name in NOTED}
        best = None if self.validation is None else self.validation.best
        return {
            "noted": noted,
            "rate": e._optimizer.learning_rate,
            "override": self.training.learning_rate is not None,
            "order": order.draws.state(self.training.epoch),
            "best": best,
        }

    def on_resume(self, run: Run, state: dict[str, Any]) -> None:
        e, order = self.estimator, self.training.batches
        assert isinstance(order, RowOrder)
        vars(e).update(state["noted"])
        e._optimizer.learning_rate = state["rate"]
        if state["override"]:
            self.training.learning_rate = state["rate"]
        order.draws.restore(state["order"])
        if self.validation is not None:
            self.validation.best = state["best"]
        done = run.iteration % len(self.shares)  # of an epoch that the checkpoint stands in
        self._recorded = len(run.history.loss) - done

    def on_epoch(self, run: Run) -> None:
        losses = run.history.loss[self._recorded :]
        self._recorded += len(losses)
        if len(losses) == len(self.shares):  # not the rest of an epoch that a training before had begun
            self.note(losses, run.history.learning_rate[-1])
        if self.ended:
            run.stop(self.reason)

    def note(self, losses: Iterable[float], rate: float) -> None:
        """One epoch is done, with these losses, and this rate at its end."""
        e = self.estimator
        e.n_iter_ += 1
        e.loss_ = float(np.dot(self.shares, np.fromiter(losses, float)))
        e.t_ += self.training.batches.samples
        e.loss_curve_.append(e.loss_)
        e._pace.append((rate, time.perf_counter() - self._begun))
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        self._compare()
        if self._scales:
            self._set_rate(float(e.learning_rate_init) / (e.t_ + 1) ** e.power_t)
        if e._no_improvement_count > e.n_iter_no_change:
            self.ended = self._stops()
            e._no_improvement_count = e._no_improvement_count if self.ended else 0
        if not self.ended and e.n_iter_ >= self.limit:
            self.ended = self.at_limit = True

    def _compare(self) -> None:
        e, validation = self.estimator, self.validation
        if validation is not None:
            score, loss = validation.judge()
            e.validation_loss_curve_.append(loss)
            # scikit-learn has no validation set, and prints no loss of the rows that it holds out.
            if e.validation_set is not None:
                self._say(f"Validation loss = {loss:.8f}")
            if validation.decides:
                self._compare_score(score, validation)
                return
        e._no_improvement_count = e._no_improvement_count + 1 if e.loss_ > e.best_loss_ - e.tol else 0
        e.best_loss_ = min(e.best_loss_, e.loss_)

    def _compare_score(self, score: float, validation: Validation) -> None:
        e = self.estimator
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        e._no_improvement_count = (
            e._no_improvement_count + 1 if score < e.best_validation_score_ + e.tol else 0
        )
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            validation.best = self.training.snapshot()

    def _stops(self) -> bool:
        """Whether training ends now that nothing has improved for long; "adaptive" lowers the rate first."""
        e = self.estimator
        what = (
            "Validation score" if self.validation is not None and self.validation.decides else "Training loss"
        )
        said = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
        rate = e._optimizer.learning_rate
        adapts = e.solver == "sgd" and e.learning_rate == "adaptive" and e.learning_rate_schedule is None
        if not adapts or rate <= SMALLEST_RATE:
            small = adapts
            self._say(f"{said}{' Learning rate too small.' if small else ''} Stopping.")
            self.reason = said
            return True
        self._set_rate(rate / 5)
        self._say(f"{said} Setting learning rate to {rate / 5:f}")
        return False

    def _say(self, text: str) -> None:
        if self.estimator.verbose:
            print(text)


def run_epochs(
    epochs: Epochs, callbacks: list[Callback], progress: bool, checkpoint: Checkpoint | None, warns: bool
) -> None:
    """Train until the rules end it. A Ctrl-C ends it with a warning, and so does the limit of epochs."""
    estimator, training, validation = epochs.estimator, epochs.training, epochs.validation
    estimator._record = None
    if validation is not None and validation.decides and estimator.best_validation_score_ == -math.inf:
        validation.best = training.snapshot()
    try:
        if callbacks or progress or checkpoint is not None:
            estimator._record = run_kept(epochs, callbacks, progress, checkpoint)
            epochs.reason = estimator._record.stopped
            if epochs.reason == "interrupted":
                raise KeyboardInterrupt
        else:
            with training:
                epochs.run_alone()
        if warns and epochs.at_limit:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization "
                f"hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )
    except ArgumentError as error:  # of a callback, whose remedy is for a network's `fit`
        said = str(error).replace("pass validation=(x, t) to fit", "set validation_set=(X, y)")
        raise ArgumentError(said) from None
    except KeyboardInterrupt:
        if Interrupts.last != signal.SIGINT:  # one that ends the process, as without a training
            signal.raise_signal(Interrupts.last)
        epochs.reason = "interrupted"
        warnings.warn("Training interrupted by user.", stacklevel=6)
    except DivergedError as error:
        said = divergence_of(estimator, error)
        if validation is None or not validation.decides:
            raise ValueError(
                f"Solver produced non-finite parameter weights. The input data may contain large values and need "
                f"to be preprocessed. {said}"
            ) from error
        estimator.n_iter_ += 1  # the epoch that diverged: its scores are no numbers
        estimator.loss_ = math.nan
        estimator.loss_curve_.append(math.nan)
        estimator.validation_scores_.append(math.nan)
        estimator.validation_loss_curve_.append(math.nan)
        seconds = estimator._pace[-1][1] if estimator._pace else 0.0
        estimator._pace.append((training.rates[-1] if training.rates else math.nan, seconds))
        epochs.reason = f"diverged: {said}"
        warnings.warn(
            f"Training diverged, and the weights of the best validation score are put back. {said}",
            ConvergenceWarning,
            stacklevel=6,
        )
    estimator._stopped = epochs.reason
    if validation is not None and validation.decides and validation.best is not None:
        training.put_back(validation.best)
