"""Reading large tables: `load_table` beside `pandas.read_csv`, in turn, in fresh processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROUNDS = 5
SHAPES = {"wide": (500, 10_000), "long": (1_000_000, 20)}
CODE = """
import json, sys, time
import pandas
import chainrule as cr
from speed.memory import peak_memory
held, begin = peak_memory(), time.perf_counter()
{call}
print(json.dumps([time.perf_counter() - begin, (peak_memory() - held) / 1e6]))
"""
CALLS = {
    "chainrule": "table = cr.datasets.load_table(sys.argv[1], 't')",
    "pandas": "frame = pandas.read_csv(sys.argv[1])",
}


@dataclass(frozen=True)
class Cost:
    """Medians over the rounds; or what failed."""

    seconds: float = float("nan")
    megabytes: float = float("nan")
    failed: str = ""


def measured(path: Path, rounds: int = ROUNDS) -> dict[str, Cost]:
    """What each reader costs."""
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in CALLS}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for name, call in CALLS.items():
            if name in failed:
                continue
            command = [sys.executable, "-c", CODE.format(call=call), str(path)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
            )
            if done.returncode:
                failed[name] = done.stderr.strip().splitlines()[-1]
            else:
                seconds, megabytes = json.loads(done.stdout)
                costs[name].append((seconds, megabytes))
    medians = {
        name: Cost(statistics.median(s for s, _ in of), statistics.median(m for _, m in of))
        for name, of in costs.items()
        if of
    }
    return medians | {name: Cost(failed=line) for name, line in failed.items()}


def write(path: Path, rows: int, columns: int) -> None:
    """A table of numbers with a target t of three classes. Rows come again after ten thousand."""
    rng = np.random.default_rng(0)
    some = min(rows, 10_000)
    x = rng.normal(size=(some, columns - 1))
    lines = [",".join(f"{value:.6g}" for value in row) + f",{'abc'[k % 3]}\n" for k, row in enumerate(x)]
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*(f"x{k}" for k in range(columns - 1)), "t"]) + "\n")
        for _ in range(rows // some):
            file.writelines(lines)
