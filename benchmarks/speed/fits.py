"""The whole `fit` of a network never seen before, everyone in turn, round after round."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import numpy as np

from peers.registry import REGISTRY, Contender
from speed.results import Outcome, Series, Tell
from speed.workers import WorkerError, Workers
from speed.workloads import FITS, Fit, Settings

AGREEMENT = 0.02
"""How far a training accuracy may be from the median of all."""


def run_fits(folder: Path, settings: Settings, tell: Tell, fits: tuple[str, ...] = ()) -> list[Outcome]:
    """Those of the keys given, or all; of a quick run the short ones."""
    chosen = [FITS[key] for key in fits] or [f for f in FITS.values() if f.quick or not settings.quick]
    # Unless told so, JAX keeps nothing that it compiled on disk.
    with Workers(folder, {"JAX_ENABLE_COMPILATION_CACHE": "false"}) as workers:
        return [run_fit(fit, workers, settings, tell) for fit in chosen]


def run_fit(fit: Fit, workers: Workers, settings: Settings, tell: Tell) -> Outcome:
    """Every round has new widths, the same for everyone. Whoever learns less, or more, than others is refused."""
    outcome = Outcome(f"W6 {fit.key}", fit.title, "fit")
    rng = random.Random(fit.key)
    widths = list(itertools.product(fit.widths, repeat=len(fit.task.sizes) - 2))
    accuracies: dict[Contender, list[float]] = {who: [] for who in contenders()}
    seconds: dict[Contender, list[float]] = {who: [] for who in accuracies}
    order = list(accuracies)
    for number, hidden in enumerate(rng.sample(widths, settings.job_rounds + 1)):
        rng.shuffle(order)
        for who in [who for who in order if who.name not in outcome.refused]:
            tell(f"W6 {fit.key}: round {number} of {settings.job_rounds}, {who.name}")
            try:  # the first time, of one epoch, does not count: it imports, and starts threads
                answer = workers.ask(who, "fit", fit.key, fit.epochs if number else 1, hidden=hidden)
            except WorkerError as error:
                outcome.refused[who.name] = str(error)
                continue
            if number:
                seconds[who].append(answer["seconds"])
                accuracies[who].append(answer["accuracy"])
    reached = {w: float(np.mean(a)) for w, a in accuracies.items() if w.name not in outcome.refused}
    middle = float(np.median(list(reached.values() or [0])))
    for who, accuracy in reached.items():
        if abs(accuracy - middle) > AGREEMENT:
            outcome.refused[who.name] = (
                f"its training accuracy is {accuracy:.3f}, the median of all {middle:.3f}"
            )
        else:
            series = Series(who.peer, who.variant, who.threads, seconds[who], accuracy)
            outcome.series.append(series)
    return outcome


def contenders() -> list[Contender]:
    """Everyone with one thread and with all; ours chooses its number, and stands in the table with all."""
    numbers = sorted({1, os.cpu_count() or 1})
    return [
        Contender(peer, variant, threads)
        for peer, entry in REGISTRY.items()
        for variant in entry.fitting
        for threads in (numbers[-1:] if peer == "ours" else numbers)
    ]
