"""The page of one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.evaluation import Classified, Estimated, error_text, or_not_measured, r2_text
from chainrule.reports import answers, columns, curves, network
from chainrule.reports.findings import findings_of
from chainrule.reports.outlook import looked_at, not_looked_at, to_improve, why
from chainrule.reports.parts import Card, Section, whole_page
from chainrule.reports.run import TrainingRun
from chainrule.text import counted, duration, percent, short

NOTHING_WRONG = "Nothing looks wrong in this run."


def run_page(run: TrainingRun) -> str:
    """The report of a run as one HTML page."""
    found = [
        curves.curves(run),
        *answers.answers(run),
        columns.columns(run),
        network.first_weights(run),
        curves.health(run),
        network.picture(run),
        network.gradient_check(run),
        network.repeating(run),
    ]
    sections = [section for section in found if section is not None]
    return whole_page(run.name, lead(run), [findings(run), *sections], cards(run))


def findings(run: TrainingRun) -> Section:
    """What looks wrong, or in what nothing does."""
    values = {"found": findings_of(run), "fine": fine(run), "missing": run.missing}
    return Section("findings", "Findings", "findings", values)


def fine(run: TrainingRun) -> dict[str, Any]:
    """What is said where nothing looks wrong."""
    nothing = NOTHING_WRONG if not run.missing else "In what could be read, nothing looks wrong."
    advice = to_improve(run)
    return {
        "nothing": nothing,
        "looked": looked_at(run),
        "not_looked": not_looked_at(run),
        "why": why(run),
        "advice": advice or "",
    }


def lead(run: TrainingRun) -> str:
    """Data, network and end of the run in one line."""
    about = run.about
    parts = []
    if about.data:
        counts = [
            f"{count:,} samples to {what} on"
            for count, what in ((about.samples, "train"), (about.test_samples, "test"))
            if count
        ]
        parts.append(f"{about.data}: {', '.join(counts)}" if counts else about.data)
    if about.network:
        size = f", {counted(about.parameters, 'parameter')}" if about.parameters is not None else ""
        parts.append(f"{about.network}{size}")
    return ". ".join(parts) + ("." if parts else "")


def cards(run: TrainingRun) -> list[Card]:
    """The numbers that count most, large."""
    found: list[Card] = []
    history = run.history
    measures = [("accuracy", True), ("loss", False)]
    if isinstance(run.answers, Estimated):
        found, measures = _errors(run, run.answers), []
    for what, is_share in measures:
        found += _measured(run, what, _percent if is_share else short)
    if isinstance(run.answers, Classified) and not history.test_accuracy:
        found.append(Card("Accuracy", or_not_measured(run.answers.accuracy, _percent), _counted(run.answers)))
    if not found and len(run.loss):
        found.append(Card("Loss", "not measured", "over all the data: it ended within its first epoch"))
    if len(run.loss):
        found.append(Card("Time", duration(run.seconds), counted(len(run.loss), history.unit) + _pace(run)))
    if history.stopped:
        word, _, rest = history.stopped.partition(":")
        found.append(Card("Ended", word.strip(), (rest.strip()[:120] + ("..." if len(rest) > 120 else ""))))
    return found


def _measured(run: TrainingRun, what: str, shown: Callable[[float], str]) -> list[Card]:
    """A measure over all the data as a card: of the test data, where there are any."""
    train, test = run.latest(f"train_{what}"), run.latest(f"test_{what}")
    values = [or_not_measured(value, shown) for value in (train, test) if value is not None]
    at, kept = run.history.measured_at[-1:], run.history.settings.get("weights_after_iteration")
    is_of_before = bool(at) and at[0] < len(run.loss) and kept is None
    when = [f"after {run.history.unit} {at[0]:,}, the last that was measured"] if is_of_before else []
    if test is not None:
        more = [f"{values[0]} on the training data"] if train is not None else []
        return [Card(f"Test {what}", values[-1], ", ".join(more + when))]
    return [Card(f"Training {what}", values[0], ", ".join(["no test data", *when]))] if values else []


def _percent(share: float) -> str:
    return percent(share, 2)


def _counted(answers: Classified | Estimated) -> str:
    """How many samples were counted, or why none was."""
    if answers.samples or not answers.not_finite:
        return counted(answers.samples, "sample")
    return f"the output for {counted(answers.not_finite, 'sample')} is NaN or infinite"


def _errors(run: TrainingRun, answers: Estimated) -> list[Card]:
    """R² and the errors of a regression, as cards; of several outputs, their means."""
    if not answers.samples:
        return [Card("R²", "not measured", _counted(answers))]
    tested, trained = answers.means, run.about.on_training
    more = ["", ""]
    if trained:
        more = [r2_text(trained["r2"]), f"{error_text(trained['rmse'])} (MAE {error_text(trained['mae'])})"]
        more = [f"{each} on the training data" for each in more]
    outputs = len(answers.names)
    means = f"mean of {outputs} outputs" if outputs > 1 else ""
    error, mean_error = error_text(tested["rmse"]), f"MAE {error_text(tested['mae'])}"
    test = "Test " if trained else ""
    return [
        Card(f"{test}R²", r2_text(tested["r2"]), ", ".join(filter(None, (means, more[0])))),
        Card(f"{test}RMSE", error, ", ".join(filter(None, (mean_error, means, more[1])))),
    ]


def _pace(run: TrainingRun) -> str:
    if run.seconds <= 0:
        return ""
    pace = len(run.loss) / run.seconds
    return f", {pace:,.0f} a second" if pace >= 1 else ""
