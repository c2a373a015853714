"""`chainrule predict`: a model's answers as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from chainrule.arrays import Array
from chainrule.cli.data import TEST_DATA_HELP, Notes, load_inputs
from chainrule.cli.models import load_model
from chainrule.cli.options import Force, Model, refuse_taken
from chainrule.cli.reading import TableOptions
from chainrule.cli.rows import outputs_of
from chainrule.cli.writing import print_data, print_text
from chainrule.errors import ArgumentError
from chainrule.files import write_bytes
from chainrule.network import Network


@dataclass
class Predict(TableOptions):
    """Predict a row of CSV for every row of data."""

    model: Model
    data: Annotated[str, typer.Argument(metavar="FILE", help=TEST_DATA_HELP)]
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="One more column for the probability of each class.")
    ] = False
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write. Default: to the screen.")
    ] = None
    force: Force = False

    def run(self) -> None:
        """Print the CSV, or write it to a file."""
        if self.out is not None:
            refuse_taken(self.out, self.force)
        network = load_model(self.model)
        header, rows = self._table(network, load_inputs(self.data, network, self))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        if self.out is None:
            print_data(text.getvalue())
        else:
            write_bytes(self.out, text.getvalue().encode())
            print_text(f"{len(rows)} predictions written to {self.out}")

    def _table(self, network: Network, x: Array) -> tuple[list[str], list[list[str]]]:
        """The header, and a row of texts for every row of x."""
        notes = Notes.of(network)
        outputs, classes, name = (
            outputs_of(network, x, self.data),
            notes.classes,
            notes.target or "prediction",
        )
        if classes is None:
            if self.probabilities:
                raise ArgumentError("--probabilities: the model names no classes; it predicts numbers")
            flat = outputs.reshape(len(outputs), -1)
            header = [name] if flat.shape[1] == 1 else [f"{name}{k}" for k in range(flat.shape[1])]
            return header, [[f"{value:.7g}" for value in row] for row in flat]
        if network.classes is None:  # an older file
            network.classes = classes
        header, rows = [name], [[str(label)] for label in network.classify(x)]
        if self.probabilities:
            header += [f"p({each})" for each in classes]
            p = network.predict_proba(x).reshape(len(x), -1)
            shares = np.column_stack([1 - p, p]) if p.shape[1] < len(classes) else p
            for row, of_row in zip(rows, shares, strict=True):
                row += [f"{share:.6f}" for share in of_row]
        return header, rows
