"""What the network and the size of its data tell before any training."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chainrule.evaluation import Estimated
from chainrule.network.fitting import misfit, out_of_reach
from chainrule.reports.python_lines import network_line
from chainrule.reports.remedies import together
from chainrule.reports.run import TrainingRun
from chainrule.reports.setup import Setup
from chainrule.reports.symptom import Advice, Symptom
from chainrule.text import short

LARGE_INPUTS, SMALL_INPUTS = 10.0, 0.01
"""Initialisations and learning rates are made for inputs of about 1."""
SMALL_BESIDE_TARGETS = 0.1
"""Where the targets are to be scaled, inputs below this are, too."""
LARGE_LOSS = 1e3
"""Of targets of about 1 a regression begins with a loss of about 1: the square of their size."""


def output_activation(run: TrainingRun) -> Iterator[Symptom]:
    """An activation as the last layer that does not fit the loss, or the targets."""
    if run.network is None:
        return
    text = misfit(run.network.output, run.network.loss_layer, run.network.output_shape)
    if not text and isinstance(run.answers, Estimated):
        text = out_of_reach(run.network.output, run.answers.true)
    if text:
        problem, _, remedy = text.rpartition(": ")
        line = network_line(run, lambda layers: layers[:-1]) if remedy.startswith("leave ") else ""
        yield Symptom("output activation", problem, Advice(remedy, (line,) if line else ()), "", "error")


def scale(run: TrainingRun) -> Iterator[Symptom]:
    """Inputs or targets on a scale that no initialisation is made for; told where they do harm."""
    setup, wrong = Setup.of(run), []
    targets, inputs = _size_of_targets(run, setup), setup.input_size
    if targets > math.sqrt(LARGE_LOSS):
        wrong.append((targets, "targets", f"the loss began at {short(float(run.loss[0]), 2)}"))
    if inputs > LARGE_INPUTS or inputs < (SMALL_BESIDE_TARGETS if wrong else SMALL_INPUTS):
        wrong.append((inputs, "inputs", f"about {short(inputs, 2)}"))
    if not wrong or setup.is_of_shell:  # the command line scales tables, and has no option for it
        return
    wrong.sort(key=lambda each: -abs(math.log(max(each[0], 1e-30))))
    texts = [f"the {name} are {'large' if size > 1 else 'small'}: {how}" for size, name, how in wrong]
    remedies = together(run, *(f"scaled {name}" for _, name, _ in wrong))
    text = f"{', and '.join(texts)}, where about 1 is usual"
    yield Symptom("scale", text[0].upper() + text[1:], remedies, cause="scale")


RULES = (output_activation, scale)


def _size_of_targets(run: TrainingRun, setup: Setup) -> float:
    """The root mean square of a regression's targets, about: its first predictions are small. NaN for none."""
    if setup.scales_targets or "SquaredError" not in str(run.history.settings.get("loss", "")):
        return math.nan
    return math.sqrt(max(float(run.loss[:1].sum()), 0.0))
