"""The NumPy executor: runs a table statement by statement. It is the machine's reference, and its substitute."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import DataError
from chainrule.program.calls import NOT_FINITE, Call, Step
from chainrule.program.memory import Memory
from chainrule.program.operations.gather import name_of
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Instruction, Place, Table

NAME = "NumPy"


class NumpyExecutor:
    """Does each instruction as a NumPy statement; that of one layer is the layer's own forward and backward."""

    name = NAME

    def __init__(self, table: Table, memory: Memory, python: PythonTurns) -> None:
        self.table, self.memory, self.python = table, memory, python

    def run(self, call: Call) -> int:
        """Do the steps of a call. Returns how many: fewer when the loss or a gradient of the next is not finite."""
        turns = self.table.turns
        if self.table.measured and not call.measured:
            turns = turns[: -self.table.measured]
        for number in range(call.steps):
            step = self.python.begin(call, number)
            for turn in turns:
                if turn.kind == "python":
                    self.python.do(turn, step)
                else:
                    for each in turn.instructions:
                        self._do(each, step)
                        if step.stopped == NOT_FINITE:
                            return number
            if call.measured:
                call.losses[number] = step.loss
            self.python.end(step)
        return call.steps

    def _do(self, each: Instruction, step: Step) -> None:
        statement = each.operation.statement
        assert statement is not None
        statement(step, each, *(self._array(place, step) for place in each.operands if place is not None))
        for place in each.operands[1:2]:
            if place is not None and place.space == "labels" and each.operands[0] is not None:
                _check_labels(self._array(place, step), place)

    def _array(self, place: Place, step: Step) -> Any:
        if place.space == "data":
            return step.call.data[name_of(place)]
        if place.space == "state":
            assert step.call.update is not None
            return step.call.update.arrays[place.name]
        return self.memory.rows(place, step.call.length_of(step.number))


def _check_labels(labels: Array, place: Place) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= place.below))
    if wrong.size:
        raise DataError(
            f"{place.name}: expected labels from 0 to {place.below - 1}, got {labels[wrong[0]]}; it was changed "
            f"after it was handed over"
        )
