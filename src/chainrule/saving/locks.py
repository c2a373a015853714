"""A lock that a process holds while it writes a folder, and that the kernel frees when the process dies."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import weakref
from pathlib import Path

from chainrule.errors import BusyError, FileError, warn

#: For so long it is tried: who only looks whether a file is locked holds its lock for a moment.
SECONDS, TRIES = 0.2, 20
#: What flock gives on a file system that has no locks.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
#: A link is not followed: the file is emptied, and it might lead to any. A pipe is not waited for.
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

if sys.platform == "win32":
    LOCK_EX = LOCK_NB = LOCK_SH = 0

    def flock(fd: int, operation: int) -> None:
        """Nothing is locked there."""

else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock


class FileLock:
    """The exclusive lock (flock) of a file, held from when it is made until `release`, or the end of the process.

    The file bears the number of the process, for a message; it is deleted on release. A child of the process does
    not hold the lock. On a file system without locks a warning says that nothing is locked.
    Raises: BusyError where a living process holds it; FileError where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        #: The file, and its descriptor, -1 when it is released.
        self.path, self.file = path, -1
        try:
            self.file = _locked(path)
        except BlockingIOError:
            raise BusyError(
                f"{path.parent} is being written by process {holder(path)}: wait until that has ended, or stop it"
            ) from None
        except OSError as error:
            raise FileError(f"could not lock {path}: {error.strerror or error}") from error
        _held.add(self)
        try:
            os.truncate(self.file, 0)
            os.write(self.file, f"{os.getpid()}\n".encode())
        except OSError as error:
            self.release()
            raise FileError(f"could not lock {path}: {error.strerror or error}") from error

    @property
    def is_held(self) -> bool:
        """Whether this process holds it."""
        return self.file >= 0

    def release(self) -> None:
        """Let others lock it. A second call does nothing."""
        if self.is_held:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self.forget()

    def forget(self) -> None:
        """Close the file, as a child does with what its parent holds: that goes on holding it."""
        os.close(self.file)
        self.file = -1
        _held.discard(self)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock of this file."""
    try:
        file = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return False
    try:
        flock(file, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


def is_own(path: Path) -> bool:
    """Whether this process holds the lock of this file. Process numbers don't tell: containers share them."""
    try:
        there = os.stat(path)
        return any(os.path.samestat(os.fstat(each.file), there) for each in list(_held))
    except OSError:
        return False


def holder(path: Path) -> str:
    """The number of the process that locked this file; "unknown" where it does not stand there."""
    try:
        file = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return "unknown"
    try:
        number = os.read(file, 20).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        number = ""
    finally:
        os.close(file)
    return number if number.isdigit() else "unknown"


def _locked(path: Path) -> int:
    """The open file, locked: that which is there, and not one that its holder deleted meanwhile."""
    for left in reversed(range(TRIES)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        try:
            flock(file, LOCK_EX | LOCK_NB)
            there = os.stat(path)
            own = os.fstat(file)
            if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino):
                return file
        except FileNotFoundError:
            pass
        except BlockingIOError:
            if not left:
                os.close(file)
                raise
        except OSError as error:
            if error.errno in _WITHOUT_LOCKS:
                warn(
                    f"{path.parent} is on a file system without locks ({error.strerror}): take care that no other "
                    f"process writes it meanwhile"
                )
                return file
            os.close(file)
            raise
        os.close(file)
        time.sleep(SECONDS / TRIES)
    raise BlockingIOError(errno.EAGAIN, "locked by others", str(path))


def _let_go() -> None:
    for each in list(_held):
        each.forget()


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
