"""Files written so that nothing that was there is lost: crashes, full disks, read-only folders."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest

from chainrule.errors import ChainruleError, FileError
from chainrule.files import write_atomically, write_bytes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions and devices as on POSIX systems")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file with something in it."""
    path = tmp_path / "model"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*arguments: Any, **keywords: Any) -> NoReturn:
        raise error

    return fail


def assert_untouched(target: Path) -> None:
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target], "a temporary file was left"


def test_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "new"
    assert write_bytes(path, b"content") == path
    assert path.read_bytes() == b"content"
    assert write_bytes(str(path), b"more") == path
    assert path.read_bytes() == b"more"
    write_bytes(path, b"")
    assert path.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [path]


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_bytes("name", b"content") == Path("name")
    assert (tmp_path / "name").read_bytes() == b"content"


def test_the_old_file_is_there_until_the_new_one_is_whole(target: Path) -> None:
    def write(file: IO[bytes]) -> None:
        file.write(b"half")
        file.flush()
        assert target.read_bytes() == b"old"
        assert len(list(target.parent.iterdir())) == 2

    write_atomically(target, write)
    assert target.read_bytes() == b"half"


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt(), MemoryError(), SystemExit(1)], ids=repr
)
def test_a_crash_in_the_middle(target: Path, error: BaseException) -> None:
    def write(file: IO[bytes]) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, write)
    assert_untouched(target)


@pytest.mark.parametrize("function", ["fsync", "replace", "chmod"])
def test_a_failing_system_call(target: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    monkeypatch.setattr(os, function, raising(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(
        FileError, match=r"could not write .*model: Input/output error; what was there before"
    ):
        write_bytes(target, b"new")
    assert_untouched(target)


def full(*arguments: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_writing(target: Path) -> None:
    with pytest.raises(FileError, match=r"No space left on device; .*that the disk has room") as caught:
        write_atomically(target, full)
    assert_untouched(target)
    assert isinstance(caught.value, ChainruleError)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_full_disk_while_syncing(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        write_bytes(target, b"new")
    assert_untouched(target)


def test_a_read_only_folder(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated: for root, the permissions of a folder mean nothing."""
    really_open = open

    def refuse(path: Any, mode: str = "r", *rest: Any, **keywords: Any) -> Any:
        if "r" not in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really_open(path, mode, *rest, **keywords)

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FileError, match=r"model: Permission denied; .*that it can be written to"):
        write_bytes(target, b"new")
    monkeypatch.undo()
    assert_untouched(target)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"No such file or directory; .*Check that the folder exists"):
        write_bytes(tmp_path / "missing" / "model", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileError, match="Is a directory"):
        write_bytes(folder, b"new")
    assert list(tmp_path.iterdir()) == [folder]


def test_it_is_synced_before_it_is_renamed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)

        def call(*arguments: Any, name: str = name, function: Callable[..., Any] = function) -> Any:
            order.append(name)
            return function(*arguments)

        monkeypatch.setattr(os, name, call)
    write_bytes(target, b"new")
    assert order == ["fsync", "replace", "fsync"], "the file, the rename, the folder"


@pytest.mark.usefixtures("_umask")
def test_permissions_of_a_new_file_follow_the_umask(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "new", b"content")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_permissions_of_an_old_file_are_kept(target: Path, mode: int) -> None:
    target.chmod(mode)
    write_bytes(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_link_stays_a_link(target: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(target.name)
    assert write_bytes(link, b"new") == link
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, b"content")
    reader.join(timeout=10)
    assert read == [b"content"]
    assert list(tmp_path.iterdir()) == [pipe]
    assert pipe.is_fifo()


def test_a_long_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    write_bytes(path, b"content")
    assert path.read_bytes() == b"content"


def test_many_writers_at_once(target: Path) -> None:
    contents = [bytes([65 + k]) * 100_000 for k in range(8)]
    threads = [threading.Thread(target=write_bytes, args=(target, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in contents
    assert list(target.parent.iterdir()) == [target]
