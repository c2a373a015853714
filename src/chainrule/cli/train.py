"""`chainrule train`: build the network, train it, check it, keep it, and tell."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from chainrule.checking import CheckReport
from chainrule.cli.building import NetworkOptions
from chainrule.cli.check import as_json, check_network, print_report
from chainrule.cli.data import DATA_HELP, Dataset, load_for_training
from chainrule.cli.gradients import compare_gradients
from chainrule.cli.options import (
    refuse_dtype,
    refuse_seed,
)
from chainrule.cli.reading import TableOptions, of_tables
from chainrule.cli.report import print_findings
from chainrule.cli.results import kept_files, results
from chainrule.cli.rows import ROWS, feeds, unlearned
from chainrule.cli.run_folder import (
    begin,
    command_of,
    end_run,
    keep_evaluation,
    keep_graph,
    keep_run,
    run_folder,
    settings_of,
)
from chainrule.cli.training import TrainingOptions
from chainrule.cli.wording import in_options, options_of
from chainrule.cli.writing import print_rows, print_text
from chainrule.datasets.tables import MOST_CATEGORIES, stem_of
from chainrule.errors import ArgumentError, DivergedError
from chainrule.loop import History
from chainrule.loop.interrupts import Interrupts
from chainrule.network import Network
from chainrule.network.finite import not_finite
from chainrule.reports.live.watching import watching
from chainrule.saving.checkpoint import EVERY, Checkpoint
from chainrule.saving.intervals import interval_of
from chainrule.saving.model import RUN_ID
from chainrule.saving.runs import CHECK, CHECKPOINT, CURVES, GRAPH, HISTORY, MODEL, REPORT, RunFolder

CHECKED_UP_TO = 1_000_000
NO_OPTIONS = frozenset({"context", "command", "watch", "_"})
NOT_SETTINGS = NO_OPTIONS | {"out", "force", "checkpoint_every"}

of_data = partial(typer.Option, rich_help_panel="Data and files")

Watch = Annotated[
    bool,
    of_data(
        "--watch",
        help="Show the report while it grows, in a browser on this machine: its address is printed.",
    ),
]


@dataclass(kw_only=True)
class TargetOptions:
    """What is learnt from a table."""

    target: Annotated[str | None, of_data(metavar="COLUMN", help="The column of a table to predict.")] = None
    task: Annotated[
        str | None,
        of_data(help="classification or regression. Default: classes for text and few whole numbers."),
    ] = None
    test_share: Annotated[
        float | None, of_data(help="Share of a table's rows held out for testing. Default: 0.2.")
    ] = None
    most_categories: Annotated[
        int | None,
        of_tables(
            help="Text of more different values is left out; of fewer, each gets a column of 0 and 1. Default: "
            f"{MOST_CATEGORIES}."
        ),
    ] = None


@dataclass
class Train(TableOptions, TargetOptions, TrainingOptions, NetworkOptions):
    """Train a network, check its gradients, and keep the model, its curves and a report.

    [bold]chainrule train digits[/bold]  --hidden 64,32 --optimizer adam

    [bold]chainrule train iris.csv[/bold]  --target species --epochs 100
    """

    context: typer.Context
    data: Annotated[str, typer.Argument(metavar="[DATA]", help=DATA_HELP)] = "digits"
    _: KW_ONLY
    out: Annotated[
        Path | None, of_data(metavar="DIR", help="The run folder. Default: a new one under runs/.")
    ] = None
    force: Annotated[bool, of_data("--force", help="Write into a run folder that exists.")] = False
    watch: Watch = False
    checkpoint_every: Annotated[
        str,
        of_data(
            metavar="N|TIME",
            help="How often to keep what chainrule resume goes on from: iterations, such as 500, or a time, such "
            "as 60s or 5min. 0 or never: not at all.",
        ),
    ] = EVERY
    #: The command that repeats the run.
    command: str = field(default="", init=False)

    def run(self) -> None:
        """Train, check, write the run folder, and print the results."""
        refuse_seed(self.seed)
        refuse_dtype(self.dtype)
        if self.most_categories is not None and self.most_categories < 1:
            raise ArgumentError(f"--most-categories: expected at least 1, got {self.most_categories}")
        for name in ("epochs", "iterations", "batch_size"):  # fit would refuse it, after the run has begun
            value = getattr(self, name)
            if value is not None and value < 1:
                option = name.replace("_", "-")
                raise ArgumentError(f"--{option}: expected a whole number of at least 1, got {value}")
        if self.epochs is not None and self.iterations is not None:
            raise ArgumentError("--epochs and --iterations: expected one of the two, got both; leave one out")
        every = checkpoint_interval(self.checkpoint_every)
        if self.watch and every is None:
            raise ArgumentError(
                "--watch: expected checkpoints, whose history it shows, got --checkpoint-every never; leave one out"
            )
        self.command = command_of(self.context)
        optimizer, callbacks = self.make_optimizer(), self.make_callbacks()
        run_folder(self.out, stem_of(self.data), self.force)  # refused before the data are read
        data = self.load(self.data)
        network = self._network(data)
        options = {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in NO_OPTIONS
        }
        settings = settings_of(self.command, options)
        with begin(self.out, stem_of(self.data), self.force, settings) as folder:
            checkpoint = None if every is None else Checkpoint(folder, every=every)
            fit = partial(self.fit, network, data, optimizer, callbacks, checkpoint)
            with watched(folder.path, self.watch):
                self.complete(folder, network, data, fit)

    def load(self, name: str) -> Dataset:
        """The data of that name, which say how long to train where nobody did."""
        data = load_for_training(
            name,
            self.target,
            self.test_share,
            self.seed,
            self.task,
            self,
            most_categories=self.most_categories,
        )
        self.set_length(len(data.x))
        return data

    def complete(
        self, folder: RunFolder, network: Network, data: Dataset, fit: Callable[[], History]
    ) -> None:
        """Train, check, write the run folder, and print what came of it."""
        try:
            history = fit()
        except DivergedError as error:
            with Interrupts():
                self._keep(folder, network, error.history, data)
                end_run(folder, error.history)
            print_rows(kept_files(folder.path, MODEL, HISTORY, CURVES, REPORT))
            if folder.before is not None:
                print_rows([("before", escape(f"the run that was here is kept in {folder.before}"))])
            if held := not_finite(network.params):
                print_text(f"{held}: read the model with cr.load(path, allow_nan=True)")
            raise
        with Interrupts() as interrupts:  # what was learnt is kept, and before the checks, which take a while
            self._keep(folder, network, history, data)
        checks = Checks(is_interrupted=interrupts.asked or history.stopped == "interrupted")
        if not checks.is_interrupted:
            self._check(checks, network, data, folder)
        with Interrupts() as interrupts:
            keep_graph(folder, network, data)
            page = end_run(folder, history)
        folder.close()
        print_rows([*results(page.runs[0], network, data, self._worded), ("gradients", checks.compared)])
        if checks.report is not None:
            typer.echo()
            print_report(checks.report)
            typer.echo()
        print_findings(page)
        checked = () if checks.report is None else (CHECK,)
        drawn = (GRAPH,) if (folder.path / GRAPH).exists() else ()
        print_rows(kept_files(folder.path, MODEL, HISTORY, *checked, CURVES, *drawn, REPORT))
        if history.stopped == "interrupted":
            raise KeyboardInterrupt(how_to_go_on(folder.path))
        if checks.is_interrupted or interrupts.asked:
            raise KeyboardInterrupt("the training has ended, and is kept")

    def _network(self, data: Dataset) -> Network:
        """The network, with what it must know of its data to predict from a file like it."""
        network = self.build(data, self.make_loss(data), self.seed)
        network.metadata = {
            "data": self.data,
            "task": "regression" if data.classes is None else "classification",
            "columns": data.columns,
            "target": data.target,
        }
        network.classes, network.preparation = data.classes, data.preparation
        return network

    def _keep(self, folder: RunFolder, network: Network, history: History, data: Dataset) -> None:
        given = {k: v for k, v in vars(self).items() if v is not None and k not in NOT_SETTINGS}
        init = {"init": self.init or ("half-he" if self.weight_std is None else "normal")}
        history.settings = {**given, **init, **history.settings}
        keep_run(folder, network, history)
        data = replace(data, notes=[self._worded(note) for note in data.notes])
        keep_evaluation(folder, network, data, self.command)

    def _worded(self, text: str) -> str:
        """A text of the library whose remedies are options."""
        program = self.context.find_root().command
        options = options_of(program.commands["train"])  # type: ignore[attr-defined]  # it is a group
        return in_options(text, options, options)

    def _check(self, checks: Checks, network: Network, data: Dataset, folder: RunFolder) -> None:
        """Check the gradients of the whole, and of every layer. Ctrl-C ends the checks alone."""
        size = network.params.flat.size
        if not (size <= CHECKED_UP_TO if self.check is None else self.check):
            checks.compared = f"not checked ({size:,} parameters; --check does it all the same)"
            return
        try:
            x, t = data.x[:ROWS], unlearned(data.t, ROWS)
            checks.compared = compare_gradients(network, x, t, self.seed)
            report = check_network(network, feeds(network, x, t))
            content = as_json(report, {RUN_ID: folder.id}).encode()
            folder.write(CHECK, lambda file: file.write(content))
            checks.report = report
        except KeyboardInterrupt:
            checks.is_interrupted = True


def watched(folder: Path, is_asked: bool) -> AbstractContextManager[object]:
    """The growing report, served until the training has ended, where it is asked for."""
    if not is_asked:
        return nullcontext()
    served = watching(folder)
    print_rows([("watch", served.address)])
    sys.stdout.flush()
    return served


@dataclass
class Checks:
    """The results of checking the gradients."""

    is_interrupted: bool
    compared: str = "not checked: interrupted"
    report: CheckReport | None = None


def checkpoint_interval(text: str) -> str | None:
    """What --checkpoint-every says, as `Checkpoint` takes it; None for no checkpoints."""
    if text.strip().lower() in ("0", "never"):
        return None
    interval_of(text)
    return text


def how_to_go_on(folder: Path) -> str:
    """What to do with a training that was interrupted."""
    if (folder / CHECKPOINT).exists():
        return f"chainrule resume {shlex.quote(str(folder))} goes on with the training"
    return "the model is kept, but no checkpoint, so the training cannot go on"
