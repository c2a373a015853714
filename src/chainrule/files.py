"""Writing files so that a crash, a full disk or a read-only folder never costs what was there before."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from chainrule.errors import FileError


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> Path:
    """Call `write(file)` on a temporary file beside `path`; sync it, and rename it only when all went well.

    Raises FileError, with what was at `path` untouched, when the folder is missing or read-only, or the disk
    is full.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"could not write {target}: {reason}; what was there before is untouched. "
            f"Check that the folder exists, that it can be written to, and that the disk has room"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    _sync_folder(target.parent)
    return target


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to `path` by way of a temporary file."""
    return write_atomically(path, lambda file: file.write(content))


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can (a folder cannot be opened on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
