"""A history as HTML: its curves and its final figures, in the colours of the notebook around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array, as_floats
from chainrule.drawing.page import text
from chainrule.drawing.thinning import smoothed, thinned, window_of
from chainrule.loop import History
from chainrule.loop.curves import batches_of
from chainrule.loop.wording import extent, number
from chainrule.text import duration, short

BLUE, ORANGE = "#3b82f6", "#e07b1a"  # of middle brightness: to be seen on white and on black
BUCKETS = 150  # a curve is some 300 pixels wide, and has the lowest and the highest of each two of them
MOST_DOTS = 40
LARGEST = 1e100
WIDTH, HEIGHT = 400, 232
LEFT, RIGHT, TOP, BOTTOM = 54, 390, 34, 192


@dataclass(frozen=True)
class Line:
    """One curve: its name in the legend, and what it goes through."""

    name: str
    x: Array
    y: Array
    colour: str
    is_faint: bool = False
    dashes: str = ""


def history_html(history: History) -> str:
    """The history as one <div> that needs nothing else."""
    told = extent(history)
    if history.seconds:
        told.append(duration(float(as_floats(history.seconds[-1:])[0])))
    if history.stopped:
        told.append(history.stopped)
    charts = [
        _chart(f"loss of {batches_of(history)}", _loss_lines(history), history.unit),
        _chart(*_epoch_lines(history), history.unit),
    ]
    shown = "".join(f'<div style="flex:1 1 300px;max-width:480px">{each}</div>' for each in charts if each)
    # mathjax_ignore: else a notebook would typeset a name with dollar signs
    return (
        '<div class="mathjax_ignore tex2jax_ignore" style="color:inherit;background:transparent;'
        'font-family:system-ui,sans-serif;line-height:1.4;overflow-wrap:anywhere">'
        f"<div><b>Training:</b> {text(', '.join(told))}</div>"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px 24px;margin:6px 0">{shown}</div>{_table(history)}</div>'
    )


def _shown(values: Sequence[float]) -> Array:
    """The values as a curve can show them: NaN for the largest, 0 for the smallest of them."""
    y = as_floats(values)
    y = np.where(np.abs(y) < LARGEST, y, np.nan)
    return np.where(np.abs(y) < 1 / LARGEST, 0, y)


def _loss_lines(history: History) -> list[Line]:
    loss = _shown(history.loss)
    kept = thinned(loss, BUCKETS)
    if (window := window_of(len(loss))) == 1:
        return [Line("", kept + 1, loss[kept], BLUE)]
    places = np.unique(np.linspace(0, len(loss) - 1, 2 * BUCKETS).round().astype(int))
    mean = Line(f"mean of {window:,}", places + 1, smoothed(loss)[places], BLUE)
    return [Line("", kept + 1, loss[kept], BLUE, is_faint=True), mean]


def _epoch_lines(history: History) -> tuple[str, list[Line]]:
    kind = "accuracy" if history.train_accuracy or history.test_accuracy else "loss"
    lines = []
    for part, colour, dashes in (("train", BLUE, ""), ("test", ORANGE, "5 3")):
        values = _shown(getattr(history, f"{part}_{kind}"))
        at = as_floats(history.measured_at)
        count = min(len(values), len(at))
        if count:
            x, y = at[-count:], values[-count:]
            kept = thinned(y, BUCKETS)
            lines.append(Line(part, x[kept], y[kept], colour, dashes=dashes))
    return f"{kind} over all the data", lines


def _table(history: History) -> str:
    """The last loss and accuracy of the training and the test data."""
    cell = "padding:2px 24px 2px 0;text-align:left;border:0;background:none"
    head = f"{cell};border-bottom:1px solid rgba(128,128,128,.6)"
    columns = [
        kind
        for kind in ("loss", "accuracy")
        if history.latest(f"train_{kind}") is not None or history.latest(f"test_{kind}") is not None
    ]
    if not columns:
        return ""
    rows = ["<tr>" + "".join(f'<th style="{head}">{each}</th>' for each in ("", *columns)) + "</tr>"]
    for part in ("train", "test"):
        values = [history.latest(f"{part}_{kind}") for kind in columns]
        if any(value is not None for value in values):
            told = [part, *("" if value is None else number(value) for value in values)]
            rows.append("<tr>" + "".join(f'<td style="{cell}">{text(each)}</td>' for each in told) + "</tr>")
    return (
        '<table style="border-collapse:collapse;border:0;color:inherit;margin:0;font-variant-numeric:tabular-nums">'
        f"{''.join(rows)}</table>"
    )


# One chart -------------------------------------------------------------------------------------------------


def _chart(title: str, lines: Sequence[Line], unit: str) -> str:
    """The lines as an SVG picture; nothing where fewer than two values are finite."""
    values = np.concatenate([line.y[np.isfinite(line.y)] for line in lines]) if lines else np.zeros(0)
    if len(values) < 2:
        return ""
    low, high = float(values.min()), float(values.max())
    is_log = low > 0 and high > 100 * low
    y_ticks = _decades(low, high) if is_log else _ticks(low, high)
    if not is_log:  # a flat line stands in the middle
        low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])
    first, last = min(float(line.x.min()) for line in lines), max(float(line.x.max()) for line in lines)

    def across(x: float) -> float:
        return LEFT + (RIGHT - LEFT) * ((x - first) / (last - first) if last > first else 0.5)

    def up(y: float) -> float:
        share = math.log(y / low) / math.log(high / low) if is_log else (y - low) / (high - low)
        return BOTTOM - (BOTTOM - TOP) * share

    parts = [_words(LEFT, 18, title + (" (log scale)" if is_log else ""), weight=600)]
    end = RIGHT
    for line in reversed(lines):
        if line.name:
            parts.append(_words(end, 18, line.name, "end", fill=line.colour, weight=600))
            end -= 8 * len(line.name) + 10
    for y in y_ticks:
        parts.append(
            f'<line x1="{LEFT}" x2="{RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}" stroke="currentColor" '
            'stroke-opacity=".18"/>'
        )
        parts.append(_words(LEFT - 6, up(y) + 4, short(y, 3), "end"))
    for x in _ticks(first, last):
        if x == round(x) and first <= x <= last:
            parts.append(_words(across(x), BOTTOM + 17, f"{x:,.0f}", "middle" if x < last else "end"))
    parts.append(_words((LEFT + RIGHT) / 2, HEIGHT - 6, unit, "middle"))
    for line in lines:
        points = [
            (across(x), up(y)) if math.isfinite(y) else None
            for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True)
        ]
        parts.append(_path(line, points))
    label = text(f"{title}: from {short(float(values.min()))} to {short(float(values.max()))}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="{label}" '
        f'style="display:block;height:auto;max-width:none">{"".join(parts)}</svg>'
    )


def _path(line: Line, points: Sequence[tuple[float, float] | None]) -> str:
    """The line, broken where a value is not finite; with dots where there are few points."""
    path, before = "", None
    for point in points:
        if point is not None:
            path += f"{'M' if before is None else 'L'}{point[0]:.1f},{point[1]:.1f}"
        before = point
    look = 'stroke-opacity=".4" stroke-width="1"' if line.is_faint else 'stroke-width="1.8"'
    dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
    drawn = f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-linejoin="round" {look}{dashes}/>'
    if len(points) <= MOST_DOTS:
        drawn += "".join(
            f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.4" fill="{line.colour}"/>'
            for point in points
            if point is not None
        )
    return drawn


def _words(
    x: float, y: float, words: str, anchor: str = "start", *, fill: str = "", weight: int = 400
) -> str:
    look = f'fill="{fill}"' if fill else 'fill="currentColor" fill-opacity=".8"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" font-weight="{weight}" {look}>'
        f"{text(words)}</text>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers from one at or below `low` to one at or above `high`."""
    if not high > low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step *= next(times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= 4)
    return [step * k for k in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """The powers of ten in between, at most six of them."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [10.0**k for k in powers[:: -(-len(powers) // 6)]]
