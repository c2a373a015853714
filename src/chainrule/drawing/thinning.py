"""Long curves made short enough for a page, with no spike lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.arrays import Array

BUCKETS = 600
"""A curve is drawn on some 600 to 1,200 pixels: two points, the lowest and the highest, for each two of them."""
SMOOTH_POINTS = 300
WINDOWS = 50
"""The running mean is of a fiftieth of the training, as in `History.plot`."""


def thinned(values: Array, buckets: int = BUCKETS) -> Array:
    """The positions to keep: in each bucket of neighbours the lowest and the highest, and both ends.

    All positions, when there are no more than two for each bucket. Of NaN and infinity each bucket's first stays.
    """
    count = len(values)
    if count <= 2 * buckets:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(int)
    kept = {0, count - 1}
    finite = np.isfinite(values)
    low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        kept.update((start + int(low[start:end].argmin()), start + int(high[start:end].argmax())))
        if not finite[start:end].all():
            kept.add(start + int((~finite[start:end]).argmax()))
    return np.array(sorted(kept))


def window_of(count: int) -> int:
    """Over how many batches the running mean goes."""
    return max(count // WINDOWS, 1)


def smoothed(values: Array) -> Array:
    """The mean of the values around each, of those that are finite; NaN where none is."""
    half = window_of(len(values)) // 2
    finite = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    places = np.arange(len(values))
    start, end = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    with np.errstate(all="ignore"):
        result: Array = (sums[end] - sums[start]) / (counts[end] - counts[start])
    return result


def spread_over(count: int, points: int = SMOOTH_POINTS) -> Array:
    """At most so many positions, even apart, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, points)).round().astype(int))


def rounded(values: Any, digits: int = 6) -> list[Any]:
    """Numbers for a page's data: so many significant digits; NaN and infinity, which no curve can show, as null."""
    return [_plain(float(value), digits) for value in values]


def _plain(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    near = float(f"{value:.{digits}g}")
    return int(near) if near == int(near) and abs(near) < 1e15 else near
