"""A process that tries some files and says, a line for each, what came of it. A file that kills it is so known."""

from __future__ import annotations

import faulthandler
import resource
import sys
from pathlib import Path

from fuzz.trying import MEGABYTES, attempts
from speed.memory import peak_memory

STUCK = 60.0
"""Seconds after which a file that holds the process is given up."""


def main(seed: int, start: int, stop: int, folder: Path) -> None:
    """Try these files."""
    bound = peak_memory() + (4_000 + MEGABYTES) * 1_000_000  # a bomb must not take the machine with it
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    faulthandler.dump_traceback_later(STUCK, exit=True)
    for outcome in attempts(seed, range(start, stop), folder):
        print(outcome.to_json(), flush=True)
        faulthandler.dump_traceback_later(STUCK, exit=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
