"""The run whose place another takes: it is whole, in a folder `before-<id of the other>`, until that has ended."""

from __future__ import annotations

import contextlib
import filecmp
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from chainrule.files import is_part, make_durable, part_beside

_BEFORE = re.compile(r"before-[0-9a-f]{8}")


def aside_of(folder: Path, run: str) -> Path:
    """Where the files are that this run takes the place of."""
    return folder / f"before-{run}"


def asides(folder: Path) -> list[Path]:
    """All such folders in a run folder."""
    with contextlib.suppress(OSError):
        return sorted(each for each in folder.iterdir() if _BEFORE.fullmatch(each.name) and each.is_dir())
    return []


def set_aside(folder: Path, run: str, names: Iterable[str]) -> None:
    """Put the files of these names into the folder of before as well. All are there, or the folder is not."""
    there = [name for name in names if os.path.lexists(folder / name)]
    if not there:
        return
    aside = aside_of(folder, run)
    made = part_beside(aside)
    os.mkdir(made)
    try:
        for name in there:
            put(folder / name, made / name)
        os.rename(made, aside)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    make_durable(folder)


def put_back(folder: Path, run: str, names: Iterable[str]) -> None:
    """Undo what `set_aside` was for: these files are as they were, the first of the names last."""
    aside = aside_of(folder, run)
    for name in reversed(list(names)):
        if os.path.lexists(aside / name):
            part = part_beside(folder / name)
            put(aside / name, part)
            os.replace(part, folder / name)
            with contextlib.suppress(OSError):  # a rename of a file onto itself, by another name, leaves both
                os.unlink(part)
        else:
            (folder / name).unlink(missing_ok=True)
    drop(aside, names)


def drop(aside: Path, names: Iterable[str]) -> None:
    """Delete these files of a run that was set aside, and the folder where nothing else is in it."""
    with contextlib.suppress(OSError):
        for name in names:
            (aside / name).unlink(missing_ok=True)
        aside.rmdir()


def drop_parts(folder: Path) -> None:
    """Delete what processes that were killed left half-made in a folder."""
    with contextlib.suppress(OSError):
        for each in list(folder.iterdir()):
            if is_part(each.name) and each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            elif is_part(each.name):
                each.unlink(missing_ok=True)


def is_set_aside(folder: Path, run: str, name: str) -> bool:
    """Whether the file of this name is still that of the run of before: a kill came before it was taken away.

    It is the same file, or where that was copied, one of the same content: what a run writes bears its id.
    """
    here, there = folder / name, aside_of(folder, run) / name
    try:
        if os.path.samestat(os.lstat(here), os.lstat(there)):
            return True
        if here.is_symlink() or there.is_symlink():
            return os.readlink(here) == os.readlink(there)
        return filecmp.cmp(here, there, shallow=False)
    except OSError:
        return False


def put(source: Path, target: Path) -> None:
    """Give a file another name, too; where the file system cannot do that, copy it."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, target, follow_symlinks=False)
        with contextlib.suppress(OSError):  # such a file system may have no times and permissions either
            shutil.copystat(source, target, follow_symlinks=False)
        if not target.is_symlink():
            make_durable(target)
