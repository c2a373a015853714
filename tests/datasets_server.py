"""A web server on 127.0.0.1 that misbehaves in the ways that mirrors do, and IDX content to serve."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

IDX_CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def written(array: np.ndarray) -> bytes:
    """An array as an IDX file."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    numbers = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return bytes([0, 0, IDX_CODES[array.dtype.name], array.ndim]) + sizes + numbers


# What is done with one request, given the handler and the content that would have been right.
Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


def good(request: BaseHTTPRequestHandler, content: bytes) -> None:
    _head(request, len(content))
    request.wfile.write(content)


def status(code: int) -> Behaviour:
    return lambda request, _: request.send_error(code)


def instead(other: bytes) -> Behaviour:
    """Other content, sent as if it were right."""
    return lambda request, _: good(request, other)


def broken_off(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """Half of what was promised, then the connection ends."""
    _head(request, len(content))
    request.wfile.write(content[: len(content) // 2])


def stalled(seconds: float) -> Behaviour:
    """A promise, then nothing."""

    def behave(request: BaseHTTPRequestHandler, content: bytes) -> None:
        _head(request, len(content))
        request.wfile.flush()
        time.sleep(seconds)

    return behave


def dripping(bytes_at_once: int, pause: float) -> Behaviour:
    """Never silent for long, and never done."""

    def behave(request: BaseHTTPRequestHandler, content: bytes) -> None:
        _head(request, 1 << 20)
        for _ in range(200):
            request.wfile.write(b"x" * bytes_at_once)
            time.sleep(pause)

    return behave


def flooding(request: BaseHTTPRequestHandler, content: bytes) -> None:
    """No promise of a length, and far too much."""
    request.send_response(200)
    request.end_headers()
    for _ in range(1000):
        request.wfile.write(b"x" * 65536)


def _head(request: BaseHTTPRequestHandler, length: int) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(length))
    request.end_headers()


@contextlib.contextmanager
def serve(files: dict[str, bytes], behaviour: Behaviour = good) -> Iterator[tuple[str, list[str]]]:
    """Serve `files`, each in the same way; yields the address and the list of the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            # A client that gives up closes its end; that is what is tested, not an error.
            with contextlib.suppress(ConnectionError):
                behaviour(self, files[self.path.rsplit("/", 1)[-1]])

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
