"""The numerical side of a check: slopes by central differences, how sure they are, and kinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array

EPSILON = float(np.finfo(np.float64).eps)
CUBE_ROOT = EPSILON ** (1 / 3)  # balances truncation, of order h², against rounding, of order epsilon / h

#: By the dtype in which the backward ran: how far an element may be off, relative to the sum of the sizes of
#: the terms that make it up, and relative to the largest such sum.
RELATIVE = {"float64": 1e-5, "float32": 2e-3}
OF_LARGEST = {"float64": 1e-13, "float32": 2e-6}
#: How many machine epsilons of the largest |dy| a backward may round off.
OF_UPSTREAM = 16
#: How far the slope along a random direction may be off, relative to the norm of the terms.
ALONG_DIRECTION = {"float64": 1e-6, "float32": 1e-3}


@dataclass(frozen=True)
class Slope:
    """dL/dx by a difference, where L = sum(dy * y): the slope, the size of its terms, and its rounding."""

    value: float
    terms: float
    rounding: float
    #: dy/dx of the output element at the place of the input element, where both have one shape.
    own: float = math.nan


class Differences:
    """Slopes of L = sum(dy * y) at one point, with y computed by `forward`, always in float64."""

    def __init__(
        self,
        forward: Callable[[Mapping[str, Array]], Array],
        values: Mapping[str, Array],
        dy: Array,
        rounded: float = 0.0,
    ) -> None:
        self._forward, self._rounded = forward, rounded
        self._values = {
            name: np.array(v, dtype=np.float64 if v.dtype.kind == "f" else None) for name, v in values.items()
        }
        self._dy = np.asarray(dy, np.float64)
        self._upstream = float(np.abs(self._dy).max(initial=0))
        self._middle: Array | None = None
        self.scale = {n: _scale(v) for n, v in self._values.items() if v.dtype.kind == "f"}

    def least(self, name: str, dtype: str) -> float:
        """What a backward may round off: some machine epsilons of |dy|, of less where the input is small."""
        return OF_UPSTREAM * float(np.finfo(dtype).eps) * self._upstream * min(1.0, self.scale[name])

    def step(self, name: str, index: int) -> float:
        """A step that fits the size of an element and of its neighbours."""
        return float(CUBE_ROOT * max(abs(float(self._values[name].flat[index])), self.scale[name]))

    def own_step(self, name: str, index: int) -> float:
        """A step that fits the element alone, which may be much smaller than its neighbours."""
        return CUBE_ROOT * abs(float(self._values[name].flat[index])) or math.inf

    def element(self, name: str, index: int, h: float) -> Slope:
        """The slope along one element (a flat index), by central differences."""
        above, up, below, down = self._on_both_sides(name, index, h)
        own = index if up.shape == self._values[name].shape else None
        return self._slope(up, down, above - below, own)

    def best_element(self, name: str, index: int, dtype: str) -> Slope:
        """The slope along one element; by a longer step where rounding leaves too few digits, and that agrees."""
        h = self.step(name, index)
        slope = self.element(name, index, h)
        if 10 * slope.rounding > RELATIVE[dtype] * slope.terms > 0:
            longer = self.element(name, index, 30 * h)
            if abs(longer.value - slope.value) <= 10 * slope.rounding + RELATIVE[dtype] * slope.terms:
                return longer
        return slope

    def one_sided(self, name: str, index: int, h: float) -> tuple[Slope, Slope]:
        """The slopes to the right and to the left of an element."""
        kept = float(self._values[name].flat[index])
        if self._middle is None:
            self._middle = self._output()
        above, up, below, down = self._on_both_sides(name, index, h)
        right = self._slope(up, self._middle, above - kept, None)
        return right, self._slope(self._middle, down, kept - below, None)

    def noise(self, name: str, index: int, h: float) -> float:
        """The standard deviation of what the forward rounds, by its fourth differences along an element."""
        array = self._values[name]
        kept = float(array.flat[index])
        try:
            sums = []
            for k in range(-3, 4):
                array.flat[index] = kept + k * h
                sums.append(self._dy * self._output())
        finally:
            array.flat[index] = kept
        totals = np.array([(each - sums[3]).sum() for each in sums])
        return float(np.sqrt((np.diff(totals, 4) ** 2).mean() / 70))

    def to_one_side(self, name: str, direction: Array, h: float) -> Slope:
        """The slope along a direction, to its side alone."""
        array = self._values[name]
        kept = array.copy()
        if self._middle is None:
            self._middle = self._output()
        try:
            array[...] = kept + h * direction
            up = self._output()
        finally:
            array[...] = kept
        return self._slope(up, self._middle, h, None)

    def along(self, name: str, direction: Array, h: float) -> Slope:
        """The slope along a direction, an array of the input's shape."""
        array = self._values[name]
        kept = array.copy()
        try:
            array[...] = kept + h * direction
            up = self._output()
            array[...] = kept - h * direction
            down = self._output()
        finally:
            array[...] = kept
        return self._slope(up, down, 2 * h, None)

    def contributions(self, name: str, index: int) -> Array:
        """What each element of the output adds to the slope along one element: dy_j ∂y_j/∂x_i."""
        above, up, below, down = self._on_both_sides(name, index, self.step(name, index))
        return np.asarray(self._dy * (up - down) / (above - below))

    def own_slope(self, name: str, index: int, at: Mapping[str, Array]) -> float:
        """dy[i]/dx[i] at other values of the inputs."""
        other = Differences(self._forward, at, np.ones_like(self._dy))
        return other.element(name, index, other.step(name, index)).own

    def _on_both_sides(self, name: str, index: int, h: float) -> tuple[float, Array, float, Array]:
        """The element and the output a step above, and a step below. The element is put back."""
        array = self._values[name]
        kept = float(array.flat[index])
        try:
            array.flat[index] = kept + h
            above, up = float(array.flat[index]), self._output()
            array.flat[index] = kept - h
            below, down = float(array.flat[index]), self._output()
        finally:
            array.flat[index] = kept
        return above, up, below, down

    def _output(self) -> Array:
        return self._forward(self._values)

    def _slope(self, up: Array, down: Array, width: float, own: int | None) -> Slope:
        with np.errstate(all="ignore"):
            raw = up - down
            change = self._dy * raw
            moved = raw != 0
            size = np.abs(self._dy) * np.abs(up)
            largest = float(size.max(initial=0)) or 1.0  # taken out, so that no square overflows
            inside = self._rounded * self._upstream
            lost = largest * float(np.linalg.norm(size[~moved] / largest))  # by less than a digit
            return Slope(
                value=float(change.sum() / width),
                terms=float(np.abs(change).sum() / abs(width)),
                rounding=float(EPSILON * (4 * size[moved].sum() + lost + inside) / abs(width)),
                own=math.nan if own is None else float(raw.flat[own] / width),
            )


