"""The measurements: compare first, then time everyone in turn, round after round."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from peers.registry import REGISTRY, Contender
from peers.task import Array, Data, rows_of
from speed import reference
from speed.results import Outcome, Series, Tell
from speed.workers import WorkerError, Workers
from speed.workloads import W1, Group, Settings, Workload

# Largest difference from the float64 reference, of a loss relative to itself, of an output to the largest one.
# Float32 gives about 1e-6; under Adam, which divides small gradients by their own size, PyTorch's came to 3e-5.
TOLERANCE = 1e-4


class Judge:
    """Knows the right answers of the present task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[tuple[Any, ...], Any] = {}

    def error(self, load: Workload, answer: dict[str, Any]) -> float:
        """How far the answer is from the reference, relative to its size."""
        if load.kind == "predict":
            key: tuple[Any, ...] = (load.task.name, "outputs", answer["probabilities"])
            given = np.array(answer["outputs"])
        else:
            key = (load.task.name, "losses", answer["one_logit"], answer["epsilon_hat"])
            given = np.array(answer["losses"])
        if key not in self._known:
            self._known[key] = self._right(load, key)
        right = self._known[key][: len(given)] if load.kind == "predict" else self._known[key]
        if load.kind != "predict" and len(given) == 1:  # only the mean of them is known
            right = right.mean(keepdims=True)
        if given.shape != right.shape:
            return float("inf")
        scale = np.abs(right).max() if load.kind == "predict" else np.abs(right)
        return float(np.max(np.abs(given - right) / scale))

    def _right(self, load: Workload, key: tuple[Any, ...]) -> Array:
        task, data = load.task, Data.of(load.task, self.folder)
        weights = task.weights()
        if key[1] == "outputs":
            scores = reference.logits(weights, data.x_test[:100])
            return reference.softmax(scores) if key[2] else scores
        if key[2]:
            weights = reference.one_logit(weights)
        batches = rows_of(task, self.folder)[: load.checked_steps]
        return np.array(reference.losses(task, data, weights, batches, epsilon_hat=key[3]))


def compare(load: Workload, workers: Workers, judge: Judge, outcome: Outcome, tell: Tell) -> list[Series]:
    """Those that give the right answers. Who does not, or cannot work, is refused, and it is said why."""
    accepted = []
    for who in load.contenders:
        tell(f"{load.key}: comparing {who.name}")
        do, count = ("outputs", load.count) if load.kind == "predict" else ("losses", load.checked_steps)
        try:
            if who.peer != "floor":
                error = judge.error(load, workers.ask(who, do, load.task.name, count))
                outcome.errors[who.label] = max(error, outcome.errors.get(who.label, 0.0))
                if not error <= TOLERANCE:
                    raise WorkerError(
                        f"it disagrees with the reference by {error:.1e}, allowed {TOLERANCE:.0e}"
                    )
            _sample(load, workers, who)  # a first time that does not count
        except WorkerError as error:
            outcome.refused[who.name] = str(error)
        else:
            accepted.append(Series(who.peer, who.variant, who.threads))
    return accepted


def run_workload(load: Workload, workers: Workers, judge: Judge, rounds: int, tell: Tell) -> Outcome:
    """Compare, then time: every round asks everyone once, in an order of its own."""
    outcome = Outcome(load.key, load.title, load.kind)
    outcome.series = compare(load, workers, judge, outcome, tell)
    order, rng = list(outcome.series), random.Random(0)
    for number in range(rounds):
        rng.shuffle(order)
        for series in order:
            tell(f"{load.key}: round {number + 1} of {rounds}, {series.contender.name}")
            series.seconds.append(_sample(load, workers, series.contender))
    return outcome


def run_group(group: Group, workers: Workers, judge: Judge, settings: Settings, tell: Tell) -> list[Outcome]:
    """The workloads of a group; W1's step is followed by its whole job."""
    outcomes = [run_workload(load, workers, judge, group.rounds, tell) for load in group.workloads]
    if group.name == "W1":
        outcomes.append(run_job(outcomes[0], workers, settings, tell))
    return outcomes


def run_job(step: Outcome, workers: Workers, settings: Settings, tell: Tell) -> Outcome:
    """W1's whole job, by everyone who keeps the losses, with the number of threads that was best in the step."""
    outcome = Outcome("W1 job", f"the whole job, {settings.iterations:,} iterations", "job")
    outcome.series = job_contenders(step)
    order, rng = list(outcome.series), random.Random(0)
    for number in range(settings.job_rounds + 1):  # the first time does not count
        rng.shuffle(order)
        for series in order:
            tell(f"W1 job: round {number} of {settings.job_rounds}, {series.contender.name}")
            answer = workers.ask(series.contender, "job", W1.name, settings.iterations)
            if len(answer["losses"]) != settings.iterations:
                raise WorkerError(f"{series.contender.name} kept {len(answer['losses'])} losses")
            series.accuracy = answer["test_accuracy"][-1]
            if number:
                series.seconds.append(answer["seconds"])
    return outcome


def job_contenders(step: Outcome) -> list[Series]:
    """The variants that do the whole job, each with the number of threads that was best in the step.

    One that is not timed in the step chooses by itself, out of all threads.
    """
    most = max((series.threads for series in step.series), default=1)
    found = []
    for peer, entry in REGISTRY.items():
        for variant in entry.keeps_losses:
            best = step.best(peer, variant if variant in entry.training else None)
            if best:
                found.append(Series(peer, variant, best.threads if variant in entry.training else most))
    return found


def measure_memory(step: Outcome, folder: Path, settings: Settings, tell: Tell) -> list[dict[str, Any]]:
    """The peak memory of new processes that do W1's whole job and nothing else."""
    result = []
    for series in job_contenders(step):
        tell(f"memory: {series.contender.name}")
        with Workers(folder) as workers:
            workers.ask(series.contender, "job", W1.name, settings.iterations)
            peak = workers.ask(series.contender, "memory", W1.name, 0)["bytes"]
        result.append({"peer": series.peer, "variant": series.variant, "bytes": peak})
    return result


def _sample(load: Workload, workers: Workers, who: Contender) -> float:
    return float(workers.ask(who, load.kind, load.task.name, load.count, load.calls)["seconds"])
