"""`chainrule draw`: a model as a picture, with what flows through it for a few rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.data import DATA_HELP
from chainrule.cli.models import load_model
from chainrule.cli.options import Model, Seed, Target, refuse_no_picture, refuse_seed
from chainrule.cli.reading import TableOptions
from chainrule.cli.rows import ROWS, batch_for
from chainrule.cli.writing import print_text
from chainrule.drawing import draw
from chainrule.errors import ArgumentError

MOST_ROWS = 10_000


@dataclass
class Draw(TableOptions):
    """Draw a model with every value and every gradient that flows through it.

    [bold]chainrule draw runs/digits --out digits.html[/bold]
    """

    model: Model
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help=f"{DATA_HELP} Its first rows are used. Default: the named data it was trained on, or else random "
            "numbers.",
        ),
    ] = None
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write: a name that ends in .html, .svg or .png.")
    ] = Path("graph.html")
    rows: Annotated[int, typer.Option(help="How many rows flow through it.")] = ROWS
    target: Target = None
    seed: Seed = 0
    collapse: Annotated[
        bool | None,
        typer.Option("--collapse/--no-collapse", help="Draw what repeats as one box, or everything."),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False

    def run(self) -> None:
        """Run the model forward and backward on a few rows, and write the picture."""
        if not 1 <= self.rows <= MOST_ROWS:
            raise ArgumentError(f"--rows: expected a number from 1 to {MOST_ROWS:,}, got {self.rows}")
        refuse_seed(self.seed)
        refuse_no_picture("--out", self.out, self.force)
        network = load_model(self.model, allow_nan=True)
        where, batch = batch_for(network, self.data, self.target, self.rows, self.seed, self)
        x, t = {name: batch[name] for name in network.input_shapes}, batch.get("t")
        title = f"{self.model.name}, on {where}"
        draw(network, x, t, collapse=self.collapse, title=title).save(self.out)
        print_text(f"{self.model}, drawn on {where}")
        print_text(f"picture  {self.out}")