def _scale(array: Array) -> float:
    """The size of the values of an array: the root of their mean square; 1 where they are all 0."""
    if array.size == 0:
        return 1.0
    largest = float(np.abs(array).max())
    if not 0 < largest < math.inf:
        return 1.0
    return largest * math.sqrt(float(np.mean((array / largest) ** 2)))


@dataclass
class Compared:
    """An element held against its slope: whether it agrees, and if not whether there is a kink."""

    index: int
    analytic: float
    slope: Slope
    agrees: bool
    kink: bool = False

    @property
    def is_defined(self) -> bool:
        """Whether there is a slope: the function goes on a little to both sides."""
        return math.isfinite(self.slope.value)

    @property
    def off(self) -> float:
        """How far apart the two are; infinity where one of them is no number."""
        difference = abs(self.analytic - self.slope.value)
        return difference if math.isfinite(difference) else math.inf

    @property
    def error(self) -> float:
        """|analytic - numerical| / max of the two, 0 where both are nothing but rounding."""
        return relative_error(self.analytic, self.slope.value)


def relative_error(analytic: float, numerical: float) -> float:
    """|a - n| / max(|a|, |n|)."""
    if not (math.isfinite(analytic) and math.isfinite(numerical)):
        return math.inf
    largest = max(abs(analytic), abs(numerical))
    return abs(analytic - numerical) / largest if largest else 0.0


def tolerance(slope: Slope, dtype: str, largest: float, least: float) -> float:
    """How far an element may be off: by a share of its terms and of the largest ones, and by what is rounded.

    A backward rounds too: p - 1 for a probability of nearly 1 is off by an epsilon, however small the truth. For
    that there is `least`, see `Differences.least`.
    """
    share = RELATIVE[dtype] * slope.terms + OF_LARGEST[dtype] * largest
    return share + 10 * slope.rounding + least


def compare_elements(
    differences: Differences, name: str, indices: Array, analytic: Array, dtype: str
) -> list[Compared]:
    """Hold elements, by their flat indices, against their slopes."""
    slopes = [differences.best_element(name, int(i), dtype) for i in indices]
    largest = max((slope.terms for slope in slopes if math.isfinite(slope.terms)), default=0.0)
    return [
        _compare_element(differences, name, int(i), float(analytic.flat[i]), slope, dtype, largest)
        for i, slope in zip(indices, slopes, strict=True)
    ]


def _compare_element(
    differences: Differences, name: str, index: int, analytic: float, first: Slope, dtype: str, largest: float
) -> Compared:
    """Hold one element against differences with several steps, and look for a kink where none agrees.

    The first step is the best one for a smooth function. A shorter one is tried where that disagrees, since the
    function may bend, have a kink or end within the first; a longer one, since it may be very flat; and one that
    fits an element much smaller than its neighbours.
    """
    best, least = differences.step(name, index), differences.least(name, dtype)

    def agrees(slope: Slope) -> bool:
        allowed = tolerance(slope, dtype, largest, least)
        return math.isfinite(allowed) and bool(abs(analytic - slope.value) <= allowed)

    if agrees(first):
        return Compared(index, analytic, first, True)
    if not math.isfinite(analytic) and math.isfinite(first.value):
        return Compared(index, analytic, first, False)
    own = differences.own_step(name, index)
    slopes = []
    for h in (0.1 * best, 0.01 * best, 10 * best, *([own] if own < 0.005 * best else [])):
        slope = differences.element(name, index, h)
        slopes.append(slope)
        exact = slope.rounding < 1e-3 * slope.terms + 1e-12  # else it would agree with anything
        if exact and agrees(slope):
            return Compared(index, analytic, slope, True)
        if not math.isfinite(first.value) and math.isfinite(slope.value):
            first = slope
    if not math.isfinite(first.value):  # the function ends here: nothing can be held against the gradient
        return Compared(index, analytic, first, False, True)
    if any(agrees(slope) for slope in _limits(differences, name, index, best)):
        return Compared(index, analytic, first, True)
    kink, inside = _kink(differences, name, index, analytic, best, dtype, largest)
    if not kink and _within_noise(differences, name, index, best, agrees):
        return Compared(index, analytic, first, True)
    return Compared(index, analytic, first, False, kink and inside)


