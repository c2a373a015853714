"""What the loaders of images share: pixels and labels in the form that was asked for."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from chainrule.arrays import Array

Split: TypeAlias = tuple[tuple[Array, Array], tuple[Array, Array]]


def arrange_images(images: Array, brightest: int, *, normalize: bool, flatten: bool) -> Array:
    """Grey images, scaled by their brightest possible value and flattened, as asked for.

    Shapes: images (N, H, W) -> (N, H * W), or (N, 1, H, W) when not flattened.
    dtype: float32 in [0, 1] when normalized, else uint8 as it was. Nothing else of that size is allocated.
    """
    count, height, width = images.shape
    if normalize:
        # One ufunc with a float32 result: `images / 255` would go by way of float64.
        images = np.divide(images, np.float32(brightest), dtype=np.float32)
    return images.reshape((count, height * width) if flatten else (count, 1, height, width))


def arrange_labels(labels: Array, classes: int, *, one_hot: bool) -> Array:
    """Labels as int64 (N,), or as float32 (N, K) with a one where the label points."""
    if not one_hot:
        return labels.astype(np.int64)
    hot = np.zeros((len(labels), classes), dtype=np.float32)
    hot[np.arange(len(labels)), labels] = 1
    return hot
