"""Taking a batch out of the data, and handing results out."""

from __future__ import annotations

import numpy as np

from chainrule.arrays import Array, surely_finite
from chainrule.errors import DataError
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Operation, Place


def _gather(step: Step, each: Instruction, data: Array, x: Array) -> None:
    x[...] = data[step.rows].reshape(x.shape)


def _gather_labels(step: Step, each: Instruction, data: Array, t: Array) -> None:
    t[...] = data[step.rows].reshape(t.shape)
    place = each.operands[1]
    assert place is not None
    wrong = np.argwhere((t < 0) | (t >= place.below))
    if wrong.size:
        row = np.arange(len(data))[step.rows][wrong[0][0]]
        raise wrong_label(place.name, place.below, t[tuple(wrong[0])], row)


def wrong_label(name: str, below: int, label: int, row: int) -> DataError:
    """The error for a label that is out of range when it is read."""
    return DataError(
        f"{name}: expected labels from 0 to {below - 1}, got {label} in row {row}; were the targets changed after "
        f"they were handed over?"
    )


def wrong_row(name: str, length: int, number: int, row: int) -> DataError:
    """The error for a row number that is out of range when it is read."""
    return DataError(
        f"{name}: expected row numbers from 0 to {length - 1}, got {number} in row {row} of the batch"
    )


def _result(step: Step, each: Instruction, y: Array) -> None:
    if step.call.result is not None:
        step.call.result[step.rows] = y.reshape(step.call.result[step.rows].shape)


def _watch(step: Step, each: Instruction, x: Array) -> None:
    step.call.is_doubtful = step.call.is_doubtful or not surely_finite(x)


GATHER = Operation(
    "gather", ("data D", "=B D"), "{1} = gather({0}, rows)", kernel="gather", statement=_gather, gathers=True
)  # number 0: whether the data may be used where they lie, since nothing writes to the batch
GATHER_LABELS = Operation(
    "gather_labels",
    ("data D", "=B labels D"),
    "{1} = gather_labels({0}, rows)",
    kernel="gather_labels",
    statement=_gather_labels,
    gathers=True,
)  # number 0: what they are smaller than
TAKE = Operation("take", ("data *", "=*"), "{1} = take({0}, rows)", turn="python", gathers=True)
RESULT = Operation("result", ("B D",), "result = {0}", kernel="result", statement=_result)
RESULT_OF_PYTHON = Operation("result", ("*",), "result = {0}", turn="python", statement=_result)
WATCH = Operation("watch", ("B D",), "watch({0})", kernel="watch", statement=_watch)


def gathers(walk: Walk, body: list[Instruction]) -> list[Instruction]:
    """What fills the inputs that the instructions read, at the beginning of every step."""
    read = {id(place) for each in body for place in each.operands}
    inputs = [walk.value(walk.graph.position(name)) for name in walk.graph.inputs]
    inputs = sorted(
        (place for place in inputs if id(place) in read), key=lambda place: place.space != "python"
    )
    return [_gather_of(place) for place in inputs]


def _gather_of(place: Place) -> Instruction:
    if place.space == "python":
        return Instruction(TAKE, (data_of(place), place), note="as it is, for a layer in Python")
    if place.space == "labels":
        return Instruction(GATHER_LABELS, (data_of(place), place), (float(place.below),))
    return Instruction(GATHER, (data_of(place), place), (0.0,))


def data_of(place: Place) -> Place:
    """The data that an input is taken from: the caller's array of that name."""
    name = f"data[{place.name!r}]"
    row = place.row if place.space == "python" else place.row or (1,)
    return Place(name, "data", row, 0, below=place.below, is_input=True, source=place.name)
