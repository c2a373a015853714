"""The results as rows of text, for the terminal and for RESULTS.md alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peers.registry import REGISTRY
from speed.results import Outcome, Results, Series, Spread
from speed.targets import starts_of, verdicts
from speed.workloads import CURVES, WORKLOADS

UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
MEASURED = {"job": "test accuracy", "fit": "training accuracy"}


@dataclass(frozen=True)
class Table:
    """A caption, column heads, and rows. The rows in `marked` are ours, or need to be seen."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    marked: tuple[int, ...] = ()


def outcome_table(outcome: Outcome) -> Table:
    """Every contender at its better number of threads, the fastest first."""
    found: dict[tuple[str, str], Series] = {}
    for series in outcome.series:
        best = outcome.best(series.peer, series.variant)
        if best:
            found[series.peer, series.variant] = best
    ours = outcome.best("ours")
    rows: list[tuple[str, ...]] = []
    marked = []
    for series in sorted(found.values(), key=lambda s: s.spread.median):
        low, median, high = series.spread
        ratio = outcome.ratio(series, ours)
        cells = [series.contender.label, str(series.threads), time(median), f"{time(low)} to {time(high)}"]
        cells.append("" if ratio is None or series is ours else f"{ratio.median:.2f}")
        if outcome.kind in MEASURED:
            cells.append("" if series.accuracy is None else f"{series.accuracy:.4f}")
        if series.peer == "ours":
            marked.append(len(rows))
        rows.append(tuple(cells))
    heads = ["", "threads", "median", "quartiles", "times ours"]
    heads += [MEASURED[outcome.kind]] if outcome.kind in MEASURED else []
    return Table(f"{outcome.key}: {outcome.title}", tuple(heads), rows, tuple(marked))


def curve_table(results: Results, name: str) -> Table | None:
    """A step as one thing grows, by us, by PyTorch and by the matrix products alone."""
    rows: list[tuple[str, ...]] = []
    for number, task in CURVES[name].items():
        outcome = results.outcomes.get(task.name)
        if outcome is None:
            continue
        ours, floor, theirs = (outcome.best(peer) for peer in ("ours", "floor", "pytorch"))
        cells = [f"{number:,}", *("" if s is None else time(s.spread.median) for s in (floor, ours, theirs))]
        for ratio in (outcome.ratio(ours, floor), outcome.ratio(theirs, floor), outcome.ratio(theirs, ours)):
            cells.append("" if ratio is None else f"{ratio.median:.2f}")
        rows.append(tuple(cells))
    heads = (
        "products",
        "chainrule",
        "PyTorch eager",
        "ours / products",
        "PyTorch / products",
        "PyTorch / ours",
    )
    return Table(f"W5: a step as the {name} grows", (name, *heads), rows) if rows else None


def start_table(results: Results) -> Table | None:
    """Medians over the new processes."""
    kinds = dict.fromkeys((s.peer, s.variant) for s in results.starts)
    rows = []
    for peer, variant in kinds:
        cold, cached = (starts_of(results.starts, peer, variant, filled) for filled in (False, True))
        imports = np.median([s.imported for s in cold + cached])
        cells = [f"{REGISTRY[peer].label}, {variant}", f"{imports:.2f} s"]
        for found in (cold, cached):
            cells += [_seconds([s.first_step for s in found]), _seconds([s.total for s in found])]
        peaks = np.median([s.bytes for s in cold])
        rows.append((*cells, f"{peaks / 1e6:,.0f} MB"))
    heads = ("", "import", "then first step", "in all", "first step, cached", "in all, cached", "peak memory")
    return Table("W7, start: import and first step of W1, new processes", heads, rows) if rows else None


def memory_table(results: Results) -> Table | None:
    """Peaks, the smallest first."""
    peaks = sorted(results.memory, key=lambda m: m["bytes"])
    rows: list[tuple[str, ...]] = [
        (f"{REGISTRY[m['peer']].label}, {m['variant']}", f"{m['bytes'] / 1e6:,.0f} MB") for m in peaks
    ]
    return Table("Peak memory of a process that does W1's job", ("", "peak"), rows) if rows else None


def target_table(results: Results) -> Table:
    """Every target with its verdict, in plain words."""
    words = {True: "reached", False: "MISSED", None: "not measured"}
    found = verdicts(results)
    if len(results.settings["only"]) < len(WORKLOADS):
        found = [v for v in found if v.reached is not None]
    rows: list[tuple[str, ...]] = [(v.what, v.target, v.found, words[v.reached]) for v in found]
    missed = tuple(number for number, v in enumerate(found) if v.reached is False)
    return Table("Targets", ("", "target", "found", ""), rows, missed)


def all_tables(results: Results) -> list[Table]:
    """All that there is, in order."""
    outcomes = [outcome_table(o) for key, o in results.outcomes.items() if not key.startswith("W5")]
    rest = [curve_table(results, name) for name in CURVES]
    rest += [start_table(results), memory_table(results)]
    return [target_table(results), *outcomes, *(table for table in rest if table is not None)]


def time(seconds: float) -> str:
    """A time with its unit, three digits."""
    unit, size = next((u for u in UNITS if seconds >= u[1]), UNITS[-1])
    value = seconds / size
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _seconds(values: list[float]) -> str:
    if not values:
        return ""
    spread = Spread.of(values)
    return f"{spread.median:.2f} s ({spread.low:.2f} to {spread.high:.2f})"
