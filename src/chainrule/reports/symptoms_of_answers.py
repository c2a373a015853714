"""What the answers and the gradient check of a run tell."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.evaluation import Classified, Estimated, r2_text
from chainrule.reports.remedies import advice
from chainrule.reports.run import TrainingRun
from chainrule.reports.setup import Setup
from chainrule.reports.symptom import Severity, Symptom
from chainrule.reports.symptoms_of_curves import ENOUGH
from chainrule.text import counted, percent

ERRORS = 2.0
"""A gain over always giving one answer within two standard errors may be chance."""
RARE, MISSED = 10.0, 0.5
"""A class with a tenth of the samples of the largest weighs little in the loss: does it miss half of it?"""
BELOW, UNEVEN = 0.2, 3.0
"""So much less is found than of the others; a class with a third of the largest's samples weighs too little."""
LEAST_SAMPLES = 10
"""Of fewer samples no share is told."""
FEW_SAMPLES = 30
"""Of fewer test samples a gain must be very large to be no chance."""
FOUND = 0.1
"""With weights of classes, the mean share found of each class is so much above that of one answer."""
EXPLAINED = 0.05
"""A regression that explains a twentieth of the variance is hardly better than always answering the mean."""


def not_finite(run: TrainingRun) -> Iterator[Symptom]:
    """Outputs that are no answers."""
    if run.answers is not None and run.answers.not_finite:
        samples = counted(run.answers.not_finite, "sample")
        text = f"The network's output for {samples} is NaN or infinite"
        remedies = advice(run, "smaller rate", "clip", "scaled inputs")
        yield Symptom("not finite", text, remedies, "", "error", "its output is NaN or infinite")


def _is_of_quantile(run: TrainingRun) -> bool:
    """Whether the predictions are quantiles, whose squared error says nothing of them."""
    return "Quantile" in str(run.history.settings.get("loss", ""))


def no_better(run: TrainingRun) -> Iterator[Symptom]:
    """Answers that one answer for all would equal, and classes that are never found."""
    answers = run.answers
    if isinstance(answers, Estimated) and not _is_of_quantile(run):
        for name, share in zip(answers.names, answers.r_squared.tolist(), strict=True):
            if answers.samples >= LEAST_SAMPLES and share < EXPLAINED:
                text = (
                    f"The predictions of {name} are {'no' if share <= 0 else 'hardly'} better than always "
                    f"answering its mean (R² {r2_text(share)})"
                )
                remedies = advice(
                    run, "less decay", "columns", "epochs", "iterations", "patience", "larger network"
                )
                effect = f"the predictions of {name} are no better than its mean"
                yield Symptom("baseline", text, remedies, name, effect=effect)
    if not isinstance(answers, Classified) or answers.samples < LEAST_SAMPLES:
        return
    yield from _against_one_answer(run, answers)
    if (
        np.count_nonzero(answers.confusion.any(axis=0)) > 1
    ):  # where only one class is answered, that says it all
        yield from _missed_classes(run, answers)


def _against_one_answer(run: TrainingRun, answers: Classified) -> Iterator[Symptom]:
    """The network against always answering the most frequent class: McNemar's test on where the two differ."""
    largest = int(answers.counts.argmax())
    base = float(answers.counts[largest] / answers.samples)
    found = np.diag(answers.confusion)
    gained = int(found.sum() - found[largest])
    lost = int(answers.counts[largest] - found[largest])
    if base == 1 or answers.accuracy == 1 or gained - lost > ERRORS * math.sqrt(gained + lost):
        return
    weighed = Setup.of(
        run
    ).weighs_classes  # for the share of each class that is found, at the cost of the whole
    if weighed and float(np.nanmean(answers.recall)) > 1 / len(answers.classes) + FOUND:
        return
    is_no_better = gained <= lost
    text = (
        f"With {percent(answers.accuracy)} right, the network is {'no' if is_no_better else 'hardly'} better than "
        f"always answering “{answers.classes[largest]}”, the most frequent class ({percent(base)})"
    )
    is_open = not is_no_better and answers.samples < FEW_SAMPLES
    if is_open:
        text += f"; {answers.samples} test samples are too few to tell"
    remedies = advice(
        run,
        "less decay",
        *(("larger test",) if is_open else ()),
        "estimating",
        "class weights" if answers.is_uneven else "labels",
        "epochs",
        "iterations",
        "patience",
        "wider",
        "larger network",
    )
    severity: Severity = "error" if is_no_better else "warning"
    effect = f"it is {'no' if is_no_better else 'hardly'} better than always answering “{answers.classes[largest]}”"
    yield Symptom("baseline", text, remedies, answers.classes[largest], severity, effect)


def _missed_classes(run: TrainingRun, answers: Classified) -> Iterator[Symptom]:
    if 0 < len(run.loss) < ENOUGH:  # that is no fault of the classes
        return
    remedies = advice(run, "less decay", "estimating", "class weights", "samples of it")
    for k, name in enumerate(answers.classes):
        count, recall = int(answers.counts[k]), float(answers.recall[k])
        rare = answers.counts.max() >= RARE * count
        if count and not answers.confusion[:, k].any():
            text = (
                f"Class “{name}” is never answered, though {counted(count, 'sample is', 'samples are')} of it"
            )
            yield Symptom("missed class", text, remedies, name, effect=f"class “{name}” is never answered")
        elif count and rare and recall < MISSED:
            most = int(np.argmax(answers.counts))
            text = (
                f"Class “{name}” is rare ({counted(count, 'sample')}, “{answers.classes[most]}” has "
                f"{int(answers.counts[most]):,}), and {percent(1 - recall, 0)} of it is missed"
            )
            effect = f"{percent(1 - recall, 0)} of class “{name}” is missed"
            yield Symptom("missed class", text, remedies, name, effect=effect)
        elif count >= LEAST_SAMPLES and (others := _recall_of_others(answers, k)) - recall > BELOW:
            found = f"Only {percent(recall, 0)} of class “{name}” is found ({counted(count, 'sample')})"
            effect = f"only {percent(recall, 0)} of class “{name}” is found"
            text = f"{found}, and {percent(others, 0)} of the others"
            if answers.counts.max() >= UNEVEN * count:
                yield Symptom("missed class", text, remedies, name, effect=effect)
            else:
                more = advice(run, "samples of it", "labels", "epochs", "iterations", "larger network")
                yield Symptom("missed class", text, more, name, "note", effect)


def _recall_of_others(answers: Classified, k: int) -> float:
    """The share found of the samples of all classes but one; NaN where there are none."""
    others = answers.samples - int(answers.counts[k])
    found = int(np.trace(answers.confusion)) - int(answers.confusion[k, k])
    return found / others if others else math.nan


def failed_check(run: TrainingRun) -> Iterator[Symptom]:
    """Backpropagation that differs from numerical differentiation."""
    if run.check is None or run.check.get("passed", True):
        return
    errors = [each for each in run.check.get("findings", []) if each.get("severity", "error") == "error"]
    places = ", ".join(dict.fromkeys(str(each.get("node", "")) for each in errors[:3]))
    codes = ", ".join(dict.fromkeys(str(each.get("mistake", "")) for each in errors[:3]))
    text = f"The gradient check failed{f' at {places}' if places else ''}{f': {codes}' if codes else ''}"
    yield Symptom("gradient check", text, advice(run, "gradient check"), places, "error")


RULES = (failed_check, not_finite, no_better)
