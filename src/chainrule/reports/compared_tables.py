"""The tables in which runs differ: their settings, what they find of each class, and the health of their layers."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule import optimizers
from chainrule.evaluation import Classified
from chainrule.reports.curves import KINDS
from chainrule.reports.network import as_text, as_words
from chainrule.reports.parts import Section
from chainrule.reports.run import LayerHealth, TrainingRun
from chainrule.text import percent, short

MOST_ROWS = 200
_OF_LAYERS = (
    # measure, what it is called, whether it is a share
    ("dead", "dead units", True),
    ("saturated", "saturated values", True),
    ("std", "standard deviation of the output", False),
    ("gradient_std", "standard deviation of the gradient", False),
)
_OF_PARAMETERS = (("norm", "norm", False), ("update_ratio", "update-to-weight ratio", False))


def settings(runs: Sequence[TrainingRun]) -> Section:
    """The settings and versions that are not the same in all runs; of an optimizer, each of its arguments."""
    told = [_settings_of(run) for run in runs]
    rows: list[list[Any]] = []
    for name in dict.fromkeys(name for each in told for name in each):
        values = [each.get(name) for each in told]
        if len(set(values)) > 1:
            shown = [_rounded(each) for each in values]
            rows.append([name, *(shown if len(set(shown)) == len(set(values)) else values)])
    return Section(
        "settings", "Settings that differ", "compared_settings", {"names": _names(runs), "rows": rows}
    )


def _rounded(setting: str | None) -> str | None:
    """A setting that is no whole number, in a few digits."""
    try:
        return setting if setting is None or setting.lstrip("-").isdigit() else short(float(setting))
    except ValueError:
        return setting


def _settings_of(run: TrainingRun) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in run.history.settings.items():
        parts = _parts(value) if name == "optimizer" else {}
        if not parts:
            found[as_words(name)] = as_text(value)
        for part, text in parts.items():
            found.setdefault(as_words(part), text)
    return {**found, **run.about.versions}


def _parts(optimizer: Any) -> dict[str, str]:
    """The name of an optimizer's class and its arguments, as its text tells them; {} for another text."""
    try:
        call = ast.parse(str(optimizer), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return {}
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return {}
    given = {str(each.arg): ast.unparse(each.value) for each in call.keywords}
    return {"optimizer": call.func.id, **_defaults(call.func.id), **given}


def _defaults(optimizer: str) -> dict[str, str]:
    """What an optimizer of that name is made with where its text leaves it out."""
    made = getattr(optimizers, optimizer, None)
    if not inspect.isclass(made):
        return {}
    found = inspect.signature(made).parameters.values()
    return {each.name: repr(each.default) for each in found if each.default is not each.empty}


def classes(runs: Sequence[TrainingRun]) -> Section | None:
    """The recall of each class in each run, those that differ most first; None unless all have the same classes."""
    found = [run.answers for run in runs if isinstance(run.answers, Classified) and run.answers.samples]
    if len(found) != len(runs) or len({tuple(each.classes) for each in found}) > 1:
        return None
    rows: list[list[Any]] = []
    for k, name in enumerate(found[0].classes):
        recalls = [float(each.recall[k]) for each in found]
        rows.append([name, *map(_share, recalls), _difference(recalls, is_share=True)])
    rows.sort(key=lambda row: -(row[-1]["value"] or 0.0))
    head = ["class", *_names(runs), "difference"]
    values = {"head": head, "rows": rows[:MOST_ROWS], "kinds": "t" + "n" * (len(head) - 1)}
    return Section("classes", "Recall of each class", "compared_table", values)


def layers(runs: Sequence[TrainingRun]) -> Section | None:
    """How the layers and parameters ended in each run; None where none was looked at."""
    rows = _rows([run.layers for run in runs], _OF_LAYERS)
    rows += _rows([run.parameters for run in runs], _OF_PARAMETERS)
    if not rows:
        return None
    head = ["layer", "kind", "at the end", *_names(runs), "difference"]
    values = {"head": head, "rows": rows[:MOST_ROWS], "kinds": "ttt" + "n" * (len(head) - 3)}
    return Section("layers", "Health of the layers", "compared_table", values)


def _rows(
    told: Sequence[Sequence[LayerHealth]], measures: Sequence[tuple[str, str, bool]]
) -> list[list[Any]]:
    by_name: list[Mapping[str, LayerHealth]] = [{each.name: each for each in records} for records in told]
    rows = []
    for name in dict.fromkeys(name for records in by_name for name in records):
        kind = next(records[name].kind for records in by_name if name in records)
        for measure, what, is_share in measures:
            values = [records[name].last(measure) if name in records else math.nan for records in by_name]
            if any(map(math.isfinite, values)):
                shown = [_share(each) if is_share else _number(each) for each in values]
                rows.append([name, KINDS.get(kind, kind), what, *shown, _difference(values, is_share)])
    return rows


def _names(runs: Sequence[TrainingRun]) -> list[str]:
    return [run.name for run in runs]


def _share(value: float) -> dict[str, Any]:
    return _cell(value, percent(value)) if math.isfinite(value) else _NOT_MEASURED


def _number(value: float) -> dict[str, Any]:
    return _cell(value, short(value, 3)) if math.isfinite(value) else _NOT_MEASURED


def _cell(value: float, shown: str) -> dict[str, Any]:
    return {"value": value, "shown": shown}


_NOT_MEASURED: dict[str, Any] = {"value": None, "shown": "not measured"}


def _difference(values: Sequence[float], is_share: bool) -> dict[str, Any]:
    """Of shares in points, of other numbers how many times the smallest the largest is."""
    finite = [each for each in values if math.isfinite(each)]
    if len(finite) < 2:
        return {"value": None, "shown": ""}
    low, high = min(finite), max(finite)
    if is_share:
        return _cell(high - low, f"{100 * (high - low):.1f} points")
    if low <= 0:
        return {"value": None, "shown": ""}
    return _cell(high / low, f"{short(high / low, 3)} times")
