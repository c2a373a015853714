"""The progress bar of a training, in a terminal or a notebook."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any, Protocol

from chainrule.loop.callbacks import Callback, Run
from chainrule.text import duration

BLUE, GREEN, ORANGE, RED = "#3b82f6", "#2da44e", "#e07b1a", "#e5484d"


class ProgressBar(Callback):
    """A bar with the loss, the accuracy and the time left."""

    every_iteration = False

    def __init__(self, seconds_between_updates: float = 0.1) -> None:
        self._between = seconds_between_updates
        self._bar: Bar | None = None
        self._next = 0.0

    def on_start(self, run: Run) -> None:
        self._bar = NotebookBar(run) if is_in_notebook() else TerminalBar(run)
        self._next = time.perf_counter() + self._between

    def on_iteration(self, run: Run) -> None:
        now = time.perf_counter()
        if self._bar is not None and now >= self._next:
            self._next = now + self._between
            self._bar.update(run)

    def on_end(self, run: Run) -> None:
        if self._bar is not None:
            self._bar.close(run)
            self._bar = None


class Bar(Protocol):
    """A bar on somebody's screen, shown from the moment it is made."""

    def update(self, run: Run) -> None:
        """Show how far the training has come."""

    def close(self, run: Run) -> None:
        """Show how it ended, and leave it there."""


class TerminalBar:
    """A bar by rich."""

    def __init__(self, run: Run) -> None:
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

    def update(self, run: Run) -> None:
        self._bar.update(self._task, completed=run.iteration, note=_note(run))

    def close(self, run: Run) -> None:
        self.update(run)
        self._bar.stop()


class NotebookBar:
    """A bar in the output of a notebook's cell: HTML that IPython replaces. Nothing else need be installed."""

    def __init__(self, run: Run) -> None:
        from IPython.display import display

        self._start = time.perf_counter()
        self._output: Any = display(self._state_of(run), display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types

    def update(self, run: Run) -> None:
        self._output.update(self._state_of(run))

    def close(self, run: Run) -> None:
        ending = run.history.stopped or "finished"
        failed = run.failed or ending.startswith("diverged")
        colour = RED if failed else GREEN if ending == "finished" else ORANGE
        self._output.update(self._state_of(run, ending, colour))

    def _state_of(self, run: Run, ending: str = "", colour: str = BLUE) -> BarState:
        passed = time.perf_counter() - self._start
        text = [f"{run.iteration:,} of {run.total:,}", *_note(run).split("  ")]
        if ending:
            text += [duration(passed), ending]
        elif run.iteration:
            text.append(f"{duration(passed * (run.total / run.iteration - 1))} left")
        return BarState(run.iteration / run.total, [each for each in text if each], colour)


class BarState:
    """The bar at one moment, as text and as HTML in the colours of the notebook around it."""

    def __init__(self, share: float, text: list[str], colour: str) -> None:
        self._share, self._text, self._colour = share, text, colour

    def __repr__(self) -> str:
        return f"training: {', '.join(self._text)}"

    def _repr_html_(self) -> str:
        percent = f"{100 * self._share:.1f}"
        words = "".join(f"<span>{escape(each)}</span>" for each in self._text)
        return (
            '<div class="mathjax_ignore tex2jax_ignore" style="display:flex;flex-wrap:wrap;align-items:center;'
            "gap:2px 14px;color:inherit;background:transparent;font-variant-numeric:tabular-nums;"
            'overflow-wrap:anywhere">'
            f'<div role="progressbar" aria-label="training" aria-valuenow="{percent}" '
            'style="flex:1 1 140px;max-width:320px;height:8px;border-radius:4px;overflow:hidden;'
            'background:rgba(128,128,128,.3)">'
            f'<div style="width:{percent}%;height:100%;background:{self._colour}"></div></div>{words}</div>'
        )


def _note(run: Run) -> str:
    note = f"loss {run.history.loss[-1]:.4g}" if run.history.loss else ""
    for name in ("test_accuracy", "train_accuracy"):
        value = run.history.latest(name)
        if value is not None:
            note += f"  {name.replace('_', ' ')} {value:.4f}"
            break
    return note


def is_in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook. IPython in a terminal is none."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    return getattr(shell, "kernel", None) is not None


def is_watched() -> bool:
    """Whether somebody can see a progress bar: standard output is a terminal, or a notebook shows it."""
    return (sys.stdout is not None and sys.stdout.isatty()) or is_in_notebook()
