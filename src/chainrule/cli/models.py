"""`chainrule evaluate`, `predict` and `summary`: what is done with a trained model."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import typer

from chainrule.arrays import Array, first_not_finite
from chainrule.cli.data import Notes, load_for_model
from chainrule.errors import ArgumentError, DataError, FileError
from chainrule.files import write_bytes
from chainrule.network import Network
from chainrule.saving import load


def evaluate(model: Path, data: str, target: str | None) -> None:
    """Print the loss, and the accuracy of a classifier."""
    network = load(model)
    table = load_for_model(data, network, target, with_target=True)
    if table.t is None:
        raise ArgumentError(f"{data}: there are no answers to compare with; name their column with --target")
    _refuse_not_finite(network.predict(table.x), data)
    measures = network.evaluate(table.x, table.t)
    for name, value in measures.items():
        typer.echo(f"{name:<9}{value:.6g}")
    typer.echo(f"{'samples':<9}{len(table.x)}")


def predict(model: Path, data: str, probabilities: bool, out: Path | None, force: bool) -> None:
    """Write CSV: the prediction for every row, and the probabilities if wanted."""
    if out is not None and out.exists() and not force:
        raise FileError(f"{out} exists; choose another name, or write over it with --force")
    network = load(model)
    table = load_for_model(data, network, None, with_target=False)
    header, rows = _predictions(network, table.x, probabilities, data)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    if out is None:
        typer.echo(text.getvalue(), nl=False)
    else:
        write_bytes(out, text.getvalue().encode())
        typer.echo(f"{len(rows)} predictions written to {out}")


def summary(model: Path, batch_size: int) -> None:
    """Print the table of the layers."""
    if batch_size < 1:
        raise ArgumentError(f"--batch-size: expected at least 1, got {batch_size}")
    typer.echo(load(model).summary(batch_size))


def _refuse_not_finite(outputs: Array, data: str) -> None:
    """NaN is no answer: it comes from a training that diverged, or from data far out of range."""
    bad = first_not_finite(outputs)
    if bad is not None:
        raise DataError(
            f"{data}: the model's output for row {bad[0] + 1} is {outputs[bad]}; the model diverged in "
            f"training, or the data are far from what it was trained on"
        )


def _predictions(
    network: Network, x: Array, probabilities: bool, data: str
) -> tuple[list[str], list[list[object]]]:
    notes = Notes.of(network)
    outputs, classes = network.predict(x), notes.classes
    _refuse_not_finite(outputs, data)
    if classes is None:
        if probabilities:
            raise ArgumentError("--probabilities: the model names no classes; it predicts numbers")
        name = notes.target or "prediction"
        flat = outputs.reshape(len(outputs), -1)
        header = [name] if flat.shape[1] == 1 else [f"{name}{k}" for k in range(flat.shape[1])]
        return header, [[f"{value:.7g}" for value in row] for row in flat]
    header = [notes.target or "prediction"]
    rows: list[list[object]] = [[classes[k]] for k in outputs.argmax(axis=1)]
    if probabilities:
        header += [f"p({name})" for name in classes]
        shares = network.predict_proba(x)
        rows = [
            [*row, *(f"{p:.6f}" for p in np.asarray(each))] for row, each in zip(rows, shares, strict=True)
        ]
    return header, rows
