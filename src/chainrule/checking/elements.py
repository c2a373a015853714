"""Elements and directions of a gradient, held against slopes: where it is wrong, and where nothing can be said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.differences import (
    ALONG_DIRECTION,
    CUBE_ROOT,
    OF_LARGEST,
    OF_SLOPE,
    RELATIVE,
    Differences,
    Slope,
    resolving,
    settled,
)

#: How much larger than what one seed needs the stated sharpness is: the next seed draws other directions.
MARGIN = 1.5
#: So many elements are tried with several steps before they count as wrong; fewer where that takes many forwards.
PLAINLY_WRONG, PLAINLY_WRONG_IN_NOISE = 64, 12


@dataclass
class Compared:
    """An element held against its slope: whether it agrees, and if not whether there is a kink."""

    index: int
    analytic: float
    slope: Slope
    agrees: bool
    kink: bool = False
    #: How far apart the two may be.
    allowed: float = 0.0

    @property
    def is_defined(self) -> bool:
        """Whether there is a slope: the function goes on a little to both sides, and does not bend at once."""
        return math.isfinite(self.slope.value) and self.slope.bend <= 0.5 * self.slope.terms

    @property
    def is_kink(self) -> bool:
        """Whether it stands at a kink, with slopes to both sides."""
        return self.kink and self.is_defined and not self.agrees

    @property
    def off(self) -> float:
        """How far apart the two are; infinity where one of them is no number."""
        difference = abs(self.analytic - self.slope.value)
        return difference if math.isfinite(difference) else math.inf

    @property
    def error(self) -> float:
        """|analytic - numerical| / max of the two, 0 where both are nothing but rounding."""
        return relative_error(self.analytic, self.slope.value)

    @property
    def sharpness(self) -> float:
        """The smallest factor 1 + s on this element that would be seen nearly always."""
        size = abs(self.slope.value)
        return MARGIN * (self.allowed + 3 * self.slope.noise) / size if size and self.is_defined else math.inf


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
    return RELATIVE[dtype] * slope.terms + OF_LARGEST[dtype] * largest + slope.unsure + least


def compare_elements(
    differences: Differences, name: str, indices: Array, analytic: Array, dtype: str
) -> list[Compared]:
    """Hold elements, by their flat indices, against their slopes."""
    slopes = [differences.best_element(name, int(i), dtype) for i in indices]
    largest = max((slope.terms for slope in slopes if math.isfinite(slope.terms)), default=0.0)
    found: list[Compared] = []
    wrong, most = 0, PLAINLY_WRONG_IN_NOISE if differences.is_rough else PLAINLY_WRONG
    for i, slope in zip(indices, slopes, strict=True):
        come = float(analytic.flat[i])
        is_short = wrong >= most  # many are, at no kink: other steps need not be tried for the rest
        found.append(_compare_element(differences, name, int(i), come, slope, dtype, largest, is_short))
        wrong += not found[-1].agrees and not found[-1].kink
    return found


def _compare_element(
    differences: Differences,
    name: str,
    index: int,
    analytic: float,
    first: Slope,
    dtype: str,
    largest: float,
    is_short: bool,
) -> Compared:
    """Hold one element against differences with several steps, and look for a kink where none agrees.

    The first step is the best one for a smooth function. A shorter one is tried where that disagrees, since the
    function may bend, have a kink or end within the first; a longer one, since it may be very flat; and one that
    fits an element much smaller than its neighbours.
    """
    best, least = differences.step(name, index), differences.least(name, dtype)

    def compared(slope: Slope) -> Compared:
        allowed = tolerance(slope, dtype, largest, least)
        if differences.is_rough and slope.terms == 0:
            allowed += differences.unseen(name)
        agrees = math.isfinite(allowed) and bool(abs(analytic - slope.value) <= allowed)
        return Compared(index, analytic, slope, agrees, allowed=allowed)

    found = compared(first)
    if found.agrees or (is_short and found.is_defined):
        return found
    if differences.is_rough:
        found.kink = not found.is_defined
        resolved = map(compared, resolving(differences.by_shorter_steps(name, index), found.off))
        return next((each for each in resolved if each.agrees), found)
    if not math.isfinite(analytic) and math.isfinite(first.value):
        return found
    own = differences.own_step(name, index)
    for h in (0.1 * best, 0.01 * best, 10 * best, *([own] if own < 0.005 * best else [])):
        slope = differences.element(name, index, h)
        exact = slope.rounding < 1e-3 * slope.terms + 1e-12  # else it would agree with anything
        if exact and compared(slope).agrees:
            return compared(slope)
        if not math.isfinite(found.slope.value) and math.isfinite(slope.value):
            found = compared(slope)
            found.agrees = False
    if not math.isfinite(
        found.slope.value
    ):  # the function ends here: nothing can be held against the gradient
        found.kink = True
        return found
    if any(compared(slope).agrees for slope in _limits(differences, name, index, best)):
        return replace(found, agrees=True)
    kink, inside = _kink(differences, name, index, analytic, best, dtype, largest)
    found.kink = kink and inside
    return found if kink else _converged(differences, name, index, found, compared)


def _converged(
    differences: Differences, name: str, index: int, found: Compared, compared: Callable[[Slope], Compared]
) -> Compared:
    """Where the slope changes with the step, it counts only once it no longer does: by the first two steps that
    agree. Where none do, nothing can be said, as of log(x + 1e-300) at 0.
    """
    h = differences.step(name, index)
    before = found.slope
    for k in range(2, 16, 2):
        slope = differences.element(name, index, h / 10**k)
        changed, rounding = abs(slope.value - before.value), 10 * (slope.rounding + before.rounding)
        shrinks = abs(slope.value) < abs(before.value) and changed < 0.1 * compared(slope).off
        if shrinks or changed <= 1e-3 * max(slope.terms, before.terms) + rounding:
            return found if k == 2 else compared(slope)
        if rounding > 0.1 * max(slope.terms, before.terms):
            break
        before = slope
    return replace(found, slope=replace(before, value=math.nan), kink=True)


def _limits(differences: Differences, name: str, index: int, h: float) -> Iterator[Slope]:
    """The slopes that differences tend to as the step gets shorter, where their error is of order h, and of h².

    Where a slope is 0 and the function bends, as x |x| and x³ do at 0, differences are nothing but such an error.
    """
    for step in (10 * h, h):
        one, two = differences.element(name, index, step), differences.element(name, index, step / 2)
        for weight in (2.0, 4.0):
            value = (weight * two.value - one.value) / (weight - 1)
            yield replace(two, value=value, rounding=4 * two.rounding)


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


# Directions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Along:
    """A gradient's slope along a direction, held against that of the function."""

    claimed: float
    slope: float
    allowed: float
    noise: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether they are the same, up to rounding. What cannot be computed says nothing."""
        return not math.isfinite(self.slope) or abs(self.claimed - self.slope) <= self.allowed

    @property
    def sharpness(self) -> float:
        """The smallest factor 1 + s on the gradient that would be seen nearly always."""
        size = abs(self.slope)
        return MARGIN * (self.allowed + 3 * self.noise) / size if size else math.inf


def directions(shape: Any, count: int, rng: np.random.Generator) -> list[Array]:
    """Random directions: every element +1 or -1 times a size between a half and one and a half."""
    return [rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape) for _ in range(count)]


def hold_along(differences: Differences, name: str, analytic: Array, direction: Array, dtype: str) -> Along:
    """Hold a gradient's slope along a direction against the function's.

    What counts is the norm of the terms, not their sum, which may happen to be near 0.
    """
    terms = analytic * direction
    claimed = float(terms.sum())
    norm = float(np.sqrt(np.sum(terms * terms)))
    allowed = ALONG_DIRECTION[dtype] * norm + OF_SLOPE[dtype] * abs(claimed)
    if dtype == "float32":
        allowed += 1e-5 * float(np.abs(terms).sum())
    if differences.is_rough:
        off = settled(differences.off_along(name, direction, analytic))
        if abs(off.value) > allowed + off.unsure:  # unless a shorter step shows that it bends
            resolved = resolving(differences.off_along(name, direction, analytic), abs(off.value))
            off = next((s for s in resolved if abs(s.value) <= allowed + s.unsure), off)
        return Along(claimed, claimed + off.value, allowed + off.unsure, off.noise)
    allowed += differences.least(name, dtype) * float(np.sqrt(np.abs(direction).sum()))
    h = CUBE_ROOT * differences.scale[name]
    tried = []
    for factor in (1.0, 0.1):
        slope = differences.along(name, direction, factor * h)
        tried.append(Along(claimed, slope.value, allowed + slope.unsure))
        if tried[-1].agrees and math.isfinite(slope.value):
            return tried[-1]
    return tried[0] if math.isfinite(tried[0].slope) else tried[1]