def _limits(differences: Differences, name: str, index: int, h: float) -> Iterator[Slope]:
    """The slopes that differences tend to as the step gets shorter, where their error is of order h, and of h².

    Where a slope is 0 and the function bends, as x |x| and x³ do at 0, differences are nothing but such an error.
    """
    for step in (10 * h, h):
        one, two = differences.element(name, index, step), differences.element(name, index, step / 2)
        for weight in (2.0, 4.0):
            value = (weight * two.value - one.value) / (weight - 1)
            yield replace(two, value=value, rounding=4 * two.rounding)


def _within_noise(
    differences: Differences, name: str, index: int, h: float, agrees: Callable[[Slope], bool]
) -> bool:
    """Whether the gradient agrees, over longer steps, within what the forward is seen to round.

    A forward that cancels, as (x + 1e10) - 1e10 does, loses digits that its output does not show. Fourth
    differences show them: they shrink with the step for a smooth function and at a kink, and do not for noise.
    """
    noise, finer = differences.noise(name, index, h / 3), differences.noise(name, index, h / 30)
    if not finer > 0.3 * noise > 0:
        return False
    for step in (10 * h, 100 * h):
        slope = differences.element(name, index, step)
        if not agrees(replace(slope, rounding=slope.rounding + noise / step)):
            return False
    return True


def _kink(
    differences: Differences, name: str, index: int, analytic: float, h: float, dtype: str, largest: float
) -> tuple[bool, bool]:
    """Whether the slopes to the two sides differ however short the step, and the gradient lies between them."""
    right, left = differences.one_sided(name, index, h)
    right2, left2 = differences.one_sided(name, index, h / 10)
    jump, jump2 = abs(right.value - left.value), abs(right2.value - left2.value)
    noise = 20 * (right2.rounding + left2.rounding) + 1e-4 * max(right2.terms, left2.terms)
    if not (math.isfinite(jump2) and jump2 > noise and 0.5 * jump < jump2 < 2 * jump):
        return False, False
    low, high = sorted((right2.value, left2.value))
    slack = sum(tolerance(side, dtype, largest, differences.least(name, dtype)) for side in (right2, left2))
    slack += 1e-4 * jump2
    return True, low - slack <= analytic <= high + slack


def ties_agree(
    differences: Differences, name: str, compared: list[Compared], analytic: Array, dtype: str
) -> bool:
    """Whether the elements at kinks share their gradient rightly: moved together, they must not be at one.

    Each of two largest elements may be given dy, 0, or a share of it; both together are given dy.
    """
    direction = np.zeros_like(analytic)
    for each in compared:
        direction.reshape(-1)[each.index] = 1.0
    h = CUBE_ROOT * differences.scale[name]
    right = differences.to_one_side(name, direction, h)
    left = differences.to_one_side(name, -direction, h)
    allowed = tolerance(right, dtype, right.terms, differences.least(name, dtype)) + 1e-4 * right.terms
    if abs(right.value + left.value) > allowed or not math.isfinite(right.value):
        return True  # that is a kink too: nothing can be said
    return abs(float((analytic * direction).sum()) - right.value) <= allowed


def directions(shape: Any, count: int, rng: np.random.Generator) -> list[Array]:
    """Random directions: every element +1 or -1 times a size between a half and one and a half."""
    return [rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape) for _ in range(count)]


def direction_agrees(
    differences: Differences, name: str, analytic: Array, direction: Array, dtype: str
) -> bool:
    """Whether the gradient's slope along a direction is that of the function.

    What counts is the norm of the terms, not their sum, which may happen to be near 0.
    """
    h = CUBE_ROOT * differences.scale[name]
    terms = analytic * direction
    claimed = float(terms.sum())
    norm = float(np.sqrt(np.sum(terms * terms)))
    for factor in (1.0, 0.1):
        slope = differences.along(name, direction, factor * h)
        allowed = ALONG_DIRECTION[dtype] * norm + 10 * slope.rounding
        allowed += differences.least(name, dtype) * float(np.sqrt(np.abs(direction).sum()))
        if dtype == "float32":
            allowed += 1e-5 * float(np.abs(terms).sum())
        if abs(claimed - slope.value) <= allowed:
            return True
    return False
