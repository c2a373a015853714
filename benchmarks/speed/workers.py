"""The workers seen from the run: started when first asked, stopped while others are timed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from peers.registry import Contender

HERE = Path(__file__).parents[1]


class WorkerError(Exception):
    """A worker could not do what it was asked."""


def environment(folder: Path, caches: Path | None = None) -> dict[str, str]:
    """The environment of a process of this run. What peers compile is cached in the folder, not in the user's."""
    caches = caches or folder / "caches"
    path = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "JAX_COMPILATION_CACHE_DIR": str(caches / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }


class Workers:
    """A process for each peer. Only the one that is asked runs.

    The others are stopped by a signal, since the threads of OpenMP and of OpenBLAS go on turning for a while
    after their work, each on a core that another's measurement needs.
    """

    def __init__(self, folder: Path, variables: dict[str, str] | None = None) -> None:
        self.folder, self.variables = folder, variables or {}
        self._processes: dict[tuple[Any, ...], subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End them all. Who is asked next is started anew."""
        for process in self._processes.values():
            process.kill()  # also ends a process that is stopped
            process.communicate()
        self._processes.clear()

    def ask(
        self, who: Contender, do: str, task: str, count: int, calls: int = 1, hidden: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Wake the worker, let it do one thing, and stop it again. Raises WorkerError with what it said."""
        process = self._process(who)
        process.send_signal(signal.SIGCONT)
        request = {"do": do, "task": task, "variant": who.variant, "threads": who.threads}
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(
                json.dumps({**request, "count": count, "calls": calls, "hidden": hidden}) + "\n"
            )
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"its process ended with status {process.wait()}")
        process.send_signal(signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _process(self, who: Contender) -> subprocess.Popen[str]:
        key = (who.peer, *who.environment.items())
        if key not in self._processes:
            self.folder.joinpath("logs").mkdir(exist_ok=True)
            with open(self.folder / "logs" / f"{who.peer}-{time.time_ns()}.txt", "w") as log:
                self._processes[key] = subprocess.Popen(
                    [sys.executable, "-m", "speed.worker", who.peer, str(self.folder)],
                    env={**environment(self.folder), **self.variables, **who.environment},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        return self._processes[key]
