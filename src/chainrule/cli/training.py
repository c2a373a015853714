"""`chainrule train`: build the network, train it, check it, keep it, and tell."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from chainrule import layers, optimizers
from chainrule.arrays import Array
from chainrule.checking import CheckReport
from chainrule.cli import checking, reporting
from chainrule.cli.batches import ROWS, feeds
from chainrule.cli.data import Dataset, load_for_training
from chainrule.cli.names import ACTIVATIONS, OPTIMIZERS, SCHEDULES, choose
from chainrule.errors import ArgumentError, DataError, DivergedError, FileError
from chainrule.files import write_bytes
from chainrule.graph import Input, Node
from chainrule.initializers import He, Initializer, Normal
from chainrule.loop import Health, History
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.saving import save

MODEL, HISTORY, CURVES, CHECK = "model.safetensors", "history.json", "curves.png", "check.json"
CHECKED_UP_TO, LAYERS_CHECKED_UP_TO = 50_000, 1_000_000
ROWS_CHECKED = 3
MOST_UNITS = 1_000_000


@dataclass(frozen=True)
class Choices:
    """What the options of `chainrule train` say."""

    hidden: str
    activation: str
    weight_std: float | None
    dropout: float
    dtype: str
    epochs: int | None
    iterations: int | None
    batch_size: int | None
    optimizer: str
    learning_rate: float | None
    schedule: str
    weight_decay: float
    sampling: str
    seed: int
    check: bool | None
    health: bool
    target: str | None
    test_share: float | None
    task: str | None


@dataclass(frozen=True)
class GradientCheck:
    """Backpropagation held against numerical differentiation, on every parameter."""

    error: float
    backpropagation_seconds: float
    numerical_seconds: float


def train(name: str, choices: Choices, out: Path | None, force: bool, command: str = "") -> None:
    """Train on the named data and write the run folder. `command` repeats the run, for its report."""
    if choices.seed < 0:
        raise ArgumentError(f"--seed: expected a whole number of at least 0, got {choices.seed}")
    if choices.dtype not in ("float32", "float64"):
        raise ArgumentError(f"--dtype: expected float32 or float64, got {choices.dtype!r}")
    optimizer = _optimizer(choices)
    folder = _folder(out, Path(name).stem, force)
    data = load_for_training(name, choices.target, choices.test_share, choices.seed, choices.task)
    t, center, scale = _scaled_targets(data, choices.dtype)
    network = build(data, choices)
    network.metadata = {
        "data": name,
        "task": "regression" if data.classes is None else "classification",
        "classes": data.classes,
        "columns": data.columns,
        "target": data.target,
    }

    def keep(history: History) -> None:
        chosen = {name: value for name, value in asdict(choices).items() if value is not None}
        history.settings = {"data": name, **chosen, **history.settings}
        whole = network if data.classes is not None else _in_units_of_target(network, center, scale)
        _keep(whole, history, folder)
        reporting.keep_evaluation(whole, data, folder, command)

    try:
        history = network.fit(
            data.x,
            t,
            optimizer=optimizer,
            epochs=choices.epochs,
            iterations=choices.iterations,
            batch_size=min(100, len(data.x)) if choices.batch_size is None else choices.batch_size,
            sampling=choices.sampling,  # type: ignore[arg-type]  # fit checks the word
            validation=(data.x_test, (data.t_test - center) / scale if data.classes is None else data.t_test),
            callbacks=[Health()] if choices.health else [],
            seed=choices.seed,
        )
    except DivergedError as error:
        keep(error.history)
        reporting.write_report(folder)
        raise
    keep(history)  # before the check, which takes a while
    checked = check(network, data.x, t, choices.check)
    report = check_layers(network, data.x, t, choices.check)
    if report is not None:
        write_bytes(folder / CHECK, checking.as_json(report).encode())
    page = reporting.write_report(folder)
    _tell(_report(network, history, checked, data))
    if report is not None:
        typer.echo()
        checking.show(report)
        typer.echo()
    reporting.tell_findings(page)
    files = [("model", MODEL), ("history", HISTORY), ("check", CHECK), ("curves", CURVES)]
    files.append(("report", reporting.REPORT))
    _tell((label, escape(str(folder / file))) for label, file in files if file != CHECK or report is not None)


def build(data: Dataset, choices: Choices) -> Network:
    """Affine layers with activations between them; columns of a table are first brought to one scale."""
    activation = choose("--activation", choices.activation, ACTIVATIONS)
    weights: Initializer = He() if choices.weight_std is None else Normal(choices.weight_std)
    x = Input("x", shape=(data.x.shape[1],))
    node: Node = x
    if data.columns is not None:
        center, scale = _center_and_scale(data.x, data.columns, choices.dtype)
        node = ((x - center) / scale).named("standardized")
    for units in _hidden(choices.hidden):
        node = activation()(layers.Affine(units, weights=weights)(node))
        if choices.dropout:
            node = layers.Dropout(choices.dropout)(node)
    outputs = 1 if data.classes is None else len(data.classes)
    loss: layers.Loss = layers.MeanSquaredError() if data.classes is None else layers.SoftmaxCrossEntropy()
    output = layers.Affine(outputs, weights=weights)(node)
    return Network(output=output, loss=loss, seed=choices.seed, dtype=choices.dtype)


def check(network: Network, x: Any, t: Any, wanted: bool | None) -> GradientCheck | None:
    """Compare the two gradients in float64 on a few rows, unless that would take long or is not wanted."""
    if wanted is False or (wanted is None and network.params.flat.size > CHECKED_UP_TO):
        return None
    twin, x, t = network.astype("float64"), x[:ROWS_CHECKED], t[:ROWS_CHECKED]
    twin.gradient(x, t, training=False)  # once to warm up
    start = time.perf_counter()
    analytic = twin.gradient(x, t, training=False)
    between = time.perf_counter()
    numerical = twin.numerical_gradient(x, t, training=False)
    end = time.perf_counter()
    error = 0.0
    for name, gradient in analytic.items():
        size = max(float(np.linalg.norm(gradient)), float(np.linalg.norm(numerical[name])), 1e-12)
        error = max(error, float(np.linalg.norm(gradient - numerical[name])) / size)
    return GradientCheck(error, between - start, end - between)


def check_layers(network: Network, x: Any, t: Any, wanted: bool | None) -> CheckReport | None:
    """Check every layer by itself, and the whole, on a few rows; above some size only where it is wanted."""
    if wanted is False or (wanted is None and network.params.flat.size > LAYERS_CHECKED_UP_TO):
        return None
    batch = feeds(network, x[:ROWS], t[:ROWS])
    return checking.check_network(network, batch)


def _optimizer(choices: Choices) -> Optimizer:
    rate = choose("--optimizer", choices.optimizer, OPTIMIZERS)
    rate = rate if choices.learning_rate is None else choices.learning_rate
    if not 0 < rate < math.inf:
        raise ArgumentError(f"--learning-rate: expected a number above 0, such as 0.1, got {rate:g}")
    schedule = choose("--schedule", choices.schedule, SCHEDULES)
    return optimizers.get(
        choices.optimizer.strip(), learning_rate=schedule(rate), weight_decay=choices.weight_decay
    )


def _hidden(text: str) -> list[int]:
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


def _scaled_targets(data: Dataset, dtype: str) -> tuple[Any, Any, Any]:
    """Targets of a regression with mean 0 and spread 1, so that one learning rate fits all units."""
    if data.classes is not None:
        return data.t, 0.0, 1.0
    center, scale = _center_and_scale(data.t, [str(data.target)] * data.t.shape[1], dtype)
    return (data.t - center) / scale, center, scale


def _center_and_scale(values: Array, columns: list[str], dtype: str) -> tuple[Array, Array]:
    """Mean and standard deviation of each column, 1 where that is 0, once the dtype is seen to resolve them."""
    values = values.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        center, scale = values.mean(axis=0), values.std(axis=0)
        scale[np.ptp(values, axis=0) == 0] = 1
        largest = np.abs(values).max(axis=0)
        too_large = ~np.isfinite(center) | ~np.isfinite(scale) | (largest >= np.finfo(dtype).max)
        too_fine = (np.abs(center) * np.finfo(dtype).eps > scale / 100) & (np.ptp(values, axis=0) > 0)
    for wrong, problem in (
        (too_large, "holds numbers too large to compute with; give it in a larger unit"),
        (too_fine, "differs from row to row by too little beside its size; subtract what all rows share"),
    ):
        if wrong.any():
            remedy = ", or try --dtype float64" if dtype == "float32" else ""
            raise DataError(f"column {columns[int(np.argmax(wrong))]!r} {problem}{remedy}")
    return center, scale


def _in_units_of_target(network: Network, center: Any, scale: Any) -> Network:
    """The same network, with the target's own units at its output."""
    output = (network.output * scale + center).named("prediction")
    whole = Network(output=output, loss=network.loss_layer, seed=network.seed, dtype=network.dtype)
    whole.params.flat[:] = network.params.flat
    whole.graph.state.update(network.state)
    whole.iterations, whole.metadata = network.iterations, network.metadata
    return whole


