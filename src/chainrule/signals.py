"""The signals that end a program, and the program `chainrule` while it is only starting.

Python imports the package before any code of its program can run. So this is the first module that the package
imports: from there on, Ctrl-C shows no traceback.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

#: Ctrl-C, what `kill`, `docker stop` and batch systems send, and what a terminal sends when it closes.
ENDING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
INTERRUPTED = 130
"""The exit status of a program that was interrupted, as shells have it."""


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Raise KeyboardInterrupt, as Ctrl-C does."""
    raise KeyboardInterrupt


def interrupt_later(seconds: float = 0.02) -> None:
    """Interrupt the main thread once more, for an interrupt that Python could not raise where it was."""
    handled = [number for number in ENDING if signal.getsignal(number) is interrupt]
    for number in handled[:1]:
        timer = threading.Timer(seconds, _interrupt_main, [number])
        timer.daemon = True
        timer.start()


def _interrupt_main(number: int) -> None:
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:  # which ends a sleep of the main thread, too
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the process: nothing has begun that could be lost, or all is kept."""
    with contextlib.suppress(OSError):
        os.write(2, b"chainrule: interrupted\n")
    os._exit(INTERRUPTED)


def has_default(number: int) -> bool:
    """Whether nobody handles or ignores the signal, so that chainrule may."""
    handler = signal.getsignal(number)
    default: Any = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    return any(handler is each for each in (default, interrupt, end_at_once))


def handle_with(handler: Callable[[int, FrameType | None], NoReturn] | signal.Handlers) -> None:
    """Handle the signals that end a program so, except for those that somebody else handles or ignores."""
    for number in ENDING:
        if has_default(number):
            signal.signal(number, handler)


def is_program() -> bool:
    """Whether this process runs `chainrule` or `python -m chainrule`, and not a program that uses the library."""
    started = os.path.basename(sys.argv[0]) if sys.argv else ""
    words = sys.orig_argv
    if started == "-m":  # while Python looks for the module that it is to run
        return "-m" in words and words[words.index("-m") + 1 :][:1] == ["chainrule"]
    return started in ("chainrule", "chainrule.exe", "chainrule-script.py")


if is_program():
    handle_with(end_at_once)
    atexit.register(handle_with, signal.SIG_IGN)  # the last of all: all is done, and the exit status is known
