"""The progress bar of a training, in a terminal or a notebook."""

from __future__ import annotations

import sys
import time
from typing import Any

from chainrule.loop.callbacks import Callback, Run


class ProgressBar(Callback):
    """A bar with the loss, the accuracy, the speed and the time left."""

    every_iteration = False

    def __init__(self, seconds_between_updates: float = 0.1) -> None:
        self._between = seconds_between_updates
        self._bar: Any = None
        self._next = 0.0

    def on_start(self, run: Run) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            transient=False,
        )
        self._task = self._bar.add_task("", total=run.total, note="")
        self._bar.start()

    def on_iteration(self, run: Run) -> None:
        now = time.perf_counter()
        if now >= self._next:
            self._next = now + self._between
            self._show(run)

    def on_end(self, run: Run) -> None:
        if self._bar is not None:
            self._show(run)
            self._bar.stop()
            self._bar = None

    def _show(self, run: Run) -> None:
        note = f"loss {run.history.loss[-1]:.4g}" if run.history.loss else ""
        for name in ("test_accuracy", "train_accuracy"):
            value = run.history.latest(name)
            if value is not None:
                note += f"  {name.replace('_', ' ')} {value:.4f}"
                break
        self._bar.update(self._task, completed=run.iteration, note=note)


def is_watched() -> bool:
    """Whether somebody can see a progress bar: standard output is a terminal, or a notebook shows it."""
    return (sys.stdout is not None and sys.stdout.isatty()) or "ipykernel" in sys.modules
