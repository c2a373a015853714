"""Where nothing looks wrong: what was looked at, what could not be, and what to try if better is wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chainrule.evaluation import Classified, Estimated
from chainrule.reports.remedies import advice
from chainrule.reports.run import TrainingRun
from chainrule.reports.symptom import Advice
from chainrule.text import counted, percent

GAP = 0.01
"""A point between the accuracies, or of R², is what less fitting may win."""
NEARLY_ALL = 0.995


def looked_at(run: TrainingRun) -> str:
    """What the findings were looked for in, as one sentence; "" where there was nothing."""
    found = list(_looked_at(run))
    return f"Looked at: {'; '.join(found)}." if found else ""


def not_looked_at(run: TrainingRun) -> str:
    """What could not be looked at, as one sentence; "" for nothing."""
    found = []
    if not run.history.test_loss and run.answers is None:
        found.append("data held out for testing (there were none)")
    if not run.layers and not run.parameters:
        how = "it was switched off, --no-health" if run.about.command else "callbacks=[cr.Health()] does it"
        found.append(f"the layers ({how})")
    if run.check is None:
        how = "--check does it" if run.about.command else "cr.report(..., check=cr.check(net, x, t)) does it"
        found.append(f"the gradients ({how})")
    return f"Not looked at: {'; '.join(found)}." if found else ""


def _looked_at(run: TrainingRun) -> Iterator[str]:
    if len(run.loss):
        yield f"the loss of {counted(len(run.loss), 'batch', 'batches')}"
    if times := len(run.history.measured_at):
        what = "loss and accuracy" if run.history.train_accuracy else "loss"
        both = "training and test data" if run.history.test_loss else "training data"
        yield f"{what} over the {both}, {counted(times, 'time')}"
    if run.layers or run.parameters:
        yield (
            f"the outputs, gradients and updates of {counted(max(len(run.layers), 1), 'layer')}, "
            f"{counted(len(run.iterations), 'time')}"
        )
    if run.answers is not None and run.answers.samples:
        yield f"the predictions for {counted(run.answers.samples, 'sample')}"
    if run.check is not None:
        yield f"{counted(len(run.check.get('rows', ())), 'gradient')}, held against numerical differentiation"


def to_improve(run: TrainingRun) -> Advice | None:
    """What to try for a better result, the most promising first; None where nothing is known of the result."""
    trained, tested = _results(run)
    if math.isnan(trained) and math.isnan(tested):
        return None
    if tested >= NEARLY_ALL:
        return advice(run, "larger test") if run.about.columns is not None and run.about.command else None
    if trained - tested > GAP:
        return advice(run, "data", "weight decay", "dropout", "early stopping")
    return advice(run, "larger network", "epochs", "iterations", "schedule")


def why(run: TrainingRun) -> str:
    """What the suggestion follows from, as the beginning of a sentence; "" where nothing is known of the result."""
    trained, tested = _results(run)
    if math.isnan(trained) and math.isnan(tested):
        return ""
    if tested >= NEARLY_ALL:
        surer = " To be surer of that, try" if to_improve(run) else ""
        return f"There is hardly anything left to win on these test data.{surer}"
    if trained - tested > GAP:
        both = f"{_shown(run, trained)} on the training data and {_shown(run, tested)} on the test data"
        return f"If better is wanted: {both}, so less fitting helps. Try"
    told = "the training data are not fitted better than the test data, so more may be learnt"
    return f"If better is wanted: {told}. Try"


def _shown(run: TrainingRun, value: float) -> str:
    return f"R² {value:.3f}" if isinstance(run.answers, Estimated) else percent(value)


def _results(run: TrainingRun) -> tuple[float, float]:
    """Accuracy, or R², on the training data and on the test data; NaN where it is not known."""
    if isinstance(run.answers, Estimated):
        tested = run.answers.means["r2"] if run.answers.samples else math.nan
        return float(run.about.on_training.get("r2", math.nan)), tested
    trained, measured = run.latest("train_accuracy"), run.latest("test_accuracy")
    if measured is None and isinstance(run.answers, Classified) and run.answers.samples:
        measured = run.answers.accuracy
    return math.nan if trained is None else trained, math.nan if measured is None else measured
