"""How many threads a training uses."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chainrule.training import whole_number

if TYPE_CHECKING:
    from chainrule.program import Program

# Multiplications in the largest product of a step below which one thread is used. On two idle cores two threads
# took 0.7 of the time of one for 4 million, and 0.5 for 50 million; but with another program on one of the cores
# they took up to 50 times as long, as BLAS's threads wait for each other after every product.
SMALL_PRODUCT = 8_000_000

#: Where the environment says how many threads a library may use; joblib says it so to its workers.
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def checked_threads(threads: int | None) -> int | None:
    """The argument of `fit`, or ArgumentError."""
    return None if threads is None else whole_number("threads", threads, 1)


@contextlib.contextmanager
def limited_threads(threads: int | None, program: Program, compiled: bool) -> Iterator[None]:
    """Let BLAS use so many threads inside the block; by default one where the products are small.

    The two threads of the compiled form call BLAS at the same time, so that it must use one for each.
    """
    if compiled and not by_blas(threads, program):
        threads = 1
    if threads is None and largest_product(program) >= SMALL_PRODUCT and default_threads() > 1:
        yield
        return
    with blas_threads(1 if threads is None else threads):
        yield


def one_blas_thread() -> contextlib.AbstractContextManager[None]:
    """Let BLAS use one thread inside the block, for products that are no work.

    Its other threads, once woken, keep their cores busy for a tenth of a second more: a training that began in that
    time took twice as long a step (5.2 against 3.4 ms for 784-512-512-10, batch 128).
    """
    return blas_threads(1)


@contextlib.contextmanager
def blas_threads(number: int) -> Iterator[None]:
    """Let BLAS use so many threads inside the block.

    The number is one for the whole process. When blocks of several threads overlap, that of the last begun holds,
    and after the last to end it is what it was before the first began.
    """
    from threadpoolctl import ThreadpoolController

    own = [number]  # not equal to another block's by identity
    with _LOCK:
        if not _BLOCKS:
            libraries = ThreadpoolController().select(user_api="blas").lib_controllers
            _BEFORE[:] = [(library, library.get_num_threads()) for library in libraries]
        _BLOCKS.append(own)
        _set_blas_threads()
    try:
        yield
    finally:
        with _LOCK:
            _BLOCKS[:] = [block for block in _BLOCKS if block is not own]
            _set_blas_threads()


_LOCK = threading.Lock()
_BLOCKS: list[list[int]] = []  # those that have begun and not ended, the last begun last
_BEFORE: list[tuple[Any, int]] = []  # the libraries, and their numbers before the first


def _set_blas_threads() -> None:
    for library, before in _BEFORE:
        library.set_num_threads(_BLOCKS[-1][0] if _BLOCKS else before)


def step_threads(threads: int | None, program: Program) -> int:
    """How many threads share a step of the compiled form: one or two. The results are the same."""
    if by_blas(threads, program):
        return 1
    return min(program.parts, cores(), threads or default_threads())


def by_blas(threads: int | None, program: Program) -> bool:
    """Whether more than two threads are wanted, and BLAS uses them better than the two of a step."""
    return (threads or default_threads()) > 2 and largest_product(program) >= SMALL_PRODUCT


def default_threads() -> int:
    """How many threads a training may use when nothing else is said.

    As the environment says, else one in a worker, whose siblings use the other cores; never more than cores.
    """
    said = [os.environ.get(name, "").split(",")[0].strip() for name in LIMITS]
    numbers = [int(each) for each in said if each.isdecimal() and int(each)]
    return min(cores(), *numbers) if numbers else 1 if is_worker() else cores()


def is_worker() -> bool:
    """Whether this process was started by multiprocessing, as the workers of pools and of joblib are."""
    multiprocessing = sys.modules.get("multiprocessing")  # where it is not loaded, it started nothing
    return multiprocessing is not None and multiprocessing.parent_process() is not None


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def largest_product(program: Program) -> int:
    """The number of multiplications in the largest matrix product of a step."""
    largest = max((value.size for value in program.params.values() if value.ndim == 2), default=0)
    return largest * program.batch_size
