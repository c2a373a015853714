"""The command line: parse, call, print."""

import sys
from typing import NoReturn

from chainrule import signals


def main() -> NoReturn:
    """Run the command line. Exit status: 0 done, 1 a training diverged or a check found a mistake, 2 bad input,
    130 interrupted.
    """
    signals.handle_with(signals.end_at_once)  # until a command runs
    from chainrule.cli.process import run

    sys.exit(run())


__all__ = ["main"]
