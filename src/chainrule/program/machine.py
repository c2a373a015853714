"""The machine from Python: a table in the form that C reads, its arrays, its threads, and its errors."""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import os
from collections.abc import Iterator
from ctypes import byref, c_int64
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ChainruleError
from chainrule.native import blas
from chainrule.program.calls import Call, Step
from chainrule.program.layout import (
    ADDRESS,
    BOX,
    FINISHED,
    HOME,
    IN_PYTHON,
    KIND,
    KINDS,
    LABEL_OUT_OF_RANGE,
    LENGTH,
    LINE,
    NOT_FINITE,
    NOTHING_LEFT,
    NOTHING_TO_AVERAGE,
    NUMBERS,
    OPERANDS,
    STRIDE,
    CallStructure,
    WorkerStructure,
    kernels,
    machine,
)
from chainrule.program.memory import Memory
from chainrule.program.operations.gather import wrong_label, wrong_row
from chainrule.program.operations.losses import nothing_to_average
from chainrule.program.operations.updates import UPDATES
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Instruction, Place, Table, Turn, unique
from chainrule.program.threads import allowed
from chainrule.program.verify import verify_call

BLOCK_BYTES = 8_000_000  # of data that the machine does not read, copied at a time
AT_ONCE = 1_000_000_000  # multiplications in one call of a prediction: about 0.1 s, between looks at Ctrl-C
WORTH_HELPING = 20_000_000  # multiplications of a prediction, about 0.5 ms, from which on another thread pays


