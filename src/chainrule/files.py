"""Writing files so that a crash, a full disk or a read-only folder never costs what was there before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from chainrule.errors import FileError


def write_atomically(
    path: str | os.PathLike[str], write: Callable[[IO[bytes]], object], *, sync: bool = True
) -> Path:
    """Call `write(file)` on a temporary file beside `path`; sync it, and rename it only when all went well.

    Without `sync` it survives the death of the process all the same, but not of the machine, and takes less time.
    A link stays a link, an existing file keeps its permissions, and a device or a pipe is written to as it is.
    Raises FileError, with what was at `path` untouched, when the folder is missing or read-only, or the disk
    is full.
    """
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".{target.name[:100]}.{os.urandom(6).hex()}.part"
    try:
        if target.exists() and not target.is_file():
            with open(target, "wb") as file:
                write(file)
            return Path(path)
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o777)
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(
            f"could not write {path}: {reason}; what was there before is untouched. "
            f"Check that the folder exists, that it can be written to, and that the disk has room"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # after the rename, and where it could not be made, it isn't there
            os.unlink(temporary)
    if sync:
        _sync_folder(target.parent)
    return Path(path)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` to `path` by way of a temporary file."""
    return write_atomically(path, lambda file: file.write(content))


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can (a folder cannot be opened on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
