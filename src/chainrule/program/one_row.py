"""Predicting one row: what does not change from call to call is laid out before, for calls of microseconds."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import byref, c_int64, c_void_p
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.program.calls import Call
from chainrule.program.machine import Machine

BRIEF = 200_000  # parameters up to which a prediction keeps Python's lock: to hand it on would take longer


class OneRow:
    """The prediction of a machine for a single row, from any number of threads.

    Every call takes a slot, with a row, a result and an arena of its own, and puts it back. `make` makes a machine
    for one row, and `statistics` returns what layers keep from step to step, by name.
    """

    def __init__(self, make: Callable[[], Machine], statistics: Callable[[], Mapping[str, Array]]) -> None:
        self._make, self._statistics = make, statistics
        slot = _Slot(make(), statistics())
        self._shape, self._dtype = slot.x.shape, slot.x.dtype
        address = ctypes.cast(slot.machine.library.chainrule_predict_again, c_void_p).value or 0
        brief = slot.machine.memory.params.flat.size <= BRIEF
        kind = ctypes.PYFUNCTYPE if brief else ctypes.CFUNCTYPE
        self._function = kind(c_int64, c_void_p, c_void_p)(address)
        self._free = [slot]

    def __call__(self, x: Any) -> Array | None:
        """The output for x; None when x is no single row of the network's dtype, or something is not finite."""
        if type(x) is not np.ndarray or x.shape != self._shape or x.dtype != self._dtype:
            return None
        try:
            slot = self._free.pop()
        except IndexError:  # other threads are using all there are
            slot = _Slot(self._make(), self._statistics())
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
    """What one call needs: a machine for one row, and a call that it is always at."""

    def __init__(self, machine: Machine, statistics: Mapping[str, Array]) -> None:
        ((_, place),) = machine.data_places[False]
        self.machine = machine
        self.x = np.zeros((1, *place.row), machine.memory.dtype)
        self.bytes = self.x.data.cast("B")
        self.y = np.zeros((1, *machine.table.output.row), machine.memory.dtype)
        call = Call(
            {place.source: self.x}, 1, 1, None, 1, result=self.y, measured=False, statistics=statistics
        )
        machine.prepare(call)
        self._held = call  # the machine knows the addresses of its arrays
        self.arguments = byref(machine.call), byref(machine.worker)
        #: What layers keep from step to step, and where the machine looks for it.
        self.kept = [(machine.arrays[k], place) for k, place in machine.kept_places]
        self._found: dict[str, Array] = {}

    def find(self, statistics: Mapping[str, Array]) -> bool:
        """Use the statistics where they are now; False where they do not fit."""
        for row, place in self.kept:
            array = statistics[place.name]
            if self._found.get(place.name) is not array:
                if not self.machine.fits(place, array):
                    return False
                row.address = array.ctypes.data
                self._found[place.name] = array
        return True
