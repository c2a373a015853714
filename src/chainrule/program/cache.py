"""Compiled programs on disk, found again by the content of their source."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import importlib.util
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chainrule.errors import FileError
from chainrule.files import write_bytes

CACHE_VARIABLE = "CHAINRULE_CACHE"


def cache_folder() -> Path:
    """Where compiled programs are kept: $CHAINRULE_CACHE, or the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named) / "programs"
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("chainrule")) / "programs"


def name_of(source: str) -> str:
    """The name of the module of a source: the same text has the same name."""
    return f"program_{hashlib.sha256(source.encode()).hexdigest()[:20]}"


def is_compiled(source: str) -> bool:
    """Whether a compiled form of the source is on disk."""
    folder = cache_folder() / "__pycache__"
    return any(folder.glob(f"{name_of(source)}.run-*.nbc"))


@contextlib.contextmanager
def not_collecting(wanted: bool = True) -> Iterator[None]:
    """Keep Python's garbage collector out of the block, where Numba is imported or machine code loaded.

    They make half a million objects that stay, and it would go through them again and again.
    """
    on = wanted and gc.isenabled()
    if on:
        gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def import_numba() -> None:
    """Import Numba, and leave SciPy's linear algebra until somebody compiles an `np.dot`.

    Numba loads it to see whether it is there: 0.2 of the 0.7 seconds to the first step of a compiled program, and
    15 MB. A program calls NumPy's BLAS instead (see chainrule.kernels.blas).
    """
    if "numba.np.arraymath" in sys.modules or importlib.util.find_spec("scipy") is None:
        return
    linalg: Any = importlib.import_module("numba.np.linalg")
    real = getattr(linalg, "ensure_blas", None)
    if real is None:  # another version of Numba
        return
    linalg.ensure_blas = lambda: None
    try:
        importlib.import_module("numba.np.arraymath").ensure_blas = real  # type: ignore[attr-defined]
    finally:
        linalg.ensure_blas = real


def compiled(source: str) -> Callable[..., Any]:
    """The function `run` of a source, which Numba compiles when it is first called, once in a process.

    The source is written to the cache folder, where Numba keeps the machine code beside it. When the folder
    cannot be written to, the source is compiled each time.
    """
    name = name_of(source)
    try:
        path = cache_folder() / f"{name}.py"
        loaded = sys.modules.get(name)
        if loaded is not None and loaded.__file__ == str(path):
            return loaded.run  # type: ignore[no-any-return]
        path.parent.mkdir(parents=True, exist_ok=True)
        text = source.replace("cache=CACHED", "cache=True")
        if not path.exists():
            write_bytes(path, text.encode())
        (path.parent / "__pycache__").mkdir(exist_ok=True)
        return _run_of(name, path)
    except (OSError, RuntimeError, FileError):  # RuntimeError: Numba finds no folder for its cache
        return _run_uncached(name, source.replace("cache=CACHED", "cache=False"))


def _run_of(name: str, path: Path) -> Callable[..., Any]:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba looks the module up by its name
    spec.loader.exec_module(module)
    run: Callable[..., Any] = module.run
    return run


def _run_uncached(name: str, source: str) -> Callable[..., Any]:
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(source, file, "exec"), namespace)  # our own text, generated from the network
    run: Callable[..., Any] = namespace["run"]
    return run
