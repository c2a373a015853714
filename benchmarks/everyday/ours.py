"""The command line on a table, as somebody types it: train, evaluate, predict, report, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from chainrule.arrays import Array
from chainrule.incoming import looks_missing
from chainrule.randomness import held_out

TEST_SHARE = 0.2  # the command's default


@dataclass(frozen=True)
class Rows:
    """A table as text, without rows that have no target; its targets; and which rows are held out for testing."""

    cells: pd.DataFrame
    t: Array
    task: str
    test: Array


@dataclass(frozen=True)
class Came:
    """What the commands came to: a score, or the last line of the one that failed."""

    score: float = float("nan")
    failed: str = ""
    same_rows: bool = True


def trained(path: Path, target: str, seed: int, folder: Path) -> str:
    """`chainrule train`: "" or what it failed with."""
    return _command("train", path, "--target", target, "--seed", seed, "--out", folder)


def rows_of(path: Path, target: str, task: str, seed: int) -> Rows:
    """The rows, and those that `chainrule train` holds out with this seed."""
    cells = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    known = ~cells[target].map(looks_missing).to_numpy(bool)
    cells = cells[known].reset_index(drop=True)
    t = pd.to_numeric(cells[target], errors="coerce").to_numpy()
    if np.isnan(t).any():
        t = cells[target].str.strip().to_numpy(str)
    groups = np.unique(t, return_inverse=True)[1] if task == "classification" else None
    return Rows(cells, t, task, held_out(len(t), TEST_SHARE, seed, groups))


def task_of(folder: Path) -> str:
    """What the trained model takes the target for."""
    import chainrule as cr

    task: str = cr.load(folder / "model.safetensors").metadata["task"]
    return task


def judged(rows: Rows, target: str, folder: Path) -> Came:
    """Evaluate and predict the rows held out, from a file of their own, and make the report anew."""
    model, file, answers = folder / "model.safetensors", folder / "test.csv", folder / "predicted.csv"
    rows.cells[rows.test].to_csv(file, index=False)
    for words in (
        ("evaluate", model, file),
        ("predict", model, file, "--out", answers),
        ("report", folder, "--force"),
    ):
        if failed := _command(*words):
            return Came(failed=f"{words[0]}: {failed}")
    predicted = pd.read_csv(answers, dtype=str, keep_default_na=False)[target].to_numpy(str)
    t = rows.t[rows.test]
    if rows.task == "regression":
        reached = score(rows.task, t, predicted.astype(float))
    else:
        reached = float(np.mean([a == b for a, b in zip(_alike(predicted), _alike(t), strict=True)]))
    about = json.loads((folder / "evaluation.json").read_text())["about"]
    return Came(reached, same_rows=about["test_samples"] == int(rows.test.sum()))


def score(task: str, t: Array, predicted: Array) -> float:
    """The accuracy, or R² on these rows."""
    if task == "classification":
        return float((t == predicted).mean())
    return float(1 - ((t - predicted) ** 2).sum() / ((t - t.mean()) ** 2).sum())


def _alike(classes: Array) -> list[str]:
    """Classes as text: 3 for 3.0."""
    return [str(each).removesuffix(".0").strip() for each in classes.tolist()]


def _command(*words: object) -> str:
    command: Sequence[str] = [sys.executable, "-m", "chainrule", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return lines[-1]
