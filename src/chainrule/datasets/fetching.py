"""Finding the files of a Source in folders, and downloading what is missing from its mirrors."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.arrays import Array
from chainrule.datasets.idx import read_idx_stream
from chainrule.datasets.sources import IdxFile, Source
from chainrule.errors import FileError

if TYPE_CHECKING:
    from rich.progress import Progress

ENVIRONMENT = "CHAINRULE_DATA"
# pooch reports after each chunk, and only then can a slow mirror be noticed: small chunks, small waits.
_CHUNK = 256


def find_file(
    source: Source,
    file: IdxFile,
    *,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
    cache: Path | None = None,
) -> Array:
    """The array in one of a source's files, from the first place that has it.

    The places: `folder`, and then nowhere else; $CHAINRULE_DATA; the cache folder; the mirrors. A file that
    the user put somewhere must be right; a corrupt one in the cache is downloaded again.
    """
    if folder is not None:
        return _from_folder(source, file, Path(folder).expanduser())
    looked = []
    if os.environ.get(ENVIRONMENT):
        theirs = Path(os.environ[ENVIRONMENT]).expanduser() / source.folder
        looked.append(theirs)
        for path in _candidates(theirs, file):
            return read_verified(path, file, source.title)
    cache = cache or cache_folder(source)
    looked.append(cache)
    broken: FileError | None = None
    for path in _candidates(cache, file):
        try:
            return read_verified(path, file, source.title)
        except FileError as error:
            broken = error
    if download:
        return fetch(source, file, cache)
    if broken is not None:
        raise FileError(f"{broken}. With download=True it would be downloaded again") from broken
    raise FileError(
        f"{source.title}: no {file.name}, with or without .gz, in {' or '.join(map(str, looked))}; "
        f"pass download=True, or {_remedy(source)}"
    )


def cache_folder(source: Source) -> Path:
    """The folder of a source in the user's cache, wherever the operating system keeps caches."""
    import pooch

    return Path(pooch.os_cache("chainrule")).expanduser() / source.folder


def read_verified(path: Path, file: IdxFile, title: str) -> Array:
    """Read an IDX file, compressed or not, and hold the SHA-256 of its content against the known one.

    Raises: FileError, naming the file, when it is unreadable, no IDX file, or another one.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as opened:
            # The bound is for a wrong file: the right one declares exactly this much.
            array = read_idx_stream(opened, str(path), 8 * math.prod(file.shape), digest.update)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"could not read {path}: {error.strerror or error}") from error
    if digest.hexdigest() != file.sha256 or array.shape != file.shape:
        raise FileError(
            f"{path}: expected {file.name} of {title}, whose content has the SHA-256 {file.sha256}; got an "
            f"array of shape {array.shape} with {digest.hexdigest()}. Get the file again, or read other IDX "
            f"files with read_idx"
        )
    return array


def fetch(source: Source, file: IdxFile, cache: Path) -> Array:
    """Download a file into the cache folder from the first mirror that has the right one, and read it.

    It is written beside its place, verified, and only then renamed, so the cache holds whole files only.
    Raises: FileError with every mirror's reason when all fail, or when the cache folder cannot be written.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=cache) as temporary:
            reasons = []
            for mirror in source.mirrors:
                url = f"{mirror.rstrip('/')}/{file.name}.gz"
                path = Path(temporary) / f"{file.name}.gz"
                try:
                    _download(
                        url, path, source.timeout, source.slowest, most=2 * math.prod(file.shape) + 65536
                    )
                    array = read_verified(path, file, source.title)
                except (OSError, ValueError) as error:
                    reason = str(error).replace(str(path), "what came")
                    reasons.append(f"  {url}: {reason or type(error).__name__}")
                else:
                    os.replace(path, cache / path.name)
                    return array
    except OSError as error:
        raise FileError(
            f"could not write to the cache folder {cache}: {error.strerror or error}; {_remedy(source)}"
        ) from error
    raise FileError(
        "\n".join(
            [f"could not download {file.name} of {source.title}:", *reasons, _remedy(source, "Instead, ")]
        )
    )


def _from_folder(source: Source, file: IdxFile, folder: Path) -> Array:
    missing = [each.name for each in source.files if not _candidates(folder, each)]
    if missing:
        raise FileError(
            f"{folder}: expected the four files of {source.title}, with or without .gz; "
            f"missing: {', '.join(missing)}. Nothing is downloaded when folder= is given"
        )
    return read_verified(_candidates(folder, file)[0], file, source.title)


def _candidates(folder: Path, file: IdxFile) -> list[Path]:
    return [path for path in (folder / file.name, folder / f"{file.name}.gz") if os.path.exists(path)]


def _remedy(source: Source, start: str = "") -> str:
    names = ", ".join(f"{file.name}.gz" for file in source.files)
    return (
        f"{start}put {names} into a folder and pass it as folder=, or into {source.folder}/ in a folder that "
        f"the environment variable {ENVIRONMENT} names"
    )


def _download(url: str, path: Path, timeout: float, slowest: float, most: int) -> None:
    """Download `url` to `path`; give up on a server that stalls, drips or sends over `most` bytes."""
    import pooch

    responses: list[Any] = []
    get = pooch.HTTPDownloader(
        progressbar=(watch := _Watch(timeout, slowest, most, path.name)),
        chunk_size=_CHUNK,
        timeout=timeout,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": lambda response, **_: responses.append(response)},
    )
    try:
        get(url, str(path), None)
    finally:
        watch.close()
        for response in responses:
            response.close()


class _Watch:
    """The progress bar that pooch calls after each chunk. It also ends downloads that drip or flood."""

    def __init__(self, timeout: float, slowest: float, most: int, name: str) -> None:
        self.timeout, self.slowest, self.most = timeout, slowest, most
        self.received = 0
        self.complete = False
        self.started = self.shown = time.monotonic()
        self.bar: Progress | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            self.bar = _progress_bar()
            self.bar.add_task(name, total=None)
            self.bar.start()

    @property
    def total(self) -> int:
        return 0

    @total.setter
    def total(self, total: int) -> None:
        """pooch sets it when the server has answered: the clock starts."""
        self.started = time.monotonic()
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], total=total or None)

    def update(self, count: int) -> None:
        if self.complete:
            return
        self.received += count
        now = time.monotonic()
        elapsed = now - self.started
        if self.received > self.most:
            raise OSError(f"sent more than {self.most} bytes, which the file cannot have")
        if elapsed > self.timeout and self.received < self.slowest * elapsed:
            raise OSError(
                f"too slow: {self.received / elapsed:.0f} bytes a second, expected {self.slowest:.0f} or more"
            )
        if self.bar is not None and now - self.shown > 0.05:
            self.shown = now
            self.bar.update(self.bar.task_ids[0], completed=self.received)

    def reset(self) -> None:
        """pooch calls it when all has come, before it reports the whole size once more."""
        self.complete = True

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def _progress_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
