"""The process in which a command runs: its signals, its streams and its exit status."""

from __future__ import annotations

import sys

from chainrule import signals
from chainrule.cli.app import app
from chainrule.cli.streams import open_streams
from chainrule.cli.writing import print_text


def run() -> int:
    """Run the command that the command line names. Returns the exit status.

    Meanwhile SIGTERM and SIGHUP are as Ctrl-C, so that what a command has begun is kept or taken back.
    """
    open_streams()
    sys.unraisablehook = _unraisable
    try:
        try:
            signals.handle_with(signals.interrupt)
            return _status()
        finally:
            signals.handle_with(signals.end_at_once)
    except KeyboardInterrupt:
        print_text("chainrule: interrupted", err=True)
        return signals.INTERRUPTED
    except OSError as error:  # help for a full disk
        print_text(f"chainrule: {error.filename or 'the output'}: {error.strerror or error}", err=True)
        return 2


def _unraisable(what: sys.UnraisableHookArgs, /) -> None:
    """An interrupt in what the garbage collector calls, where Python cannot raise it, is not lost."""
    if what.exc_type is KeyboardInterrupt:
        signals.interrupt_later()
    else:
        sys.__unraisablehook__(what)


def _status() -> int:
    try:
        app()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0
    sys.stdout.flush()
    return status
