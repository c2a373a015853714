"""Python programs in processes of their own: where that is safe, forks, for which all that they import is there.

An interpreter that imports scikit-learn, pandas and matplotlib works for seconds before the program does.
"""

# ruff: noqa: SIM115  # the streams last as long as the process
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
COMMAND = "from chainrule.cli import main; main()"


def usual_signals() -> None:
    """A job in the background ignores some, and its children with it."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def started(
    code: str,
    *words: str,
    env: Mapping[str, str] | None = None,
    before: Callable[[], Any] = usual_signals,
    fork: bool = True,
) -> Any:
    """A process, as of `subprocess.Popen`, that runs the code with these words behind its name in `sys.argv`.

    Warnings are errors. `before` is called first of all in it, where the system has forks. Without `fork` it is an
    interpreter that starts: processes of joblib do not start from a fork.
    """
    if fork and sys.platform == "linux":
        return Fork(code, words, env or {}, before)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
        preexec_fn=before if os.name == "posix" else None,
    )


def finished(code: str, *words: str, timeout: float = 240, **more: Any) -> tuple[int, str, str]:
    """Run the code to its end: the exit status, and what it printed."""
    child = started(code, *words, **more)
    out, err = child.communicate(timeout=timeout)
    return child.returncode, out, err


class Fork:
    """A fork of this process, with what the tests need of `subprocess.Popen`."""

    def __init__(
        self, code: str, words: tuple[str, ...], env: Mapping[str, str], before: Callable[[], Any]
    ) -> None:
        read, write = os.pipe()
        self.returncode: int | None = None
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.dup2(write, 1)
                os.dup2(self._errors.fileno(), 2)
                os.close(read)
                os.close(write)
                status = _run(code, words, env, before)
            finally:
                os._exit(status)
        os.close(write)
        self.stdout = open(read, encoding="utf-8")

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        """What it prints up to its end. It is killed when the time has passed."""
        timer = threading.Timer(timeout, os.kill, (self.pid, signal.SIGKILL))
        timer.start()
        try:
            with self.stdout:
                out = self.stdout.read()
            _, status = os.waitpid(self.pid, 0)
        finally:
            timer.cancel()
        self.returncode = os.waitstatus_to_exitcode(status)
        with self._errors:
            self._errors.seek(0)
            return out, self._errors.read()


def _run(code: str, words: tuple[str, ...], env: Mapping[str, str], before: Callable[[], Any]) -> int:
    """The exit status of the program, which has streams of its own."""
    sys.stdin = sys.__stdin__ = open(os.devnull, encoding="utf-8")
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = open(2, "w", 1, encoding="utf-8", closefd=False)  # type: ignore[misc]
    os.environ.update(env)
    sys.argv = ["-c", *words]
    status = 1
    try:
        before()
        warnings.resetwarnings()
        warnings.simplefilter("error")
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    return status
