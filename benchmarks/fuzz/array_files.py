"""Valid array files: .npy, .npz and IDX."""

from __future__ import annotations

import gzip
import io
from typing import Any

import numpy as np

from fuzz.text_files import Rng, one

DTYPES = ("?", "i1", "<u2", ">i4", "<i8", "<u8", "<f2", "<f4", ">f4", "<f8", "<f8", ">f8", "<f16", "<c16")
TARGETS = (*DTYPES, "<U3", ">U5", "S4", "O", "<M8[s]")
IDX = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def npy(rng: Rng) -> bytes:
    """A matrix, or now and then an array of other dimensions."""
    file = io.BytesIO()
    np.save(file, _array(rng, _shape(rng), one(rng, DTYPES)), allow_pickle=True)
    return file.getvalue()


def npz(rng: Rng) -> bytes:
    """An archive with x, t, and at times further arrays."""
    shape = _shape(rng)
    arrays = {
        "x": _array(rng, shape, one(rng, DTYPES)),
        "t": _array(rng, shape[:1], one(rng, TARGETS)),
    }
    if rng.random() < 0.3:
        arrays["label"] = _array(rng, (3,), one(rng, TARGETS))
    file = io.BytesIO()
    save: Any = np.savez_compressed if rng.random() < 0.5 else np.savez
    save(file, **arrays)
    return file.getvalue()


def idx(rng: Rng) -> bytes:
    """An IDX file, half of them compressed."""
    code = one(rng, tuple(IDX))
    shape = tuple(rng.integers(0, 6, rng.integers(1, 4)).tolist())
    content = bytes([0, 0, code, len(shape)]) + np.array(shape, ">u4").tobytes()
    content += _array(rng, shape, IDX[code]).tobytes()
    return gzip.compress(content, 1, mtime=0) if rng.random() < 0.5 else content


def _shape(rng: Rng) -> tuple[int, ...]:
    chance = rng.random()
    if chance < 0.05:
        return tuple(rng.integers(0, 4, rng.integers(0, 5)).tolist())
    if chance < 0.07:
        return (int(rng.integers(1, 4)), int(rng.integers(1_000, 101_000)))
    return (int(rng.integers(0, 40)), int(rng.integers(1, 9)))


def _array(rng: Rng, shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, np.dtype[Any]]:
    values = rng.integers(0, 3, shape) if rng.random() < 0.5 else rng.normal(size=shape)
    if dtype == "<M8[s]":
        values = np.abs(values * 1e6).astype(np.int64)
    order: Any = "F" if rng.random() < 0.2 else "C"
    return np.asarray(np.asarray(values).astype(dtype), order=order)