class Machine:
    """Runs one table. `variant` chooses its kernels, by default the best that the processor has."""

    name = "machine"

    def __init__(self, table: Table, memory: Memory, python: PythonTurns, variant: int | None = None) -> None:
        loaded = machine()
        assert loaded is not None
        self.table, self.memory, self.python = table, memory, python
        self._library = loaded
        chosen = loaded.chainrule_best_variant() if variant is None else variant
        self._kernels, self._numbers = kernels(chosen, 8 * memory.dtype.itemsize)
        self._places = _native_places(table.turns)
        self._index = {id(place): k for k, place in enumerate(self._places)}
        self._code, self._turns = self._encode()
        self._arrays = np.array([self._array(place) for place in self._places], np.int64).reshape(-1, 6)
        before_loss = {id(place) for place in _native_places(table.turns_of(False))}
        data = [(k, place) for k, place in enumerate(self._places) if place.space == "data"]
        #: What batches are taken from, with the loss and without it: the numbers of the arrays, and their places.
        self.data_places = {True: data, False: [each for each in data if id(each[1]) in before_loss]}
        self._taken = {measured: table.data_places(measured) for measured in (True, False)}
        self.kept_places = [(k, p) for k, p in enumerate(self._places) if p.space in ("state", "statistics")]
        self._updates_natively = any(each.operation in UPDATES.values() for each in table.instructions)
        self._sums, self._squares = np.zeros((2, table.parts * LINE))
        self._call, self._worker = self._structures()
        self._arenas: list[tuple[Array, list[Array]]] = []

    # The table, as C reads it --------------------------------------------------------------------------

    def _encode(self) -> tuple[Array, Array]:
        code = np.zeros((len(self.table.instructions), 1 + OPERANDS + NUMBERS), np.int64)
        code[:, 1 : 1 + OPERANDS] = -1
        turns, first = [], 0
        for turn in self.table.turns:
            for k, each in enumerate(turn.instructions, start=first):
                if turn.kind != "python":
                    self._encode_one(each, code[k])
            turns.append((first, first + len(turn.instructions), int(turn.kind == "python"), turn.parts))
            first = turns[-1][1]
        return code, np.array(turns, np.int64).reshape(-1, 4)

    def _encode_one(self, each: Instruction, row: Array) -> None:
        row[0] = self._numbers[each.operation.kernel or ""]
        for k, place in enumerate(each.operands):
            row[1 + k] = -1 if place is None else self._index[id(place)]
        row[1 + OPERANDS :].view(np.float64)[: len(each.numbers)] = each.numbers

    def _array(self, place: Place) -> tuple[int, ...]:
        if place.space in ("data", "state", "statistics"):
            return 0, place.width, place.length or 0, 0, 0, 0
        view = self.memory.view(place)
        address, kind = view.ctypes.data, KINDS[view.dtype.str[1:]]
        return address, place.width, place.length or 0, place.width * view.itemsize, kind, address

    def _structures(self) -> tuple[CallStructure, WorkerStructure]:
        found = blas.found()
        letter = "s" if self.memory.dtype == np.float32 else "d"
        call = CallStructure(
            code=self._code.ctypes.data, turns=self._turns.ctypes.data, parts=self.table.parts
        )
        call.sums, call.squares = self._sums.ctypes.data, self._squares.ctypes.data
        if found is not None:
            call.gemm, call.gemv, call.blas_bits = found.gemm[letter], found.gemv[letter], found.integer_bits
        return call, self._worker_of(call, self._arrays)

    def _worker_of(self, call: CallStructure, arrays: Array) -> WorkerStructure:
        address = ctypes.addressof(call)
        return WorkerStructure(call=address, arrays=arrays.ctypes.data, kernels=self._kernels, task=-1)

    def structures_of_one_row(self) -> tuple[Array, list[Array], CallStructure, WorkerStructure]:
        """For a caller that prepares them itself: arrays in an arena for one row, a call, and a worker."""
        (arrays, arena), (call, _) = self._moved(1), self._structures()
        return arrays, arena, call, self._worker_of(call, arrays)

    # Calls ---------------------------------------------------------------------------------------------

    def run(self, call: Call) -> int:
        """Do the steps of a call. Returns how many: fewer when the loss or a gradient of the next is not finite."""
        verify_call(self.table, self._taken[call.measured], call)
        data = (call.data[place.source] for _, place in self.data_places[call.measured])
        return self._run(call) if all(map(_is_readable, data)) else self._in_blocks(call)

    def _run(self, call: Call) -> int:
        for k, place in self.data_places[call.measured]:
            array, row = call.data[place.source], self._arrays[k]
            row[ADDRESS], row[LENGTH], row[STRIDE] = array.ctypes.data, len(array), array.strides[0]
            row[KIND] = KINDS[array.dtype.str[1:]]
        for k, place in self.kept_places:
            held = (
                call.statistics if place.space == "statistics" or call.update is None else call.update.arrays
            )
            array = held[place.name]
            fits = array.size == place.width and array.dtype == self.memory.dtype and array.flags.c_contiguous
            if not fits:
                raise ChainruleError(
                    f"{place.name}: expected {place.width} numbers of {self.memory.dtype}, together in memory, got "
                    f"{array.dtype} of shape {array.shape}; assign one of that shape"
                )
            call.held.append(array)  # another thread may put another into its place meanwhile
            self._arrays[k, ADDRESS] = array.ctypes.data
        self._fill(call)
        with blas.one_thread():
            return self._predict(call) if call.rows is None else self._train(call)

    def _fill(self, call: Call) -> None:
        c = self._call
        c.turn_count = len(self.table.turns_of(call.measured))
        c.rows = None if call.rows is None else call.rows.ctypes.data
        c.steps, c.batch, c.total = call.steps, call.batch, call.total
        c.losses, c.rates = call.losses.ctypes.data if call.measured else None, call.rates.ctypes.data
        c.right = None if call.right is None else call.right.ctypes.data
        c.result = None if call.result is None else call.result.ctypes.data
        c.done = 0 if call.update is None else call.update.state.iteration
        c.training, c.iteration = call.training, call.iteration
        c.next = c.doubtful = c.failed = 0

    def _train(self, call: Call) -> int:
        """The steps of a training, or those before one that diverges."""
        self._sums[:] = self._squares[:] = 0
        self._worker.task = self._worker.step = 0
        status = NOT_FINITE
        try:
            status = self._shared(self._library.chainrule_train, call, self.table.parts - 1)
            self._raise_failure(call)
        finally:  # a layer in Python may raise anything
            done = call.steps if status == FINISHED else int(self._worker.step)
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
            self._call.next, self._call.steps = first, min(first + at_once, call.steps)
            self._worker.task = -1
            self._shared(self._library.chainrule_predict, call, min(worth, self._call.steps - first - 1))
            self._raise_failure(call)
        call.is_doubtful = call.is_doubtful or bool(self._call.doubtful)
        return call.steps

    def _shared(self, function: Any, call: Call, most: int) -> int:
        """Call the machine, and let as many other threads help as are allowed, `most` at most.

        Nobody waits for them to begin. When this ends, in whatever way, none of them touches anything of the call:
        the box is closed, by the machine or here.
        """
        number = min(most, allowed(call.threads) - 1) if most > 0 else 0
        if number < 1:
            self._call.box = None
            return self._loop(function, call)
        box, process = (c_int64 * BOX)(NOTHING_LEFT), os.getpid()
        try:
            self._call.box = ctypes.addressof(box)
            with contextlib.suppress(RuntimeError):  # no more threads can be had: there are fewer helpers
                for worker in self._workers(call, number):
                    _thread.start_new_thread(_help, (self, call, box, worker))
            return self._loop(function, call)
        finally:
            if os.getpid() == process:  # in a child that a layer forked there are no helpers
                self._library.chainrule_close(box)
            self._call.box = None

    def _loop(self, function: Any, call: Call) -> int:
        """Call the machine, and again behind each turn that Python does."""
        c, w = byref(self._call), self._worker
        process, status = os.getpid(), function(c, byref(w))
        step: Step | None = None
        while status == IN_PYTHON:
            if step is None or step.number != w.step:
                if step is not None:
                    self.python.end(step)
                step = self.python.begin(call, int(w.step))
            turn = self.table.turns[w.turn]
            self.python.do(turn, step)
            if os.getpid() != process:  # the layer forked, and this is the child: nobody helps here
                self._call.box = None
            if turn.instructions[0].layer == len(self.python.graph) - 1 or not np.isfinite(step.loss):
                self._sums[::LINE] = 0.0
                self._sums[0] = step.loss
            status = function(c, byref(w))
        if step is not None and (status == FINISHED or call.update is None):
            self.python.end(step)
        return int(status)

    def _workers(self, call: Call, number: int) -> Iterator[WorkerStructure]:
        """Those of helpers. A step of a prediction is done by one thread, in an arena of its own."""
        for k in range(number):
            arrays = self._arrays
            if call.rows is None:
                if len(self._arenas) == k:
                    self._arenas.append(self._moved(self.table.capacity))
                arrays = self._arenas[k][0]
                for which, _ in [*self.data_places[True], *self.kept_places]:
                    arrays[which] = self._arrays[which]
            yield self._worker_of(self._call, arrays)

    def _moved(self, rows: int) -> tuple[Array, list[Array]]:
        """The arrays, those of a batch of so many rows in an arena of their own, and that arena."""
        arrays, arena = self._arrays.copy(), []
        for space in ("arena", "labels", "spares"):
            flat, times = self.memory.flat[space], 1 if space == "spares" else rows
            sizes = {"arena": self.table.arena_width, "labels": self.table.labels_width}
            own = np.zeros(times * sizes.get(space, flat.size), flat.dtype)
            arena.append(own)
            for k, place in enumerate(self._places):
                if place.space == space:
                    arrays[k, HOME] = arrays[k, ADDRESS] = (
                        own.ctypes.data + times * place.start * own.itemsize
                    )
        return arrays, arena

    def _raise_failure(self, call: Call) -> None:
        """Raise what a thread found of rows or labels out of range, or of weights that are all 0."""
        c = self._call
        if not c.failed:
            return
        place = self._places[c.failed_array]
        if c.failed == NOTHING_TO_AVERAGE:
            raise nothing_to_average(self.table, self.python.layers, place, bool(c.failed_value))
        if c.failed == LABEL_OUT_OF_RANGE:
            row = c.failed_row if call.origin is None else int(call.origin[c.failed_row])
            raise wrong_label(place, c.failed_value, row)
        raise wrong_row(place.source, int(self._arrays[c.failed_array, LENGTH]), c.failed_value, c.failed_row)

    # Data that it does not read where they lie -----------------------------------------------------------

    def _in_blocks(self, call: Call) -> int:
        """Do a call on copies of the rows that it takes, some steps at a time."""
        row_bytes = sum(8 * array[:1].size for array in call.data.values())
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
        if call.rows is not None:
            rows = origin = call.rows[first : first + steps].ravel()
            self._check_rows(call, rows)
        own = slice(first, first + steps)
        return replace(
            call,
            data={name: self._plain(array[rows]) for name, array in call.data.items()},
            steps=steps,
            rows=None if call.rows is None else np.arange(len(origin)).reshape(steps, -1),
            total=len(origin),
            rates=call.rates[own] if call.update is not None else call.rates,
            losses=call.losses[own] if call.measured else call.losses,
            right=None if call.right is None else call.right[own],
            result=None if call.result is None else call.result[rows],
            iteration=call.iteration + first,
            origin=origin,
        )

    def _check_rows(self, call: Call, rows: Array) -> None:
        for _, place in self.data_places[call.measured]:
            length = len(call.data[place.source])
            wrong = np.flatnonzero((rows < 0) | (rows >= length))
            if wrong.size:
                raise wrong_row(place.source, length, int(rows[wrong[0]]), int(wrong[0]) % call.batch)

    def _plain(self, array: Array) -> Array:
        """A copy that the machine reads."""
        dtype = array.dtype.newbyteorder("=") if array.dtype.str[1:] in KINDS else self.memory.dtype
        return np.require(array, dtype, ["C", "ALIGNED"])


def _help(machine: Machine, call: Call, box: Any, worker: WorkerStructure) -> None:
    """What a helper thread does. It holds all that the library reads and writes."""
    machine._library.chainrule_help(box, byref(machine._call), byref(worker))


def _native_places(turns: list[Turn]) -> list[Place]:
    """What the instructions name that the machine does."""
    native = (each for turn in turns if turn.kind != "python" for each in turn.instructions)
    return unique(place for each in native for place in each.operands if place is not None)


def _is_readable(array: Array) -> bool:
    """Whether the machine reads the rows of an array where they lie."""
    known = array.dtype.str[1:] in KINDS and array.dtype.isnative and array.flags.aligned
    return known and (array.flags.c_contiguous or array[:1].flags.c_contiguous)
