"""Locks that are free again in a child process, which a fork gives none of the threads that held them."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any


class Lock:
    """A lock for `with`. It does not let its own thread in twice."""

    def __init__(self) -> None:
        self._held: list[Any] = []
        self._renew()
        renew_after_fork(self, Lock._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._held.append(lock)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.pop().release()  # after a fork inside the block, it is the old one


_RENEWED: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def renew_after_fork(holder: Any, renew: Callable[[Any], None]) -> None:
    """Call `renew(holder)` in every child that this process forks, as long as the holder lives."""
    _RENEWED[holder] = renew


def _renew_all() -> None:
    for holder, renew in list(_RENEWED.items()):
        renew(holder)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
