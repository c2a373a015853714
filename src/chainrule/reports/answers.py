"""The sections on a network's answers: confusion, classes, samples, and the residuals of a regression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.drawing.thinning import rounded
from chainrule.evaluation import MOST_WRONG, Classified, Estimated, Example, error_text, r2_text
from chainrule.reports.images import picture
from chainrule.reports.parts import Chart, Section
from chainrule.reports.run import TrainingRun
from chainrule.text import counted, percent, short

MOST_CLASSES = 30
"""Of more classes than this, the pairs that were confused most are listed instead of the matrix."""
PAIRS = 30
ACROSS = 5
"""Up to so many long names of classes stand side by side above the matrix; of more, each stands upright."""
SHOWN = 12
"""So many examples are shown before a cell of the matrix is chosen."""
NOTHING_COUNTED = "Not measured: there is no sample whose output is finite."
VALUES, NAMED_PROBABILITIES = 12, 3


def answers(run: TrainingRun) -> list[Section]:
    """All that there is to show of the answers."""
    if isinstance(run.answers, Classified):
        sections = [confusion(run.answers), examples(run, run.answers)]
        return [section for section in sections if section is not None]
    return [residuals(run, run.answers)] if isinstance(run.answers, Estimated) else []


def confusion(found: Classified) -> Section:
    """How often each class was predicted as which, and precision and recall of each class."""
    values: dict[str, Any] = {"samples": found.samples, "nothing": NOTHING_COUNTED}
    if not found.samples:
        return Section("confusion", "Confusion matrix", "confusion", values)
    right = int(np.trace(found.confusion))
    is_large = len(found.classes) > MOST_CLASSES
    choose = " Choose a cell to see its samples." if found.wrong and not is_large else ""
    values |= {
        "lead": f"{right:,} of {counted(found.samples, 'sample')} are right: {percent(found.accuracy, 2)}. "
        f"A row is the true class, a column the predicted one.{choose}{_uncounted(found)}",
        "pairs": _pairs(found) if is_large else None,
        "classes": [
            [name, f"{int(found.counts[k]):,}", float(found.precision[k]), float(found.recall[k])]
            for k, name in enumerate(found.classes)
        ],
    }
    if not is_large:
        long = max(map(len, found.classes), default=0) > 3
        values["kind_of_names"] = (
            "" if not long else " named" if len(found.classes) <= ACROSS else " named long"
        )
        values |= {"names": found.classes, "matrix": _matrix(found)}
    return Section("confusion", "Confusion matrix", "confusion", values)


def _uncounted(found: Classified | Estimated) -> str:
    """How many samples are in no number here, as a sentence; "" for none."""
    if not found.not_finite:
        return ""
    are = "is not counted: its output is" if found.not_finite == 1 else "are not counted: their output is"
    return f" {counted(found.not_finite, 'sample')} {are} NaN or infinite."


def _matrix(found: Classified) -> list[list[dict[str, Any]]]:
    counts = found.confusion
    wrong = counts - np.diag(np.diag(counts))
    most = max(int(wrong.max()), 1) if len(counts) else 1
    return [[_cell(found, k, j, most) for j in range(len(counts))] for k in range(len(counts))]


def _cell(found: Classified, k: int, j: int, most: int) -> dict[str, Any]:
    """How often class k was predicted as class j, in a colour as strong as it is often."""
    count, name = int(found.confusion[k, j]), found.classes[k]
    share = count / max(int(found.counts[k]), 1)
    strength = share if k == j else count / most
    what = "predicted rightly" if k == j else f"predicted as {found.classes[j]}"
    return {
        "kind": "hit" if k == j else ("miss" if count else "none"),
        "strength": 0.12 + 0.88 * strength if count else 0,
        "words": f"{name} {what}: {count:,}, {percent(share)} of all that are {name}",
        "shown": f"{count:,}" if count else "·",
    }


def _pairs(found: Classified) -> list[list[str]]:
    """The pairs that were confused most."""
    wrong = found.confusion - np.diag(np.diag(found.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    rows = []
    for place in order.tolist():
        k, j = divmod(place, len(found.classes))
        if wrong[k, j]:
            share = wrong[k, j] / found.counts[k]
            rows.append([found.classes[k], found.classes[j], f"{int(wrong[k, j]):,}", percent(share)])
    return rows


def examples(run: TrainingRun, found: Classified) -> Section | None:
    """The misclassified samples that are most wrong, and the least certain ones."""
    if not found.wrong and not found.unsure:
        return None
    values = {
        "wrong": [_told(each, run, found.classes) for each in found.wrong],
        "unsure": [_told(each, run, found.classes) for each in found.unsure],
        "shown": SHOWN,
        "has_more": min(len(found.wrong), MOST_WRONG) > SHOWN,
    }
    section = Section("examples", "Misclassified", "examples", values)
    return section if found.wrong else replace(section, title="Least certain")


def _told(example: Example, run: TrainingRun, classes: Sequence[str]) -> dict[str, Any]:
    """A sample with the probabilities of the likeliest classes and of the true one."""
    true, given = int(example.true), int(example.predicted)
    order = np.argsort(-example.probabilities, kind="stable")[:NAMED_PROBABILITIES].tolist()
    if true not in order:
        order = [*order[: NAMED_PROBABILITIES - 1], true]
    shares = example.probabilities.tolist()
    return {
        "sample": _sample(example, run.about.columns, run.image_shape),
        "true": true,
        "given": given,
        "heading": f"{classes[true]}, "
        + ("predicted rightly" if true == given else f"predicted as {classes[given]}"),
        "odds": [
            {"is_true": k == true, "name": classes[k], "share": shares[k], "shown": _probability(shares[k])}
            for k in order
        ],
    }


def _probability(share: float) -> str:
    return "< 0.1 %" if 0 <= share < 0.0005 else percent(share)


def _sample(example: Example, columns: list[str] | None, shape: Shape | None) -> dict[str, Any]:
    """A sample as a picture, or its values by their names."""
    if shape is not None and math.prod(shape) == len(example.x):
        return {"row": example.row, "source": picture(example.x, shape), "is_grey": len(shape) == 2}
    names = columns if columns and len(columns) == example.size else None
    shown = example.x[:VALUES].tolist()
    rest = example.size - len(shown)
    words = f"and {rest:,} more" + (", too many for a picture here" if shape is not None else "")
    return {
        "row": example.row,
        "source": "",
        "pairs": [(names[k] if names else f"x{k}", short(value, 3)) for k, value in enumerate(shown)],
        "rest": words if rest else "",
    }


def alike(values: Sequence[float]) -> list[str]:
    """Numbers with the same digits after the point, four in all of the largest, or all before the point."""
    largest = max(map(abs, values))
    if not math.isfinite(largest) or not 1e-4 <= largest < 1e9:
        return [short(value) for value in values]
    digits = max(0, 3 - math.floor(math.log10(largest)))
    return [f"{value:,.{digits}f}" for value in values]


def residuals(run: TrainingRun, found: Estimated) -> Section:
    """Predicted against true, what is left over, and the samples that are furthest off."""
    values: dict[str, Any] = {"samples": found.samples, "nothing": NOTHING_COUNTED}
    if not found.samples:
        return Section("answers", "Predictions and residuals", "predictions", values)
    errors = zip(found.names, found.r_squared, found.rmse, found.mean_absolute, strict=True)
    values |= {
        "rows": [[name, r2_text(r2), error_text(rmse), error_text(mae)] for name, r2, rmse, mae in errors],
        "label": f"Errors on {counted(found.samples, 'sample')}",
        "uncounted": _uncounted(found),
        "worst": [_estimate(each, run) for each in found.worst],
    }
    charts = scatter(found.true[:, 0], found.predicted[:, 0], found.names[0]) if len(found.true) else []
    return Section("answers", "Predictions and residuals", "predictions", values, charts)


def scatter(true: Array, predicted: Array, name: str) -> list[Chart]:
    """Predicted against true, and the residuals against the predictions."""
    order = np.argsort(true, kind="stable")
    ends = [float(true.min()), float(true.max())]
    one = Chart(
        "Predicted against true",
        [
            {"x": rounded(true[order]), "y": [rounded(predicted[order])]},
            {"x": rounded(ends), "y": [rounded(ends)]},
        ],
        [
            {"name": "predicted", "color": 0, "dots": True},
            {"name": "exact", "color": "raw", "width": 1},
        ],
        kind="points",
        x=f"true {name}",
        y=f"predicted {name}",
        summary=f"{counted(len(true), 'sample')} from {short(ends[0])} to {short(ends[1])}",
    )
    left = predicted - true
    order = np.argsort(predicted, kind="stable")
    ends = [float(predicted.min()), float(predicted.max())]
    two = Chart(
        "Residuals: predicted - true",
        [
            {"x": rounded(predicted[order]), "y": [rounded(left[order])]},
            {"x": rounded(ends), "y": [[0, 0]]},
        ],
        [
            {"name": "residual", "color": 1, "dots": True},
            {"name": "exact", "color": "raw", "width": 1},
        ],
        kind="points",
        x=f"predicted {name}",
        y="residual",
        summary=f"From {short(float(left.min()))} to {short(float(left.max()))}",
    )
    return [one, two]


def _estimate(example: Example, run: TrainingRun) -> dict[str, Any]:
    values = [example.predicted, example.true, example.predicted - example.true]
    return {
        "sample": _sample(example, run.about.columns, run.image_shape),
        "told": list(zip(("predicted", "true", "residual"), alike(values), strict=True)),
    }
