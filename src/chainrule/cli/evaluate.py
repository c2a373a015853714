"""`chainrule evaluate`: how good a model is on data with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from chainrule.cli.data import TEST_DATA_HELP, load_answered
from chainrule.cli.models import load_model
from chainrule.cli.options import Model
from chainrule.cli.reading import TableOptions
from chainrule.cli.rows import outputs_of
from chainrule.evaluation import Classified, error_text, judge, r2_text
from chainrule.layers import MeanAbsoluteError, MeanSquaredError
from chainrule.network import Network


@dataclass
class Evaluate(TableOptions):
    """How good a model is on data with known answers.

    Loss and accuracy of a classifier, and balanced accuracy, the mean share found of each class, where the classes
    are uneven; R², RMSE and MAE of a regression, in the target's own unit.
    """

    model: Model
    data: Annotated[str, typer.Argument(metavar="DATA", help=TEST_DATA_HELP)]
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The target column. Default: the one it was trained on."),
    ] = None

    def run(self) -> None:
        """Print the measures, and how many samples they are of."""
        network = load_model(self.model)
        x, t = load_answered(self.data, network, self.target, self)
        outputs_of(network, x, self.data)  # which refuses what is not finite
        for name, value in told(network, network.evaluate(x, t)):
            typer.echo(f"{name:<9}{value}")
        answers = judge(network, x, t)
        if isinstance(answers, Classified) and answers.is_uneven and answers.samples:
            typer.echo(
                f"{'balanced':<9}{answers.balanced_accuracy:.6g} (accuracy where every class counts alike)"
            )
        typer.echo(f"{'samples':<9}{len(x)}")


def told(network: Network, measures: dict[str, float]) -> Iterator[tuple[str, str]]:
    """The measures of a model as labels and texts. A loss that RMSE or MAE is already is left out."""
    if "r2" in measures:
        yield "R²", r2_text(measures["r2"])
        yield "RMSE", error_text(measures["rmse"])
        yield "MAE", error_text(measures["mae"])
    if "r2" not in measures or not isinstance(network.loss_layer, (MeanSquaredError, MeanAbsoluteError)):
        yield "loss", f"{measures['loss']:.6g}"
    if "accuracy" in measures:
        yield "accuracy", f"{measures['accuracy']:.6g}"
