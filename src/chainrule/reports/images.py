"""Small pictures as PNG, inside the page."""

from __future__ import annotations

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.drawing.png import png_url
from chainrule.drawing.statistics import ABOVE, BELOW

LEVELS = 16
"""Steps of colour on each side of 0: finer ones are not told apart in a picture of a few dozen pixels."""
POSITIVE, NEGATIVE = ABOVE, BELOW


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
    return png_url(255 - levels if image.ndim == 2 else levels)


def weights_picture(values: Array, shape: Shape, largest: float) -> str:
    """Weights as a data URL: by the colours for signs, see-through at 0, so that it fits any page."""
    image = as_rows(values, shape)
    if image.ndim == 3:
        image = image.mean(axis=2)
    scaled = np.nan_to_num(image / largest, nan=0.0, posinf=1.0, neginf=-1.0)
    levels = (np.clip(np.round(scaled * LEVELS), -LEVELS, LEVELS) + LEVELS).astype(np.uint8)
    return png_url(levels, _colours())


def _colours() -> Array:
    """The colour of each level, RGBA."""
    steps = np.arange(-LEVELS, LEVELS + 1)
    of_sign = np.where(steps[:, None] < 0, NEGATIVE, POSITIVE)
    return np.column_stack([of_sign, np.round(255 * np.abs(steps) / LEVELS)]).astype(np.uint8)
