"""A lock that a process holds while it writes a folder, and that the kernel frees when the process dies."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from chainrule.errors import BusyError, FileError

if sys.platform == "win32":
    LOCK_EX = LOCK_NB = LOCK_SH = 0

    def flock(fd: int, operation: int) -> None:
        """Nothing is locked there."""

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock


class FileLock:
    """The exclusive lock (flock) of a file, held from when it is made until `release`, or the end of the process.

    The file bears the number of the process, for a message; it is deleted on release.
    Raises: BusyError where a living process holds it; FileError where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = _locked(path)
            os.truncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            raise BusyError(
                f"{path.parent} is being written by process {_holder(path)}: wait until that has ended, or stop it"
            ) from None
        except OSError as error:
            raise FileError(f"could not lock {path}: {error.strerror or error}") from error

    def release(self) -> None:
        """Let others lock it. A second call does nothing."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            os.close(self._file)
            self._file = -1


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock of this file."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        flock(file, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _locked(path: Path) -> int:
    """The open file, locked: that which is there, and not one that its holder deleted meanwhile."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            flock(file, LOCK_EX | LOCK_NB)
            there = os.stat(path)
        except FileNotFoundError:
            os.close(file)
            continue
        except BaseException:
            os.close(file)
            raise
        own = os.fstat(file)
        if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino):
            return file
        os.close(file)


def _holder(path: Path) -> str:
    try:
        return path.read_text().strip() or "unknown"
    except (OSError, UnicodeDecodeError):
        return "unknown"
