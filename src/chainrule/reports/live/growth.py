"""The growing report: read from the run folder as the training writes it, and made anew when it is asked for."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from chainrule.drawing.page import as_html, as_json, asset, page, render
from chainrule.errors import FileError
from chainrule.loop.history_lines import HistoryTail
from chainrule.reports.curves import curves, health
from chainrule.reports.parts import SCRIPTS, STYLES, Card, Section, body_of
from chainrule.reports.run import TrainingRun
from chainrule.reports.run_page import cards, findings
from chainrule.saving.evaluations import About
from chainrule.saving.locks import is_locked
from chainrule.saving.runs import GRAPH, HISTORY, LOCK, REPORT, RUN, RunRecord, record_of
from chainrule.text import duration, percent

SHARE = 0.01
"""The share of the time that making the report anew may take from the training."""
SECONDS = 1.0
"""It is not made anew more often than this."""


@dataclass(frozen=True)
class Grown:
    """The report as it was at one moment: its HTML, and its charts."""

    version: int
    body: str
    charts: list[dict[str, Any]]

    @cached_property
    def json(self) -> bytes:
        """For the script of the page."""
        return as_json({"version": self.version, "body": self.body, "charts": self.charts}).encode()


class Growth:
    """The report of the run in a folder, which may be there only later. Threads may ask at the same time.

    A run that has ended before is not the one that is waited for, unless it goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tail = HistoryTail(folder / HISTORY)
        self._lock = threading.Lock()
        self._began = time.time()
        before = self._record()
        self._before = before.id if before is not None and self._is_over(before) else ""
        self._made, self._made_at, self._cost = self._make(None), time.monotonic(), 0.0

    @property
    def is_over(self) -> bool:
        """Whether the run has begun, and has ended, was interrupted or killed."""
        record = self._record()
        return record is not None and self._is_awaited(record) and self._is_over(record)

    def now(self, at_once: bool = False) -> Grown:
        """The report now, or unless `at_once` as it was a moment ago: of the time, a hundredth is spent on it."""
        with self._lock:
            if not at_once and time.monotonic() - self._made_at < max(SECONDS, self._cost / SHARE):
                return self._made
            begun = time.thread_time()
            record = self._record()
            try:
                has_more = self._tail.read()
            except FileError:  # it is being replaced
                has_more = False
            goes_on = self._is_waiting and record is not None and self._is_awaited(record)
            if has_more or goes_on:
                self._made = self._make(record)
                assert self._made.json  # made here, where its time is counted
            self._made_at, self._cost = time.monotonic(), time.thread_time() - begun
            return self._made

    def page(self) -> str:
        """A page of the report as it is now, which asks for more."""
        made = self.now()
        data = {"charts": made.charts, "live": {"version": made.version, "folder": str(self.folder)}}
        title = f"{self.folder.name}: training"
        return page(
            title,
            made.body,
            data=data,
            styles=STYLES,
            scripts=(*SCRIPTS, "reports/live.js"),
            asks_its_server=True,
        )

    @property
    def has_last_page(self) -> bool:
        """Whether the training has written its report, since this began."""
        return self._is_new(REPORT)

    def last_page(self) -> bytes:
        """The report that the training has written, with the page of the network in it."""
        content = (self.folder / REPORT).read_bytes()
        graph = self.graph_page()
        if graph is None:
            return content
        last = render(
            "reports/last.html",
            graph=as_html(as_json(graph.decode(errors="replace"))),
            script=as_html(asset("reports/last.js")),
        )
        head, end, tail = content.rpartition(b"</body>")
        return head + last.encode() + end + tail

    def graph_page(self) -> bytes | None:
        """The page of the trained network, where there is one."""
        return (self.folder / GRAPH).read_bytes() if self._is_new(GRAPH) else None

    def _is_new(self, name: str) -> bool:
        """Whether a file was written since this began."""
        try:
            return (self.folder / name).stat().st_mtime > self._began - 1
        except OSError:
            return False

    def _record(self) -> RunRecord | None:
        try:
            return record_of(self.folder)
        except (FileError, OSError):
            return None

    def _is_awaited(self, record: RunRecord) -> bool:
        """Whether it is none that had ended before, or goes on."""
        if record.id == self._before and not self._is_over(record):
            self._before = ""
        return record.id != self._before

    def _is_over(self, record: RunRecord) -> bool:
        return record.state != "running" or not is_locked(self.folder / LOCK)

    def _make(self, record: RunRecord | None) -> Grown:
        version = 1 + (self._made.version if hasattr(self, "_made") else 0)
        name = self.folder.resolve().name
        is_over = self._is_waiting = record is not None and not self._is_awaited(record)
        if record is None or is_over or self._tail.run != record.id:
            told = {"folder": str(self.folder), "record": RUN, "is_over": is_over}
            lead = "The training has ended." if is_over else "The training has not begun."
            return Grown(version, *body_of(name, lead, [Section("findings", "Waiting", "waiting", told)], []))
        run = TrainingRun(
            name=name,
            history=replace(self._tail.history, settings={**_given(record), **self._tail.history.settings}),
            about=About(command=str(record.settings.get("command", ""))),
        )
        planned = _planned(record, run)
        layers = health(run)
        sections = [
            findings(run),
            curves(run, with_table=False),
            layers if layers and layers.charts else None,
        ]
        shown = [section for section in sections if section is not None]
        lead = "It is training; this page grows with it." if not run.history.stopped else _LAST
        found = [_progress(run, planned), *cards(run)]
        return Grown(version, *body_of(name, lead, shown, found))


_LAST = "The training has ended; its report is being made."


def _given(record: RunRecord) -> dict[str, Any]:
    """The options of the command that the run was begun with."""
    options = record.settings.get("options")
    return (
        {name: each for name, each in options.items() if each is not None}
        if isinstance(options, dict)
        else {}
    )


def _planned(record: RunRecord, run: TrainingRun) -> int:
    """How many iterations there will be; 0 where the record does not say."""
    given = _given(record)
    iterations, epochs = given.get("iterations"), given.get("epochs")
    if isinstance(iterations, int):
        return iterations
    return epochs * run.epoch_length if isinstance(epochs, int) else 0


def _progress(run: TrainingRun, planned: int) -> Card:
    done = len(run.loss)
    if not planned:
        return Card("Progress", f"{done:,}", "iterations so far")
    left = (planned - done) * run.seconds / done if done and not run.history.stopped else math.nan
    soon = f", about {duration(left)} left" if math.isfinite(left) and left > 0 else ""
    return Card("Progress", percent(done / planned, 0), f"{done:,} of {planned:,} iterations{soon}")
