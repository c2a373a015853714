"""The program `chainrule`: its commands, and what becomes of errors."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec

import typer

from chainrule.cli import checking, drawing, models, reporting, training
from chainrule.cli.data import NAMED
from chainrule.cli.names import ACTIVATIONS, OPTIMIZERS, SCHEDULES
from chainrule.errors import ChainruleError, DivergedError
from chainrule.versions import show_versions

P = ParamSpec("P")

app = typer.Typer(
    name="chainrule",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train neural networks by backpropagation, with none of it hidden.",
    epilog="Start with [bold]chainrule train digits[/bold]: it needs no data of yours and takes seconds.",
)


def main() -> NoReturn:
    """Run the command line. Exit status: 0 done, 1 a training diverged or a check found a mistake, 2 bad input,
    130 interrupted.
    """
    app()
    sys.exit(0)


def _reported(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what users can cause into one message and an exit status, never a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (ChainruleError, MemoryError) as error:
            message = str(error) or "not enough memory for this; try a smaller network or batch"
            typer.echo(f"chainrule: {message}", err=True)
            raise typer.Exit(1 if isinstance(error, DivergedError) else 2) from None
        except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:  # a name that is too long, a folder that may not be looked into
            typer.echo(f"chainrule: {error.filename or 'the files'}: {error.strerror or error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("chainrule: interrupted", err=True)
            raise typer.Exit(130) from None

    return run


def _show_version(wanted: bool) -> None:
    if wanted:
        show_versions()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print versions, and what runs programs here.",
        ),
    ] = False,
) -> None:
    """Nothing to do for all commands alike."""


Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file, such as runs/digits/model.safetensors.")
]
DATA_HELP = f"{', '.join(NAMED)}, or a table: a .csv, .tsv, .npz or .npy file."
NET, HOW, WHERE = "The network", "How it trains", "Data and files"
OF_FILE = "For what is in a Python file"


@app.command()
@_reported
def train(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="[DATA]", help=DATA_HELP)] = "digits",
    hidden: Annotated[
        str,
        typer.Option(
            help="Units of each hidden layer, such as 50 or 512,512; 0 for none.", rich_help_panel=NET
        ),
    ] = "50",
    activation: Annotated[str, typer.Option(help=f"{', '.join(ACTIVATIONS)}.", rich_help_panel=NET)] = "relu",
    weight_std: Annotated[
        float | None,
        typer.Option(
            help="Start from normal weights of this standard deviation, instead of He's.", rich_help_panel=NET
        ),
    ] = None,
    dropout: Annotated[
        float, typer.Option(help="Share of hidden values set to 0 while training.", rich_help_panel=NET)
    ] = 0.0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.", rich_help_panel=NET)] = "float32",
    epochs: Annotated[
        int | None, typer.Option(help="Times through the data. Default: 20.", rich_help_panel=HOW)
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="Batches to train on, instead of --epochs.", rich_help_panel=HOW)
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Samples in a batch. Default: 100, or all that there are.", rich_help_panel=HOW),
    ] = None,
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.", rich_help_panel=HOW)] = "sgd",
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Size of a step. Default: 0.1 for sgd, less for the others.", rich_help_panel=HOW),
    ] = None,
    schedule: Annotated[
        str, typer.Option(help=f"How the learning rate changes: {', '.join(SCHEDULES)}.", rich_help_panel=HOW)
    ] = "constant",
    weight_decay: Annotated[float, typer.Option(help="Pull of the weights to 0.", rich_help_panel=HOW)] = 0.0,
    sampling: Annotated[
        str,
        typer.Option(
            help="shuffle: all the data in a new order every epoch. replacement: every batch drawn anew.",
            rich_help_panel=HOW,
        ),
    ] = "shuffle",
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.", rich_help_panel=HOW)] = 0,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check",
            help="Hold backpropagation against numerical differentiation, whole and layer by layer. Default: the "
            "whole up to 50,000 parameters, the layers up to 1,000,000.",
            rich_help_panel=HOW,
        ),
    ] = None,
    health: Annotated[
        bool,
        typer.Option(
            "--health/--no-health",
            help="Look at the layers now and then, for the report: dead units, gradients, sizes of updates.",
            rich_help_panel=HOW,
        ),
    ] = True,
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of a table to predict.", rich_help_panel=WHERE),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="classification or regression. Default: classes for text and whole numbers.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    test_share: Annotated[
        float | None,
        typer.Option(
            help="Share of a table's rows held out for testing. Default: 0.2.", rich_help_panel=WHERE
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The run folder. Default: a new one under runs/.", rich_help_panel=WHERE
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a run folder that exists.", rich_help_panel=WHERE)
    ] = False,
) -> None:
    """Train a network, check its gradients, and keep the model, its curves and a report.

    [bold]chainrule train digits[/bold]  --hidden 64,32 --optimizer adam

    [bold]chainrule train iris.csv[/bold]  --target species --epochs 100
    """
    choices = training.Choices(
        hidden=hidden,
        activation=activation,
        weight_std=weight_std,
        dropout=dropout,
        dtype=dtype,
        epochs=20 if epochs is None and iterations is None else epochs,
        iterations=iterations,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        sampling=sampling,
        seed=seed,
        check=check,
        health=health,
        target=target,
        test_share=test_share,
        task=task,
    )
    training.train(data, choices, out, force, reporting.command_of(context))


@app.command()
@_reported
def report(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Run folders, such as runs/digits. Several are compared."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write: .html, or .png for one picture. Default: report.html in the run folder; "
            "of several runs, comparison.html here.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
) -> None:
    """Make the page of a training anew, or that of several side by side.

    [bold]chainrule report runs/digits[/bold]

    [bold]chainrule report runs/digits runs/digits-2[/bold]  --out both.html
    """
    reporting.report(folders, out, force)


@app.command()
@_reported
def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="DATA", help=f"{DATA_HELP} Of named data, its test part.")],
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The target column. Default: the one it was trained on."),
    ] = None,
) -> None:
    """Loss, and accuracy for a classifier, of a model on data with known answers."""
    models.evaluate(model, data, target)


@app.command()
@_reported
def predict(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="FILE", help=f"{DATA_HELP} Of named data, its test part.")],
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="One more column for the probability of each class.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write. Default: to the screen.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
) -> None:
    """Predict a row of CSV for every row of data."""
    models.predict(model, data, probabilities, out, force)


@app.command()
@_reported
def summary(
    model: Model,
    batch_size: Annotated[int, typer.Option(help="Samples in the batch whose memory is shown.")] = 100,
) -> None:
    """A table of a model's layers: shapes, parameters, memory."""
    models.summary(model, batch_size)


