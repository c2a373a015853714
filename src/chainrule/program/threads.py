"""How many threads a call of a program uses."""

from __future__ import annotations

import os
import sys

#: Where the environment says how many threads a library may use; joblib says it so to its workers.
LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def allowed(threads: int | None) -> int:
    """How many threads a call may use: `threads`, or as many as is the default."""
    return threads or default_threads()


def default_threads() -> int:
    """How many threads a call may use when nothing else is said.

    As the environment says, else one in a worker, whose siblings use the other cores; never more than cores.
    """
    said = [os.environ.get(name, "").split(",")[0].strip() for name in LIMITS]
    numbers = [int(each) for each in said if each.isdecimal() and int(each)]
    return min(cores(), *numbers) if numbers else 1 if is_worker() else cores()


def is_worker() -> bool:
    """Whether this process was started by multiprocessing, as workers of pools and of joblib are, or by Dask."""
    multiprocessing = sys.modules.get("multiprocessing")  # where it is not loaded, it started nothing
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return True
    return _is_task_of_dask()


def _is_task_of_dask() -> bool:
    """Whether Dask runs this thread: a worker without a nanny is the process that the command line started."""
    get_worker = getattr(sys.modules.get("distributed"), "get_worker", None)
    try:
        return get_worker is not None and get_worker() is not None
    except ValueError:
        return False


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
