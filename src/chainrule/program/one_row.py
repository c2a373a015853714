"""Predicting one row: what does not change from call to call is laid out before, for calls of microseconds."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import byref, c_int64, c_void_p
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.program.layout import ADDRESS, KIND, KINDS, LENGTH, STRIDE, machine
from chainrule.program.machine import Machine

BRIEF = 200_000  # parameters up to which a prediction keeps Python's lock: to hand it on would take longer


class OneRow:
    """The prediction of a machine for a single row, from any number of threads.

    Every call takes a slot, with a row, a result and an arena of its own, and puts it back. `statistics` returns
    what layers keep from step to step, by name.
    """

    def __init__(self, executor: Machine, statistics: Callable[[], Mapping[str, Array]]) -> None:
        ((_, place),) = executor.data_places[False]
        self._executor, self._statistics = executor, statistics
        self._shape, self._dtype = (1, *place.row), executor.memory.dtype
        loaded = machine()
        assert loaded is not None
        address = ctypes.cast(loaded.chainrule_predict_again, c_void_p).value or 0
        brief = executor.memory.params.flat.size <= BRIEF
        kind = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        self._function = kind(c_int64, c_void_p, c_void_p)(address)
        self._free = [_Slot(executor)]

    def __call__(self, x: Any) -> Array | None:
        """The output for x; None when x is no single row of the network's dtype, or something is not finite."""
        if type(x) is not np.ndarray or x.shape != self._shape or x.dtype != self._dtype:
            return None
        try:
            slot = self._free.pop()
        except IndexError:  # other threads are using all there are
            slot = _Slot(self._executor)
        if slot.kept and not slot.find(self._statistics()):
            return None
        try:
            slot.bytes[:] = x.data.cast("B")  # np.copyto would let other threads in, and wait for them
        except TypeError:  # its numbers do not lie together
            np.copyto(slot.x, x)
        y = None if self._function(*slot.arguments) else slot.y.copy()
        self._free.append(slot)
        return y


class _Slot:
    """What one call needs."""

    def __init__(self, executor: Machine) -> None:
        ((k, place),) = executor.data_places[False]
        self.x = np.zeros((1, *place.row), executor.memory.dtype)
        self.bytes = self.x.data.cast("B")
        self.y = np.zeros((1, *executor.table.output.row), executor.memory.dtype)
        arrays, arena, call, worker = executor.structures_of_one_row()
        row = arrays[k]
        row[ADDRESS], row[LENGTH], row[STRIDE] = self.x.ctypes.data, 1, self.x.nbytes
        row[KIND] = KINDS[self.x.dtype.str[1:]]
        call.turn_count = len(executor.table.turns) - executor.table.measured
        call.steps = call.batch = call.total = 1
        call.result = self.y.ctypes.data
        self._held = arrays, arena, call, worker  # the machine knows their addresses
        self.arguments = byref(call), byref(worker)
        #: What layers keep from step to step, and where the machine looks for it.
        self.kept = [(arrays[k], place) for k, place in executor.kept_places]
        self._found: dict[str, Array] = {}

    def find(self, statistics: Mapping[str, Array]) -> bool:
        """Use the statistics where they are now; False where they do not fit."""
        for row, place in self.kept:
            array = statistics[place.name]
            if self._found.get(place.name) is not array:
                fits = array.size == place.width and array.dtype == self.x.dtype and array.flags.c_contiguous
                if not fits:
                    return False
                row[ADDRESS] = array.ctypes.data
                self._found[place.name] = array
        return True
