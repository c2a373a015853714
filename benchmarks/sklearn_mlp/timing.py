"""Fits and predictions in turn: in every round each library once, with an estimator made anew."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp.data import load as data_of
from sklearn_mlp.estimators import OURS, SKORCH, made, peers
from sklearn_mlp.workloads import Workload

MOST_ROUNDS, ROUNDS_OF_SKORCH = 15, 2
WHOLE = "fit and predict"
SECONDS = 3.0  # that short workloads are repeated for


@dataclass
class Times:
    """Of one library, by the round: seconds on the wall and of the processor; and what it came to."""

    fit: list[float] = field(default_factory=list)
    fit_cpu: list[float] = field(default_factory=list)
    predict: list[float] = field(default_factory=list)
    predict_cpu: list[float] = field(default_factory=list)
    epochs: int = 0

    def of(self, what: str) -> list[float]:
        """The times by their name; those of WHOLE are the sums of both."""
        if what.startswith(WHOLE):
            kind = what.removeprefix(WHOLE)
            return [a + b for a, b in zip(self.of(f"fit{kind}"), self.of(f"predict{kind}"), strict=True)]
        found: list[float] = getattr(self, what)
        return found


@dataclass(frozen=True)
class Timed:
    """A workload with the times of everyone."""

    load: Workload
    times: dict[str, Times]

    def ratio(self, peer: str, what: str) -> float:
        """How many times as long as ours: the median of the rounds' own ratios."""
        theirs, ours = self.times[peer].of(what), self.times[OURS].of(what)
        return statistics.median(t / max(o, 1e-9) for t, o in zip(theirs, ours, strict=False))

    def median(self, who: str, what: str) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.times[who].of(what))


def timed(load: Workload, rounds: int) -> Timed:
    """At least so many rounds, and more of a short workload."""
    X, y = data_of(load)
    times = {who: Times() for who in peers(load)}
    begin = time.perf_counter()
    for number in range(MOST_ROUNDS):
        if number >= rounds and time.perf_counter() - begin > SECONDS:
            break
        for who in list(times) if number % 2 else reversed(times):
            if who == SKORCH and number >= ROUNDS_OF_SKORCH:
                continue
            _once(who, times[who], load, X, y)
    return Timed(load, times)


def _once(who: str, times: Times, load: Workload, X: object, y: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are done
        clocks = time.perf_counter(), time.process_time()
        estimator = made(who, load).fit(X, y)
        between = time.perf_counter(), time.process_time()
        estimator.predict(X)
        end = time.perf_counter(), time.process_time()
    times.fit.append(between[0] - clocks[0])
    times.fit_cpu.append(between[1] - clocks[1])
    times.predict.append(end[0] - between[0])
    times.predict_cpu.append(end[1] - between[1])
    times.epochs = getattr(estimator, "n_iter_", load.epochs)


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of ratios."""
    return math.exp(statistics.fmean(map(math.log, ratios)))


def quartiles(ratios: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper one."""
    if len(ratios) < 2:
        return ratios[0], ratios[0]
    lower, _, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return lower, upper
