"""The page SKLEARN.md: tables of what was measured."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from learning.page import table
from sklearn_mlp.estimators import HAS_SKORCH, OURS, SKORCH, THEIRS
from sklearn_mlp.fresh import Found
from sklearn_mlp.quality import Scores
from sklearn_mlp.search import Searches
from sklearn_mlp.timing import WHOLE, Timed, geometric_mean, quartiles
from sklearn_mlp.workloads import GOALS, LOWEST_GOAL, SEARCH_GOAL, TYPES, Workload
from speed.machine import said

PAGE = Path(__file__).parents[1] / "SKLEARN.md"
INTRODUCTION = """\
# chainrule.sklearn beside scikit-learn

Written by `PYTHONPATH=benchmarks python -m sklearn_mlp`. `--only` measures a part and keeps the others; `--quick`
takes fewer sizes, and `--threads 1` limits everyone to one thread.

- **Same settings**: both estimators get the same parameters, `random_state` and rows, everything else at its
  default. `tol=0` and few epochs, so that everyone does as many. From the same random state they draw the same
  first weights and the same order of rows.
- **Speed** is a whole `fit`, its estimator made anew, and the first `predict` behind it, of all the training rows:
  both together, and each by itself.
  In every round each library has its turn; a figure is the median of the rounds' own ratios, scikit-learn's time
  over ours. *Wall* is the time that passed, *CPU* that of all threads of the process. Where other programs take the
  cores, the CPU time says more. Both libraries have the same limit of threads.
- **skorch** has PyTorch's own first weights, does the float32 rows of small classifiers, and takes two rounds. A
  DataLoader makes its batches, as is its default.
- **Memory** is the peak of a new process during `fit`, less that before it with imports and data.
- **Quality**: accuracy or R² on a quarter of the rows, mean over the seeds, all parameters at their defaults.
  *Within noise*: the 95 % interval of the difference, paired over the seeds, holds 0, or it is below 0.001.
"""


def conditions(threads: int, quick: bool) -> str:
    """What the measuring ran on."""
    cores = f"{threads or os.cpu_count()} thread(s) for everyone"
    return f"{said('scikit-learn', 'scipy', 'skorch', 'torch')}\n{cores}{'; the quick mode' if quick else ''}"


def speed(timed: Sequence[Timed]) -> str:
    """Groups first, then every row."""
    parts = [_groups(timed, THEIRS), *_skorch(timed)]
    for group in GOALS:
        some = [each for each in timed if each.load.group == group]
        parts += [f"### {group[0].upper()}{group[1:]}\n\n{_rows(some)}"] if some else []
    return "\n\n".join(parts)


def _groups(timed: Sequence[Timed], peer: str) -> str:
    rows = {}
    for group, goal in GOALS.items():
        for dtype in TYPES:
            some = [t for t in timed if (t.load.group, t.load.dtype) == (group, dtype) and peer in t.times]
            for what in (WHOLE, "fit", "predict") if some else ():
                rows[f"{group}, {dtype}, {what}"] = _summary(some, peer, what, goal)
    head = ("group", "rows", "geometric mean", "CPU", "quartiles", "lowest", "below 0.95", "goal")
    return table(head, rows)


def _summary(some: Sequence[Timed], peer: str, what: str, goal: float) -> tuple[str, ...]:
    wall = [each.ratio(peer, what) for each in some]
    mean, (lower, upper) = geometric_mean(wall), quartiles(wall)
    cpu = geometric_mean(each.ratio(peer, f"{what}_cpu") for each in some)
    low = sum(ratio < LOWEST_GOAL for ratio in wall)
    verdict = f"{goal:g}x, {'met' if mean >= goal else 'missed'}"
    spread = f"{lower:.2f} to {upper:.2f}"
    return str(len(some)), f"{mean:.2f}x", f"{cpu:.2f}x", spread, f"{min(wall):.2f}x", str(low), verdict


def _skorch(timed: Sequence[Timed]) -> list[str]:
    title = "### skorch with PyTorch"
    if not HAS_SKORCH:
        return [f"{title}\n\nNot measured: skorch is not installed."]
    some = [each for each in timed if SKORCH in each.times]
    return [f"{title}\n\n{_groups(some, SKORCH)}"] if some else []


def _rows(timed: Sequence[Timed]) -> str:
    rows = {}
    for each in timed:
        o, t = each.times[OURS].epochs, each.times[THEIRS].epochs
        differ = f" ({o} and {t} iterations)" if o != t else ""
        cells = []
        for what in ("fit", "predict"):
            ours, theirs = (1e3 * each.median(who, what) for who in (OURS, THEIRS))
            cells += [f"{ours:,.1f}", f"{theirs:,.1f}", f"{each.ratio(THEIRS, what):.2f}x"]
            cells.append(f"{each.ratio(THEIRS, what + '_cpu'):.2f}x")
        rows[f"{each.load.title}, {each.load.dtype}{differ}"] = cells
    head = [
        f"{what}{column}"
        for what in ("fit: ", "predict: ")
        for column in ("ours, ms", "theirs", "wall", "CPU")
    ]
    return table(["row", *head], rows)


def first(found: Mapping[Workload, Found]) -> str:
    """The first fit and prediction of a process."""
    rows = {}
    for load, of in found.items():
        for what in ("fit", "predict"):
            ours, theirs = of[OURS][what], of[THEIRS][what]
            cells = f"{1e3 * ours:,.1f}", f"{1e3 * theirs:,.1f}", f"{theirs / ours:.2f}x"
            rows[f"{load.title}, {load.dtype}, {what}"] = cells
    return table(("first call, imports before it", "ours, ms", "theirs, ms", "ratio"), rows)


def search(found: Searches) -> str:
    """The grid search."""
    rows = {who: (f"{seconds:.1f}", f"{score:.4f}") for who, (seconds, score) in found.items()}
    ratio = found[THEIRS][0] / found[OURS][0]
    verdict = "met" if ratio >= SEARCH_GOAL else "missed"
    return f"{table(('', 'seconds', 'best score'), rows)}\n\n{ratio:.2f}x; goal {SEARCH_GOAL:g}x, {verdict}."


def memory(found: Mapping[Workload, Found]) -> str:
    """The peaks."""
    rows = {}
    for load, of in found.items():
        ours, theirs = (of[who]["bytes"] / 1e6 for who in (OURS, THEIRS))
        rows[f"{load.title}, {load.dtype}"] = (
            f"{ours:,.1f}",
            f"{theirs:,.1f}",
            "yes" if ours <= theirs else "no",
        )
    return table(("peak of a fit, MB", "ours", "theirs", "no higher"), rows)


def quality(found: Sequence[Scores]) -> str:
    """The scores."""
    rows = {}
    for each in found:
        means = f"{each.ours.mean():.4f}", f"{each.theirs.mean():.4f}"
        rows[f"{each.name} ({'accuracy' if each.task == 'classes' else 'R²'})"] = *means, each.verdict
    return table((f"mean of {len(found[0].ours)} seeds", "ours", "theirs", "difference"), rows)
