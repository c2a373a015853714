"""Small pictures as PNG, inside the page."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from chainrule.arrays import Array, Shape

LEVELS = 16
"""Steps of colour on each side of 0: finer ones are not told apart in a picture of a few dozen pixels."""
POSITIVE, NEGATIVE = (31, 106, 196), (214, 86, 20)


def as_rows(values: Array, shape: Shape) -> Array:
    """The flat values as rows of pixels, (H, W) or (H, W, 3)."""
    image = np.asarray(values, dtype=np.float64).reshape(shape)
    return np.moveaxis(image, 0, -1) if image.ndim == 3 and shape[0] == 3 and shape[2] != 3 else image


def picture(values: Array, shape: Shape) -> str:
    """A sample as a data URL: one colour as ink on paper, the larger the darker; three as they are."""
    image = as_rows(values, shape)
    image = np.where(np.isfinite(image), image, 0.0)
    low = min(float(image.min()), 0.0)
    high = max(float(image.max()), low + 1e-12, 1.0 if low >= 0 and image.max() <= 1 else 0.0)
    levels = np.round((image - low) / (high - low) * 255).astype(np.uint8)
    if image.ndim == 2:
        return _url(_png(255 - levels, color=0))
    return _url(_png(levels.reshape(len(levels), -1), color=2))


def weights_picture(values: Array, shape: Shape, largest: float) -> str:
    """Weights as a data URL: blue above 0, orange below, see-through at 0, so that it fits any page."""
    image = as_rows(values, shape)
    if image.ndim == 3:
        image = image.mean(axis=2)
    scaled = np.nan_to_num(image / largest, nan=0.0, posinf=1.0, neginf=-1.0)
    levels = (np.clip(np.round(scaled * LEVELS), -LEVELS, LEVELS) + LEVELS).astype(np.uint8)
    alphas = bytes(round(255 * abs(k) / LEVELS) for k in range(-LEVELS, LEVELS + 1))
    palette = bytes(NEGATIVE * LEVELS + POSITIVE * (LEVELS + 1))
    return _url(_png(levels, color=3, extra=((b"PLTE", palette), (b"tRNS", alphas))))


def _png(rows: Array, *, color: int, extra: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG file of 8 bits: grey (color 0), RGB (2) or by palette (3). Source: the PNG specification, W3C."""
    height, width = rows.shape
    header = struct.pack(">IIBBBBB", width // 3 if color == 2 else width, height, 8, color, 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter 0 before each line
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
