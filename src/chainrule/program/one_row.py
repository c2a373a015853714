"""Predicting one row: what does not change from call to call is laid out before, for calls of microseconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from ctypes import byref
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.program.machine import ADDRESS, KIND, KINDS, LENGTH, STRIDE, Machine, machine


class OneRow:
    """The prediction of a machine for a single row, which is copied to a place of its own.

    `statistics` returns what layers keep from step to step, by name.
    """

    def __init__(self, executor: Machine, statistics: Callable[[], Mapping[str, Array]]) -> None:
        loaded = machine()
        assert loaded is not None
        ((k, place),) = executor.data_places[False]
        self._function = loaded.chainrule_predict_again
        self._x = np.zeros((1, *place.row), executor.memory.dtype)
        self._y = np.zeros((1, *executor.table.output.row), executor.memory.dtype)
        self._shape, self._dtype = self._x.shape, self._x.dtype
        self._arrays, call, worker = executor.structures_of_its_own()
        row = self._arrays[k]
        row[ADDRESS], row[LENGTH], row[STRIDE] = self._x.ctypes.data, 1, self._x.nbytes
        row[KIND] = KINDS[self._dtype.str[1:]]
        call.turn_count = len(executor.table.turns) - executor.table.measured
        call.steps = call.batch = call.total = 1
        call.result = self._y.ctypes.data
        self._statistics = statistics
        self._used: dict[str, Array] = {}
        self._places = [(self._arrays[k], place) for k, place in executor.kept_places]
        self._kept = executor, call, worker  # the machine knows their addresses
        self._arguments = byref(call), byref(worker)
        self._lock = threading.Lock()

    def __call__(self, x: Any) -> Array | None:
        """The output for x; None when x is no single row of the network's dtype, or something is not finite."""
        if type(x) is not np.ndarray or x.shape != self._shape or x.dtype != self._dtype:
            return None
        with self._lock:
            if self._places and not self._use_statistics():
                return None
            np.copyto(self._x, x)
            if self._function(*self._arguments):
                return None
            return self._y.copy()

    def _use_statistics(self) -> bool:
        """Read them where they are now; False where they do not fit."""
        now = self._statistics()
        for row, place in self._places:
            array = now[place.name]
            if self._used.get(place.name) is not array:
                if array.size != place.width:
                    return False
                row[ADDRESS] = array.ctypes.data
                self._used[place.name] = array
        return True
