"""The machine from Python: a table in the form that C reads, its arrays, its threads, and its errors."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from ctypes import POINTER, Structure, byref, c_char_p, c_int64, c_void_p
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ChainruleError
from chainrule.native import blas, library
from chainrule.program.calls import Call, Step
from chainrule.program.memory import Memory
from chainrule.program.operations.gather import wrong_label, wrong_row
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Instruction, Place, Table, Turn, unique
from chainrule.program.threads import may_share
from chainrule.program.verify import verify_call

OPERANDS, NUMBERS = 6, 4
KINDS = {"f4": 0, "f8": 1, "i1": 2, "i2": 3, "i4": 4, "i8": 5, "u1": 6, "u2": 7, "u4": 8, "u8": 9, "b1": 6}
FINISHED, IN_PYTHON, NOT_FINITE, _, LABEL_OUT_OF_RANGE = range(5)  # as in native/machine.h
ADDRESS, WIDTH, LENGTH, STRIDE, KIND, HOME = range(6)  # of an array in the machine
NO_TURN = 2**60  # behind the last turn of any call: the helper leaves
LINE = 8  # numbers in a line of the cache, by which the sums of two threads lie apart
BLOCK_BYTES = 8_000_000  # of data that the machine does not read, copied at a time
AT_ONCE = 1_000_000_000  # multiplications in one call of a prediction: about 0.1 s, between looks at Ctrl-C
WORTH_HELPING = (
    20_000_000  # multiplications of a prediction, about 0.5 ms, from which on a second thread pays
)


class _Call(Structure):
    """`call` in native/machine.h."""

    _fields_ = (
        ("code", c_void_p), ("turns", c_void_p), ("turn_count", c_int64),
        ("gemm", c_void_p), ("gemv", c_void_p), ("blas_bits", c_int64),
        ("rows", c_void_p), ("steps", c_int64), ("batch", c_int64), ("total", c_int64),
        ("rates", c_void_p), ("done", c_int64), ("losses", c_void_p), ("right", c_void_p), ("result", c_void_p),
        ("parts", c_int64), ("box", c_void_p), ("sums", c_void_p),
        ("next", c_int64), ("doubtful", c_int64), ("failed", c_int64),
        ("failed_array", c_int64), ("failed_value", c_int64), ("failed_row", c_int64),
    )  # fmt: skip


class _Worker(Structure):
    """`worker` in native/machine.h."""

    _fields_ = (
        ("call", c_void_p), ("arrays", c_void_p), ("kernels", c_void_p), ("helping", c_int64), ("task", c_int64),
        ("step", c_int64), ("turn", c_int64), ("part", c_int64), ("first", c_int64), ("rows", c_int64),
        ("low", c_int64), ("high", c_int64), ("sum", c_void_p),
    )  # fmt: skip


@cache
def machine() -> ctypes.CDLL | None:
    """The library, with its functions declared; None without it."""
    loaded = library()
    if loaded is None:
        return None
    for name in ("chainrule_train", "chainrule_predict", "chainrule_predict_again"):
        function = getattr(loaded, name)
        function.argtypes, function.restype = [POINTER(_Call), POINTER(_Worker)], c_int64
    loaded.chainrule_best_variant.argtypes, loaded.chainrule_best_variant.restype = [], c_int64
    loaded.chainrule_variant_name.argtypes, loaded.chainrule_variant_name.restype = [c_int64], c_char_p
    loaded.chainrule_kernels.argtypes, loaded.chainrule_kernels.restype = [c_int64, c_int64], c_void_p
    loaded.chainrule_kernel_name.argtypes, loaded.chainrule_kernel_name.restype = (
        [c_void_p, c_int64],
        c_char_p,
    )
    loaded.chainrule_size.argtypes, loaded.chainrule_size.restype = [c_char_p], c_int64
    sizes = {b"call": ctypes.sizeof(_Call), b"worker": ctypes.sizeof(_Worker), b"array": 48, b"turn": 24}
    sizes[b"instruction"] = 8 * (1 + OPERANDS + NUMBERS)
    for name_, size in sizes.items():
        if loaded.chainrule_size(name_) != size:
            raise ChainruleError(
                f"the library lays {name_.decode()} out otherwise than Python does: rebuild it"
            )
    return loaded


def variants() -> list[str]:
    """The names of the variants that this processor can run, the best last."""
    loaded = machine()
    if loaded is None:
        return []
    return [loaded.chainrule_variant_name(k).decode() for k in range(loaded.chainrule_best_variant() + 1)]


def variant_name() -> str:
    """The name of the variant that runs: 'v3'."""
    return variants()[-1]


@cache
def kernels(variant: int, bits: int) -> tuple[int, dict[str, int]]:
    """The address of the table of kernels, and the number of each by name."""
    loaded = machine()
    assert loaded is not None
    address = loaded.chainrule_kernels(variant, bits)
    names: dict[str, int] = {}
    while (name := loaded.chainrule_kernel_name(address, len(names))) is not None:
        names[name.decode()] = len(names)
    return address, names


class Machine:
    """Runs one table. `variant` chooses its kernels, by default the best that the processor has."""

    name = "machine"

    def __init__(self, table: Table, memory: Memory, python: PythonTurns, variant: int | None = None) -> None:
        loaded = machine()
        assert loaded is not None
        self.table, self.memory, self.python = table, memory, python
        self._training, self._predicting = loaded.chainrule_train, loaded.chainrule_predict
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
        self._state = [(k, place) for k, place in enumerate(self._places) if place.space == "state"]
        last = table.turns[-1] if table.turns else None
        self._updates_natively = last is not None and last.kind == "update" and len(last.instructions) > 1
        self._box, self._sums = np.full(32, -1, np.int64), np.zeros(2 * LINE)
        self._second: Array | None = None
        self._own_arenas: list[Array] = []
        self._call, self._workers = self._structures()

    # The table, as C reads it --------------------------------------------------------------------------

    def _encode(self) -> tuple[Array, Array]:
        code = np.zeros((len(self.table.instructions), 1 + OPERANDS + NUMBERS), np.int64)
        code[:, 1 : 1 + OPERANDS] = -1
        turns, first = [], 0
        for turn in self.table.turns:
            for k, each in enumerate(turn.instructions, start=first):
                if turn.kind != "python":
                    self._encode_one(each, code[k])
            turns.append((first, first + len(turn.instructions), int(turn.kind == "python")))
            first = turns[-1][1]
        return code, np.array(turns, np.int64).reshape(-1, 3)

    def _encode_one(self, each: Instruction, row: Array) -> None:
        row[0] = self._numbers[each.operation.kernel or ""]
        for k, place in enumerate(each.operands):
            row[1 + k] = -1 if place is None else self._index[id(place)]
        row[1 + OPERANDS :].view(np.float64)[: len(each.numbers)] = each.numbers

    def _array(self, place: Place) -> tuple[int, ...]:
        if place.space in ("data", "state"):
            return 0, place.width, place.length or 0, 0, 0, 0
        view = self.memory.view(place)
        address, kind = view.ctypes.data, KINDS[view.dtype.str[1:]]
        return address, place.width, place.length or 0, place.width * view.itemsize, kind, address

    def _structures(self) -> tuple[_Call, list[_Worker]]:
        found = blas.found()
        letter = "s" if self.memory.dtype == np.float32 else "d"
        call = _Call(code=self._code.ctypes.data, turns=self._turns.ctypes.data, parts=self.table.parts)
        call.box, call.sums = self._box.ctypes.data, self._sums.ctypes.data
        if found is not None:
            call.gemm, call.gemv, call.blas_bits = found.gemm[letter], found.gemv[letter], found.integer_bits
        return call, [self._worker(call, self._arrays, helping) for helping in (0, 1)]

    def _worker(self, call: _Call, arrays: Array, helping: int) -> _Worker:
        address = ctypes.addressof(call)
        return _Worker(
            call=address, arrays=arrays.ctypes.data, kernels=self._kernels, helping=helping, task=-1
        )

    def structures_of_its_own(self) -> tuple[Array, _Call, _Worker]:
        """The arrays, a call and a worker for a caller that prepares them itself, with an arena of its own."""
        arrays, (call, _) = self._moved(), self._structures()
        return arrays, call, self._worker(call, arrays, 0)

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
        for k, place in self._state:
            assert call.update is not None
            array = call.update.arrays[place.name]
            fits = array.size == place.width and array.dtype == self.memory.dtype and array.flags.c_contiguous
            if not fits:
                raise ChainruleError(f"{place.name}: expected {place.width} numbers of {self.memory.dtype}")
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
        c.next = c.doubtful = c.failed = 0

    def _train(self, call: Call) -> int:
        """The steps of a training, or those before one that diverges."""
        with self._helped(self._training, call, self.table.parts == 2):
            status = self._loop(self._training, call)
        self._raise_failure(call)
        done = int(self._workers[0].step) if status == NOT_FINITE else call.steps
        if call.update is not None and self._updates_natively:
            call.update.state.iteration += done
        return done

    def _predict(self, call: Call) -> int:
        """The steps of a prediction, some at a time, so that Ctrl-C is heard between them."""
        size = self.memory.params.flat.size
        at_once = max(1, AT_ONCE // max(1, call.batch * size))
        shared = not self.table.in_python and call.total * size > WORTH_HELPING
        for first in range(0, call.steps, at_once):
            self._call.next, self._call.steps = first, min(first + at_once, call.steps)
            with self._helped(self._predicting, call, shared):
                self._loop(self._predicting, call)
            self._raise_failure(call)
        call.is_doubtful = call.is_doubtful or bool(self._call.doubtful)
        return call.steps

    def _loop(self, function: Any, call: Call) -> int:
        """Call the machine, and again behind each turn that Python does."""
        c, w = byref(self._call), self._workers[0]
        w.task = -1
        status: int = function(c, byref(w))
        step: Step | None = None
        while status == IN_PYTHON:
            if step is None or step.number != w.step:
                if step is not None:
                    self.python.end(step)
                step = self.python.begin(call, int(w.step))
            turn = self.table.turns[w.turn]
            self.python.do(turn, step)
            if turn.instructions[0].layer == len(self.python.graph) - 1 or not np.isfinite(step.loss):
                self._sums[0], self._sums[LINE] = step.loss, 0.0
            status = function(c, byref(w))
        if step is not None and (status == FINISHED or call.update is None):
            self.python.end(step)
        return status

    @contextlib.contextmanager
    def _helped(self, function: Any, call: Call, wanted: bool) -> Iterator[None]:
        """Let a second thread call the machine too, inside the block, where it is wanted and allowed."""
        if not wanted or not may_share(call.threads):
            yield
            return
        worker, arrays = self._workers[1], self._arrays
        if call.rows is None:  # a step is done by one thread, in an arena of its own
            if self._second is None:
                self._second = self._moved()
            arrays = self._second
            for k, _ in self.data_places[True]:
                arrays[k] = self._arrays[k]
        self._box[:] = -1
        worker.task, worker.arrays = -1, arrays.ctypes.data
        helper = threading.Thread(target=function, args=(byref(self._call), byref(worker)), daemon=True)
        try:
            helper.start()
            yield
        finally:
            self._box[0] = NO_TURN
            if helper.ident is not None:
                helper.join()

    def _moved(self) -> Array:
        """The arrays, those of a batch in an arena of their own."""
        arrays = self._arrays.copy()
        for space in ("arena", "labels"):
            flat = self.memory.flat[space]
            own = np.zeros_like(flat)
            self._own_arenas.append(own)
            mine = [k for k, place in enumerate(self._places) if place.space == space]
            arrays[mine, HOME] += own.ctypes.data - flat.ctypes.data
            arrays[mine, ADDRESS] = arrays[mine, HOME]
        return arrays

    def _raise_failure(self, call: Call) -> None:
        """Raise what either thread found of rows or labels out of range."""
        c = self._call
        if not c.failed:
            return
        place = self._places[c.failed_array]
        if c.failed == LABEL_OUT_OF_RANGE:
            row = c.failed_row if call.origin is None else int(call.origin[c.failed_row])
            raise wrong_label(place.source, place.below, c.failed_value, row)
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


def _native_places(turns: list[Turn]) -> list[Place]:
    """What the instructions name that the machine does."""
    native = (each for turn in turns if turn.kind != "python" for each in turn.instructions)
    return unique(place for each in native for place in each.operands if place is not None)


def _is_readable(array: Array) -> bool:
    """Whether the machine reads the rows of an array where they lie."""
    known = array.dtype.str[1:] in KINDS and array.dtype.isnative and array.flags.aligned
    return known and (array.flags.c_contiguous or array[:1].flags.c_contiguous)
