"""What `chainrule train --watch` adds to a training while a page is open, in processor time.

    python benchmarks/watch_cost.py                          # medians of three pairs; some minutes
    python benchmarks/watch_cost.py --rounds 5 --iterations 200000

The whole command is timed, in turns with and without the option, its training on one thread. The page is served by
other threads, so what these take is compared, as a share of how long the watched command ran: what the training
itself takes differs more from run to run. A page is played by asking for what has grown once a second,
as its script does.
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

TIMED = """
import atexit, sys, time
atexit.register(lambda: print(time.process_time(), time.thread_time(), file=sys.stderr))
from chainrule.cli import main
main()
"""


def train(folder: Path, iterations: int, *, watched: bool) -> tuple[float, float]:
    """Seconds that a training takes, and the processor time of all its threads but its own."""
    command = [sys.executable, "-c", TIMED, "train", "digits", "--no-check"]
    command += ["--iterations", str(iterations), "--out", str(folder), *(["--watch"] if watched else [])]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=one_thread) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if watched:
            ask(process.stdout.readline().split()[-1])
        process.stdout.read()
        whole, own = map(float, process.stderr.read().split()[-2:])
    return time.perf_counter() - begun, whole - own


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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=100_000)
    given = parser.parse_args()
    shares = []
    with tempfile.TemporaryDirectory() as place:
        for k in range(given.rounds):
            _, others = train(Path(place) / f"{k}", given.iterations, watched=False)
            seconds, watching = train(Path(place) / f"{k}-watched", given.iterations, watched=True)
            shares.append((watching - others) / seconds)
            print(
                f"other threads {others:.2f} s; with --watch {watching:.2f} s of {seconds:.1f} s: "
                f"{100 * shares[-1]:+.2f} %",
                flush=True,
            )
    print(f"median: {100 * statistics.median(shares):+.2f} %")


if __name__ == "__main__":
    main()
