"""The page of several runs: their results side by side, the settings that differ, their curves in one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.arrays import as_floats
from chainrule.drawing.thinning import rounded, smoothed
from chainrule.evaluation import Classified, Estimated, error_text, r2_text
from chainrule.reports import compared_tables
from chainrule.reports.curves import in_unit, smooth_table, spans_decades
from chainrule.reports.findings import findings_of
from chainrule.reports.parts import Chart, Section, whole_page
from chainrule.reports.run import TrainingRun
from chainrule.reports.run_page import fine
from chainrule.text import counted, duration, percent, short

Measure = Callable[[TrainingRun], float]


def comparison_page(runs: Sequence[TrainingRun], title: str) -> str:
    """The report of several runs as one HTML page."""
    charts = [chart for chart in _charts(runs) if chart is not None]
    found = [
        Section("results", "Results", "compared_results", _results(runs)),
        Section("curves", "Curves", "compared_curves", {}, charts),
        compared_tables.settings(runs),
        compared_tables.classes(runs),
        compared_tables.layers(runs),
        Section("findings", "Findings", "compared_findings", _findings(runs)),
    ]
    sections = [section for section in found if section is not None]
    return whole_page(title, f"{counted(len(runs), 'run')} side by side.", sections)


def _results(runs: Sequence[TrainingRun]) -> dict[str, Any]:
    """A row for each run, the best value of each column marked."""
    columns: list[tuple[str, Measure, Callable[[float], str], int]] = [
        ("test accuracy", _latest("test_accuracy"), lambda v: percent(v, 2), 1),
        ("training accuracy", _latest("train_accuracy"), lambda v: percent(v, 2), 1),
        ("accuracy on the data at hand", _accuracy, lambda v: percent(v, 2), 1),
        ("R²", _error("r2"), r2_text, 1),
        ("RMSE", _error("rmse"), error_text, -1),
        ("MAE", _error("mae"), error_text, -1),
        ("test loss", _loss("test_loss"), short, -1),
        ("training loss", _loss("train_loss"), short, -1),
        ("time", lambda run: run.seconds if len(run.loss) else math.nan, duration, -1),
        ("iterations", _recorded("iteration"), lambda v: f"{v:,.0f}", 0),
        ("epochs", _recorded("epoch"), lambda v: f"{v:,.0f}", 0),
        ("parameters", _parameters, lambda v: f"{v:,.0f}", 0),
    ]
    found = [(title, [measure(run) for run in runs], show, best) for title, measure, show, best in columns]
    if any(_latest("test_accuracy")(run) == _latest("test_accuracy")(run) for run in runs):
        found = [each for each in found if each[0] != "accuracy on the data at hand"]
    found = [each for each in found if any(math.isfinite(value) for value in each[1])]
    rows = []
    for k, run in enumerate(runs):
        cells: list[Any] = [{"name": run.name, "colour": k % 8}]
        for title, values, show, best in found:
            finite = [best * value for value in values if math.isfinite(value)]
            is_best = best and len(set(finite)) > 1 and best * values[k] == max(finite)
            is_best = is_best and _are_of_a_kind(runs, values, is_loss=title.endswith("loss"))
            is_there = math.isfinite(values[k])
            shown = show(values[k]) if is_there else "not measured" if _applies(title, run) else "–"
            cells.append({"shown": shown, "is_best": is_best, "value": values[k] if is_there else None})
        wrong = len(findings_of(run))
        cells += [
            run.history.stopped.partition(":")[0],
            {"shown": f"{wrong:,}", "is_best": False, "value": wrong},
        ]
        rows.append(cells)
    head = ["run", *(each[0] for each in found), "ended", "findings"]
    kinds = "t" + "n" * len(found) + "tn"
    return {"head": head, "rows": rows, "kinds": kinds}


def _applies(title: str, run: TrainingRun) -> bool:
    """Whether a run could have a measure: classes have an accuracy and a loss, estimates have errors."""
    if title in ("iterations", "epochs"):
        return run.history.unit == title.removesuffix("s")
    if run.answers is None or title in ("time", "parameters"):
        return True
    return isinstance(run.answers, Estimated) == (title in ("R²", "RMSE", "MAE"))


def _are_of_a_kind(runs: Sequence[TrainingRun], values: Sequence[float], is_loss: bool) -> bool:
    """Whether the runs that have a value have the same task, and for a loss the same loss in the same unit."""
    kinds = set()
    for run, value in zip(runs, values, strict=True):
        if math.isfinite(value):
            answers = run.answers
            names = answers.classes if isinstance(answers, Classified) else answers and answers.names
            of_loss = (run.about.loss_unit, str(run.history.settings.get("loss", ""))) if is_loss else ()
            kinds.add((type(answers), tuple(names or ()), run.about.data, of_loss))
    return len(kinds) == 1


def _recorded(unit: str) -> Measure:
    """How long a run was, where its losses are recorded by this unit."""
    return lambda run: float(len(run.loss)) if len(run.loss) and run.history.unit == unit else math.nan


def _latest(name: str) -> Measure:
    def measure(run: TrainingRun) -> float:
        value = run.latest(name)
        return math.nan if value is None else value

    return measure


def _accuracy(run: TrainingRun) -> float:
    return run.answers.accuracy if isinstance(run.answers, Classified) else math.nan


def _error(name: str) -> Measure:
    return lambda run: run.answers.means[name] if isinstance(run.answers, Estimated) else math.nan


def _loss(name: str) -> Measure:
    """The loss of a run; of a regression its errors are told instead."""
    return lambda run: math.nan if isinstance(run.answers, Estimated) else _latest(name)(run)


def _parameters(run: TrainingRun) -> float:
    return math.nan if run.about.parameters is None else float(run.about.parameters)


def _charts(runs: Sequence[TrainingRun]) -> list[Chart | None]:
    having = [(k, run) for k, run in enumerate(runs) if len(run.loss)]
    charts: list[Chart | None] = []
    units = {run.about.loss_unit for run in runs}
    unit = in_unit(units.pop()) if len(units) == 1 else ""
    if having:
        tables = [smooth_table(run.loss, as_floats(run.history.seconds)) for _, run in having]
        series = [{"name": run.name, "color": k % 8, "width": 2} for k, run in having]
        charts.append(
            Chart(
                f"Training loss{unit}, smoothed",
                tables,
                series,
                log=spans_decades(*(smoothed(run.loss) for _, run in having)),
                y="loss",
                summary="Running means of the batches",
            )
        )
    charts += [
        _measured(runs, "test_loss", f"Test loss{unit}", False),
        _measured(runs, "test_accuracy", "Test accuracy", True),
        _measured(runs, "train_accuracy", "Training accuracy", True),
    ]
    return charts


def _measured(runs: Sequence[TrainingRun], name: str, title: str, share: bool) -> Chart | None:
    tables: list[dict[str, Any]] = []
    series: list[dict[str, Any]] = []
    for k, run in enumerate(runs):
        found = run.measured(name)
        if found is None:
            continue
        at, values = found
        content: dict[str, Any] = {"x": rounded(at, 9), "y": [rounded(values)]}
        times = as_floats(run.history.seconds)
        if len(times) and at.min() >= 1 and at.max() <= len(times):
            content["seconds"] = rounded(times[at.astype(int) - 1], 5)
        tables.append(content)
        series.append({"name": run.name, "color": k % 8, "width": 2, "points": True})
    ends = ", ".join(
        f"{each['name']} {short(_end(content))}" for each, content in zip(series, tables, strict=True)
    )
    if not tables:
        return None
    losses = [as_floats(getattr(run.history, name)) for run in runs]
    is_log = not share and spans_decades(*losses)
    y = "accuracy" if share else "loss"
    return Chart(title, tables, series, log=is_log, percent=share, y=y, summary=f"At the end: {ends}")


def _end(content: dict[str, Any]) -> float:
    value = content["y"][0][-1]
    return math.nan if value is None else float(value)


def _findings(runs: Sequence[TrainingRun]) -> dict[str, Any]:
    told = [
        {"name": run.name, "found": findings_of(run), "missing": run.missing, "fine": fine(run)}
        for run in runs
    ]
    return {"runs": told}
