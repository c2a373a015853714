"""A step shared by two threads: the tasks it is cut into, and who does which.

A step has three turns (the rows of the batch, the gradients of the parameters, the update), and each turn two
tasks, its part 0 and its part 1, which are the same whoever does them. So results never depend on the number of
threads, nor on what else the machine does. The calling thread does part 0, then part 1 too, unless a helper has
claimed it meanwhile. When the helper gets no core, the caller does all, and never waits for a thread that has
not begun; with OpenBLAS's own threads, each product would wait.

Two numbers in an array, the box, are all that passes between the threads: OPEN holds the turn whose part 1 is
free, or -1 - turn once it is claimed; DONE the last turn whose part 1 the helper has finished. They are read
and written atomically in compiled code; uncompiled, there is but one thread.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from chainrule.arrays import Array

OPEN, DONE = 0, 16  # places in the box, two cache lines apart
PARTS = 2  # in a program too small to share, 1
NO_TURN = 2**60  # behind the last turn of any run: the helper leaves


def load(box: Array, place: int) -> int:
    """The number at a place of the box."""
    return int(box[place])


def store(box: Array, place: int, number: int) -> None:
    """Put a number there: who reads it also sees all that was written before."""
    box[place] = number


def swap(box: Array, place: int, old: int, new: int) -> bool:
    """Put the new number in the old one's place, unless another thread was faster."""
    if box[place] != old:
        return False
    box[place] = new
    return True


def rest(spins: int) -> None:
    """Let another thread have the core, once waiting takes longer than a task should."""


def share(length: int, part: int) -> slice:
    """Which of so many rows belong to a part."""
    return slice(length * part // PARTS, length * (part + 1) // PARTS)


def next_task(box: Array, task: int, helping: bool) -> int:
    """The task to do after `task` (-1 at the start): 2 * turn + part."""
    turn, spins = task // 2, 0
    if PARTS == 1:
        return 2 * turn + 2
    if helping:
        if task >= 0:
            store(box, DONE, turn)
        while True:
            turn = load(box, OPEN)
            if turn >= 0 and swap(box, OPEN, turn, -1 - turn):
                return 2 * turn + 1
            spins += 1
            rest(spins)
    if task % 2 == 0:
        if swap(box, OPEN, turn, -1 - turn):
            return task + 1
        while load(box, DONE) != turn:
            spins += 1
            rest(spins)
    store(box, OPEN, turn + 1)
    return 2 * turn + 2


def run_helped(native: Callable[..., int], arguments: tuple[Any, ...], steps: int, threads: int) -> int:
    """Call `native(*arguments, box, sums, helping)` here, and beside it in a helper thread.

    Starting a thread takes 50 us. A program that is cut into parts saves that in one step or a few, and a call of a
    large one does only one step or two: without help from the first on, the second thread would hardly be used.
    """
    box, sums = np.full(32, -1, np.int64), np.zeros(2)
    if threads == 1 or steps == 0 or not getattr(native, "signatures", None):
        return native(*arguments, box, sums, False)  # without signatures, it is not machine code yet
    helper = threading.Thread(target=native, args=(*arguments, box, sums, True), daemon=True)
    try:
        helper.start()
        return native(*arguments, box, sums, False)
    finally:
        box[OPEN] = NO_TURN
        if helper.ident is not None:
            helper.join()


# In compiled code -----------------------------------------------------------------------------------------


def _pointer(context: Any, builder: Any, box_type: Any, box: Any, place: Any) -> Any:
    array = context.make_array(box_type)(context, builder, box)
    return cgutils.get_item_pointer(context, builder, box_type, array, [place])  # type: ignore[no-untyped-call]


@intrinsic
def _load(typing: Any, box: Any, place: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(box, types.intp), code


@intrinsic
def _store(typing: Any, box: Any, place: Any, number: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], pointer, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(box, types.intp, types.int64), code


@intrinsic
def _swap(typing: Any, box: Any, place: Any, old: Any, new: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        found = builder.cmpxchg(pointer, *arguments[2:], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(box, types.intp, types.int64, types.int64), code


_sched_yield = types.ExternalFunction("sched_yield", types.int32())
_CAN_YIELD = sys.platform != "win32" and hasattr(ctypes.CDLL(None), "sched_yield")

overload(load)(lambda box, place: lambda box, place: _load(box, place))  # type: ignore[call-arg]
overload(store)(lambda box, place, number: lambda box, place, number: _store(box, place, number))  # type: ignore[call-arg]
overload(swap)(lambda box, place, old, new: lambda box, place, old, new: _swap(box, place, old, new))  # type: ignore[call-arg]


@overload(rest)
def _rest(spins: int) -> Any:
    def nothing(spins: int) -> None:
        pass

    def give_way(spins: int) -> None:
        if spins > 2000:
            _sched_yield()

    return give_way if _CAN_YIELD else nothing
