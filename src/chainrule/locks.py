"""What is made anew in a child process: a fork copies locks as they are, but none of the threads that hold them."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

_HOLDERS: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def renew_after_fork(holder: Any, renew: Callable[[Any], None]) -> None:
    """Call `renew(holder)` now, and again in every child that this process forks while the holder lives.

    It gives the holder locks that are free: `holder.lock = threading.Lock()`. A `with` that runs in the thread that
    forks lets go of the old one.
    """
    renew(holder)
    _HOLDERS[holder] = renew


def _renew_all() -> None:
    for holder, renew in list(_HOLDERS.items()):
        renew(holder)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
