"""`chainrule summary`: the layers of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from chainrule.cli.models import load_model
from chainrule.cli.options import Model
from chainrule.cli.writing import print_text
from chainrule.errors import ArgumentError


@dataclass
class Summarize:
    """A table of a model's layers: shapes, parameters, memory."""

    model: Model
    batch_size: Annotated[int, typer.Option(help="Samples in the batch whose memory is shown.")] = 100

    def run(self) -> None:
        """Print the table."""
        if self.batch_size < 1:
            raise ArgumentError(f"--batch-size: expected at least 1, got {self.batch_size}")
        print_text(load_model(self.model, allow_nan=True).summary(self.batch_size))
