"""Small pictures as PNG, inside the page."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import ArgumentError
from chainrule.network import Network

#: Sizes of inputs that are taken for images unless `image_shape` says otherwise.
KNOWN: Mapping[int, Shape] = {64: (8, 8), 784: (28, 28), 3072: (32, 32, 3)}

LEVELS = 16
"""Steps of colour on each side of 0: finer ones are not told apart in a picture of a few dozen pixels."""
POSITIVE, NEGATIVE = (31, 106, 196), (214, 86, 20)


def image_shape_of(input_shape: Shape, wanted: Sequence[int] | None, columns: object = None) -> Shape | None:
    """(H, W) or (H, W, 3) or (3, H, W) of a sample that is an image, or None.

    Raises: ArgumentError when the shape that is wanted does not fit the input.
    """
    size = math.prod(input_shape)
    if wanted is not None:
        shape = tuple(int(length) for length in wanted)
        if not shape:
            return None
        if math.prod(shape) != size or not is_image(shape):
            raise ArgumentError(
                f"image_shape: expected (H, W), (H, W, 3) or (3, H, W) of {size} values in all, as the network's "
                f"input has, got {shape}; () shows no images"
            )
        return _without_one(shape)
    if columns is not None:  # a table's columns are no pixels
        return None
    if len(input_shape) == 2:  # more likely a table or a sequence, unless it is as the known ones are
        return input_shape if input_shape in KNOWN.values() else None
    if len(input_shape) == 3:
        return _without_one(input_shape) if is_image(input_shape) else None
    return KNOWN.get(size) if len(input_shape) == 1 else None


def image_shape_of_network(
    network: Network, wanted: Sequence[int] | None, columns: object = None
) -> Shape | None:
    """The same of a network's first input; one that holds indices is no image unless it is said to be."""
    name, shape = next(iter(network.input_shapes.items()))
    if wanted is None and network.graph.position(name) in network.graph.index_leaves():
        return None
    return image_shape_of(shape, wanted, columns)


def is_image(shape: Shape) -> bool:
    """Whether it is as an image is: two axes of some length, and at most one of one or three colours."""
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        return True
    return len(shape) == 2 or (len(shape) == 3 and 3 in (shape[0], shape[2]))


def _without_one(shape: Shape) -> Shape:
    if len(shape) == 3 and shape[0] == 1:
        return shape[1:]
    return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape


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
