"""The machine from Python: a table in the form that C reads, its arrays, its threads, and its errors."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from ctypes import POINTER, Structure, byref, c_char_p, c_int64, c_void_p
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ChainruleError, DataError
from chainrule.native import blas, library
from chainrule.program.calls import Call, Step
from chainrule.program.memory import Memory
from chainrule.program.operations.gather import name_of
from chainrule.program.python_turns import PythonTurns
from chainrule.program.table import Instruction, Place, Table, unique
from chainrule.program.threads import may_share

OPERANDS, NUMBERS = 6, 4
KINDS = {"f4": 0, "f8": 1, "i1": 2, "i2": 3, "i4": 4, "i8": 5, "u1": 6, "u2": 7, "u4": 8, "u8": 9, "b1": 6}
FINISHED, IN_PYTHON, NOT_FINITE, ROW_OUT_OF_RANGE, LABEL_OUT_OF_RANGE = range(5)
ADDRESS, WIDTH, LENGTH, STRIDE, KIND, HOME = range(6)  # of an array in the machine
NO_TURN = 2**60  # behind the last turn of any call: the helper leaves
LINE = 8  # numbers in a line of the cache, by which the sums of two threads lie apart
BLOCK_BYTES = 8_000_000  # of data that the machine does not read, copied at a time
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
        self._train, self._predict = loaded.chainrule_train, loaded.chainrule_predict
        bits = 8 * memory.dtype.itemsize
        chosen = loaded.chainrule_best_variant() if variant is None else variant
        self._kernels, self._numbers = kernels(chosen, bits)
        native = (each for turn in table.turns if turn.kind != "python" for each in turn.instructions)
        self._places = unique(place for each in native for place in each.operands if place is not None)
        self._index = {id(place): k for k, place in enumerate(self._places)}
        self._code, self._turns = self._encode()
        self._arrays = np.array([self._array(place) for place in self._places], np.int64).reshape(-1, 6)
        self.data_places = [
            (k, place, name_of(place)) for k, place in enumerate(self._places) if place.space == "data"
        ]
        self._state = [(k, place) for k, place in enumerate(self._places) if place.space == "state"]
        self._box, self._sums = np.full(32, -1, np.int64), np.zeros(2 * LINE)
        last = table.turns[-1] if table.turns else None
        self._updates_natively = last is not None and last.kind == "update" and len(last.instructions) > 1
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
        strange = [
            name for k, place, name in self.data_places if not self._take(call.data[name], k, place, call)
        ]
        if strange:
            return self._in_blocks(call)
        for k, place in self._state:
            assert call.update is not None
            array = call.update.arrays[place.name]
            fits = array.size == place.width and array.dtype == self.memory.dtype and array.flags.c_contiguous
            if not fits:
                raise ChainruleError(f"{place.name}: expected {place.width} numbers of {self.memory.dtype}")
            self._arrays[k, ADDRESS] = array.ctypes.data
        self._fill(call)
        with blas.one_thread():
            return self._run(call)

    def _take(self, array: Array, k: int, place: Place, call: Call) -> bool:
        """Let the machine read an array of data; False if it cannot."""
        kind = KINDS.get(array.dtype.str[1:])
        if place.below and array.dtype.kind not in "iub":
            raise DataError(f"{name_of(place)}: expected labels in whole numbers, got {array.dtype}")
        if kind is None or not array.dtype.isnative or not array.flags.aligned:
            return False
        if not (array.flags.c_contiguous or array[:1].flags.c_contiguous) or array[:1].size > place.width:
            return False
        row = self._arrays[k]
        row[ADDRESS], row[LENGTH], row[KIND] = array.ctypes.data, len(array), kind
        row[STRIDE] = array.strides[0]
        return array.size == len(array) * place.width

    def _fill(self, call: Call) -> None:
        c = self._call
        c.turn_count = len(self._turns) - (0 if call.measured else self.table.measured)
        c.rows = None if call.rows is None else call.rows.ctypes.data
        c.steps, c.batch, c.total = call.steps, call.batch, call.total
        c.losses, c.rates = call.losses.ctypes.data if call.measured else None, call.rates.ctypes.data
        c.right = None if call.right is None else call.right.ctypes.data
        c.result = None if call.result is None else call.result.ctypes.data
        c.done = 0 if call.update is None else call.update.state.iteration
        c.next = c.doubtful = c.failed = 0
        for worker in self._workers:
            worker.task = -1

    def _run(self, call: Call) -> int:
        if call.rows is not None:
            function, shared = self._train, self.table.parts == 2
        else:
            function, shared = self._predict, self._is_worth_helping(call)
        helped = shared and may_share(call.threads)
        with self._helped(function, call) if helped else contextlib.nullcontext():
            status = self._loop(function, call)
        call.is_doubtful = call.is_doubtful or bool(self._call.doubtful)
        if status in (ROW_OUT_OF_RANGE, LABEL_OUT_OF_RANGE):
            raise self._failure(status)
        done = int(self._workers[0].step) if status == NOT_FINITE else call.steps
        if call.update is not None and self._updates_natively:
            call.update.state.iteration += done
        return done

    def _loop(self, function: Any, call: Call) -> int:
        """Call the machine, and again behind each turn that Python does."""
        c, w = byref(self._call), self._workers[0]
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

    def _is_worth_helping(self, call: Call) -> bool:
        return not self.table.in_python and call.total * self.memory.params.flat.size > WORTH_HELPING

    @contextlib.contextmanager
    def _helped(self, function: Any, call: Call) -> Any:
        """Let a second thread call the machine too, inside the block."""
        worker = self._workers[1]
        if call.rows is None:  # a step is done by one thread, in an arena of its own
            if self._second is None:
                self._second = self._moved()
            for k, _, _ in self.data_places:
                self._second[k] = self._arrays[k]
            worker.arrays = self._second.ctypes.data
        else:
            worker.arrays = self._arrays.ctypes.data
            self._box[:] = -1
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

    def _failure(self, status: int) -> ChainruleError:
        c = self._call
        name = name_of(self._places[c.failed_array])
        if status == LABEL_OUT_OF_RANGE:
            below = next(p.below for p in self._places if p.space == "labels")
            return DataError(
                f"{name}: expected labels from 0 to {below - 1}, got {c.failed_value} in row {c.failed_row}; it "
                f"was changed after it was checked"
            )
        length = self._arrays[c.failed_array, LENGTH]
        return DataError(f"{name}: expected rows from 0 to {length - 1}, got {c.failed_value}")

    def _in_blocks(self, call: Call) -> int:
        """Do a call on data that the machine does not read as they lie: some steps at a time, on copies."""
        row_bytes = sum(8 * array[:1].size for array in call.data.values())
        at_once = max(1, BLOCK_BYTES // max(1, row_bytes * call.batch))
        for first in range(0, call.steps, at_once):
            steps = min(at_once, call.steps - first)
            some = self._some_steps(call, first, steps)
            done = self.run(some)
            call.is_doubtful = call.is_doubtful or some.is_doubtful
            if done < steps:
                return first + done
        return call.steps

    def _some_steps(self, call: Call, first: int, steps: int) -> Call:
        rows: Any = slice(first * call.batch, min((first + steps) * call.batch, call.total))
        if call.rows is not None:
            rows = call.rows[first : first + steps].ravel()
        data = {name: self._plain(array[rows]) for name, array in call.data.items()}
        count = len(next(iter(data.values())))
        own = slice(first, first + steps)
        return replace(
            call,
            data=data,
            steps=steps,
            rows=None if call.rows is None else np.arange(count).reshape(steps, -1),
            total=count,
            rates=call.rates[own] if len(call.rates) == call.steps else call.rates,
            losses=call.losses[own] if len(call.losses) == call.steps else call.losses,
            right=None if call.right is None else call.right[own],
            result=None if call.result is None else call.result[rows],
            iteration=call.iteration + first,
        )

    def _plain(self, array: Array) -> Array:
        kind = array.dtype.str[1:]
        if kind not in KINDS:
            return np.ascontiguousarray(array, self.memory.dtype)
        return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
