"""A Python file of the user's: run, looked into, and what it raises told in one line."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from chainrule.errors import ArgumentError, ChainruleError, FileError, did_you_mean
from chainrule.text import clean

T = TypeVar("T")


@contextlib.contextmanager
def loaded(path: Path) -> Iterator[ModuleType]:
    """The user's file, run as a module; files beside it can be imported, as when Python runs it."""
    shown = clean(str(path))
    if not path.is_file():
        raise FileError(f"{shown} is not a file" if path.exists() else f"there is no file {shown}")
    source = path.read_bytes()
    try:
        code = compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        text = f": {clean(error.text.strip())[:100]}" if error.text else ""
        raise FileError(
            f"{shown}{line}: {type(error).__name__}: {clean(error.msg or 'not Python')}{text}"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise FileError(f"{shown} is not Python: {_message(error)}") from None
    module = ModuleType(f"checked_{path.stem}")
    module.__file__ = str(path)
    folder = str(path.resolve().parent)
    before = list(sys.path), list(sys.argv)
    sys.modules[module.__name__] = module
    try:
        sys.path.insert(0, folder)
        sys.argv[:] = [str(path)]
        guarded(path, partial(exec, code, module.__dict__), "", own=True)
        sys.path[:] = [*before[0], folder]  # no longer before ours: a file may be called random.py
        yield module
    finally:
        sys.path[:], sys.argv[:] = before
        sys.modules.pop(module.__name__, None)


def guarded(path: Path, call: Callable[[], T], what: str, *, own: bool) -> T:
    """What a call of the user's code returns; what it raises is told in one line, with its place in the file.

    `own`: all that runs is the user's. What it prints goes to standard error, and errors of chainrule are its own.
    Else it is the check, which runs forward hundreds of times: what that prints is not shown.
    """
    try:
        with contextlib.ExitStack() as stack:
            place = sys.stderr if own else stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(place))
            return call()
    except (Exception, SystemExit) as error:
        if isinstance(error, ChainruleError) and not own:
            raise
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f", line {lines[-1]}" if lines else ""
        remedy = ""
        if isinstance(error, SystemExit) and not what:
            remedy = "; put what runs the file as a program below if __name__ == '__main__'"
        told = f"{what}: {_message(error)}" if what else _message(error)
        raise FileError(f"{clean(str(path))}{line}: {told}{remedy}") from None


def attribute(module: ModuleType, name: str, path: Path) -> Any:
    if name not in vars(module):
        raise ArgumentError(f"{clean(str(path))}: there is no {name!r}; {defined(module, name)}")
    return vars(module)[name]


def defined(module: ModuleType, name: str) -> str:
    """The classes and functions that the file defines, the nearest to a name first."""
    own = [
        key
        for key, value in vars(module).items()
        if isinstance(value, (type, FunctionType)) and value.__module__ == module.__name__
    ]
    return did_you_mean(name, own) if own else "it defines no class and no function"


def _message(error: BaseException) -> str:
    """What was raised, as one line."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be shown"
    name = type(error).__name__
    return clean(" ".join(f"{name}: {text}".split()) if text else name)[:400]
