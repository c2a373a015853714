"""What the network and the size of its data tell before any training."""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.drawing.report.answers import Estimated
from chainrule.drawing.report.findings import RunFinding
from chainrule.drawing.report.material import Material
from chainrule.drawing.report.remedies import advice
from chainrule.drawing.report.setup import Setup
from chainrule.network.fitting import misfit, out_of_reach
from chainrule.text import short

LARGE_INPUTS, SMALL_INPUTS = 10.0, 0.01
"""Initialisations and learning rates are made for inputs of about 1."""
LARGE_LOSS = 1e3
"""Of targets of about 1 a regression begins with a loss of about 1: the square of their size."""


def output_activation(run: Material) -> Iterator[RunFinding]:
    """An activation as the last layer that does not fit the loss, or the targets."""
    if run.network is None:
        return
    text = misfit(run.network.output, run.network.loss_layer, run.network.output_shape)
    if not text and isinstance(run.answers, Estimated):
        text = out_of_reach(run.network.output, run.answers.true)
    if text:
        problem, _, remedy = text.rpartition(": ")
        yield RunFinding("output activation", problem, remedy, "", "error")


def scale(run: Material) -> Iterator[RunFinding]:
    """Inputs or targets on a scale that no initialisation is made for; told where they do harm."""
    size = Setup.of(run).input_size
    if size > LARGE_INPUTS or size < SMALL_INPUTS:
        text = f"The inputs are {'large' if size > 1 else 'small'}: about {short(size, 2)}, where about 1 is usual"
        remedy = advice(run, "scaled inputs")
        if remedy:
            yield RunFinding("scale", text, remedy, cause="scale")
    elif "SquaredError" in str(run.history.settings.get("loss", "")) and run.loss[:1].sum() > LARGE_LOSS:
        remedy = advice(run, "scaled targets")
        text = (
            f"The targets are large: the loss began at {short(float(run.loss[0]), 2)}, where about 1 is usual"
        )
        if remedy:
            yield RunFinding("scale", text, remedy, cause="scale")


RULES = (output_activation, scale)
