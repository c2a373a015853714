"""What the curves of a run tell: divergence, standstill, oscillation, overfitting, an early end."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.arrays import Array, as_floats
from chainrule.drawing.thinning import smoothed
from chainrule.evaluation import Classified, Estimated
from chainrule.reports.remedies import advice
from chainrule.reports.run import TrainingRun
from chainrule.reports.setup import Setup, is_bias
from chainrule.reports.symptom import Symptom
from chainrule.text import percent, short

ENOUGH = 20
"""Of fewer iterations the curve says nothing yet."""
STANDSTILL = 0.03
"""A loss that fell by less than this share did not move: the noise of batches is of this size."""
NEAR_CHANCE = 0.02
"""So near, relative to ln K, is chance: a network that knows nothing gives each class 1 / K, and a loss of ln K."""
BETTER_THAN_CHANCE = 1.5
"""Half as many right answers again as guessing gives: something was learned, whatever the loss."""
RISE, RISING_SHARE, LEAST_RISES = 0.1, 0.25, 2
"""Over all the training data the loss falls, with a fitting learning rate; it oscillates when at least two of its
steps, and a quarter of them, rise by a tenth or more."""
SPIKE = 3.0
"""A batch whose loss is so many times that at the start undid the training: noise of batches stays below it."""
SETTLED = 0.1
"""The first tenth of a training may be rough."""
GAP, GAP_ERRORS = 0.05, 3.0
"""Five points between the accuracies, if that is more than three standard errors of the test's accuracy."""
TEST_RISE, TEST_ERRORS, RISING_EPOCHS = 0.1, 2.0, 0.25
"""A test loss a tenth above its lowest (or 2 / sqrt(samples), about two errors of a mean over few of them), in the
middle of its last three epochs and with the lowest before the last quarter of the training, is more than noise."""
ENDED = 0.01
"""A rate that fell to a hundredth is that of a schedule at its end."""
STILL_FALLING = 0.2
"""A loss that falls as 1 / iteration falls by a fifth in the last fifth of a training; one that falls faster is far
from its end."""
LEVELS_OFF = 0.6
"""The last fifth of a training that comes to its end gains less than this share of what the others gained."""
DONE = 0.01
"""A regression that is left with a hundredth of the variance has learned what there is."""
LOW_UPDATES, HIGH_UPDATES = 3e-4, 3e-2
"""Of weights' sizes a step: below, and above, the learning rate is the first thing to change."""


def diverged(run: TrainingRun) -> Iterator[Symptom]:
    """The loss became NaN or infinite, or the training failed otherwise."""
    remedies = advice(run, "smaller rate", "clip", "scaled inputs")
    effect = "the training diverged"
    bad = np.flatnonzero(~np.isfinite(run.loss))
    stopped = run.history.stopped
    if stopped.startswith("diverged"):
        at = f" at {run.history.unit} {len(run.loss) + 1:,}"
        text = f"The training diverged{at}: it did not reach its end"
        yield Symptom("diverged", text, remedies, "", "error", effect)
    elif len(bad):
        value = run.loss[bad[0]]
        text = f"The loss became {value} at {run.history.unit} {bad[0] + 1:,}"
        yield Symptom("diverged", text, remedies, "", "error", effect)
    elif stopped.startswith("failed"):
        text = f"The training ended with an error ({stopped.partition(': ')[2]})"
        yield Symptom("failed", text, advice(run, "training again"), "", "error")


