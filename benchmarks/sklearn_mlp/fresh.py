"""Fits in processes of their own: the first call of all, and the most memory that a fit takes."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from sklearn_mlp.data import load as data_of
from sklearn_mlp.estimators import OURS, THEIRS, made
from sklearn_mlp.workloads import LBFGS, SMALL, SPARSE, WIDE, WORDS, Workload
from speed.memory import peak_memory

FIRST = (
    Workload(SMALL, "adam", (100,), 1_000, 20, 50),
    Workload(SMALL, "adam", (100,), 1_000, 20, 50, dtype="float32"),
)
HELD = (
    Workload(SMALL, "adam", (100,), 10_000, 100, 3),
    Workload(SMALL, "sgd", (50, 50), 100_000, 20, 1),
    Workload(SMALL, "adam", (100,), 100_000, 100, 1, dtype="float32"),
    Workload(WIDE, "adam", (512, 512), 10_000, 100, 1),
    Workload(LBFGS, "lbfgs", (100,), 10_000, 100, 5),
    Workload(SPARSE, "adam", (100,), 5_000, WORDS, 1),
    Workload(SPARSE, "adam", (100,), 5_000, WORDS, 1, dtype="float32"),
)
Found = dict[str, dict[str, float]]


def measured(loads: Iterable[Workload], rounds: int) -> dict[Workload, Found]:
    """The medians of fresh processes, by turns: seconds of fit and predict, and bytes of the fit."""
    return {load: _of(load, rounds) for load in loads}


def _of(load: Workload, rounds: int) -> Found:
    found: dict[str, list[dict[str, float]]] = {OURS: [], THEIRS: []}
    with tempfile.TemporaryDirectory() as folder:
        X, y = data_of(load)
        _save(Path(folder), X, y)
        for number in range(rounds):
            for who in list(found) if number % 2 else reversed(found):
                command = [sys.executable, "-m", "sklearn_mlp.fresh", folder, who, json.dumps(asdict(load))]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[who].append(json.loads(done.stdout))
    return {
        who: {key: statistics.median(one[key] for one in each) for key in each[0]}
        for who, each in found.items()
    }


def _save(folder: Path, X: Any, y: Any) -> None:
    np.save(folder / "y.npy", y)
    if not isinstance(X, np.ndarray):
        scipy.sparse.save_npz(folder / "X.npz", X, compressed=False)
    else:
        np.save(folder / "X.npy", X)


def _once(folder: Path, who: str, load: Workload) -> dict[str, float]:
    """What the process does: it reads the data, and fits once. Imports do not count."""
    sparse = folder / "X.npz"
    X: Any = scipy.sparse.load_npz(sparse) if sparse.exists() else np.load(folder / "X.npy")
    y, estimator = np.load(folder / "y.npy"), made(who, load)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is from now on
    held, begin = peak_memory(), time.perf_counter()
    estimator.fit(X, y)
    fitted, peak = time.perf_counter(), peak_memory()
    estimator.predict(X)
    return {"fit": fitted - begin, "predict": time.perf_counter() - fitted, "bytes": peak - held}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    described = json.loads(sys.argv[3])
    described["hidden"] = tuple(described["hidden"])
    print(json.dumps(_once(Path(sys.argv[1]), sys.argv[2], Workload(**described))))
