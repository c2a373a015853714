"""A process that tries some files and says, a line for each, what came of it. A file that kills it is so known."""

from __future__ import annotations

import faulthandler
import resource
import sys
from pathlib import Path

from fuzz.readers import NAMED
from fuzz.trying import attempts
from speed.memory import peak_memory

STUCK = 60.0
"""Seconds after which a file that holds the process is given up."""


def main(name: str, seed: int, start: int, stop: int, folder: Path) -> None:
    """Try these files."""
    reader = NAMED[name]
    bound = peak_memory() + int((4_000 + reader.megabytes) * 1e6)  # a bomb must not take the machine with it
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    faulthandler.dump_traceback_later(STUCK, exit=True)
    for outcome in attempts(reader, seed, range(start, stop), folder):
        print(outcome.to_json(), flush=True)
        faulthandler.dump_traceback_later(STUCK, exit=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    name, seed, start, stop, folder = sys.argv[1:]
    main(name, int(seed), int(start), int(stop), Path(folder))