def never_learned(run: TrainingRun) -> Iterator[Symptom]:
    """The loss stayed at ln K, or where it began."""
    loss = run.loss[np.isfinite(run.loss)]
    if len(loss) < ENOUGH or not np.isfinite(run.loss).all():
        return
    curve = smoothed(loss)
    start, end = float(np.median(loss[: max(len(loss) // 20, 5)])), float(curve[-1])
    rate = _another_rate(run)
    labels = () if rate == ("larger rate",) else ("labels",)
    remedies = advice(run, "less decay", *rate, "he", "scaled inputs", *labels)
    classes = _classes(run)
    chance = math.log(classes) if classes > 1 else math.nan
    learned = (run.latest("train_accuracy") or 0.0) > BETTER_THAN_CHANCE / max(classes, 1)
    if abs(end - chance) < NEAR_CHANCE * chance and not learned:
        text = (
            f"The loss stayed at chance: it ended at {short(end)}, and guessing among {classes} classes gives "
            f"ln {classes} = {short(chance)}"
        )
        yield Symptom("chance", text, remedies, "", "error", "the loss stayed at chance")
    elif abs(start - end) < STANDSTILL * abs(start):
        text = f"The loss hardly moved: {short(start)} at the start, {short(end)} at the end"
        yield Symptom("standstill", text, remedies, "", "error", "the loss hardly moved")


def oscillates(run: TrainingRun) -> Iterator[Symptom]:
    """The loss goes up and down, or a batch undoes what was learned."""
    remedies = advice(run, "smaller rate", "schedule", "clip")
    measured = as_floats(run.history.train_loss)
    steps = _relative_steps(measured[int(SETTLED * len(measured)) :])
    rises = int((steps >= RISE).sum())
    if rises >= LEAST_RISES and rises >= RISING_SHARE * len(steps):
        text = (
            f"The loss over the training data goes up and down: it rose by more than {percent(RISE, 0)} in {rises} "
            f"of {len(measured)} {'epochs' if run.counts_epochs else 'measurements'}. The learning rate looks too "
            f"high"
        )
        yield Symptom("oscillation", text, remedies, effect="the loss goes up and down")
        return
    loss = np.where(np.isfinite(run.loss), run.loss, -np.inf)
    if len(loss) >= ENOUGH:
        first = int(SETTLED * len(loss))
        start, top = float(np.median(loss[:5])), first + int(loss[first:].argmax())
        if loss[top] > SPIKE * abs(start) and loss[top] > SPIKE * float(np.median(loss[first:])):
            text = (
                f"The loss jumped to {short(float(loss[top]))} at {run.history.unit} {top + 1:,}, from "
                f"{short(start)} at the start. The learning rate looks too high"
            )
            yield Symptom("spike", text, remedies, effect="the loss jumped")


def overfits(run: TrainingRun) -> Iterator[Symptom]:
    """The test data fare worse than the training data, which were learned."""
    if not _is_fitted(run):
        return
    remedies = advice(run, "data", "early stopping", "linear", "weight decay", "dropout", "smaller network")
    history, tested = run.history, run.latest("test_accuracy")
    if tested is not None and _is_of_chance(run, tested):
        is_uneven = isinstance(run.answers, Classified) and run.answers.is_uneven
        remedies = advice(run, "estimating", "class weights" if is_uneven else "labels", "data", "columns")
    train, test = as_floats(history.train_loss), as_floats(history.test_loss)
    restored = "weights_after_iteration" in history.settings  # those of the lowest test loss
    if not restored and len(test) >= 3 and len(train) == len(test) and np.isfinite(test).all():
        best = int(test.argmin())
        lasts = len(test) - 1 - best >= max(2, RISING_EPOCHS * len(test))
        rise = 1 + max(TEST_RISE, TEST_ERRORS * _test_samples(run) ** -0.5)
        if lasts and np.median(test[-3:]) > rise * test[best] and train[-1] < train[best]:
            at = history.measured_at[best] if best < len(history.measured_at) else best + 1
            when = run.when(best)
            when += "" if when.startswith(run.history.unit) else f" (iteration {at:,})"
            text = (
                f"Overfitting: the test loss rises since {when}, from "
                f"{short(test[best])} to {short(test[-1])}, while the training loss falls"
            )
            yield Symptom("overfitting", text, remedies, effect="it fits the training data only")
            return
    trained = run.latest("train_accuracy")
    if trained is None or tested is None:
        return
    error = math.sqrt(max(tested * (1 - tested), 0.0) / _test_samples(run))
    if trained - tested > max(GAP, GAP_ERRORS * error):
        text = (
            f"Overfitting: {percent(trained)} right on the training data, {percent(tested)} on the test data"
        )
        yield Symptom("overfitting", text, remedies, effect="it fits the training data only")


def ended_early(run: TrainingRun) -> Iterator[Symptom]:
    """The loss was still falling fast when training ended."""
    history = run.history
    if history.stopped not in ("finished", "interrupted") or not np.isfinite(run.loss).all():
        return
    rates = run.rates
    if len(rates) and rates[-1] <= ENDED * rates.max():  # a schedule came to its end
        return
    measured = as_floats(history.test_loss or history.train_loss)
    curve = measured if len(measured) >= 5 else smoothed(run.loss)
    if run.latest("test_accuracy") == 1:
        return
    if Setup.of(run).is_regression and len(curve) and curve[-1] < DONE * _of_one_answer(run):
        return
    if len(run.loss) < ENOUGH or len(curve) < 5:
        return
    before, end = float(curve[int(0.8 * len(curve)) - 1]), float(curve[-1])
    if before > 0 and before - end > STILL_FALLING * before and not any(never_learned(run)):
        text = f"The loss was still falling fast: from {short(before)} to {short(end)} in the last fifth"
        yield Symptom("unfinished", text, _to_finish(run), "", "note")
    elif _falls_as_from_the_start(curve) and not any(never_learned(run)):
        text = f"The loss fell as fast at the end as before: to {short(before)}, and {short(end)} in the last fifth"
        yield Symptom("unfinished", text, _to_finish(run), "", "note")


RULES = (diverged, never_learned, oscillates, overfits, ended_early)


def _falls_as_from_the_start(curve: Array) -> bool:
    """Whether a curve that falls all the time has not begun to level off."""
    fifths = curve[np.linspace(0, len(curve) - 1, 6).round().astype(int)]
    steps = -np.diff(fifths)
    return bool((steps > 0).all() and steps[-1] >= LEVELS_OFF * steps.mean())


def _to_finish(run: TrainingRun) -> str:
    setup = Setup.of(run)
    longer = ("wider", "epochs", "iterations")
    if setup.rate_is_low:
        return advice(run, "larger rate", *longer)
    return advice(run, *longer, *(() if setup.rate_is_high else ("larger rate",)))


def _another_rate(run: TrainingRun) -> tuple[str, ...]:
    """Which way the learning rate is to go, where the sizes of updates or what is usual tell it."""
    ratios = [each.middle("update_ratio") for each in run.parameters if not is_bias(each)]
    largest, setup = max((each for each in ratios if each > 0), default=math.nan), Setup.of(run)
    if largest < LOW_UPDATES or (setup.rate_is_low and not largest > HIGH_UPDATES):
        return ("larger rate",)
    return ("smaller rate",) if largest > HIGH_UPDATES or setup.rate_is_high else ()


def _is_of_chance(run: TrainingRun, accuracy: float) -> bool:
    """Whether the accuracy is about what answering one class always gives."""
    answers = run.answers
    if not isinstance(answers, Classified) or not answers.samples:
        return False
    base = float(answers.counts.max() / answers.samples)
    return accuracy <= base + 2 * math.sqrt(base * (1 - base) / answers.samples)


def _is_fitted(run: TrainingRun) -> bool:
    """Whether the loss over the training data is below that of one answer for all, as far as both are known."""
    trained = run.latest("train_loss")
    return trained is None or not trained >= _of_one_answer(run)


def _of_one_answer(run: TrainingRun) -> float:
    """The loss of the best answer that is the same for all samples, about; NaN where it is not known."""
    loss, answers = str(run.history.settings.get("loss", "")), run.answers
    if isinstance(answers, Classified) and answers.samples and "SoftmaxCrossEntropy" in loss:
        shares = answers.counts[answers.counts > 0] / answers.samples
        is_weighed = Setup.of(run).weighs_classes
        return math.log(len(answers.classes)) if is_weighed else float(-(shares * np.log(shares)).sum())
    if run.about.loss_unit:  # a share of the variance
        return 1.0
    if isinstance(answers, Estimated) and "SquaredError" in loss and len(answers.true):
        return float(answers.true.var(axis=0).mean())
    classes = _classes(run)
    return math.log(classes) if classes > 1 else math.nan


def _test_samples(run: TrainingRun) -> float:
    """How many samples the test data have; infinitely many when that is not known."""
    return float(run.about.test_samples or math.inf)


def _relative_steps(values: Array) -> Array:
    values = values[np.isfinite(values)]
    with np.errstate(all="ignore"):
        steps: Array = np.diff(values) / np.abs(values[:-1])
    return steps[np.isfinite(steps)]


def _classes(run: TrainingRun) -> int:
    """How many classes a loss of ln K may be of; 0 for what is no classification by softmax."""
    if "SoftmaxCrossEntropy" not in str(run.history.settings.get("loss", "")):
        return 0
    if isinstance(run.answers, Classified):
        return len(run.answers.classes)
    return run.network.output_shape[-1] if run.network is not None and run.network.output_shape else 0
