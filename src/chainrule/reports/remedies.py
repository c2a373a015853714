"""What to try, in two wordings: the command line has options, and Python has arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.reports.changes import line_of
from chainrule.reports.estimators import parameter_for
from chainrule.reports.run import TrainingRun
from chainrule.reports.setup import ADAPTIVE, Setup
from chainrule.reports.symptom import Advice
from chainrule.text import short

RECTIFIERS = {"ReLU", "LeakyReLU", "ELU", "GELU", "SiLU"}
SCALED = {"He", "Xavier", "LeCun"}
"""Initializers that follow from the size of a layer."""
FEW_UNITS, NARROW = 8, 4
"""A network with so few hidden units is not made smaller; one with a layer so narrow is made larger."""

FEW_ROWS = 1_000
"""Of a table of so few rows a linear model may be as good."""


@dataclass(frozen=True)
class Remedy:
    """One thing to try, as an option of `chainrule train`, "" where there is none, and as Python says it.

    `suits` tells whether it makes sense for a run, and is not there already.
    """

    option: str
    argument: str
    suits: Callable[[Setup], bool] = lambda run: True

    def in_words(self, setup: Setup) -> str:
        """The remedy as whoever made the run says it."""
        return self.option if setup.is_of_shell else self.argument


REMEDIES: dict[str, Remedy] = {
    "smaller rate": Remedy("a smaller --learning-rate", "a smaller learning rate"),
    "larger rate": Remedy("a larger --learning-rate", "a larger learning rate"),
    "schedule": Remedy(
        "--schedule cosine",
        "cr.schedules.Cosine() as the learning rate",
        lambda run: not run.is_scheduled,
    ),
    "clip": Remedy(
        "--clip-norm 1.0",
        "clip_norm=1.0 in the optimizer",
        lambda run: not run.is_clipped and not run.rate_is_high,
    ),
    "adaptive": Remedy("--optimizer adam", "cr.Adam()", lambda run: run.optimizer not in ADAPTIVE),
    "less decay": Remedy(
        "a smaller --weight-decay", "a smaller weight_decay", lambda run: run.is_strongly_decayed
    ),
    "epochs": Remedy(
        "more --epochs", "more epochs", lambda run: run.is_by_epochs and not run.was_stopped_early
    ),
    "iterations": Remedy(
        "more --iterations",
        "more iterations",
        lambda run: not run.is_by_epochs and not run.was_stopped_early,
    ),
    "patience": Remedy(
        "a larger --early-stopping",
        "a larger patience of cr.EarlyStopping",
        lambda run: run.was_stopped_early,
    ),
    "scaled inputs": Remedy(
        "", "cr.Standardize.of(x) as the first layer", lambda run: not 0.1 < run.input_size < 10
    ),
    "scaled targets": Remedy(
        "",
        "cr.Standardize.of(t, invert=True) as the last layer",
        lambda run: run.is_regression and not run.scales_targets,
    ),
    "he": Remedy(
        "--init he",
        "weights=cr.initializers.He() in the layers",
        lambda run: run.initializer not in SCALED,
    ),
    "xavier": Remedy(
        "--init xavier",
        "weights=cr.initializers.Xavier() in the layers",
        lambda run: run.initializer not in ("Xavier", "LeCun"),
    ),
    "relu": Remedy("--activation relu", "cr.ReLU()", lambda run: not run.kinds & RECTIFIERS),
    "leaky": Remedy("--activation leakyrelu", "cr.LeakyReLU()", lambda run: "LeakyReLU" not in run.kinds),
    "normalization": Remedy("", "cr.BatchNorm()", lambda run: not run.kinds & {"BatchNorm", "LayerNorm"}),
    "skip connections": Remedy("", "skip connections"),
    "fewer layers": Remedy(
        "fewer layers in --hidden", "fewer layers", lambda run: run.hidden is None or len(run.hidden) > 2
    ),
    "larger network": Remedy("more units in --hidden", "a larger network"),
    "wider": Remedy(
        "more units in --hidden",
        "more hidden units",
        lambda run: bool(run.hidden) and min(run.hidden or ()) < NARROW,
    ),
    "smaller network": Remedy(
        "fewer units in --hidden",
        "a smaller network",
        lambda run: run.hidden is None or sum(run.hidden) > FEW_UNITS,
    ),
    "linear": Remedy(
        "--hidden 0, a linear model",
        "no hidden layers, a linear model",
        lambda run: bool(run.hidden) and run.is_of_table and run.rows <= FEW_ROWS,
    ),
    "data": Remedy("more data", "more data"),
    "columns": Remedy("columns that tell more", "columns that tell more"),
    "labels": Remedy(
        "check that the labels belong to their samples", "check that the labels belong to their samples"
    ),
    "estimating": Remedy(
        "--task regression if they are numbers to estimate", "", lambda run: run.may_be_numbers
    ),
    "larger test": Remedy("a larger --test-share", "more test data"),
    "weight decay": Remedy(
        "--weight-decay 1e-4", "weight_decay=1e-4 in the optimizer", lambda run: not run.decay
    ),
    "dropout": Remedy(
        "--dropout 0.2",
        "cr.Dropout(0.2)",
        lambda run: "Dropout" not in run.kinds and (run.hidden is None or sum(run.hidden) > FEW_UNITS),
    ),
    "early stopping": Remedy("--early-stopping 5", "cr.EarlyStopping()", lambda run: not run.stops_early),
    "class weights": Remedy(
        "--class-weights balanced", "class_weights in the loss", lambda run: not run.weighs_classes
    ),
    "samples of it": Remedy("more samples of it", "more samples of it"),
    "training again": Remedy("training again, once that is mended", "training again, once that is mended"),
    "gradient check": Remedy(
        "what the table of the gradient check advises; until it passes, no other number here means much",
        "what the table of the gradient check advises; until it passes, no other number here means much",
    ),
}

OTHERWISE = Remedy("another --learning-rate", "another learning rate")
"""What is advised where nothing else suits a run."""


def advice(run: TrainingRun, *names: str) -> Advice:
    """The remedies of these names that suit the run, the most promising first: a phrase, never "", and lines."""
    setup = Setup.of(run)
    chosen = [name for name in names if REMEDIES[name].suits(setup)]
    rated = _rates(setup)
    texts, lines = [], []
    for name in chosen:
        if text := parameter_for(run.history.settings, name) or REMEDIES[name].in_words(setup):
            texts.append(text + (rated if name in ("smaller rate", "larger rate") else ""))
            lines.append(line_of(run, setup, name))
    if not texts:
        texts = [OTHERWISE.in_words(setup) + rated]
    text = ", or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
    return Advice(text, tuple(dict.fromkeys(filter(None, lines))))


def together(run: TrainingRun, *names: str) -> Advice:
    """Remedies that belong together, as one phrase and one line."""
    line = line_of(run, Setup.of(run), *names)
    return Advice(" and ".join(advice(run, name) for name in names), (line,) if line else ())


def _rates(setup: Setup) -> str:
    """What the learning rate was, and what is usual where that is far away."""
    if not setup.rate > 0:
        return ""
    is_far = setup.rate_is_high or setup.rate_is_low
    usual = f"; {short(setup.usual_rate)} is usual for {setup.optimizer}" if is_far else ""
    if setup.rate_falls:
        return f" (it fell from {short(setup.rate)} to {short(setup.last_rate, 2)}{usual})"
    up_to = "" if setup.rate == setup.middle_rate else "up to "
    return f" (it was {up_to}{short(setup.rate)}{usual})"
