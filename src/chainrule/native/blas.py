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
from functools import cache, partial
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
    for spelling, bits in SPELLINGS:
        names = [spelling.format(f"cblas_{letter}{kind}") for kind in ("gemm", "gemv") for letter in "sd"]
        products = [_function(library, name, None) for name in names]
        if None in products:
            continue
        addresses = [ctypes.cast(each, ctypes.c_void_p).value or 0 for each in products]
        gemm, gemv = (dict(zip("sd", two, strict=True)) for two in (addresses[:2], addresses[2:]))
        get = _function(library, spelling.format("openblas_get_num_threads"), ctypes.c_int)
        put = _function(library, spelling.format("openblas_set_num_threads"), None, ctypes.c_int)
        config = _function(library, spelling.format("openblas_get_config"), ctypes.c_char_p)
        name = "a CBLAS, NumPy's own"
        if config is not None:
            name = " ".join([*config().decode(errors="replace").split()[:2], "(NumPy's own)"])
        return Blas(name, bits, gemm, gemv, get, put)
    return None


def _numpys_extension() -> ctypes.CDLL | None:
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            return ctypes.CDLL(importlib.import_module(name).__file__)
        except (ImportError, OSError, TypeError):
            continue
    return None


def _function(library: ctypes.CDLL | None, name: str, result: Any, *arguments: Any) -> Any:
    """The function of that name, declared; None where there is none."""
    found = getattr(library, name, None)
    if found is not None:
        found.argtypes, found.restype = arguments, result
    return found


# The number of threads ------------------------------------------------------------------------------------


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread inside the block.

    For products that are no work, too: BLAS's other threads, once woken, keep their cores busy for a tenth of a
    second more, and a training that began in that time took twice as long a step.

    The number is one for the whole process, and this is the one place in chainrule that sets it. When blocks of
    several threads overlap, after the last to end it is what it was before the first began.
    """
    own = _Block()
    try:
        _enter(own)
        yield
    finally:
        _leave(own)


class _Block:
    """A block that has begun. Where Ctrl-C kept it from ending, it ends with its last reference."""


_BLOCKS: weakref.WeakSet[_Block] = weakref.WeakSet()
_BEFORE: list[
    Callable[[], object]
] = []  # what puts back the number before the first; empty when that is done


def _renew(module: Any) -> None:
    """In a child process, the blocks of the threads that the fork left behind never end."""
    module._LOCK = threading.Lock()
    _BLOCKS.clear()
    _put_back()


_LOCK = threading.Lock()


def _enter(own: _Block) -> None:
    with _LOCK:
        if not _BEFORE:
            _BEFORE.append(_remembered())
        _BLOCKS.add(own)
        blas = found()
        if blas is not None and blas.set_threads is not None:
            blas.set_threads(1)
        else:
            _controller().limit(limits=1, user_api="blas")


def _leave(own: _Block) -> None:
    with _LOCK:
        _BLOCKS.discard(own)
        if not _BLOCKS:
            _put_back()


def _put_back() -> None:
    for put in _BEFORE:  # nothing, where a block was interrupted before it began
        put()
    _BEFORE.clear()


renew_after_fork(sys.modules[__name__], _renew)


def _remembered() -> Callable[[], object]:
    blas = found()
    if blas is not None and blas.set_threads is not None and blas.get_threads is not None:
        return partial(blas.set_threads, blas.get_threads())
    limiter = _controller().limit(limits=None, user_api="blas")
    return limiter.restore_original_limits  # type: ignore[no-any-return]  # threadpoolctl has no types


@cache
def _controller() -> Any:
    """For a BLAS that is not OpenBLAS: threadpoolctl knows its calls."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
