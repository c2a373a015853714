"""The machine from Python: a table in the form that C reads, its arrays, its threads, and its errors."""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import os
from collections.abc import Iterator, Mapping
from ctypes import byref, c_int64
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ChainruleError
from chainrule.native import blas
from chainrule.program import layout
from chainrule.program.calls import Call, Step
from chainrule.program.layout import (
    ArrayStructure,
    CallStructure,
    InstructionStructure,
    TurnStructure,
    WorkerStructure,
)
from chainrule.program.memory import Memory
from chainrule.program.operations.gather import wrong_label, wrong_row
from chainrule.program.operations.losses import nothing_to_average
from chainrule.program.operations.sparse import not_sparse_rows
from chainrule.program.operations.updates import UPDATES
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import GIVEN, Instruction, Place, Space, Table, places_of
from chainrule.program.threads import allowed
from chainrule.program.verify import verify_call
from chainrule.sparse import SparseRows

BLOCK_BYTES = 8_000_000  # of data that the machine does not read, copied at a time
AT_ONCE = 1_000_000_000  # multiplications in one call of a prediction: about 0.1 s, between looks at Ctrl-C
WORTH_HELPING = 20_000_000  # multiplications of a prediction, about 0.5 ms, from which on another thread pays


class Machine:
    """Runs one table. `variant` chooses its kernels, by default the best that the processor has."""

    name = "machine"

    def __init__(self, table: Table, memory: Memory, python: PythonTurns, variant: int | None = None) -> None:
        loaded = layout.machine()
        assert loaded is not None
        self.table, self.memory, self.python = table, memory, python
        self.library = loaded
        chosen = loaded.chainrule_best_variant() if variant is None else variant
        self._kernels, self._numbers = layout.kernels(chosen, 8 * memory.dtype.itemsize)
        self._places = places_of(turn for turn in table.turns if turn.kind != "python")
        self._index = {place: k for k, place in enumerate(self._places)}
        self._code, self._turns = self._encode()
        self.arrays = (ArrayStructure * len(self._places))(*map(self._array, self._places))
        #: What batches are taken from, with the loss and without it, and of that what the machine reads, by the
        #: numbers of the arrays.
        self._taken = {measured: table.data_places(measured) for measured in (True, False)}
        self.data_places = {
            measured: [(self._index[place], place) for place in taken if place in self._index]
            for measured, taken in self._taken.items()
        }
        self.kept_places = [(k, p) for p, k in self._index.items() if p.space in ("state", "statistics")]
        self._updates_natively = any(each.operation in UPDATES.values() for each in table.instructions)
        self._sums, self._squares = np.zeros((2, table.parts * layout.LINE))
        self.call, self.worker = self._structures()
        self._arenas: list[tuple[Any, Mapping[Space, Array]]] = []

    # The table, as C reads it --------------------------------------------------------------------------

    def _encode(self) -> tuple[Any, Any]:
        code: list[InstructionStructure] = []
        turns: list[TurnStructure] = []
        for turn in self.table.turns:
            first, in_python = len(code), turn.kind == "python"
            for each in turn.instructions:
                code.append(InstructionStructure() if in_python else self._encoded(each))
            turns.append(TurnStructure(first, len(code), in_python, turn.parts))
        return (InstructionStructure * len(code))(*code), (TurnStructure * len(turns))(*turns)

    def _encoded(self, each: Instruction) -> InstructionStructure:
        operands = [-1 if place is None else self._index[place] for place in each.operands]
        missing = [-1] * (layout.OPERANDS - len(operands))
        number = self._numbers[each.operation.kernel or ""]
        return InstructionStructure(number, (*operands, *missing), each.numbers)

    def _array(self, place: Place) -> ArrayStructure:
        made = ArrayStructure(width=place.width, length=place.length or 0)
        if place.space not in GIVEN:
            view = self.memory.view(place)
            made.address = made.home = view.ctypes.data
            made.stride, made.kind = place.width * view.itemsize, layout.KINDS[view.dtype.str[1:]]
        return made

    def _structures(self) -> tuple[CallStructure, WorkerStructure]:
        call = CallStructure(
            code=ctypes.addressof(self._code),
            turns=ctypes.addressof(self._turns),
            parts=self.table.parts,
            sums=self._sums.ctypes.data,
            squares=self._squares.ctypes.data,
        )
        found = blas.found()
        if found is not None:
            letter = "s" if self.memory.dtype == np.float32 else "d"
            call.gemm, call.gemv, call.blas_bits = found.gemm[letter], found.gemv[letter], found.integer_bits
        return call, self._worker_of(call, self.arrays)

    def _worker_of(self, call: CallStructure, arrays: Any) -> WorkerStructure:
        addresses = ctypes.addressof(call), ctypes.addressof(arrays)
        return WorkerStructure(*addresses, self._kernels, task=-1)

    # Calls ---------------------------------------------------------------------------------------------

    def run(self, call: Call) -> int:
        """Do the steps of a call. Returns how many: fewer when the loss or a gradient of the next is not finite."""
        verify_call(self.table, self._taken[call.measured], call)
        data = (call.data[place.source] for _, place in self.data_places[call.measured])
        return self._run(call) if all(map(_is_readable, data)) else self._in_blocks(call)

    def _run(self, call: Call) -> int:
        self.prepare(call)
        with blas.one_thread():
            return self._predict(call) if call.rows is None else self._train(call)

    def prepare(self, call: Call) -> None:
        """Write down for C what a call is given."""
        for k, place in self.data_places[call.measured]:
            self.arrays[k].lie_at(call.given(place))
        for k, place in self.kept_places:
            held = call.given(place)
            if not self.fits(place, held):
                raise ChainruleError(
                    f"{place.name}: expected {place.width} numbers of {self.memory.dtype}, writable and in one "
                    f"row, got {held.dtype} of shape {held.shape}; assign one like that"
                )
            call.held.append(held)  # another thread may put another into its place meanwhile
            self.arrays[k].address = held.ctypes.data
        c = self.call
        c.turn_count = len(self.table.turns_of(call.measured))
        c.steps, c.batch, c.total = call.steps, call.batch, call.total
        c.rows, c.starts = _address(call.rows), _address(call.starts)
        c.rates, c.weights = _address(call.rates), _address(call.weights)
        c.losses = _address(call.losses if call.measured else None)
        c.right, c.result = _address(call.right), _address(call.result)
        c.done = 0 if call.update is None else call.update.state.iteration
        c.training, c.iteration = call.training, call.iteration
        c.next = c.doubtful = c.failed = 0

    def fits(self, place: Place, array: Array) -> bool:
        """Whether an array of the caller can be used as running statistics, or as an optimizer's state."""
        return array.size == place.width and array.dtype == self.memory.dtype and array.flags.carray

    def _train(self, call: Call) -> int:
        """The steps of a training, or those before one that diverges."""
        self._sums[:] = self._squares[:] = 0
        self.worker.task = self.worker.step = 0
        status = layout.NOT_FINITE
        try:
            status = self._shared(self.library.chainrule_train, call, self.table.parts - 1)
            self._raise_failure(call)
        finally:  # a layer in Python may raise anything
            done = call.steps if status == layout.FINISHED else int(self.worker.step)
            if call.update is not None and self._updates_natively:
                call.update.state.iteration += done
        return done

    def _predict(self, call: Call) -> int:
        """The steps of a prediction, some at a time, so that Ctrl-C is heard between them."""
        size = self.memory.params.flat.size
        threads = allowed(call.threads) if call.steps > 1 else 1
        at_once = max(threads, threads * AT_ONCE // max(1, call.batch * size))
        worth = 0 if self.table.in_python else call.total * size // max(1, WORTH_HELPING)
        for first in range(0, call.steps, at_once):
            self.call.next, self.call.steps = first, min(first + at_once, call.steps)
            self.worker.task = -1
            self._shared(self.library.chainrule_predict, call, min(worth, self.call.steps - first - 1))
            self._raise_failure(call)
        call.is_doubtful = call.is_doubtful or bool(self.call.doubtful)
        return call.steps

    def _shared(self, function: Any, call: Call, most: int) -> int:
        """Call the machine, and let as many other threads help as are allowed, `most` at most.

        Nobody waits for them to begin. When this ends, in whatever way, none of them touches anything of the call:
        the box is closed, by the machine or here.
        """
        number = min(most, allowed(call.threads) - 1) if most > 0 else 0
        if number < 1:
            self.call.box = 0
            return self._loop(function, call)
        box, process = (c_int64 * layout.BOX)(layout.NOTHING_LEFT), os.getpid()
        try:
            self.call.box = ctypes.addressof(box)
            with contextlib.suppress(RuntimeError):  # no more threads can be had: there are fewer helpers
                for worker in self._workers(call, number):
                    _thread.start_new_thread(_help, (self, call, box, worker))
            return self._loop(function, call)
        finally:
            if os.getpid() == process:  # in a child that a layer forked there are no helpers
                self.library.chainrule_close(box)
            self.call.box = 0

    def _loop(self, function: Any, call: Call) -> int:
        """Call the machine, and again behind each turn that Python does."""
        c, w = byref(self.call), self.worker
        process, status = os.getpid(), function(c, byref(w))
        step: Step | None = None
        while status == layout.IN_PYTHON:
            if step is None or step.number != w.step:
                if step is not None:
                    self.python.end(step)
                step = self.python.begin(call, int(w.step))
            turn = self.table.turns[w.turn]
            self.python.do(turn, step)
            if os.getpid() != process:  # the layer forked, and this is the child: nobody helps here
                self.call.box = 0
            if turn.instructions[0].layer == len(self.python.graph) - 1 or not np.isfinite(step.loss):
                self._sums[:: layout.LINE] = 0.0
                self._sums[0] = step.loss
            status = function(c, byref(w))
        if step is not None and (status == layout.FINISHED or call.update is None):
            self.python.end(step)
        return int(status)

    def _workers(self, call: Call, number: int) -> Iterator[WorkerStructure]:
        """Those of helpers. A step of a prediction is done by one thread, in an arena of its own."""
        for k in range(number):
            arrays: Any = self.arrays
            if call.rows is None:
                if len(self._arenas) == k:
                    self._arenas.append(self._moved())
                arrays, _ = self._arenas[k]
                for which, _ in [*self.data_places[True], *self.kept_places]:
                    arrays[which] = self.arrays[which]
            yield self._worker_of(self.call, arrays)

    def _moved(self) -> tuple[Any, Mapping[Space, Array]]:
        """The arrays, those of a batch in an arena of their own, and that arena."""
        arrays, arena = type(self.arrays).from_buffer_copy(self.arrays), self.memory.arena()
        for k, place in enumerate(self._places):
            if place.space in arena:
                arrays[k].address = arrays[k].home = self.memory.part(arena, place).ctypes.data
        return arrays, arena

    def _raise_failure(self, call: Call) -> None:
        """Raise what a thread found of rows or labels out of range, or of weights that are all 0."""
        c = self.call
        if not c.failed:
            return
        place = self._places[c.failed_array]
        if c.failed == layout.NOTHING_TO_AVERAGE:
            raise nothing_to_average(self.table, self.python.layers, place, bool(c.failed_value))
        if c.failed in (layout.LABEL_OUT_OF_RANGE, layout.NOT_SPARSE_ROWS):
            row = c.failed_row if call.origin is None else int(call.origin[c.failed_row])
            is_label = c.failed == layout.LABEL_OUT_OF_RANGE
            raise wrong_label(place, c.failed_value, row) if is_label else not_sparse_rows(place, row)
        raise wrong_row(place.source, len(call.data[place.source]), c.failed_value, c.failed_row)

    # Data that it does not read where they lie -----------------------------------------------------------

    def _in_blocks(self, call: Call) -> int:
        """Do a call on copies of the rows that it takes, some steps at a time."""
        row_bytes = sum(8 * array.size // max(1, len(array)) for array in call.data.values())
        at_once = max(1, BLOCK_BYTES // max(1, row_bytes * call.batch))
        for first in range(0, call.steps, at_once):
            steps = min(at_once, call.steps - first)
            some = self._some_steps(call, first, steps)
            done = self._run(some)
            call.is_doubtful = call.is_doubtful or some.is_doubtful
            if done < steps:
                return first + done
        return call.steps

    def _some_steps(self, call: Call, first: int, steps: int) -> Call:
        rows: Any = slice(first * call.batch, min((first + steps) * call.batch, call.total))
        origin = np.arange(call.total)[rows]
        starts = None
        if call.rows is not None:
            starts = np.arange(call.steps + 1) * call.batch if call.starts is None else call.starts
            rows = origin = call.rows.ravel()[starts[first] : starts[first + steps]]
            starts = starts[first : first + steps + 1] - starts[first]
            self._check_rows(call, rows, starts)
        own = slice(first, first + steps)
        return replace(
            call,
            data={name: self._plain(array[rows]) for name, array in call.data.items()},
            steps=steps,
            rows=None if call.rows is None else np.arange(len(origin)),
            starts=starts,
            total=len(origin),
            rates=call.rates[own],
            weights=None if call.weights is None else call.weights[own],
            losses=call.losses[own],
            right=None if call.right is None else call.right[own],
            result=None if call.result is None else call.result[rows],
            iteration=call.iteration + first,
            origin=origin,
        )

    def _check_rows(self, call: Call, rows: Array, starts: Array) -> None:
        for _, place in self.data_places[call.measured]:
            length = len(call.data[place.source])
            wrong = np.flatnonzero((rows < 0) | (rows >= length))
            if wrong.size:
                begin = starts[np.searchsorted(starts, wrong[0], "right") - 1]
                raise wrong_row(place.source, length, int(rows[wrong[0]]), int(wrong[0] - begin))

    def _plain(self, array: Array) -> Array:
        """A copy that the machine reads."""
        if isinstance(array, SparseRows):
            return array
        dtype = array.dtype.newbyteorder("=") if array.dtype.str[1:] in layout.KINDS else self.memory.dtype
        return np.require(array, dtype, ["C", "ALIGNED"])


def _help(machine: Machine, call: Call, box: Any, worker: WorkerStructure) -> None:
    """What a helper thread does. It holds all that the library reads and writes."""
    machine.library.chainrule_help(box, byref(machine.call), byref(worker))


def _address(array: Array | None) -> int:
    return 0 if array is None else array.ctypes.data


def _is_readable(array: Array) -> bool:
    """Whether the machine reads the rows of an array where they lie."""
    if isinstance(array, SparseRows):  # always: the verifier holds it to that
        return True
    known = array.dtype.str[1:] in layout.KINDS and array.dtype.isnative and array.flags.aligned
    return known and (array.flags.c_contiguous or array[:1].flags.c_contiguous)
