"""The machine and its kernels, in C: one library, built when chainrule is installed (hatch_build.py).

The environment variable CHAINRULE_NATIVE says how programs run:

- `auto`, or unset: on the library; without it on NumPy, and the `chainrule` logger says why, once a process.
- `off`: on NumPy.
- `require`: on the library; that it is missing, or older than its sources, is an error.
"""

from __future__ import annotations

import functools
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError, ChainruleError
from chainrule.locks import renew_after_fork
from chainrule.native import record

if TYPE_CHECKING:
    import ctypes

__all__ = ["NativeLibraryError", "library", "remedy", "why_not"]

FOLDER = Path(__file__).parent


def _renew(module: Any) -> None:
    module._LOCK = threading.Lock()


_LOCK = threading.Lock()
renew_after_fork(sys.modules[__name__], _renew)


class NativeLibraryError(ChainruleError, ImportError):
    """CHAINRULE_NATIVE=require, and the library is missing, stale or cannot be loaded."""


def library() -> ctypes.CDLL | None:
    """The library; None where programs run on NumPy.

    Raises: NativeLibraryError where CHAINRULE_NATIVE=require and there is none; ArgumentError where it says
    something unknown.
    """
    with _LOCK:  # of threads that begin at the same time, one loads it, and one says why there is none
        return _library()


def why_not() -> str | None:
    """Why programs run on NumPy, as a clause for a sentence; None where they run by the library."""
    if _wanted() == "off":
        return "CHAINRULE_NATIVE=off is set"
    loaded = _load(FOLDER)
    return loaded if isinstance(loaded, str) else None


def remedy() -> str:
    """The command that builds the library."""
    root = (FOLDER / "../../..").resolve()
    if (root / "hatch_build.py").is_file():
        return f"pip install -e {shlex.quote(str(root))}"
    # Without these options, pip keeps what is installed, or takes what it built before from its cache.
    return "pip install --force-reinstall --no-deps --no-cache-dir chainrule"


@functools.cache
def _library() -> ctypes.CDLL | None:
    wanted = _wanted()
    if wanted == "off":
        return None
    loaded = _load(FOLDER)
    if not isinstance(loaded, str):
        return loaded
    if wanted == "require":
        raise NativeLibraryError(
            f"CHAINRULE_NATIVE=require expects the C library to run programs, but {loaded}. To build it: {remedy()}"
        )
    import logging  # not the module warnings, whose warnings may be errors

    message = "Programs run on NumPy, slower than on the C library, since %s. To build it: %s"
    logging.getLogger("chainrule").warning(message, loaded, remedy())
    return None


def _wanted() -> str:
    try:
        return record.wanted()
    except ValueError as error:
        raise ArgumentError(str(error)) from None


@functools.cache
def _load(folder: Path) -> ctypes.CDLL | str:
    """The library in the folder, or why there is none."""
    kept = record.read(folder)
    if not kept:
        return f"the library was not built: {folder / record.RECORD} is missing or damaged"
    if not kept.get("library"):
        return f"the library was not built: {kept.get('reason')}"
    if record.has_sources(folder) and kept.get("sources") != record.digest(folder):
        return "the library is stale: the C sources have changed after it was built"
    import ctypes

    try:
        return ctypes.CDLL(str(folder / kept["library"]))
    except OSError as error:
        return f"the library could not be loaded: {error}"
