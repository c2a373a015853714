"""An array in a few words and one small picture: shape, mean, spread, extremes, zeros, what is not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.drawing.png import png_url

#: An array with at most so many rows and columns is drawn element by element, a larger one as a histogram.
MOST_ROWS, MOST_COLUMNS = 32, 64
BINS = 15
#: Colours of the small pictures: purple below 0, green above, and the larger the number, the less of the paper is
#: seen; red is wrong: neither a number nor finite. Neither dark nor light, they are seen on any paper, and
#: colour-blind eyes tell them apart (ColorBrewer's PRGn). common.css has the same for each theme.
BELOW, ABOVE, NOT_FINITE = (138, 72, 158), (38, 138, 74), (222, 45, 60)
ROUNDING = 4  # so many units of rounding of the largest element, or fewer, are 0
FIRST = 8  # whole numbers of an array that are listed


@dataclass(frozen=True)
class Statistics:
    """What is told of an array. `mean` to `high` are of its finite elements, and None when there are none."""

    shape: Shape
    dtype: str
    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    zeros: float
    nans: int
    infinities: int
    #: The number itself, where there is just one.
    number: float | None

    @property
    def is_finite(self) -> bool:
        """Whether no element is NaN or infinite."""
        return not self.nans and not self.infinities

    @property
    def trouble(self) -> str:
        """What is not finite, in words: "3 NaN, 1 infinite"; empty when all is."""
        counts = ((self.nans, "NaN"), (self.infinities, "infinite"))
        return ", ".join(f"{count:,} {word}" for count, word in counts if count)


def statistics_of(array: Array) -> Statistics:
    """The summary of an array of numbers, of any shape, empty ones too."""
    number = float(array.reshape(-1)[0]) if array.size == 1 else None
    nans = infinities = 0
    finite = array
    if array.dtype.kind == "f":
        is_finite = np.isfinite(array)
        if not is_finite.all():
            nans = int(np.isnan(array).sum())
            infinities = int(array.size - is_finite.sum() - nans)
            finite = array[is_finite]
    shape, dtype = tuple(array.shape), str(array.dtype)
    if finite.size == 0:
        return Statistics(shape, dtype, None, None, None, None, 0.0, nans, infinities, number)
    low, high = float(finite.min()), float(finite.max())
    scale = max(abs(low), abs(high), np.finfo(float).tiny)  # so that squares of large numbers don't overflow
    scaled = np.asarray(finite, dtype=np.float64) / scale
    rounding = ROUNDING * float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0
    mean, std = (0.0 if abs(of) <= rounding else of for of in (float(scaled.mean()), float(scaled.std())))
    return Statistics(
        shape,
        dtype,
        mean=mean * scale,
        std=std * scale,
        low=low,
        high=high,
        zeros=float(1 - np.count_nonzero(array) / array.size),
        nans=nans,
        infinities=infinities,
        number=number,
    )


def number_text(value: float) -> str:
    """A number in at most four significant digits: 0.25, 1.1, 220, 1.5e-07."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"  # also -0
    if abs(value) < 1e-3 or abs(value) >= 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def shape_text(shape: Shape) -> str:
    """A shape as people write it: 64×50, and of a vector "3 numbers", since 3 alone would be one."""
    if len(shape) == 1:
        return "1 number" if shape[0] == 1 else f"{shape[0]} numbers"
    return "×".join(str(size) for size in shape) or "number"


def share_text(share: float) -> str:
    """A share as a percentage that is 0% or 100% only where it is exactly that."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def as_rows(array: Array) -> Array:
    """The array as a table: one row for each index of the first axis; a vector is one row."""
    return array.reshape(1, -1) if array.ndim < 2 else array.reshape(len(array), math.prod(array.shape[1:]))


def is_small(array: Array) -> bool:
    """Whether a picture can show every element."""
    rows = as_rows(array)
    return rows.size > 0 and rows.shape[0] <= MOST_ROWS and rows.shape[1] <= MOST_COLUMNS


def heights(array: Array) -> list[float]:
    """The histogram of the finite elements: each bar's height, from 0 to 1."""
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array.reshape(-1)
    if finite.size == 0:
        return []
    numbers = np.asarray(finite, dtype=np.float64)
    largest = float(np.abs(numbers).max())
    scaled = numbers / largest if largest > 0 else numbers  # so that no range is too wide or too narrow
    low, spread = float(scaled.min()), float(np.ptp(scaled))
    if not spread > 0:
        return [1.0 if k == BINS // 2 else 0.0 for k in range(BINS)]
    places = ((scaled - low) / spread * BINS).astype(np.intp)
    counts = np.bincount(np.minimum(places, BINS - 1).reshape(-1), minlength=BINS)
    return [float(count) for count in counts / counts.max()]


def image(array: Array) -> str:
    """The elements as a tiny PNG, one pixel each, in a data URI."""
    return png_url(signs(np.asarray(as_rows(array), dtype=np.float64)))


def signs(numbers: Array) -> Array:
    """A pixel of red, green, blue and opacity for each number: its sign gives the colour, 0 is clear."""
    finite = np.isfinite(numbers)
    largest = float(np.abs(numbers[finite]).max(initial=0.0))
    strength = np.zeros(numbers.shape)
    if largest > 0:
        np.divide(np.abs(numbers), largest, out=strength, where=finite)
    pixels = np.empty((*numbers.shape, 4), dtype=np.uint8)
    pixels[..., :3] = np.where((numbers < 0)[..., None], BELOW, ABOVE)
    pixels[..., 3] = np.round(255 * strength)
    pixels[~finite] = (*NOT_FINITE, 255)
    return pixels


def listed(array: Array) -> str:
    """The first of some whole numbers: "5, 0, 4, 1 …"."""
    first = ", ".join(str(int(each)) for each in array.reshape(-1)[:FIRST])
    return f"{first} …" if array.size > FIRST else first
