"""A server for one report on the loopback address, for the browsers of this machine alone."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from chainrule.reports.live.growth import Growth
from chainrule.saving.runs import GRAPH

HOST = "127.0.0.1"
HTML = "text/html; charset=utf-8"
POLLED = 3.0
"""A page that has asked in so many seconds is open, and waits for the last report."""


class ReportServer(ThreadingHTTPServer):
    """Serves the growing report of a run, and at its end the one that the training wrote."""

    daemon_threads = True

    def __init__(self, growth: Growth) -> None:
        self.growth = growth
        self.over = threading.Event()
        self.waits_until = 0.0
        self.asked_at = -1e9
        self.has_told_the_end = threading.Event()
        super().__init__((HOST, 0), _Handler)

    @property
    def address(self) -> str:
        """What a browser opens."""
        return f"http://{HOST}:{self.server_port}/"

    def end(self, patience: float) -> None:
        """The run is over: its report is waited for, for so many seconds."""
        self.waits_until = time.monotonic() + patience
        self.over.set()

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, and its report is there or is waited for no longer."""
        if not self.over.is_set():
            return False
        return time.monotonic() >= self.waits_until or self.growth.has_last_page

    @property
    def is_watched(self) -> bool:
        """Whether a page is open that asks for more."""
        return time.monotonic() - self.asked_at < POLLED

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that has gone away is no trouble of the training's."""


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    timeout = 10.0
    server_version, sys_version = "chainrule", ""

    def do_GET(self) -> None:  # as http.server names it
        """The page, or what has grown since."""
        if self.headers.get("Host") not in self._names():
            self.send_error(403, "Host: expected the address that was printed")
            return
        place = urlsplit(self.path)
        if place.path == "/":
            self._send_page()
        elif place.path == "/growth":
            self._send_growth(parse_qs(place.query).get("version", [""])[0])
        elif place.path == f"/{GRAPH}" and (content := self.server.growth.graph_page()) is not None:
            self._send(HTML, content)
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the training's."""

    def _names(self) -> set[str]:
        """What a browser of this machine calls this server; where a page elsewhere leads here, it is otherwise."""
        port = self.server.server_port
        return {f"{HOST}:{port}", f"localhost:{port}"}

    def _send_page(self) -> None:
        growth, is_over = self.server.growth, self.server.is_over
        self._send(HTML, growth.last_page() if is_over and growth.has_last_page else growth.page().encode())
        if is_over:
            self.server.has_told_the_end.set()

    def _send_growth(self, version: str) -> None:
        self.server.asked_at = time.monotonic()
        if self.server.is_over:
            self._send("application/json", self._end())
            return
        made = self.server.growth.now()
        is_known = str(made.version) == version
        content = json.dumps({"version": made.version}).encode() if is_known else made.json
        self._send("application/json", content)

    def _end(self) -> bytes:
        """That the run has ended; where it has written no report, with what there is of it."""
        if self.server.growth.has_last_page:
            return b'{"over": true, "has_page": true}'
        self.server.has_told_the_end.set()
        return b'{"over": true, "has_page": false, ' + self.server.growth.now(at_once=True).json[1:]

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)
