"""The picture: bars for the workloads with the floor marked, curves for what grows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from peers.registry import REGISTRY
from speed.results import Outcome, Results, Series
from speed.tables import UNITS, time
from speed.workloads import CURVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHER, FLOOR, PYTORCH = "#1f6feb", "#b9c2cc", "#57606a", "#d9730d"
BARS = {
    "W1 step": "W1, a step: 784-50-10, SGD",
    "W1 job": "W1, the whole job",
    "W2 step": "W2, a step: 784-512-512-10, Adam",
    "W3 step": "W3, a step: 20-64-64-2, Adam",
    "W4 W1 1": "W4, predict 1 row, net of W1",
    "W4 W1 10000": "W4, 10,000 rows, net of W1",
    "W4 W2 1": "W4, predict 1 row, net of W2",
    "W4 W2 10000": "W4, 10,000 rows, net of W2",
    "W6 table 30": "W6, a fit: table, Adam, 30 epochs",
    "W6 table 300": "W6, a fit: table, Adam, 300 epochs",
    "W6 MNIST 1": "W6, a fit: 784-H-10, SGD, 1 epoch",
    "W6 wide 1": "W6, a fit: 784-H-H-10, Adam, 1 epoch",
}
ACROSS = 4
PLACES = len(REGISTRY) - 1  # all but the floor


def draw(results: Results, path: Path) -> None:
    """Every bar is the peer's best variant, its line the quartiles."""
    bars = [key for key in BARS if key in results.outcomes]
    curves = [name for name in CURVES if any(t.name in results.outcomes for t in CURVES[name].values())]
    heights = [2.5] * -(-len(bars) // ACROSS) + [3.6] * bool(curves)
    figure = Figure(figsize=(15, sum(heights) + 0.5), layout="constrained")
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for number, part in enumerate(parts[: len(heights) - bool(curves)]):
        keys = bars[ACROSS * number : ACROSS * (number + 1)]
        for axes, key in zip(part.subplots(1, ACROSS, squeeze=False)[0], keys + [""] * ACROSS, strict=False):
            if key:
                _bars(axes, results.outcomes[key])
            else:
                axes.set_axis_off()
    if curves:
        for number, axes in enumerate(parts[-1].subplots(1, len(curves), squeeze=False)[0]):
            _curve(axes, results, curves[number], legend=number == 0)
    machine = results.machine
    figure.suptitle(
        "Time, less is better. Everyone in the best variant and with the best number of threads. "
        f"{machine['processor']}, {machine['cores']} cores",
        fontsize=11,
    )
    figure.savefig(path, dpi=120)


def _bars(axes: Axes, outcome: Outcome) -> None:
    found = [s for s in (outcome.best(peer) for peer in REGISTRY if peer != "floor") if s is not None]
    found.sort(key=lambda s: -s.spread.median)
    limit = max((s.spread.high for s in found), default=1.0)
    for place, series in enumerate(found):
        low, median, high = series.spread
        color, weight = (OURS, "bold") if series.peer == "ours" else (OTHER, "normal")
        axes.barh(place, median, color=color, height=0.72)
        axes.plot([low, high], [place, place], color="black", linewidth=1, solid_capstyle="butt")
        axes.text(high + 0.02 * limit, place, time(median), va="center", fontsize=8.5, weight=weight)
    axes.set_yticks(range(len(found)), [_label(series) for series in found], fontsize=8)
    axes.set_ylim(len(found) - PLACES - 0.5, len(found) - 0.5)  # as wide a bar where somebody is missing
    axes.set_xlim(0, 1.3 * limit)
    axes.xaxis.set_major_locator(NullLocator())
    axes.set_title(BARS[outcome.key], fontsize=10, loc="left")
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(left=False)
    floor = outcome.best("floor")
    if floor:
        median = floor.spread.median
        axes.axvline(median, color=FLOOR, linestyle="--", linewidth=1.2)
        shown = f"dashed: matrix products alone, {time(median)}"
        axes.set_xlabel(shown, fontsize=7.5, color=FLOOR, loc="left")


def _label(series: Series) -> str:
    """The name, and below it the variant where there is a choice."""
    entry = REGISTRY[series.peer]
    return f"{entry.label}\n{series.variant}" if len(entry.training) > 1 else entry.label


def _curve(axes: Axes, results: Results, name: str, legend: bool) -> None:
    styles = {
        "pytorch": ("PyTorch eager", PYTORCH, "-", "s"),
        "ours": ("chainrule", OURS, "-", "o"),
        "floor": ("NumPy's matrix products alone", FLOOR, "--", ""),
    }
    for peer, (label, color, style, marker) in styles.items():
        points = []
        for number, task in CURVES[name].items():
            outcome = results.outcomes.get(task.name)
            best = outcome.best(peer) if outcome else None
            if best:
                points.append((number, *best.spread))
        if points:
            x, low, median, high = zip(*points, strict=True)
            axes.plot(x, median, style, color=color, marker=marker, markersize=4, linewidth=1.6, label=label)
            axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel=name)
    axes.set_title(f"W5, a step as the {name} grows", fontsize=10, loc="left")
    axes.xaxis.set_major_locator(FixedLocator(list(CURVES[name])))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if name == "depth" else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_time(value)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=8.5)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize=9)


def _round_time(seconds: float) -> str:
    """A round time with its unit."""
    unit, size = next((u for u in UNITS if seconds >= 0.999 * u[1]), UNITS[-1])
    return f"{seconds / size:g} {unit}"
