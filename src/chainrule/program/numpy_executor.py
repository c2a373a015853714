"""The NumPy executor: runs a table statement by statement. It is the machine's reference, and its substitute."""

from __future__ import annotations

from chainrule.arrays import Array
from chainrule.program.calls import Call, Step
from chainrule.program.memory import Memory
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import GIVEN, Instruction, Place, Table
from chainrule.program.verify import verify_call


class NumpyExecutor:
    """Does each instruction as a NumPy statement; that of one layer is the layer's own forward and backward."""

    name = "NumPy"

    def __init__(self, table: Table, memory: Memory, python: PythonTurns) -> None:
        self.table, self.memory, self.python = table, memory, python
        self._taken = {measured: table.data_places(measured) for measured in (True, False)}

    def run(self, call: Call) -> int:
        """Do the steps of a call. Returns how many: fewer when the loss or a gradient of the next is not finite."""
        verify_call(self.table, self._taken[call.measured], call)
        turns = self.table.turns_of(call.measured)
        for number in range(call.steps):
            step = self.python.begin(call, number)
            for turn in turns:
                if turn.kind == "python":
                    self.python.do(turn, step)
                else:
                    for each in turn.instructions:
                        self._do(each, step)
                        if step.stopped:
                            return number
            if call.measured:
                call.losses[number] = step.loss
            self.python.end(step)
        return call.steps

    def _do(self, each: Instruction, step: Step) -> None:
        statement = each.operation.statement
        assert statement is not None
        statement(step, each, *(self._array(place, step) for place in each.operands if place is not None))

    def _array(self, place: Place, step: Step) -> Array:
        if place.space in GIVEN:
            return step.call.given(place)
        return self.memory.rows(place, step.call.length_of(step.number))