def _folder(out: Path | None, stem: str, force: bool) -> Path:
    """The run folder, which must not be in use. Without --out, a new one under runs/."""
    if out is None:
        out = Path("runs") / stem
        number = 1
        while out.exists() and not force:
            number += 1
            out = Path("runs") / f"{stem}-{number}"
    if out.exists() and not out.is_dir():
        raise FileError(f"--out {out}: expected a folder, but a file of that name is in the way")
    if out.exists() and any(out.iterdir()) and not force:
        raise FileError(
            f"--out {out}: the folder is not empty; choose another, or write into it with --force"
        )
    nearest = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise FileError(f"--out {out}: cannot write into {nearest}; choose a folder that can be written to")
    return out


def _keep(network: Network, history: History, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (CHECK, reporting.REPORT):  # they would be of the model that was here before
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"could not make the run folder {folder}: {error.strerror or error}") from error
    save(network, folder / MODEL)
    history.save(folder / HISTORY)
    picture = io.BytesIO()
    history.plot().savefig(picture, format="png", dpi=130)
    write_bytes(folder / CURVES, picture.getvalue())


def _report(
    network: Network, history: History, checked: GradientCheck | None, data: Dataset
) -> list[tuple[str, str]]:
    """What the training came to, as labels and texts."""
    shape = " -> ".join(
        str(size) for size in [data.x.shape[1], *_widths(network), *network.output_shape] if size is not None
    )
    counts = f"{len(data.x):,} samples to train on, {len(data.x_test):,} to test on"
    rows = [
        ("network", f"{shape}, {network.params.flat.size:,} parameters"),
        ("data", f"{escape(data.name)}: {counts}"),
    ]
    for name, digits in (("accuracy", ".4f"), ("loss", ".4g")):
        train_value, test_value = history.latest(f"train_{name}"), history.latest(f"test_{name}")
        if train_value is not None and test_value is not None:
            unit = " (share of the target's variance)" if data.classes is None else ""
            test_text, train_text = (f"{value:{digits}}" for value in (test_value, train_value))
            values = f"{test_text} on the test data, {train_text} on the training data"
            rows.append((name, values + unit))
    count, seconds = len(history.loss), history.seconds[-1] if history.seconds else 0.0
    stopped = "" if history.stopped == "finished" else f"; stopped: {escape(history.stopped)}"
    rows.append(("time", f"{seconds:.2f} s for {count:,} iterations{stopped}"))
    rows.append(("gradients", _told(checked, network.params.flat.size)))
    return rows


def _tell(rows: Iterable[tuple[str, str]]) -> None:
    console = Console(highlight=False)
    for label, text in rows:
        console.print(f"[bold]{label:<9}[/bold]  {text}", soft_wrap=True)  # so that a path can be copied


def _widths(network: Network) -> list[int]:
    units = [node.layer.units for node in network.graph if node.layer is not None]
    return [each for each in units if each is not None][:-1]


def _told(checked: GradientCheck | None, size: int) -> str:
    if checked is None:
        return f"not checked ({size:,} parameters; --check does it all the same)"
    ratio = checked.numerical_seconds / checked.backpropagation_seconds
    verdict = "backpropagation agrees with numerical differentiation"
    if not checked.error < 1e-5:
        verdict = "[red]backpropagation DISAGREES with numerical differentiation[/red]"
    return (
        f"{verdict} on all {size:,} parameters\n"
        f"{'':<9}  (relative error {checked.error:.0e}), and is {ratio:,.0f} times faster: "
        f"{1000 * checked.backpropagation_seconds:.2f} ms, not {checked.numerical_seconds:.1f} s"
    )
