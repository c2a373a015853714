"""Reading a table from NumPy files, .npz and .npy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.datasets.tables.raw import RawMatrix, features_of, unreadable
from chainrule.errors import ArgumentError, DataError, FileError, did_you_mean


def read_npz(path: Path, target: str | int | None, columns: Sequence[str] | None) -> RawMatrix:
    """Read the arrays `x` and `target` of an .npz file."""
    arrays = _load(path, "x", target)
    if not isinstance(arrays, dict):
        raise FileError(f"{path}: expected an .npz archive, got a single array; name the file .npy")
    if "x" not in arrays:
        raise DataError(f"{path}: expected an array 'x' of features, got {', '.join(arrays) or 'no arrays'}")
    if target is not None and target not in arrays:
        raise ArgumentError(
            f"{path}: no array {target!r} for the target; {did_you_mean(str(target), arrays)}; "
            f"target=None reads features only"
        )
    x = _matrix(path, "x", arrays["x"])
    values = None if target is None else arrays[str(target)]
    if values is not None and (values.ndim == 0 or len(values) != len(x)):
        raise DataError(
            f"{path}: expected one target for each row: x has shape {x.shape}, {target} has {values.shape}"
        )
    names = [f"x{i}" for i in range(x.shape[1])]
    features = features_of(path, names, None, columns)
    return RawMatrix(_take(x, names, features), features, None if target is None else str(target), values)


def read_npy(path: Path, target: str | int | None, columns: Sequence[str] | None) -> RawMatrix:
    """Read an .npy file: a matrix, one column of which is the target."""
    array = _load(path)
    if isinstance(array, dict):
        raise FileError(f"{path}: expected a single array, got an .npz archive; name the file .npz")
    matrix = _matrix(path, "the array", array)
    names = [f"x{i}" for i in range(matrix.shape[1])]
    if target is None:
        features = features_of(path, names, None, columns)
        return RawMatrix(_take(matrix, names, features), features, None, None)
    try:
        chosen = names[int(str(target).removeprefix("x"))]
    except (ValueError, IndexError):
        raise ArgumentError(
            f"{path}: expected the position of the target column, 0 to {len(names) - 1}, got {target!r}; "
            f"target=None reads features only"
        ) from None
    features = features_of(path, names, chosen, columns)
    values = array[:, names.index(chosen)]  # of the file's own dtype: whole numbers are classes
    return RawMatrix(_take(matrix, names, features), features, chosen, values)


def _load(path: Path, *wanted: str | int | None) -> Any:
    """The array in a NumPy file, or a dictionary of those wanted (of the others only the name is read)."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                return loaded
            with loaded:
                arrays = {name: loaded[name] if name in wanted else np.empty(0) for name in loaded.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something else than arrays")
        return arrays
    except OSError as error:
        raise unreadable(path, error) from error
    # What NumPy and zipfile raise on damaged content is open-ended: ValueError, BadZipFile, zlib.error,
    # SyntaxError, EOFError, KeyError, NotImplementedError, MemoryError, ...
    except Exception as error:
        refused = "object" in str(error).lower() or "pickle" in str(error).lower()
        problem = "no NumPy file, or one with Python objects, which can run code" if refused else "damaged"
        raise FileError(
            f"{path}: expected a NumPy file of numbers or text; got {problem} ({error})"
        ) from error


def _matrix(path: Path, name: str, array: Array) -> Array:
    if array.ndim != 2:
        raise DataError(
            f"{path}: expected {name} of shape (N, D), got {array.shape}; for example reshape(len(x), -1)"
        )
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: expected {name} to hold numbers, got {array.dtype}")
    keeps = array.dtype in (np.float32, np.float64)
    return array if keeps and array.dtype.isnative else array.astype(np.float64)


def _take(x: Array, names: list[str], features: list[str]) -> Array:
    return x if features == names else x[:, [names.index(name) for name in features]]
