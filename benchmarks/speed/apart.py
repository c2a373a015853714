"""A process for each contestant of a script that stands alone, stopped while another is timed.

The script starts itself again, with arguments that say who it is to be, and then answers questions, each a
line of JSON. Threads that wait for work by turning, as those of OpenMP and of OpenBLAS do, would take a core
from the others: a stopped process takes none.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Any, Self


class Missing(Exception):
    """A contestant that cannot take part, with what it said."""


class Apart:
    """One contestant. It is woken by a question, and stopped again behind its answer."""

    def __init__(
        self, arguments: list[str], log: IO[str], variables: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, sys.argv[0], *arguments],
            env={**os.environ, **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # also ends a process that is stopped
        self._process.communicate()

    def ask(self, **request: Any) -> Any:
        """Its answer. Raises Missing with what went wrong."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Missing(f"its process ended with status {self._process.wait()}")
        self._process.send_signal(signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise Missing(answer["error"])
        return answer["answer"]


def serve(make: Callable[[], Callable[..., Any]]) -> None:
    """Be the contestant: make what answers when first asked, and answer until the questions end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    answer: Callable[..., Any] | None = None
    for line in sys.stdin:
        try:
            answer = answer or make()
            reply: dict[str, Any] = {"answer": answer(**json.loads(line))}
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"}
        print(json.dumps(reply), file=answers, flush=True)
