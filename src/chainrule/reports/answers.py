"""The sections on a network's answers: confusion, classes, samples, and the residuals of a regression."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.drawing.page import text
from chainrule.drawing.thinning import rounded
from chainrule.evaluation import MOST_WRONG, Classified, Estimated, Example, error_text, r2_text
from chainrule.reports.images import picture
from chainrule.reports.parts import Chart, Section, bar, charts_html, listed, table
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
    """Who is taken for whom, and precision and recall of each class."""
    if not found.samples:
        return Section("confusion", "Confusions", f"<p>{NOTHING_COUNTED}</p>")
    right = int(np.trace(found.confusion))
    lead = (
        f'<p class="lead">{right:,} of {counted(found.samples, "sample")} are right: {percent(found.accuracy, 2)}. '
        "A row is what samples are, a column what they were taken for."
    )
    if len(found.classes) > MOST_CLASSES:
        return Section("confusion", "Confusions", lead + "</p>" + _pairs(found) + _classes(found))
    lead += " Choose a cell to see its samples.</p>" if found.wrong else "</p>"
    return Section(
        "confusion", "Confusions", f'{lead}<div class="halves">{_matrix(found)}{_classes(found)}</div>'
    )


def _matrix(found: Classified) -> str:
    counts = found.confusion
    wrong = counts - np.diag(np.diag(counts))
    most = max(int(wrong.max()), 1) if len(counts) else 1
    long = max(map(len, found.classes), default=0) > 3
    kind_of_names = "" if not long else " named" if len(found.classes) <= ACROSS else " named long"
    heads = "".join(f'<th scope="col"><span>{text(name)}</span></th>' for name in found.classes)
    rows = []
    for k, name in enumerate(found.classes):
        cells = []
        for j in range(len(counts)):
            count = int(counts[k, j])
            share = count / max(int(found.counts[k]), 1)
            strength = share if k == j else count / most
            words = (
                f"{name} taken for {found.classes[j]}: {count:,}, {percent(share)} of all that are {name}"
                if k != j
                else f"{name} found: {count:,}, {percent(share)} of all that are {name}"
            )
            kind = "hit" if k == j else ("miss" if count else "none")
            cells.append(
                f'<td class="{kind}" style="--s:{0.12 + 0.88 * strength if count else 0:.2f}" data-true="{k}" '
                f'data-given="{j}" tabindex="{0 if k == j == 0 else -1}" aria-label="{text(words)}">'
                f"{f'{count:,}' if count else '·'}</td>"
            )
        rows.append(
            f'<tr><th scope="row" title="{text(name)}"><span>{text(name)}</span></th>{"".join(cells)}</tr>'
        )
    return (
        f'<div><div class="wide"><table class="confusion{kind_of_names}" role="grid" aria-label="confusion matrix">'
        f'<thead><tr><td class="corner">true \\ taken for</td>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        '</table></div><p class="readout faint" id="confusion-words" aria-live="polite">&nbsp;</p></div>'
    )


def _pairs(found: Classified) -> str:
    wrong = found.confusion - np.diag(np.diag(found.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    rows = []
    for place in order.tolist():
        k, j = divmod(place, len(found.classes))
        if wrong[k, j]:
            share = wrong[k, j] / found.counts[k]
            rows.append(
                [text(found.classes[k]), text(found.classes[j]), f"{int(wrong[k, j]):,}", percent(share)]
            )
    return table(["true", "taken for", "samples", "of the class"], rows, kinds="ttnn", label="Most confused")


def _classes(found: Classified) -> str:
    rows = []
    for k, name in enumerate(found.classes):
        shares = [float(found.precision[k]), float(found.recall[k])]
        cells = [
            "none" if math.isnan(share) else f"{bar(share)}<span>{percent(share)}</span>" for share in shares
        ]
        rows.append([text(name), f"{int(found.counts[k]):,}", *cells])
    return table(
        ["class", "samples", "precision", "recall"], rows, kinds="tnnn", label="Precision and recall"
    )


def examples(run: TrainingRun, found: Classified) -> Section | None:
    """The most wrong and the least certain samples."""
    if not found.wrong and not found.unsure:
        return None
    shape = run.image_shape
    parts = []
    if found.wrong:
        cards = "".join(
            _card(each, run, found.classes, shape, hidden=k >= SHOWN) for k, each in enumerate(found.wrong)
        )
        parts.append(
            f'<h3>Most wrong</h3><p class="faint" id="example-words" aria-live="polite" data-shown="{SHOWN}" '
            f'data-kept="{len(found.wrong)}">The smallest probabilities of what is true.</p>'
            f'<button type="button" id="all-examples" hidden>Show the most wrong again</button>'
            f'<ol class="examples" id="wrong">{cards}</ol>'
        )
        if min(len(found.wrong), MOST_WRONG) > SHOWN:
            parts.append('<p><button type="button" id="more-examples">Show more</button></p>')
    if found.unsure:
        cards = "".join(_card(each, run, found.classes, shape) for each in found.unsure)
        parts.append(
            '<h3>Least certain</h3><p class="faint">The smallest probabilities of the answer, right or wrong.</p>'
            f'<ol class="examples">{cards}</ol>'
        )
    return Section("examples", "Examples", "".join(parts))


def _card(
    example: Example, run: TrainingRun, classes: Sequence[str], shape: Shape | None, hidden: bool = False
) -> str:
    true, given = int(example.true), int(example.predicted)
    order = np.argsort(-example.probabilities, kind="stable")[:NAMED_PROBABILITIES].tolist()
    if true not in order:
        order = [*order[: NAMED_PROBABILITIES - 1], true]
    odds = "".join(
        f'<div class="{"true" if k == true else ""}"><span>{text(classes[k])}</span>{bar(example.probabilities[k])}'
        f"<span>{_probability(example.probabilities[k])}</span></div>"
        for k in order
    )
    verdict = "right" if true == given else "wrong"
    heading = f"{text(classes[true])}, " + ("found" if true == given else f"taken for {text(classes[given])}")
    return (
        f'<li class="example {verdict}" data-true="{true}" data-given="{given}"{" hidden" if hidden else ""}>'
        f'{_shown(example, run.about.columns, shape)}<div class="odds"><p>{heading}</p><div class="rows">{odds}'
        f'</div><p class="faint">row {example.row:,}</p></div></li>'
    )


def _probability(share: float) -> str:
    return "&lt; 0.1 %" if 0 <= share < 0.0005 else percent(share)


def _shown(example: Example, columns: list[str] | None, shape: Shape | None) -> str:
    """A sample as a picture, or its values by their names."""
    if shape is not None and math.prod(shape) == len(example.x):
        kind = "pixels ink" if len(shape) == 2 else "pixels"
        return f'<img class="{kind}" alt="sample {example.row}" src="{picture(example.x, shape)}">'
    names = columns if columns and len(columns) == example.size else None
    pairs = []
    for k, value in enumerate(example.x[:VALUES].tolist()):
        name = names[k] if names else f"x{k}"
        pairs.append(f"<div><dt>{text(name)}</dt><dd>{short(value, 3)}</dd></div>")
    rest = example.size - len(pairs)
    words = f"and {rest:,} more" + (", too many for a picture here" if shape is not None else "")
    more = f'<p class="faint">{words}</p>' if rest else ""
    return f'<div class="values"><dl>{"".join(pairs)}</dl>{more}</div>'


def alike(values: Sequence[float]) -> list[str]:
    """Numbers with the same digits after the point, four in all of the largest, or all before the point."""
    largest = max(map(abs, values))
    if not math.isfinite(largest) or not 1e-4 <= largest < 1e9:
        return [short(value) for value in values]
    digits = max(0, 3 - math.floor(math.log10(largest)))
    return [f"{value:,.{digits}f}" for value in values]


def residuals(run: TrainingRun, found: Estimated) -> Section:
    """Predicted against true, what is left over, and the samples that are furthest off."""
    if not found.samples:
        return Section("answers", "Predictions", f"<p>{NOTHING_COUNTED}</p>")
    many = len(found.names) > 1
    rows = [
        [
            text(name),
            r2_text(found.r_squared[k]),
            error_text(found.rmse[k]),
            error_text(found.mean_absolute[k]),
        ]
        for k, name in enumerate(found.names)
    ]
    head = ["output", "R²", "RMSE", "MAE"]
    lead = (
        '<p class="lead">R² is the share of the variance that is explained. RMSE, the root of the mean squared '
        "error, and MAE, the mean absolute error, are in the unit of the target.</p>"
    )
    label = f"Errors on {counted(found.samples, 'sample')}"
    charts = scatter(found.true[:, 0], found.predicted[:, 0], found.names[0]) if len(found.true) else []
    note = f'<p class="faint">The pictures are of {text(found.names[0])}.</p>' if many and charts else ""
    cards = "".join(_estimate(each, run) for each in found.worst)
    worst = f'<h3>Furthest off</h3><ol class="examples">{cards}</ol>' if cards else ""
    body = lead + table(head, rows, kinds="tnnn", label=label) + note + charts_html(len(charts)) + worst
    return Section("answers", "Predictions", body, charts)


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
            {"name": "right", "color": "raw", "width": 1},
        ],
        kind="points",
        x=f"true {name}",
        summary=f"{counted(len(true), 'sample')} from {short(ends[0])} to {short(ends[1])}",
    )
    left = predicted - true
    order = np.argsort(predicted, kind="stable")
    ends = [float(predicted.min()), float(predicted.max())]
    two = Chart(
        "What is left: predicted less true",
        [
            {"x": rounded(predicted[order]), "y": [rounded(left[order])]},
            {"x": rounded(ends), "y": [[0, 0]]},
        ],
        [
            {"name": "predicted less true", "color": 1, "dots": True},
            {"name": "right", "color": "raw", "width": 1},
        ],
        kind="points",
        x=f"predicted {name}",
        summary=f"From {short(float(left.min()))} to {short(float(left.max()))}",
    )
    return [one, two]


def _estimate(example: Example, run: TrainingRun) -> str:
    values = [example.predicted, example.true, example.predicted - example.true]
    told = list(zip(("predicted", "true", "off by"), alike(values), strict=True))
    return (
        f'<li class="example">{_shown(example, run.about.columns, run.image_shape)}<div class="odds">'
        f'{listed(told)}<p class="faint">row {example.row:,}</p></div></li>'
    )
