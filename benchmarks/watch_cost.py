"""What `chainrule train --watch` adds to a training while a page is open, in processor time.

    python benchmarks/watch_cost.py                          # medians of five pairs; some minutes
    python benchmarks/watch_cost.py --rounds 3 --iterations 50000

The whole command is timed, its imports and its report included, in turns with and without the option, on one
thread: other programs on the machine hardly change processor time. A page is played by asking for what has grown
once a second, as the page's script does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path


def train(folder: Path, iterations: int, *, watched: bool) -> float:
    """Seconds of processor time that a training takes."""
    command = [
        sys.executable,
        "-c",
        "from chainrule.cli import main; main()",
        "train",
        "digits",
        "--no-check",
    ]
    command += ["--iterations", str(iterations), "--out", str(folder), *(["--watch"] if watched else [])]
    before = os.times()
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_thread) as process:
        assert process.stdout is not None
        if watched:
            ask(process.stdout.readline().split()[-1])
        process.stdout.read()
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def ask(address: str) -> None:
    """Open the page, and ask for more until the training has ended."""
    urllib.request.urlopen(address).read()
    answer = {"version": 0}
    while "over" not in answer:
        time.sleep(1)
        try:
            answer = json.load(urllib.request.urlopen(f"{address}growth?version={answer['version']}"))
        except OSError:  # the training ended, and its server with it
            return
    urllib.request.urlopen(address).read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=100_000)
    given = parser.parse_args()
    plain: list[float] = []
    watched: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        for k in range(given.rounds):
            for is_watched in (False, True) if k % 2 else (True, False):
                taken = train(Path(place) / f"{k}-{is_watched}", given.iterations, watched=is_watched)
                (watched if is_watched else plain).append(taken)
            print(f"round {k + 1}: {plain[-1]:.2f} s without, {watched[-1]:.2f} s with --watch", flush=True)
    without, with_it = statistics.median(plain), statistics.median(watched)
    print(f"medians: {without:.2f} s and {with_it:.2f} s: {100 * (with_it / without - 1):+.1f} %")


if __name__ == "__main__":
    main()
