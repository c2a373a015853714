"""`cr.watch`: a run in view while it trains."""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from chainrule.elsewhere import run_of_estimator
from chainrule.errors import ArgumentError, FileError
from chainrule.reports.live.growth import Growth
from chainrule.reports.live.server import ReportServer
from chainrule.saving.run_parts import folder_of

LOOKS = 0.5
"""Seconds between looks at whether the run has ended."""
GRACE, PATIENCE = 8.0, 5.0
"""Seconds that an open page has at the end to fetch the last report, and that this is waited for."""


class Watching(AbstractContextManager["Watching"]):
    """A run folder that is served while its run trains. `cr.watch` makes it.

    It ends with the training, and with this process; `close` ends it before, and `wait` waits for its end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = ReportServer(Growth(folder))
        self.address = self._server.address
        self._closed = threading.Event()
        serving = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": LOOKS}, name="report", daemon=True
        )
        self._threads = [serving, threading.Thread(target=self._follow, name="report's end", daemon=True)]
        for thread in self._threads:
            thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run has ended and the open pages have its report. Whether that was within `timeout`."""
        return self._closed.wait(timeout)

    def close(self) -> None:
        """End it; a page that is open fetches the last report first."""
        self._end()
        self._threads[0].join(GRACE)

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Watching {self.folder} at {self.address}{', ended' if self._closed.is_set() else ''}>"

    def _follow(self) -> None:
        while not self._closed.wait(LOOKS):
            if self._server.growth.is_over:
                self._end()

    def _end(self) -> None:
        if self._closed.is_set():
            return
        self._server.end(PATIENCE)
        until = time.monotonic() + GRACE
        while self._server.is_watched and time.monotonic() < until:
            if self._server.has_told_the_end.wait(0.1):
                break
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()


def watch(run: str | os.PathLike[str]) -> Watching:
    """Serve the report of a run while it trains, on the loopback address, which is printed.

    `run` is the folder that `fit(..., checkpoint=cr.Checkpoint(folder))` or `chainrule train` writes, in this
    process or in another; the run may begin later. The page grows by itself, and ends with the training.

    Raises: ArgumentError for what is no path; FileError for a file that is no folder.
    """
    made = watching(run)
    print(f"watch the training at {made.address}", flush=True)
    return made


def watching(run: Any) -> Watching:
    """As `watch`, and nothing is printed."""
    if not isinstance(run, (str, os.PathLike)):
        advice = run_of_estimator(run)
        raise ArgumentError(
            f"watch: expected the folder of a run, as a path or text, got {type(run).__name__}"
            f"{advice and '; '}{advice}"
        )
    folder = folder_of(run)
    if folder.exists() and not folder.is_dir():
        raise FileError(f"watch: expected a run folder, got the file {folder}")
    try:
        return Watching(folder)
    except OSError as error:
        raise FileError(
            f"watch: could not serve on the loopback address: {error.strerror or error}"
        ) from error
