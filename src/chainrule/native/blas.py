"""The BLAS that NumPy brings: its matrix products for the machine, and the number of threads that it uses.

The library is found through NumPy's own extension module, which is linked to it: nothing is searched for, and no
second BLAS, with a second pool of threads, is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from chainrule.locks import renew_after_fork

#: How a function is called in the libraries that NumPy is built with, and how wide its integers are there. Wheels
#: of NumPy prefix the names; those of 32 bits are in Linux distributions.
SPELLINGS = (("scipy_{}64_", 64), ("{}64_", 64), ("scipy_{}", 32), ("{}", 32))


@dataclass(frozen=True)
class Blas:
    """What was found: addresses of the products by the letter of their number type, and who sets the threads."""

    name: str
    integer_bits: int
    gemm: dict[str, int]
    gemv: dict[str, int]
    get_threads: Callable[[], int] | None
    set_threads: Callable[[int], None] | None


@cache
def found() -> Blas | None:
    """NumPy's BLAS; None where its products cannot be reached, and the plain loops of the machine do them."""
    library = _numpys_extension()
    if library is None:
        return None
    for spelling, bits in SPELLINGS:
        wanted = [f"cblas_{letter}{kind}" for kind in ("gemm", "gemv") for letter in "sd"]
        addresses = [_address(library, spelling.format(name)) for name in wanted]
        if all(addresses):
            sgemm, dgemm, sgemv, dgemv = (int(each or 0) for each in addresses)
            get, put = _thread_setters(library, spelling)
            name = _name(library, spelling)
            return Blas(name, bits, {"s": sgemm, "d": dgemm}, {"s": sgemv, "d": dgemv}, get, put)
    return None


def _numpys_extension() -> ctypes.CDLL | None:
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            return ctypes.CDLL(importlib.import_module(name).__file__)
        except (ImportError, OSError, TypeError):
            continue
    return None


def _address(library: ctypes.CDLL, name: str) -> int | None:
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _thread_setters(library: ctypes.CDLL, spelling: str) -> tuple[Any, Any]:
    get = getattr(library, spelling.format("openblas_get_num_threads"), None)
    put = getattr(library, spelling.format("openblas_set_num_threads"), None)
    if get is None or put is None:
        return None, None
    get.argtypes, get.restype = [], ctypes.c_int
    put.argtypes, put.restype = [ctypes.c_int], None
    return get, put


def _name(library: ctypes.CDLL, spelling: str) -> str:
    config = getattr(library, spelling.format("openblas_get_config"), None)
    if config is None:
        return "a CBLAS, NumPy's own"
    config.argtypes, config.restype = [], ctypes.c_char_p
    words = config().decode(errors="replace").split()
    return " ".join([*words[:2], "(NumPy's own)"])


# The number of threads ------------------------------------------------------------------------------------


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Let BLAS use so many threads inside the block.

    The number is one for the whole process, and this is the one place in chainrule that sets it. When blocks of
    several threads overlap, that of the last begun holds, and after the last to end it is what it was before the
    first began.
    """
    own = _Block(number)
    try:
        _enter(own)
        yield
    finally:
        _leave(own)


def one_thread() -> contextlib.AbstractContextManager[None]:
    """Let BLAS use one thread inside the block.

    For products that are no work, too: BLAS's other threads, once woken, keep their cores busy for a tenth of a
    second more, and a training that began in that time took twice as long a step.
    """
    return threads(1)


class _Block:
    """A block that has begun. Where Ctrl-C kept it from ending, it ends with its last reference."""

    def __init__(self, number: int) -> None:
        self.number = number


_BLOCKS: list[weakref.ref[_Block]] = []  # the last begun last
_BEFORE: list[Callable[[], object]] = []  # what puts back the number before the first


def _renew(module: Any) -> None:
    """In a child process, the blocks of the threads that the fork left behind never end."""
    module._LOCK = threading.Lock()
    if _BLOCKS:
        _BLOCKS.clear()
        _BEFORE[0]()


_LOCK = threading.Lock()
renew_after_fork(sys.modules[__name__], _renew)


def _enter(own: _Block) -> None:
    with _LOCK:
        if not _BLOCKS:
            _BEFORE[:] = [_remembered()]
        _BLOCKS.append(weakref.ref(own))
        _set(own.number)


def _leave(own: _Block) -> None:
    with _LOCK:
        open_ones = [(each, block) for each in _BLOCKS if (block := each()) is not None and block is not own]
        if open_ones:
            _set(open_ones[-1][1].number)
        elif _BEFORE:  # else this block was interrupted before it began
            _BEFORE[0]()
        _BLOCKS[:] = [each for each, _ in open_ones]


def _set(number: int) -> None:
    blas = found()
    if blas is not None and blas.set_threads is not None:
        blas.set_threads(number)
    else:
        _controller().limit(limits=number, user_api="blas")


def _remembered() -> Callable[[], object]:
    blas = found()
    if blas is not None and blas.set_threads is not None and blas.get_threads is not None:
        number, put = blas.get_threads(), blas.set_threads
        return lambda: put(number)
    limiter = _controller().limit(limits=None, user_api="blas")
    return lambda: limiter.restore_original_limits()


@cache
def _controller() -> Any:
    """For a BLAS that is not OpenBLAS: threadpoolctl knows its calls."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
