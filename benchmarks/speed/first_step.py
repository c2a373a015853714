"""A new process that imports a peer and trains for one step of W1, on the first 1,000 images.

python -m speed.first_step PEER VARIANT FOLDER STARTED
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from peers.registry import load
from peers.task import Data
from speed.memory import peak_memory
from speed.workloads import W1


def main() -> None:
    """Print the seconds of the import, from there to the end of the first step, from STARTED to it; and memory."""
    peer, variant, folder, started = sys.argv[1:]
    data, weights = Data.of(W1, Path(folder), only=1000), W1.weights()
    rows = np.random.default_rng(0).integers(len(data.x), size=(2, W1.batch))
    start = time.perf_counter()
    kind = load(peer)
    imported = time.perf_counter()
    ready = kind(W1, data, rows, variant, os.cpu_count() or 1)
    ready.reset(weights)
    ready.train(0, 1)
    done, total = time.perf_counter(), time.time() - float(started)
    times = {"imported": imported - start, "first_step": done - imported, "total": total}
    print(json.dumps({**times, "bytes": peak_memory()}))


if __name__ == "__main__":
    main()
