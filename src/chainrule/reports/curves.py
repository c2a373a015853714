"""The charts of a run: loss, accuracy, learning rate, and the layers over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, as_floats
from chainrule.drawing.thinning import rounded, smoothed, spread_over, thinned, window_of
from chainrule.loop.curves import batches_of
from chainrule.reports.parts import Chart, Section
from chainrule.reports.run import LayerHealth, TrainingRun
from chainrule.text import percent, short

MOST_ROWS = 100
"""Of more epochs than this, some even apart are in the table."""
MOST_SERIES = 24
"""Of more layers than this, some even apart are drawn."""
FEWEST_LOOKS = 4
"""Fewer looks at the layers than this are no curve: then there is the table of how they ended."""
MANY_FOLD = 30.0
"""A curve that falls, or rises, so many-fold is drawn on a logarithmic axis."""
KINDS = {"Affine": "Affine (dense, fully connected)"}
"""Layers by the names that other libraries have for them."""


def curves(run: TrainingRun, with_table: bool = True) -> Section | None:
    """Loss, accuracy and learning rate, and the numbers of each epoch as a table."""
    if not len(run.loss) and not run.history.measured_at:
        return None
    charts = [chart for chart in (loss_chart(run), accuracy_chart(run), rate_chart(run)) if chart]
    rates = run.rates
    constant = len(rates) and float(np.ptp(rates)) == 0
    values = {"rate": short(rates[0]) if constant else None, **(_epochs(run) if with_table else {"rows": []})}
    return Section("curves", "Curves", "curves", values, charts)


def loss_chart(run: TrainingRun) -> Chart | None:
    """The loss of every batch, its running mean, and the losses over all the data."""
    if not len(run.loss):
        return None
    kept = thinned(run.loss)
    tables, name = [{"x": (kept + 1).tolist(), "y": [rounded(run.loss[kept])]}], batches_of(run.history)
    series: list[dict[str, Any]] = [{"name": name, "color": "raw", "width": 1}]
    window = window_of(len(run.loss))
    if window > 1:
        places = spread_over(len(run.loss))
        tables.append({"x": (places + 1).tolist(), "y": [rounded(smoothed(run.loss)[places])]})
        series.append({"name": f"mean of {window:,}", "color": 0, "width": 2})
    measured = _measured(run, "loss")
    if measured:
        tables.append(measured[0])
        series += [{**each, "hidden": each["name"] == "training data"} for each in measured[1]]
    return Chart(
        f"Loss{in_unit(run.about.loss_unit)}",
        tables,
        series,
        log=spans_decades(smoothed(run.loss), *(as_floats(each) for each in _losses(run))),
        x=run.history.unit,
        y="loss",
        summary=f"Loss of {name}: {short(run.loss[0])} at the start, {short(run.loss[-1])} at the end",
    )


def _losses(run: TrainingRun) -> tuple[list[float], list[float]]:
    return run.history.train_loss, run.history.test_loss


def spans_decades(*curves: Array) -> bool:
    """Whether curves of positive numbers fall or rise so far that a linear axis shows but one end of them."""
    values = np.concatenate([np.asarray(each, dtype=np.float64).ravel() for each in curves])
    values = values[np.isfinite(values)]
    if len(values) < 2 or values.min() < 0:
        return False
    values = values[values > 0]
    return bool(len(values) > 1 and values.max() >= MANY_FOLD * values.min())


def in_unit(unit: str) -> str:
    """What the losses are in, as the end of a title."""
    return f", as {unit}" if unit else ""


def accuracy_chart(run: TrainingRun) -> Chart | None:
    """The accuracies over all the data."""
    measured = _measured(run, "accuracy")
    if measured is None or len(measured[0]["x"]) < 2:  # one number is on its card
        return None
    ends = ", ".join(f"{percent(_last(run, part))} of the {part} data" for part in ("train", "test"))
    return Chart(
        "Accuracy",
        [measured[0]],
        measured[1],
        percent=True,
        x=run.history.unit,
        y="accuracy",
        summary=f"Right at the end: {ends}",
    )


def rate_chart(run: TrainingRun) -> Chart | None:
    """The learning rate, where it changes."""
    rates = run.rates
    if not len(rates) or float(np.ptp(rates)) == 0:
        return None
    kept = thinned(rates, 100)
    words = f"From {short(rates[0])} to {short(rates[-1])}, at most {short(float(rates.max()))}"
    data = [{"x": (kept + 1).tolist(), "y": [rounded(rates[kept])]}]
    series = [{"name": "learning rate", "color": 2, "width": 2}]
    is_log = spans_decades(rates[rates > 0])
    return Chart(
        "Learning rate", data, series, log=is_log, x=run.history.unit, y="learning rate", summary=words
    )


def _last(run: TrainingRun, part: str) -> float:
    value = run.latest(f"{part}_accuracy")
    return float("nan") if value is None else value


def _measured(run: TrainingRun, what: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    found = {}
    at = np.zeros(0)
    for part, name, color in (("train", "training data", 0), ("test", "test data", 1)):
        measured = run.measured(f"{part}_{what}")
        if measured is not None:
            at, found[name] = measured[0], (measured[1], color)
    if not found:
        return None
    kept = thinned(next(iter(found.values()))[0])
    return (
        {"x": rounded(at[kept], 9), "y": [rounded(values[kept]) for values, _ in found.values()]},
        [{"name": name, "color": color, "width": 2, "points": True} for name, (_, color) in found.items()],
    )


def _epochs(run: TrainingRun) -> dict[str, Any]:
    """The measures over all the data as a table."""
    names = [
        (f"{part}_{what}", f"{word} {what}")
        for what in ("loss", "accuracy")
        for part, word in (("train", "training"), ("test", "test"))
    ]
    found = [(title, run.measured(name)) for name, title in names]
    columns = [(title, measured[1]) for title, measured in found if measured is not None]
    at = next((measured[0] for _, measured in found if measured is not None), np.zeros(0))
    if not len(at):
        return {"rows": []}
    places = spread_over(len(at), MOST_ROWS)
    rows = [[f"{at[k]:,.0f}", *(f"{float(values[k]):.6g}" for _, values in columns)] for k in places.tolist()]
    head = [f"after {run.history.unit}", *(title for title, _ in columns)]
    title = "Numbers of each epoch" if len(places) == len(at) else "Numbers of some epochs"
    return {"head": head, "rows": rows, "label": title}


_MEASURES = (
    # measure, title, what is along the axis, share, logarithmic
    ("mean", "Mean of the output", "mean", False, False),
    ("std", "Standard deviation of the output", "standard deviation", False, False),
    ("zeros", "Zeros in the output", "share of values", True, False),
    ("dead", "Dead units", "share of units", True, False),
    ("saturated", "Saturated values", "share of values", True, False),
    ("gradient_std", "Gradients of the layers", "standard deviation", False, True),
    ("gradient_norm", "Gradients of the layers", "norm", False, True),
)


def health(run: TrainingRun) -> Section | None:
    """The layers and parameters over time, and how they ended."""
    if not run.layers and not run.parameters:
        return None
    charts: list[Chart] = []
    for measure, title, y, share, log in _MEASURES:
        if measure == "gradient_norm" and any(chart.title.startswith("Gradients") for chart in charts):
            continue
        charts += _over_time(run, run.layers, measure, title, y, share, log)
    charts += _over_time(
        run, run.parameters, "gradient_norm", "Gradients of the parameters", "norm", False, True
    )
    title = "Update-to-weight ratio (about 0.001 is usual)"
    charts += _over_time(run, run.parameters, "update_ratio", title, "update / weight", False, True)
    table, looks = _health_table(run), len(run.iterations)
    if not charts and not table["rows"]:
        return None
    values = {
        "samples": run.history.health.get("rows", "some"),
        "looks": looks,
        "is_curve": bool(charts),
        **table,
    }
    section = Section("layers", "Layers over time", "layers", values, charts)
    return section if charts else replace(section, title="Layers")


def _over_time(
    run: TrainingRun, records: list[LayerHealth], measure: str, title: str, y: str, share: bool, log: bool
) -> list[Chart]:
    having = [each for each in records if measure in each.measures and len(each.measures[measure])]
    having = [having[k] for k in spread_over(len(having), MOST_SERIES).tolist()] if having else []
    if not having or len(run.iterations) < FEWEST_LOOKS:
        return []
    kept = thinned(run.iterations, 100)
    values = [rounded(each.measures[measure][kept], 4) for each in having]
    series = [{"name": each.name, "color": k, "of": len(having), "width": 2} for k, each in enumerate(having)]
    ends = ", ".join(f"{each.name} {_shown(each.last(measure), share)}" for each in having[:8])
    tables = [{"x": rounded(run.iterations[kept], 9), "y": values}]
    is_log = log or (measure == "std" and spans_decades(*(each.measures[measure] for each in having)))
    summary = f"At the end: {ends}"
    return [Chart(title, tables, series, log=is_log, percent=share, from_zero=share, y=y, summary=summary)]


def _shown(value: float, share: bool) -> str:
    return percent(value) if share else short(value, 3)


def _health_table(run: TrainingRun) -> dict[str, Any]:
    """How each layer ended, a row each."""
    columns = [
        (measure, title, share)
        for measure, title, share in (
            ("mean", "mean", False),
            ("std", "standard deviation", False),
            ("zeros", "zeros", True),
            ("dead", "dead", True),
            ("saturated", "saturated", True),
            ("gradient_norm", "gradient norm", False),
        )
        if any(measure in layer.measures for layer in run.layers)
    ]
    if not columns:
        return {"rows": []}
    rows = [
        [
            layer.name,
            KINDS.get(layer.kind, layer.kind),
            *(_cell(layer, name, share) for name, _, share in columns),
        ]
        for layer in run.layers
    ]
    head = ["layer", "kind", *(title for _, title, _ in columns)]
    return {"head": head, "rows": rows}


def _cell(layer: LayerHealth, measure: str, share: bool) -> str:
    if measure not in layer.measures:
        return ""
    value = layer.last(measure)
    return _shown(value, share) if not np.isnan(value) else "not finite"


def smooth_table(values: Array, seconds: Array) -> dict[str, Any]:
    """The running mean of a loss, by iteration and by time, for a comparison."""
    places = spread_over(len(values))
    content: dict[str, Any] = {"x": (places + 1).tolist(), "y": [rounded(smoothed(values)[places])]}
    if len(seconds) == len(values):
        content["seconds"] = rounded(seconds[places], 5)
    return content
