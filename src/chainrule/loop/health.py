"""How the layers of what is trained are doing, from the first iteration to the last."""

from __future__ import annotations

import math
from typing import Any

from chainrule.arguments import whole_number
from chainrule.configured import Configured
from chainrule.errors import ArgumentError
from chainrule.loop.callbacks import Callback, Examiner, Run

EXAMINATIONS = 40  # of a training, unless told otherwise
FEW, SECONDS = 10, 0.1  # so many at least, where they take no longer than this: a curve needs some points
SHARE = 0.045  # of the time of a training, which they are planned to take at most: a twentieth, with a margin


class Health(Callback, Configured):
    """Record in `history.health` how every layer and every parameter is doing, over time.

    An examination is one run forward and backward over the same `rows` rows of the training data each time. It
    changes nothing, so the training is bit for bit what it would be without. The first is before the first
    iteration, then there is one after every `every` iterations, and the last when training ends. Unless told
    otherwise there are about forty, and fewer where they would take more than a twentieth of the training.

    `history.health` holds `rows`, how many rows were looked at; `iterations`, how many were done at each
    examination; `layers` and `parameters`, by name in the order of the forward run. What is measured is a list
    with a number for each examination, None for one that is not finite. Of a layer's output:

    - `mean`, `std`: of all its values;
    - `zeros`, `dead` (ReLU): the share of zeros, and of units that are zero on all rows. A unit is a place on the
      last axis;
    - `saturated` (Sigmoid, Tanh): the share of values where the slope is below a hundredth of its maximum;
    - `gradient_norm`, `gradient_std`: of the gradient of the mean loss with respect to it.

    Of a parameter: `norm`, `gradient_norm`, and `update_ratio`, the norm of what the optimizer would add to it
    now, beside its own norm.

    When training is stopped, the last examination is made as this callback's turn comes: list it before an
    `EarlyStopping`, which puts other weights in place then.
    """

    def __init__(self, every: int | None = None, rows: int = 256) -> None:
        self.every = None if every is None else whole_number("Health: every", every, 1)
        self.rows = whole_number("Health: rows", rows, 1)
        self._examiner: Examiner | None = None

    def on_start(self, run: Run) -> None:
        if run.history.health:
            raise ArgumentError(
                "Health: expected one among the callbacks of a training, got two; leave one out"
            )
        self._begin(run)
        assert self._examiner is not None
        run.history.health = {"rows": self._examiner.rows, "iterations": [], "layers": {}, "parameters": {}}
        self._examine(run)

    def on_resume(self, run: Run, state: dict[str, Any]) -> None:
        if run.history.health:
            self._begin(run)
        else:
            self.on_start(run)

    def _begin(self, run: Run) -> None:
        if not hasattr(run.training, "examiner"):
            raise ArgumentError(
                f"Health: expected a training with a method examiner(rows), got {type(run.training).__name__}; see "
                f"chainrule.loop.Trainee, or leave Health out"
            )
        self._examiner = run.training.examiner(self.rows)
        self.every_iteration = self.every or iterations_apart(
            run.total, self._examiner.cost, getattr(self._examiner, "seconds", math.inf)
        )

    def on_iteration(self, run: Run) -> None:
        self._examine(run)

    def on_end(self, run: Run) -> None:
        done = run.history.health["iterations"]
        if done[-1] != run.iteration and not run.failed:
            self._examine(run)
        self._examiner = None

    def _examine(self, run: Run) -> None:
        assert self._examiner is not None
        findings = self._examiner.examine()
        health = run.history.health
        health["iterations"].append(run.iteration)
        for part, found in findings.items():
            for name, measures in found.items():
                record = health[part].setdefault(name, {})
                for measure, value in measures.items():
                    _note(record, measure, value)


def iterations_apart(total: int, cost: float, seconds: float = math.inf) -> int:
    """How many iterations there are between two examinations, each of which costs as much as `cost` steps, or takes
    about so many seconds.

    Decided by numbers alone, not by the clock, so that a training can be repeated.
    """
    affordable = int(SHARE * total / cost) - 1  # besides the first
    few = min(FEW, int(SECONDS / seconds)) if seconds > 0 else FEW
    return math.ceil(total / max(1, few, min(EXAMINATIONS, affordable)))


def _note(record: dict[str, Any], measure: str, value: str | float) -> None:
    if isinstance(value, str):
        record[measure] = value
    else:
        record.setdefault(measure, []).append(float(value) if math.isfinite(value) else None)
