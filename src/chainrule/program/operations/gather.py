"""Taking a batch out of the data, and handing results out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.arrays import Array, surely_finite
from chainrule.errors import DataError
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
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
        raise wrong_label(place, t[tuple(wrong[0])], row)


def wrong_label(place: Place, label: int, row: int) -> DataError:
    """The error for a label, or an id, that is out of range when it is read."""
    if place.looked_up_by:
        return DataError(
            f"{place.looked_up_by}: expected ids from 0 to {place.below - 1}, got {label} in row {row} of "
            f"{place.source or place.name}; "
            + ("count from the front" if label < 0 else "correct it, or make room for it")
        )
    name = place.source or place.name
    return DataError(
        f"{name}: expected labels from 0 to {place.below - 1}, got {label} in row {row}; were the targets "
        f"changed after they were handed over?"
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


GATHER = operation("gather", "data D, =B D", _gather, printed="{1} = gather({0}, rows)", gathers=True)
# number 0: whether the data may be used where they lie, since nothing writes to the batch
GATHER_LABELS = operation(
    "gather_labels",
    "data D, =B labels D",
    _gather_labels,
    printed="{1} = gather_labels({0}, rows)",
    gathers=True,
)  # number 0: what they are smaller than
TAKE = Operation("take", ("data *", "=*"), "{1} = take({0}, rows)", turn="python", gathers=True)
RESULT = operation("result", "B D", _result, printed="result = {0}")
RESULT_OF_PYTHON = Operation("result", ("*",), "result = {0}", turn="python", statement=_result)
WATCH = operation("watch", "B D", _watch, printed="watch({0})")


def gathers(walk: Walk, body: list[Instruction]) -> list[Instruction]:
    """What fills the inputs that the instructions read, at the beginning of every step; for Python first."""
    read = {id(place) for each in body for place in each.operands}
    inputs = [walk.value(walk.graph.position(name)) for name in walk.graph.inputs]
    made = [_gather_of(place) for place in inputs if id(place) in read]
    return sorted(made, key=lambda each: each.operation is not TAKE)


def _gather_of(place: Place) -> Instruction:
    """The rows of a batch are taken from the caller's array of the input's name."""
    data = replace(place, name=f"data[{place.name!r}]", space="data", length=0, source=place.name)
    if place.space == "python":
        return Instruction(TAKE, (data, place), note="as it is, for a layer in Python")
    data.row = place.row or (1,)
    if place.space == "labels":
        return Instruction(GATHER_LABELS, (data, place), (float(place.below),))
    return Instruction(GATHER, (data, place), (0.0,))
