"""Callbacks: code of yours that runs while a network trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, TypeAlias

import numpy as np

from chainrule.arguments import number, one_of, whole_number
from chainrule.configured import Configured
from chainrule.errors import ArgumentError, FileError, did_you_mean
from chainrule.loop.history import MEASURES, History
from chainrule.text import counted

#: What an examination finds of a layer or a parameter, by the name of the measure; a text tells what it is.
Measures: TypeAlias = dict[str, str | float]
#: The measures of each of the "layers" and of the "parameters", by name, in the order of the forward run.
Findings: TypeAlias = dict[str, dict[str, Measures]]


class Examiner(Protocol):
    """Looks at how the layers are doing, always on the same rows of the data, and changes nothing."""

    #: How many rows it looks at.
    rows: int
    #: About how many steps of the training take as long as one examination; the same on every run.
    cost: float

    def examine(self) -> Findings:
        """What it finds after the steps done so far: always the same layers and measures."""


class Trainee(Protocol):
    """What the loop knows of a training: how to do steps, to measure, and to keep or put back the weights.

    `Health` asks for an examiner besides. Without that callback, there may be none.
    """

    @property
    def left_of_epoch(self) -> int:
        """How many steps there are to the end of the epoch, at least 1."""

    @property
    def is_between_epochs(self) -> bool:
        """Whether no epoch has begun that is not done."""

    @property
    def rates(self) -> Sequence[float]:
        """The learning rates of the steps of the last call."""

    def steps(self, n: int) -> Sequence[float]:
        """Do n steps and return their losses.

        They are fewer, but never none, after Ctrl-C, and where the next step diverges; that then raises
        DivergedError.
        """

    def measure(self) -> dict[str, float]:
        """The losses and accuracies over all the data."""

    def snapshot(self) -> Any:
        """A copy of the weights, and of the statistics that layers keep."""

    def put_back(self, snapshot: Any) -> None:
        """Put back the weights that `snapshot` returned."""

    def examiner(self, rows: int) -> Examiner:
        """What examines the layers, on at most `rows` rows of the data."""


@dataclass
class Run:
    """A training as callbacks see it. Call `stop(reason)` to end it after the present iteration.

    `iteration` and `epoch` count what this call of `fit` has done, of `total` iterations; an epoch that an earlier
    call began counts when it ends.
    """

    training: Trainee
    history: History
    total: int
    callbacks: Sequence[Callback] = ()
    measure_every: int = 1
    iteration: int = 0
    epoch: int = 0
    stopped: str = ""
    failed: bool = False
    #: Whether Ctrl-C or a signal has ended it.
    interrupted: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether the history holds the measures of this very moment."""
        return self.history.measured_at[-1:] == [self.iteration]

    @property
    def network(self) -> Any:
        """The network that is trained, `training.network`."""
        return self.training.network  # type: ignore[attr-defined]  # of a training of one's own, if it has one

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            known = [each for each in (*vars(self), *vars(Run)) if not each.startswith("_")]
            raise AttributeError(f"run.{name}: a Run has no such attribute; {did_you_mean(name, known)}")

    def stop(self, reason: str = "") -> None:
        """End the training after this iteration. The reason is what `history.stopped` will say."""
        self.stopped = reason or "a callback asked"


