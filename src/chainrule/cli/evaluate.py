"""`chainrule evaluate`: how well a model does on data with known answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from chainrule.cli.data import TEST_DATA_HELP, load_answered
from chainrule.cli.options import Model
from chainrule.cli.rows import outputs_of
from chainrule.saving import load


@dataclass
class Evaluate:
    """Loss, and accuracy for a classifier, of a model on data with known answers."""

    model: Model
    data: Annotated[str, typer.Argument(metavar="DATA", help=TEST_DATA_HELP)]
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The target column. Default: the one it was trained on."),
    ] = None

    def run(self) -> None:
        """Print the loss, and the accuracy of a classifier."""
        network = load(self.model)
        x, t = load_answered(self.data, network, self.target)
        outputs_of(network, x, self.data)  # which refuses what is not finite
        for name, value in network.evaluate(x, t).items():
            typer.echo(f"{name:<9}{value:.6g}")
        typer.echo(f"{'samples':<9}{len(x)}")
