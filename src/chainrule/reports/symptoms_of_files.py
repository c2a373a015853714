"""Files of a run folder that contradict each other, or themselves: damaged, edited, or of different runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.arrays import Array, as_floats
from chainrule.evaluation import Classified, Estimated
from chainrule.loop import History
from chainrule.loop.history import MEASURES
from chainrule.reports.run import TrainingRun
from chainrule.reports.symptom import Symptom
from chainrule.text import percent

MOST_SHOWN = 3


def contradictions(run: TrainingRun) -> Iterator[Symptom]:
    """What cannot all be of one run, as one finding."""
    if run.folder is None:
        return
    found = [*of_history(run.history), *_of_health(run), *_of_evaluation(run), *_of_check(run)]
    if found:
        more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        text = f"The files of this run contradict each other: {'; '.join(found[:MOST_SHOWN])}{more}"
        yield Symptom("contradiction", text, "a copy of the folder, or training again", "", "error")


def of_history(history: History) -> Iterator[str]:
    """What a history cannot be, each in a clause."""
    done = len(history.loss)
    if not len(history.learning_rate) == len(history.seconds) == done:
        counts = f"{len(history.learning_rate):,} learning rates and {len(history.seconds):,} times"
        yield f"{done:,} losses, {counts} in the history"
    at = as_floats(history.measured_at)
    if not _rises(at, done):
        yield f"the iterations of its measurements do not rise to at most {done:,}, which were done"
    for name in MEASURES:
        values = as_floats(getattr(history, name))
        if len(values) not in (0, len(at)):
            yield f"{name} has {len(values):,} values for {len(at):,} measurements"
        if name.endswith("accuracy") and ((values < 0) | (values > 1)).any():
            yield f"{name} is not between 0 and 1"
    if len(history.seconds) and not (np.diff(as_floats([0, *history.seconds])) >= -1e-6).all():
        yield "its times go back"


def _of_health(run: TrainingRun) -> Iterator[str]:
    if not _rises(run.iterations, len(run.history.loss)):
        yield "the iterations of the examinations do not rise to those that were done"
    if run.network is None or not run.history.health:
        return
    names = {run.network.graph.name_of(k) for k in range(len(run.network.graph.nodes))}
    examined = {each.name for each in run.layers} | {each.name for each in run.parameters}
    if odd := sorted(examined - names):
        yield f"{odd[0][:50]!r} was examined, and is not in the model"


def _of_evaluation(run: TrainingRun) -> Iterator[str]:
    about, answers, network = run.about, run.answers, run.network
    if network is not None and about.parameters not in (None, network.params.flat.size):
        yield f"{about.parameters:,} parameters in the evaluation, {network.params.flat.size:,} in the model"
    samples = run.history.settings.get("samples")
    if type(samples) is int and about.samples not in (None, samples):
        yield f"trained on {samples:,} samples by the history, on {about.samples:,} by the evaluation"
    if answers is None:
        return
    counted = answers.samples + answers.not_finite
    if about.test_samples not in (None, counted):
        yield f"answers for {counted:,} samples, of {about.test_samples:,} to test on"
    if isinstance(answers, Estimated):
        if (answers.rmse < 0).any() or (answers.mean_absolute < 0).any() or (answers.r_squared > 1).any():
            yield "errors below 0, or an R² above 1"
        return
    if network is not None and network.classes not in (None, answers.classes):
        yield "other classes in the evaluation than in the model"
    chances = [each.probabilities for each in (*answers.wrong, *answers.unsure)]
    if any(((each < 0) | (each > 1)).any() for each in chances):
        yield "probabilities that are not between 0 and 1"
    yield from _of_accuracy(run, answers)


def _of_accuracy(run: TrainingRun, answers: Classified) -> Iterator[str]:
    """The history's last accuracy is that of the model, whose answers were counted."""
    history, measured = run.history, run.latest("test_accuracy")
    is_last = history.measured_at[-1:] == [len(history.loss)] or "weights_after_iteration" in history.settings
    if measured is None or not is_last or answers.not_finite or not answers.samples:
        return
    if not abs(measured - answers.accuracy) <= 2 / answers.samples:
        found = f"{percent(measured, 2)} in the history, {percent(answers.accuracy, 2)} in the evaluation"
        yield f"a test accuracy of {found}"


def _of_check(run: TrainingRun) -> Iterator[str]:
    rows = [] if run.check is None else run.check["rows"]
    texts = ("node", "input", "verdict")
    if odd := sum(not all(isinstance(row.get(name), str) for name in texts) for row in rows):
        yield f"{odd:,} compared gradients in the check without names"
    wrong = sum(row.get("verdict") == "wrong" for row in rows)
    if run.check is not None and run.check["passed"] and wrong:
        yield f"a check that passed, with {wrong:,} gradients that are wrong"


def _rises(values: Array, most: int) -> bool:
    """Whether these are whole numbers that rise, from 0 to at most so many."""
    is_in_order = bool((np.diff(values) > 0).all())
    return is_in_order and bool(((values >= 0) & (values <= most) & (values % 1 == 0)).all())


RULES = (contradictions,)