class Callback:
    """Override what you need; every method is empty.

    Steps are done many at a time where that is faster. An `on_iteration` is called after every single one all the
    same, unless its callback says otherwise: with `every_iteration = 100` after every hundredth and the last, with
    `every_iteration = False` now and then, when some have been done together.

    `run.iteration` and `run.epoch` count what is done, `run.history` is the record so far, `run.network` is the
    network, and `run.training.snapshot()` copies the weights, which its `put_back` puts in place.

    A callback that gathers something over a training returns it from `state`, which checkpoints keep, and takes it
    up again in `on_resume`.
    """

    every_iteration: int = True
    #: How somebody goes on with a training that was interrupted, where that is another call than `cr.resume`.
    goes_on_with: ClassVar[str] = ""
    #: Whether it keeps the training, after all others have had their turn, and is given as `fit(..., checkpoint=)`.
    keeps: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in vars(cls):
            if name.startswith("on_") and not hasattr(Callback, name):
                known = [each for each in vars(Callback) if each.startswith("on_")]
                raise ArgumentError(
                    f"{cls.__name__}.{name} would never be called; {did_you_mean(name, known)}"
                )

    def on_start(self, run: Run) -> None:
        """Before the first iteration."""

    def on_resume(self, run: Run, state: dict[str, Any]) -> None:
        """In place of `on_start` where a training goes on from a checkpoint, in which `state` was kept."""
        self.on_start(run)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: texts, numbers, arrays, and tuples, lists and dicts of them, by name."""
        return {}

    def on_iteration(self, run: Run) -> None:
        """After every iteration, or as often as `every_iteration` says."""

    def on_epoch(self, run: Run) -> None:
        """After every epoch, when its measures are in the history, if it was measured: see `run.is_measured`."""

    def on_interrupt(self, run: Run) -> None:
        """When Ctrl-C or a signal has ended the training, before `on_end`: all is as after any iteration."""

    def on_end(self, run: Run) -> None:
        """After the last iteration, also when training was stopped or interrupted."""


class EarlyStopping(Callback, Configured):
    """Stop when a measure has not improved for `patience` epochs, and put back the best weights.

    `monitor` is "test_loss", "test_accuracy", "train_loss" or "train_accuracy". An improvement is one of more
    than `min_change`. With `restore_best`, the weights of the best epoch are put back whenever training ends, and
    the history's settings note after which iteration they were, `weights_after_iteration`.

    Source: Prechelt, Early Stopping - But When? (1998).
    """

    def __init__(
        self,
        monitor: str = "test_loss",
        *,
        patience: int = 5,
        min_change: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        self.monitor = one_of("monitor", monitor, MEASURES, owner=self)
        self.patience = whole_number("patience", patience, 1, owner=self, remedy="it counts epochs")
        self.min_change = number("min_change", min_change, "[0, inf)", owner=self)
        self.restore_best = restore_best
        self._sign = -1 if monitor.endswith("accuracy") else 1  # times it, every measure is better lower
        #: The best value of the measure so far, and its epoch.
        self.best, self.best_epoch = self._sign * math.inf, 0
        self._best_weights: Any = None
        self._best_iteration = 0

    def on_start(self, run: Run) -> None:
        self.best, self.best_epoch, self._best_weights = self._sign * math.inf, 0, None
        run.history.settings["early_stopping"] = f"{self.monitor}, patience {self.patience}"

    def on_resume(self, run: Run, state: dict[str, Any]) -> None:
        try:
            self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
            self._best_weights, self._best_iteration = state["weights"], int(state["iteration"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileError(f"what the callback EarlyStopping kept is damaged: {error!r}") from error
        if self._best_weights is not None and _layout(self._best_weights) != _layout(run.training.snapshot()):
            raise FileError(
                "what the callback EarlyStopping kept is damaged: its weights are of another network"
            )

    def state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "weights": self._best_weights,
            "iteration": self._best_iteration,
        }

    def on_epoch(self, run: Run) -> None:
        if not run.is_measured:
            return
        value = run.history.latest(self.monitor)
        if value is None:
            raise ArgumentError(
                f"EarlyStopping watches {self.monitor!r}, which is not measured here: pass validation=(x, t) to "
                f"fit for test measures; a regression has no accuracy"
            )
        if self._sign * (self.best - value) > self.min_change:
            self.best, self.best_epoch = value, run.epoch
            if self.restore_best:
                self._best_weights, self._best_iteration = run.training.snapshot(), run.iteration
        elif run.epoch - self.best_epoch >= self.patience:
            run.stop(
                f"early: {self.monitor} did not improve for {counted(run.epoch - self.best_epoch, 'epoch')}"
            )

    def on_end(self, run: Run) -> None:
        if self._best_weights is not None:
            run.training.put_back(self._best_weights)
            run.history.settings["weights_after_iteration"] = self._best_iteration
            self._best_weights = None


def _layout(held: Any) -> Any:
    """The shapes and dtypes of the arrays in tuples and dicts."""
    if isinstance(held, np.ndarray):
        return held.shape, held.dtype
    if isinstance(held, tuple):
        return tuple(map(_layout, held))
    return {name: _layout(each) for name, each in held.items()} if isinstance(held, dict) else type(held)
