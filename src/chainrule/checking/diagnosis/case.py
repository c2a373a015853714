"""One wrong gradient, and what a hypothesis about it may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.context import Check

#: How many times as far as it may be off at least one element has to be, for a mistake to be named.
CLEAR = 4


@dataclass(frozen=True)
class Diagnosis:
    """A code from `mistakes`, what fills in its advice, and how sure it is."""

    code: str
    confidence: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Case:
    """One wrong gradient: at the elements compared, the one returned (`a`) and the right one (`n`)."""

    check: Check
    name: str
    analytic: Array
    index: Array
    n: Array
    allowed: Array

    @property
    def a(self) -> Array:
        """What came, at the elements compared."""
        return self.analytic.reshape(-1)[self.index]

    @property
    def x(self) -> Array:
        """The input's values at the elements compared."""
        return np.asarray(self.check.target.values[self.name], np.float64).reshape(-1)[self.index]

    @property
    def wrong(self) -> Array:
        """Which of the elements compared are off."""
        return ~self.near(self.a, self.n)

    def near(self, one: Array, other: Array) -> Array:
        """Which elements agree."""
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(one), np.abs(other))
            return np.asarray(
                np.isfinite(size) & (np.abs(one - other) <= self.allowed + self.check.resolution * size)
            )

    @property
    def is_clear(self) -> bool:
        """Whether some element is so far off that the reason can show: else any small correction would fit."""
        size = np.maximum(np.abs(self.a), np.abs(self.n))
        allowed = self.allowed + self.check.resolution * size
        return not np.isfinite(self.a).all() or bool((np.abs(self.a - self.n) > CLEAR * allowed).any())

    def strong(self, at_least: int) -> Array:
        """The elements that are far larger than what they may be off; where these are few, those twice as large."""
        far = np.abs(self.n) > 100 * self.allowed
        return far if far.sum() >= at_least else np.abs(self.n) > 2 * self.allowed

    def fits(self, candidate: Array) -> bool:
        """Whether an array of the input's shape is the right gradient, at the elements compared."""
        if candidate.shape != self.analytic.shape or not self.index.size:
            return False
        return bool(self.near(candidate.reshape(-1)[self.index], self.n).all())

    def is_it(self, candidate: Array) -> bool:
        """Whether an array equals the gradient returned."""
        if candidate.shape != self.analytic.shape:
            return False
        size = float(np.abs(self.analytic).max(initial=0))
        with np.errstate(all="ignore"):
            return bool(
                size > 0 and (np.abs(candidate - self.analytic) <= self.check.resolution * size).all()
            )

    def at_elements(self, other: Array) -> Array | None:
        """Another array's numbers at the same places, where it has, or can be broadcast to, the input's shape."""
        try:
            return np.broadcast_to(np.asarray(other, np.float64), self.analytic.shape).reshape(-1)[self.index]
        except ValueError:
            return None


Hypothesis = Callable[[Case], Diagnosis | None]


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
