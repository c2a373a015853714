"""`chainrule train FILE --target t`, as somebody types it, on a table whose numbers are of some size."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from chainrule.cli.app import app
from chainrule.loop import History
from chainrule.saving.runs import HISTORY
from learning.data import load
from learning.trials import WORST, Outcome


@dataclass(frozen=True)
class Command:
    """A data set with all its numbers multiplied by a scale: columns, and targets that are numbers."""

    data: str
    scale: float
    seed: int


def train(command: Command) -> Outcome:
    """Write the table, run the command, and read from the run folder what it came to."""
    data = load(command.data)
    is_numbers = data.task == "numbers"
    frame = pd.DataFrame(data.x * command.scale, columns=[f"x{k}" for k in range(data.x.shape[1])])
    frame["t"] = data.t * command.scale if is_numbers else [f"class {label}" for label in data.t]
    with tempfile.TemporaryDirectory() as name:
        table, out = Path(name, "table.csv"), Path(name, "run")
        frame.to_csv(table, index=False)
        task = ["--task", "regression"] if is_numbers else []
        options = ["--target", "t", *task, "--seed", str(command.seed), "--no-check", "--out", str(out)]
        result = CliRunner().invoke(app, ["train", str(table), *options])
        if result.exit_code:
            return Outcome(WORST, diverged=True)
        history = vars(History.load(out / HISTORY))
    measure = history["test_loss" if is_numbers else "test_accuracy"][-1]
    dead = [share[-1] for layer in history["health"]["layers"].values() if (share := layer.get("dead"))]
    score = max(WORST, 1 - measure) if is_numbers else measure
    return Outcome(float(np.nan_to_num(score, nan=WORST)), dead=max(dead, default=0.0))
