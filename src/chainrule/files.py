"""Writing files so that a crash, a full disk or a read-only folder never costs what was there before.

And reading those that anyone may have put there.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from chainrule.errors import FileError

_PART = re.compile(r"\..+\.[0-9a-f]{12}\.part", re.DOTALL)


def write_atomically(
    path: str | os.PathLike[str],
    write: Callable[[IO[bytes]], object],
    *,
    sync: bool = True,
    follow: bool = True,
) -> Path:
    """Call `write(file)` on a temporary file beside `path`; sync it, and rename it only when all went well.

    Without `sync` it survives the death of the process all the same, but not of the machine, and takes less time.
    A link stays a link, an existing file keeps its permissions, and a device or a pipe is written to as it is.
    Without `follow` the file takes the place of each of them, as in a folder that anyone may have filled.
    Raises FileError, with what was at `path` untouched, when the folder is missing or read-only, or the disk
    is full.
    """
    target = Path(os.path.realpath(path) if follow else path)
    temporary = part_beside(target)
    try:
        is_file = target.is_file() and (follow or not target.is_symlink())
        if follow and target.exists() and not is_file:
            with open(target, "wb") as file:
                write(file)
            return Path(path)
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if is_file:
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
        make_durable(target.parent)
    return Path(path)


def write_bytes(path: str | os.PathLike[str], content: bytes, *, follow: bool = True) -> Path:
    """Write `content` to `path` by way of a temporary file."""
    return write_atomically(path, lambda file: file.write(content), follow=follow)


def part_beside(target: Path) -> Path:
    """Where something is made that becomes `target` when it is complete."""
    return target.parent / f".{target.name[:100]}.{os.urandom(6).hex()}.part"


def is_part(name: str) -> bool:
    """Whether `part_beside` gives such names: what is found under one was left by a process that was killed."""
    return _PART.fullmatch(name) is not None


def read_bytes(path: str | os.PathLike[str], most: int = 1 << 30) -> bytes:
    """The content of an ordinary file.

    Raises: FileError for what is none, such as a pipe or a device, which might never end, and for a file of more
    than `most` bytes.
    """
    try:
        with open(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
        ) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileError(f"could not read {path}: it is no ordinary file")
            content = file.read(most + 1)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"could not read {path}: {error.strerror or error}") from error
    if len(content) > most:
        raise FileError(f"could not read {path}: it has more than {most:,} bytes")
    return content


def make_durable(path: Path) -> None:
    """Make a file durable, or of a folder the renames in it, where the system can (Windows opens no folder)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
