"""`chainrule train`: build the network, train it, check it, keep it, and tell."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from chainrule import layers, optimizers
from chainrule.arrays import Array
from chainrule.checking import CheckReport
from chainrule.cli.check import as_json, check_network, print_report
from chainrule.cli.class_weights import class_weights
from chainrule.cli.data import DATA_HELP, Dataset, load_for_training
from chainrule.cli.gradients import compare_gradients
from chainrule.cli.options import (
    ACTIVATIONS,
    INITIALIZERS,
    SCHEDULES,
    choose,
    refuse_dtype,
    refuse_seed,
)
from chainrule.cli.reading import TableOptions, of_tables
from chainrule.cli.report import print_findings
from chainrule.cli.rows import ROWS, feeds, unlearned
from chainrule.cli.run_folder import CURVES, command_of, keep_evaluation, keep_run, run_folder
from chainrule.cli.wording import in_options, options_of
from chainrule.cli.writing import print_rows, print_text
from chainrule.datasets.tables import MOST_CATEGORIES, stem_of, told_of
from chainrule.drawing.report import TrainingReport, report
from chainrule.drawing.report.folder import CHECK, HISTORY, MODEL, REPORT
from chainrule.drawing.report.material import Material
from chainrule.drawing.report.setup import USUAL_RATES
from chainrule.errors import ArgumentError, DataError, DivergedError
from chainrule.evaluation import Estimated, error_text, r2_text
from chainrule.files import write_bytes
from chainrule.graph import Input, Node
from chainrule.initializers import Initializer, Normal
from chainrule.loop import Callback, EarlyStopping, Health, History
from chainrule.loop.batches import BATCH_SIZE
from chainrule.network import Network
from chainrule.network.finite import not_finite
from chainrule.network.scales import out_of_range
from chainrule.optimizers import Optimizer
from chainrule.schedules import Schedule

CHECKED_UP_TO = 1_000_000
MOST_UNITS = 1_000_000
DECAY, MOST_DECAY = 5.0, 0.1
EPOCHS, MOST_EPOCHS, LEAST_BATCHES = 20, 200, 1_000
NOT_MEASURED = "not measured: the training ended within its first epoch"
NOT_SETTINGS = frozenset({"context", "out", "force"})

of_network = partial(typer.Option, rich_help_panel="The network")
of_training = partial(typer.Option, rich_help_panel="How it trains")
of_data = partial(typer.Option, rich_help_panel="Data and files")


@dataclass
class Train(TableOptions):
    """Train a network, check its gradients, and keep the model, its curves and a report.

    [bold]chainrule train digits[/bold]  --hidden 64,32 --optimizer adam

    [bold]chainrule train iris.csv[/bold]  --target species --epochs 100
    """

    context: typer.Context
    data: Annotated[str, typer.Argument(metavar="[DATA]", help=DATA_HELP)] = "digits"
    hidden: Annotated[
        str, of_network(help="Units of each hidden layer, such as 50 or 512,512; 0 for none.")
    ] = "50"
    activation: Annotated[str, of_network(help=f"{', '.join(ACTIVATIONS)}.")] = "relu"
    init: Annotated[
        str | None, of_network(help=f"How weights start: {', '.join(INITIALIZERS)}. Default: half-he.")
    ] = None
    weight_std: Annotated[
        float | None, of_network(help="Standard deviation of weights that start normal. Default: 0.01.")
    ] = None
    dropout: Annotated[float, of_network(help="Share of hidden values set to 0 while training.")] = 0.0
    dtype: Annotated[str, of_network(help="float32 or float64.")] = "float32"
    epochs: Annotated[
        int | None,
        of_training(help="Times through the data. Default: 20; of few rows up to 200, for 1,000 batches."),
    ] = None
    iterations: Annotated[int | None, of_training(help="Batches to train on, instead of --epochs.")] = None
    batch_size: Annotated[
        int | None, of_training(help="Samples in a batch. Default: 100, or all that there are.")
    ] = None
    optimizer: Annotated[str, of_training(help=f"{', '.join(USUAL_RATES)}.")] = "adam"
    learning_rate: Annotated[
        float | None,
        of_training(help="Size of a step. Default: of adam falling from 0.01; of sgd 0.1, of others less."),
    ] = None
    schedule: Annotated[
        str | None,
        of_training(
            help=f"How the learning rate changes: {', '.join(SCHEDULES)}. Default of a given rate: constant."
        ),
    ] = None
    weight_decay: Annotated[
        float | None,
        of_training(help="Pull of the weights to 0. Default: of a table 5 / rows, at most 0.1; else 0."),
    ] = None
    clip_norm: Annotated[
        float | None,
        of_training(help="Scale a gradient whose norm is larger than this down to it. Default: 1 for adam."),
    ] = None
    early_stopping: Annotated[
        int | None,
        of_training(
            metavar="EPOCHS",
            help="Stop when the test loss has not improved for so many epochs. The weights of the best are kept.",
        ),
    ] = None
    class_weights: Annotated[
        str | None,
        of_training(
            metavar="WEIGHTS",
            help="How much each class counts in the loss: balanced, or a list such as no=1,yes=5.",
        ),
    ] = None
    sampling: Annotated[
        str,
        of_training(
            help="shuffle: all the data in a new order every epoch. replacement: every batch drawn anew."
        ),
    ] = "shuffle"
    seed: Annotated[int, of_training(help="The same seed gives the same result.")] = 0
    check: Annotated[
        bool | None,
        of_training(
            "--check/--no-check",
            help="Hold backpropagation against numerical differentiation, whole and layer by layer. Default: "
            "up to 1,000,000 parameters. Of a large network a sample of the parameters is compared.",
        ),
    ] = None
    health: Annotated[
        bool,
        of_training(
            "--health/--no-health",
            help="Look at the layers now and then, for the report: dead units, gradients, sizes of updates.",
        ),
    ] = True
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
    out: Annotated[
        Path | None, of_data(metavar="DIR", help="The run folder. Default: a new one under runs/.")
    ] = None
    force: Annotated[bool, of_data("--force", help="Write into a run folder that exists.")] = False

    def run(self) -> None:
        """Train, check, write the run folder, and print what came of it."""
        refuse_seed(self.seed)
        refuse_dtype(self.dtype)
        if self.most_categories is not None and self.most_categories < 1:
            raise ArgumentError(f"--most-categories: expected at least 1, got {self.most_categories}")
        if self.epochs is not None and self.iterations is not None:
            raise ArgumentError("--epochs and --iterations: expected one of the two, got both; leave one out")
        optimizer, callbacks = self._make_optimizer(), self._make_callbacks()
        folder = run_folder(self.out, stem_of(self.data), self.force)
        data = load_for_training(
            self.data,
            self.target,
            self.test_share,
            self.seed,
            self.task,
            self,
            most_categories=self.most_categories,
        )
        network = self._build(data)
        if self.weight_decay is None and data.columns is not None:
            optimizer = replace(optimizer, weight_decay=usual_decay(len(data.x)))
        try:
            history = self._fit(network, data, optimizer, callbacks)
        except DivergedError as error:
            self._keep(folder, network, error.history, data)
            write_page(folder)
            print_rows(kept_files(folder, MODEL, HISTORY, CURVES, REPORT))
            if held := not_finite(network.params):
                print_text(f"{held}: read the model with cr.load(path, allow_nan=True)")
            raise
        self._keep(folder, network, history, data)  # before the checks, which take a while
        compared, layer_report = self._check(network, data, folder)
        page = write_page(folder)
        print_rows([*results(page.runs[0], network, data, self._worded), ("gradients", compared)])
        if layer_report is not None:
            typer.echo()
            print_report(layer_report)
            typer.echo()
        print_findings(page)
        checked = () if layer_report is None else (CHECK,)
        print_rows(kept_files(folder, MODEL, HISTORY, *checked, CURVES, REPORT))

    def _make_optimizer(self) -> Optimizer:
        """Adam as `fit` has it, but for what is given; of another kind, its usual rate, and not clipped."""
        rate, kind, usual = self.learning_rate, self.optimizer.strip(), Network.default_optimizer
        usual_rate = choose("--optimizer", kind, USUAL_RATES)
        is_default = kind.lower() == "adam"
        if rate is not None and not 0 < rate < math.inf:
            raise ArgumentError(f"--learning-rate: expected a number above 0, such as 0.1, got {rate:g}")
        learning_rate: float | Schedule = usual.schedule
        if rate is not None or self.schedule is not None or not is_default:
            schedule = choose("--schedule", self.schedule or "constant", SCHEDULES)
            learning_rate = schedule(usual_rate if rate is None else rate)
        clip_norm = usual.clip_norm if self.clip_norm is None and is_default else self.clip_norm
        return optimizers.get(
            kind, learning_rate=learning_rate, weight_decay=self.weight_decay or 0.0, clip_norm=clip_norm
        )

    def _make_callbacks(self) -> list[Callback]:
        callbacks: list[Callback] = [Health()] if self.health else []
        if (
            self.early_stopping is not None
        ):  # after Health, which looks at the weights before others are put back
            callbacks.append(EarlyStopping(patience=self.early_stopping))
        return callbacks

    def _make_weights(self) -> Initializer:
        if self.weight_std is None:
            return choose("--init", "half-he" if self.init is None else self.init, INITIALIZERS)()
        if self.init is not None and choose("--init", self.init, INITIALIZERS) is not Normal:
            raise ArgumentError(
                f"--weight-std is for weights that start normal, --init normal, and {self.init} follows from the "
                f"sizes of the layers; leave one out"
            )
        return Normal(self.weight_std)

    def _build(self, data: Dataset) -> Network:
        """Affine layers with activations between them. Columns of a table are first brought to one scale, and
        predictions of a regression last to that of its target.
        """
        activation = choose("--activation", self.activation, ACTIVATIONS)
        weights = self._make_weights()
        x = Input("x", shape=(data.x.shape[1],))
        node: Node = x
        if data.columns is not None:
            refuse_out_of_range(data.x, data.columns, self.dtype)
            node = layers.Standardize.of(data.x)(node, name="standardized")
        for units in hidden_units(self.hidden):
            node = activation()(layers.Affine(units, weights=weights)(node))
            if self.dropout:
                node = layers.Dropout(self.dropout)(node)
        weights_of_classes = None if self.class_weights is None else class_weights(self.class_weights, data)
        loss: layers.Loss
        if data.classes is None:
            task, outputs, loss = "regression", 1, layers.MeanSquaredError()
        else:
            task, outputs, loss = "classification", len(data.classes), layers.SoftmaxCrossEntropy()
        if weights_of_classes is not None:
            loss = layers.SoftmaxCrossEntropy(class_weights=weights_of_classes)
        output = layers.Affine(outputs, weights=weights)(node)
        if data.classes is None:
            refuse_out_of_range(data.t, [str(data.target)], self.dtype)
            output = layers.Standardize.of(data.t, invert=True)(output, name="prediction")
        network = Network(output=output, loss=loss, seed=self.seed, dtype=self.dtype)
        network.metadata = {
            "data": self.data,
            "task": task,
            "columns": data.columns,
            "target": data.target,
        }
        network.classes, network.preparation = data.classes, data.preparation
        return network

    def _fit(
        self, network: Network, data: Dataset, optimizer: Optimizer, callbacks: list[Callback]
    ) -> History:
        if self.epochs is None and self.iterations is None:
            self.epochs = usual_epochs(len(data.x), self.batch_size or BATCH_SIZE)
        return network.fit(
            data.x,
            data.t,
            optimizer=optimizer,
            epochs=self.epochs,
            iterations=self.iterations,
            batch_size=self.batch_size,
            sampling=self.sampling,  # type: ignore[arg-type]  # fit checks the word
            validation=(data.x_test, data.t_test),
            callbacks=callbacks,
            seed=self.seed,
        )

    def _keep(self, folder: Path, network: Network, history: History, data: Dataset) -> None:
        given = {k: v for k, v in vars(self).items() if v is not None and k not in NOT_SETTINGS}
        init = {"init": self.init or ("half-he" if self.weight_std is None else "normal")}
        history.settings = {**given, **init, **history.settings}
        keep_run(folder, network, history)
        data = replace(data, notes=[self._worded(note) for note in data.notes])
        keep_evaluation(folder, network, data, command_of(self.context))

    def _worded(self, text: str) -> str:
        """A text of the library whose remedies are options."""
        options = options_of(self.context.command)
        return in_options(text, options, options)

    def _check(self, network: Network, data: Dataset, folder: Path) -> tuple[str, CheckReport | None]:
        """Check the gradients of the whole, told as text, and of every layer. Ctrl-C ends the checks alone."""
        size = network.params.flat.size
        if not (size <= CHECKED_UP_TO if self.check is None else self.check):
            return f"not checked ({size:,} parameters; --check does it all the same)", None
        compared, layer_report = "not checked: interrupted", None
        with contextlib.suppress(KeyboardInterrupt):
            x, t = data.x[:ROWS], unlearned(data.t, ROWS)
            compared = compare_gradients(network, x, t, self.seed)
            layer_report = check_network(network, feeds(network, x, t))
            write_bytes(folder / CHECK, as_json(layer_report).encode())
        return compared, layer_report


def refuse_out_of_range(values: Array, columns: list[str], dtype: str) -> None:
    """Raise DataError for a column that a network of this dtype cannot compute with."""
    if found := out_of_range(values, dtype):
        column, problem = found
        remedy = ", or try --dtype float64" if dtype == "float32" else ""
        raise DataError(f"column {columns[column]!r} {problem}{remedy}")


def usual_epochs(rows: int, batch_size: int) -> int:
    """How many epochs train by default: of few rows enough for a thousand batches."""
    batches = math.ceil(rows / max(batch_size, 1))
    return max(EPOCHS, min(MOST_EPOCHS, math.ceil(LEAST_BATCHES / batches)))


def usual_decay(rows: int) -> float:
    """The weight decay of a table: the fewer rows there are, the less can be learnt from them."""
    return min(MOST_DECAY, DECAY / rows)


def hidden_units(text: str) -> list[int]:
    """The units of each hidden layer, as --hidden names them."""
    try:
        units = [int(part) for part in text.replace("x", ",").split(",")]
    except ValueError:
        units = [-1]
    if units == [0]:
        return []
    if min(units) < 1 or max(units) > MOST_UNITS:
        raise ArgumentError(
            f"--hidden: expected numbers of units such as 50 or 512,512, at most {MOST_UNITS:,} each, or 0 for "
            f"none, got {text!r}"
        )
    return units


def kept_files(folder: Path, *names: str) -> list[tuple[str, str]]:
    """What the run folder holds, as labels and paths."""
    return [(name.split(".")[0], escape(str(folder / name))) for name in names]


def write_page(folder: Path) -> TrainingReport:
    """Make the report of a run that was just kept."""
    made = report(folder)
    made.save(folder / REPORT)
    return made


def on_both(of_test: str, of_training: str) -> str:
    """A measure of the test data and of the training data."""
    return f"{of_test} on the test data, {of_training} on the training data"


def results(
    run: Material, network: Network, data: Dataset, worded: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """What the training came to, as labels and texts. `worded` makes options of the arguments in a remedy."""
    history = run.history
    for label, text in () if data.preparation is None else told_of(data.preparation):
        yield label, escape(text if label != "left out" else worded(text))
    units = [node.layer.units for node in network.graph if node.layer is not None and node.layer.units]
    shape = " -> ".join(map(str, [data.x.shape[1], *units]))
    yield "network", f"{shape}, {network.params.flat.size:,} parameters"
    counts = f"{len(data.x):,} samples to train on, {len(data.x_test):,} to test on"
    yield "data", f"{escape(data.name)}: {counts}"
    if isinstance(run.answers, Estimated):
        both = run.answers.means, run.about.on_training
        yield "R²", on_both(*(r2_text(each["r2"]) for each in both))
        yield (
            "RMSE",
            on_both(*(f"{error_text(each['rmse'])} (MAE {error_text(each['mae'])})" for each in both)),
        )
    for name, digits in () if data.classes is None else (("accuracy", ".4f"), ("loss", ".4g")):
        train_value, test_value = run.latest(f"train_{name}"), run.latest(f"test_{name}")
        if train_value is None or test_value is None:
            yield name, NOT_MEASURED
        else:
            yield name, on_both(f"{test_value:{digits}}", f"{train_value:{digits}}")
    count, seconds = len(history.loss), history.seconds[-1] if history.seconds else 0.0
    stopped = "" if history.stopped == "finished" else f"; stopped: {escape(history.stopped)}"
    yield "time", f"{seconds:.2f} s for {count:,} iterations{stopped}"