@app.command()
@_reported
def draw(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help=f"{DATA_HELP} Its first rows are used. Default: the named data it was trained on, or else random "
            "numbers.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to write: a name that ends in .html, .svg or .png.")
    ] = Path("graph.html"),
    rows: Annotated[int, typer.Option(help="How many rows flow through it.")] = 10,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The target column of a table. Default: the one the model was trained on."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same random numbers.")] = 0,
    collapse: Annotated[
        bool | None,
        typer.Option("--collapse/--no-collapse", help="Draw what repeats as one box, or everything."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Draw a model with every value and every gradient that flows through it.

    [bold]chainrule draw runs/digits/model.safetensors --out digits.html[/bold]
    """
    drawing.draw(model, data, target, rows, seed, out, collapse, force)


@app.command()
@_reported
def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE.py:NAME",
            help="A model file; or a Python file, which is run, and in it a class (or an object) with forward and "
            "backward, or two functions: FILE.py:forward,backward.",
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help=f"For a model: {DATA_HELP} Its first 10 rows are used, of named data those of the test part. "
            "Default: the named data it was trained on, or else random numbers.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="An input of forward, once for each, in order. 4x5: random numbers of this shape. 4:3: 4 labels "
            "from 0 to 2. 4x3:onehot: such labels as rows of 0 and 1. 4x5:positive: numbers from 0.5 to 2. 0.5: "
            "this number.",
            rich_help_panel=OF_FILE,
        ),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--arg",
            metavar="NAME=VALUE",
            help="An argument of the class's constructor. W=5x3: a random array. b=3: the same with one axis, for "
            "names such as W, b, gamma; 3x says it for any name. units=7, rate=0.5: a number.",
            rich_help_panel=OF_FILE,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="The target column of a table. Default: the one the model was trained on."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same random numbers.")] = 0,
    dtype: Annotated[str, typer.Option(help="What backward computes in: float64 or float32.")] = "float64",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw what was checked, the guilty in red: .html, .svg or .png."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a picture that is there.")] = False,
) -> None:
    """Hold every backward against differences of its forward, and name the mistake.

    Exit status: 0 passed, 1 a mistake was found, 2 bad input.

    [bold]chainrule check runs/digits/model.safetensors[/bold]

    [bold]chainrule check layers.py:Affine[/bold]  --arg W=5x3 --arg b=3 --input 4x5

    [bold]chainrule check layers.py:SoftmaxWithLoss[/bold]  --input 4x3 --input 4:3

    [bold]chainrule check layers.py:affine_forward,affine_backward[/bold]  --input 4x5 --input 5x3 --input 3
    """
    choices = checking.Choices(inputs or [], arguments or [], target, seed, dtype, as_json, picture, force)
    if not checking.check(name, data, choices):
        raise typer.Exit(1)
