"""Images among the arrays of a graph: what is one is drawn as one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.drawing.png import png_url
from chainrule.drawing.statistics import signs
from chainrule.evaluation import image_shape_of
from chainrule.graph import Constant, Graph, Parameter
from chainrule.layers import (
    Add,
    BatchNorm,
    Divide,
    Dropout,
    Flatten,
    LayerNorm,
    Multiply,
    Reshape,
    Standardize,
    Subtract,
)
from chainrule.text import counted

MOST = 10  # images that are shown of a batch
BESIDE = 1  # pixels between two
LIKE_NEIGHBOURS = 0.3  # how much pixels are correlated with those below them, at least
# Layers that leave each pixel in its place; arithmetic does with a constant.
_SAME_PIXELS = (Flatten, Reshape, Dropout, Standardize, BatchNorm, LayerNorm)
_ARITHMETIC = (Add, Subtract, Multiply, Divide)


@dataclass(frozen=True)
class Strip:
    """Some images of a batch beside one another, as a data URL, and how many pixels wide and high each is."""

    url: str
    count: int
    width: int
    height: int
    words: str


@dataclass(frozen=True)
class Images:
    """Where the images in an array are: in its rows, a batch, or in its columns, weights for the pixels of one."""

    shape: Shape
    are_columns: bool = False

    def strip(self, array: Array, *, is_gradient: bool = False, most: int = MOST) -> Strip:
        """The first of them: a batch as it is, weights and gradients by their signs."""
        rows = array.T if self.are_columns else array
        return strip(rows, self.shape, signed=self.are_columns or is_gradient, most=most)


def weights_of_pixels(graph: Graph, start: int) -> int | None:
    """The matrix that the input at `start` is multiplied by, its pixels as they came, but for their arrangement."""
    pixels = {start}
    for i, node in enumerate(graph.nodes):
        sources = graph.source_positions(i)
        if node.layer is None or pixels.isdisjoint(sources):
            continue
        scaled = all(source in pixels or isinstance(graph.nodes[source], Constant) for source in sources)
        if isinstance(node.layer, _SAME_PIXELS) or (scaled and isinstance(node.layer, _ARITHMETIC)):
            pixels.add(i)
        elif node.layer.matrix_input is not None and sources[0] in pixels:
            matrix = sources[node.layer.signature.inputs.index(node.layer.matrix_input)]
            if isinstance(graph.nodes[matrix], Parameter):
                return matrix
    return None


def image_shape(values: Array) -> Shape | None:
    """(H, W), (H, W, 3) or (3, H, W) of each sample of a batch of images; None of a batch of anything else."""
    if values.ndim < 2 or values.size == 0 or values.dtype.kind not in "fiu":
        return None
    shape = image_shape_of(values.shape[1:], None)
    if shape is None or not np.isfinite(values).all():
        return None
    rows = _as_rows(np.asarray(values[:32], dtype=np.float64), shape)
    upper, lower = rows[:, :-1].reshape(-1), rows[:, 1:].reshape(-1)
    if upper.std() == 0 or lower.std() == 0:
        return None
    return shape if np.corrcoef(upper, lower)[0, 1] > LIKE_NEIGHBOURS else None


def strip(values: Array, shape: Shape, *, signed: bool = False, most: int = MOST) -> Strip:
    """The first images of a batch: light on dark as they are, or `signed` by the colours for signs."""
    rows = _as_rows(np.asarray(values[:most], dtype=np.float64), shape)
    if signed:
        rows = rows.mean(axis=3) if rows.ndim == 4 else rows
        pixels = signs(rows)
    else:
        low, high = float(rows.min()), float(rows.max())
        pixels = np.round((rows - low) / (high - low or 1.0) * 255).astype(np.uint8)
    count, height, width = pixels.shape[:3]
    room = np.zeros((height, count * (width + BESIDE) - BESIDE, *pixels.shape[3:]), np.uint8)
    for k, image in enumerate(pixels):
        left = k * (width + BESIDE)
        room[:, left : left + width] = image
    words = counted(len(values), "image") if count == len(values) else f"{count} of {len(values):,} images"
    return Strip(png_url(room), count, width, height, words)


def _as_rows(values: Array, shape: Shape) -> Array:
    """Samples as (N, H, W) or (N, H, W, 3)."""
    images = values.reshape(len(values), *shape)
    if len(shape) == 3 and shape[0] == 3 and shape[2] != 3:
        return np.moveaxis(images, 1, -1)
    assert math.prod(shape) * len(values) == values.size
    return images
