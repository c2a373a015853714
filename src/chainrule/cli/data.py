"""The data that a command line names: a data set by its name, or a table in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import datasets
from chainrule.arrays import Array
from chainrule.cli.options import choose
from chainrule.cli.reading import TableOptions
from chainrule.datasets.images import Split
from chainrule.datasets.tables import (
    ENDINGS,
    TEXT,
    Encoding,
    Form,
    Preparation,
    Table,
    Task,
    ending_of,
    refuse_other,
    stem_of,
)
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean, warn
from chainrule.network import Network

#: What loads the data sets that have a name; the argument allows a download.
NAMED: dict[str, Callable[[bool], Split]] = {
    "digits": lambda download: datasets.load_digits(),
    "mnist": lambda download: datasets.load_mnist(download=download),
    "fashion-mnist": lambda download: datasets.load_fashion_mnist(download=download),
}
TASKS: dict[str, Task] = {"classification": "classification", "regression": "regression"}
TEST_SHARE = 0.2
DATA_HELP = f"{', '.join(NAMED)}, or a table: a .csv, .tsv, .txt, .npz or .npy file."
TEST_DATA_HELP = f"{DATA_HELP} Of named data, its test part."


@dataclass(frozen=True)
class Dataset:
    """Data to train on. Classes are named for a classification; columns are named for a table, and prepared.

    Shapes: x (N, D); t (N,) labels or (N, 1) numbers.
    """

    name: str
    x: Array
    t: Array
    x_test: Array
    t_test: Array
    classes: list[str] | None
    columns: list[str] | None = None
    target: str | None = None
    preparation: Preparation | None = None
    #: What was decided in reading the file.
    notes: list[str] = field(default_factory=list)
    #: The numbers of the rows to test on, in the file, counted from 1.
    numbers: Array | None = None


def load_named(name: str, *, download: bool = True) -> Dataset:
    """One of the data sets that have a name."""
    (x, t), (x_test, t_test) = NAMED[name](download)
    return Dataset(name, x, t, x_test, t_test, [str(k) for k in range(10)])


def load_for_training(
    name: str,
    target: str | None,
    test_share: float | None,
    seed: int,
    task: str | None,
    reading: TableOptions,
    **more: Any,
) -> Dataset:
    """A named data set, or a table of which a share is held out for testing, and from whose rest is learnt."""
    if name in NAMED:
        _refuse_target(name, target, reading)
        table_only = {
            "--test-share": test_share,
            "--task": task,
            "--most-categories": more["most_categories"],
        }
        for option, value in table_only.items():
            if value is not None:
                raise ArgumentError(
                    f"{option} is for tables; {name} says it by itself, so leave {option} out"
                )
        return load_named(name)
    test_share = TEST_SHARE if test_share is None else test_share
    kind = None if task is None else choose("--task", task, TASKS)
    path = _existing(name)
    if target is None and ending_of(path) in TEXT:
        raise ArgumentError(f"{name}: say which column to predict, --target COLUMN")
    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share: expected a share between 0 and 1, such as 0.2, got {test_share}")
    more = {option: value for option, value in more.items() if value is not None}
    table = reading.read(path, _as_target(path, target), task=kind, **more)
    if table.t is None or table.target is None:
        raise ArgumentError(f"{name}: there is no target to train on; name it with --target")
    if table.classes is not None and len(table.classes) < 2:
        raise DataError(
            f"{name}: the target {table.target!r} has one value only; there is nothing to tell apart"
        )
    if table.classes is None and np.ptp(table.t) == 0:
        raise DataError(
            f"{name}: the target {table.target!r} has one value only; there is nothing to estimate"
        )
    try:
        train, test = table.split(test_share, seed)
    except DataError as error:
        hint = "; if the target is a number to estimate, --task regression" if table.classes else ""
        raise DataError(f"{name}: {error}{hint}") from None
    assert train.t is not None
    assert test.t is not None
    return Dataset(
        stem_of(path),
        train.x,
        train.t,
        test.x,
        test.t,
        table.classes,
        train.columns,
        table.target,
        train.preparation,
        table.reading,
        test.numbers,
    )


def load_inputs(name: str, network: Network, reading: TableOptions) -> Array:
    """The rows that a model predicts: the test part of named data, or all of a table."""
    if name in NAMED:
        _refuse_target(name, None, reading)
        return load_named(name).x_test
    return _prepared(reading, _existing(name), None, network).x


def load_answered(
    name: str, network: Network, target: str | None, reading: TableOptions
) -> tuple[Array, Array]:
    """The same rows with their targets, in the classes of the model where it tells classes apart."""
    if name in NAMED:
        _refuse_target(name, target, reading)
        data = load_named(name)
        return data.x_test, data.t_test
    path, notes = _existing(name), Notes.of(network)
    target = target or notes.target
    if target is None and ending_of(path) in TEXT:
        raise ArgumentError(f"{name}: say which column holds the answers, --target COLUMN")
    loss = network.loss_layer
    is_classifier = notes.classes is not None or (loss is not None and loss.task == "classification")
    task: Task = "classification" if is_classifier else "regression"
    table = _prepared(reading, path, _as_target(path, target), network, task=task)
    if table.t is None:
        raise ArgumentError(f"{name}: there are no answers to compare with; name their column with --target")
    if table.classes is None:
        return table.x, table.t
    known = notes.classes or [str(k) for k in range(network.output_shape[-1])]
    return table.x, network.labels.named(_as_numbered(known, table.classes, name)[table.t])


def _prepared(
    reading: TableOptions, path: Path, target: str | int | None, network: Network, **more: Any
) -> Table:
    """A table with the columns that the model was trained on; notes say what is done to them."""
    how, columns = network.preparation, Notes.of(network).columns
    if ending_of(path) in TEXT and how is None and columns is not None:  # a model of before 0.6
        if len(set(columns)) < len(columns):
            raise DataError(f"the model's metadata: expected different columns, got {columns}")
        span = (-sys.float_info.max, sys.float_info.max)
        how = Preparation(tuple(Encoding(name, Form("number"), 0.0, span=span) for name in columns))
        table = reading.read(path, target, preparation=how, **more)
        for _, text in table.prepared.lines:
            raise DataError(
                f"{path}: the model knows of no missing cells: {text}; fill them in, or train it anew"
            )
        return table
    table = reading.read(path, target, columns=columns if how is None else None, preparation=how, **more)
    if how is None and columns is not None and table.preparation is not None:
        raise DataError(
            f"{path}: {table.prepared.lines[-1][1]}: the model was trained without any; fill them in"
        )
    if how is not None:
        for label, text in table.prepared.lines:
            warn(f"{path}: {label}: {text}")
    return table


@dataclass(frozen=True)
class Notes:
    """What a model says of its data: the columns it takes, the target, the names of its classes.

    Older files have the classes in the metadata.
    """

    classes: list[str] | None
    columns: list[str] | None
    target: str | None

    @classmethod
    def of(cls, network: Network) -> Notes:
        """The notes in a model, which may come from elsewhere: what does not fit is an error, or was no note."""
        found = network.metadata
        classes, columns = _texts(found, "classes"), _texts(found, "columns")
        if network.classes is not None:
            classes = [str(name) for name in network.classes]
        elif classes is not None and network.output_shape != (len(classes),):
            raise DataError(
                f"the model names {len(classes)} classes, but its output for a sample has shape "
                f"{network.output_shape}: expected a logit for each class"
            )
        target = found.get("target")
        return cls(classes, columns, target if isinstance(target, str) else None)


def _texts(notes: dict[str, Any], name: str) -> list[str] | None:
    value = notes.get(name)
    if value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        return value
    raise DataError(f"the model's metadata: expected {name!r} to be a list of texts, got {value!r}")


def _refuse_target(name: str, target: str | None, reading: TableOptions) -> None:
    reading.refuse(f"tables, and {name} is none")
    if target is not None:
        raise ArgumentError(f"--target is for tables; {name} has its own labels")


def _as_numbered(known: list[str], classes: list[str], name: str) -> Array:
    """The model's number of each class: a file may hold fewer classes than the model was trained on."""
    for each in classes:
        if each not in known:
            raise DataError(
                f"{name}: the model does not know the class {each!r}; {did_you_mean(each, known)}"
            )
    return np.array([known.index(each) for each in classes])


def _existing(name: str) -> Path:
    path = Path(name)
    refuse_other(path)
    if ending_of(path) not in ENDINGS:
        raise ArgumentError(
            f"{name!r} is no data set and no table file ({', '.join(ENDINGS)}); {did_you_mean(name, NAMED)}"
        )
    if not path.exists():
        raise FileError(f"there is no file {name}")
    return path


def _as_target(path: Path, target: str | None) -> str | int | None:
    """The target as `load_table` wants it: the columns of an .npy file have numbers, not names."""
    if ending_of(path) == ".npy":
        if target is None:
            return -1
        try:
            return int(target.removeprefix("x"))
        except ValueError:
            raise ArgumentError(
                f"{path}: columns of an .npy file have numbers, --target 0, not {target!r}"
            ) from None
    return "t" if target is None else target
