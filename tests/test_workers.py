"""In the workers of joblib and of multiprocessing, a training leaves the other cores to the other workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainrule.program import threads

SCRIPT = '''
import json, multiprocessing, sys, types
import numpy as np
import chainrule as cr
from chainrule.program import machine, table


def look(_):
    """How many threads a training starts."""
    table.PART, table.LEAST_ROWS = 1, 2
    started = []
    start = machine._thread.start_new_thread

    def watched_start(function, arguments):
        started.append(function)
        return start(function, arguments)

    def net(width):
        layers = cr.Affine(width), cr.ReLU(), cr.Affine(4)
        return cr.Network(*layers, input_shape=6, loss=cr.SoftmaxCrossEntropy(), seed=0)

    x, t = np.ones((64, 6), "float32"), np.zeros(64, int)
    small = net(8)
    small.fit(x, t, iterations=1, batch_size=32)
    machine._thread = types.SimpleNamespace(start_new_thread=watched_start)
    small.fit(x, t, iterations=20, batch_size=32)
    return {"helpers": bool(started)}


def main(kind):
    if kind == "alone":
        return look(0)
    if kind in ("loky", "multiprocessing"):
        from joblib import Parallel, delayed

        return Parallel(n_jobs=2, backend=kind)(delayed(look)(k) for k in range(1))[0]
    with multiprocessing.get_context(kind).Pool(1) as pool:
        return pool.map(look, [0])[0]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
'''


def used(kind: str, folder: Path, **environment: str) -> Any:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    inherited = {name: value for name, value in os.environ.items() if name not in threads.LIMITS}
    done = subprocess.run(
        [sys.executable, str(script), kind],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["loky", "multiprocessing", "spawn"])
def test_a_worker_uses_one_thread(kind: str, tmp_path: Path) -> None:
    assert used(kind, tmp_path) == {"helpers": False}


@pytest.mark.skipif(threads.cores() < 2, reason="one core: all use one thread")
def test_a_process_of_its_own_uses_two_threads(tmp_path: Path) -> None:
    assert used("alone", tmp_path) == {"helpers": True}


def test_the_environment_says_how_many(tmp_path: Path) -> None:
    assert used("alone", tmp_path, OMP_NUM_THREADS="1") == {"helpers": False}


def test_the_default_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 8)
    for name in threads.LIMITS:
        monkeypatch.delenv(name, raising=False)
    assert threads.default_threads() == 8
    monkeypatch.setattr(threads, "is_worker", lambda: True)
    assert threads.default_threads() == 1
    for value, expected in (("4", 4), ("16", 8), ("3,2", 3), ("", 1), ("0", 1), ("many", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert threads.default_threads() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert threads.default_threads() == 2
