"""What is known about a subject when its mistakes are named: arrays, slopes, and what it does when asked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array, Shape, is_float
from chainrule.checking.differences import Compared, Differences
from chainrule.checking.subjects import Returned, Subject
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast

if TYPE_CHECKING:
    from chainrule.checking.behaviour import Behaviour


@dataclass(frozen=True)
class Settings:
    """How to check: the seed of all random numbers, and the dtype in which the backward runs."""

    seed: int = 0
    dtype: str = "float64"


@dataclass(frozen=True)
class Problem:
    """A gradient that came in another form than it should: its code, and the two forms."""

    code: str
    came: str
    expected: str
    array: Array
    is_no_array: bool = False


def upstream_for(y: Array, settings: Settings) -> Array:
    """A random upstream gradient: not uniform, no element near 0; for one number, not near 1 either."""
    rng = np.random.default_rng([settings.seed, 1])
    if y.size == 1:
        return np.asarray(rng.uniform(1.3, 2.7, y.shape), settings.dtype)
    dy = rng.normal(size=y.shape) + np.where(rng.random(y.shape) < 0.5, -0.5, 0.5)
    return np.asarray(dy, settings.dtype)


def returned_array(
    raw: Any, value: Array, handwritten: bool, dtype: str
) -> tuple[Array | None, Problem | None]:
    """A returned gradient as float64 of the input's shape (None where it cannot be), and what was wrong with it."""
    try:
        array = np.asarray(raw)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        return None, Problem(
            "shape", type(raw).__name__, f"an array of shape {value.shape}", np.zeros((), np.float64), True
        )
    problem = None
    if array.dtype.kind != "f" or array.dtype.itemsize < np.dtype(dtype).itemsize:
        exact = not isinstance(raw, np.ndarray)  # the plain number 0, or 2: nothing was cut off
        if not exact:
            problem = Problem("dtype", str(array.dtype), dtype, array)
    wide = array.astype(np.float64)
    if wide.shape == value.shape:
        return wide, problem
    if not handwritten:
        try:
            return unbroadcast(wide, value.shape), problem
        except ShapeError:
            pass
    if wide.size == value.size == 1:  # a number where an array of one number was wanted, or the reverse
        return wide.reshape(value.shape), problem
    return None, Problem("shape", str(wide.shape), str(value.shape), wide)


@dataclass
class Evidence:
    """All that a diagnosis looks at."""

    subject: Subject
    settings: Settings
    y: Array
    dy: Array
    returned: Returned
    behaviour: Behaviour
    analytic: dict[str, Array] = field(default_factory=dict)
    compared: dict[str, list[Compared]] = field(default_factory=dict)
    misshapen: dict[str, Problem] = field(default_factory=dict)

    @cached_property
    def differences(self) -> Differences:
        """The slopes at the values that are checked."""
        return self.differences_at(self.subject.values, self.dy)

    def differences_at(self, values: Mapping[str, Array], dy: Array) -> Differences:
        """The slopes at other values, or for another upstream gradient."""
        return Differences(self.output_or_nan, values, dy, self.subject.rounded)

    def output(self, values: Mapping[str, Array]) -> Array:
        """The output, in float64, at these values."""
        given = {name: value.copy() for name, value in values.items()} if self.behaviour.writes else values
        session = self.subject.start() if self.behaviour.fresh_each_time else self._session
        with np.errstate(all="ignore"):  # a copy: it may be a view of what is changed next
            return np.array(session.forward(given), dtype=np.float64)

    def output_or_nan(self, values: Mapping[str, Array]) -> Array:
        """The output; NaN where the forward refuses: there is no slope to that side."""
        try:
            return self.output(values)
        except Exception:
            return np.full(self.y.shape, np.nan)

    @cached_property
    def _session(self) -> Any:
        return self.subject.start()

    def gradients(self, values: Mapping[str, Array], dy: Array) -> Returned:
        """What a new session returns at these values, for this upstream gradient."""
        session = replace(self.subject, dtype=self.settings.dtype).start()
        with np.errstate(all="ignore"):
            session.forward({name: value.copy() for name, value in values.items()})
            return session.backward(dy.copy())

    @property
    def values(self) -> dict[str, Array]:
        """The values of the inputs, in the dtype in which the backward ran."""
        return {
            n: v.astype(self.settings.dtype, copy=False) if is_float(v) else v
            for n, v in self.subject.values.items()
        }

    @cached_property
    def other_dy(self) -> Array:
        """Another upstream gradient."""
        rng = np.random.default_rng([self.settings.seed, 2])
        return np.asarray(self.dy * rng.uniform(0.3, 0.8, self.dy.shape), self.dy.dtype)

    @cached_property
    def for_other_dy(self) -> Returned:
        """The gradients for another upstream gradient; nothing where that fails."""
        try:
            return self.gradients(self.values, self.other_dy)
        except Exception:  # it has been told already that this backward raises, or nothing depends on it
            return {}

    def numerical(self, name: str) -> tuple[Array, Array, Array]:
        """Of the elements compared that are no kinks: their flat indices, slopes, and how far one may be off."""
        rows = [c for c in self.compared.get(name, []) if not c.kink]
        largest = max((c.slope.terms for c in rows), default=0.0)
        return (
            np.array([c.index for c in rows], np.intp),
            np.array([c.slope.value for c in rows]),
            np.array([1e-4 * c.slope.terms + 1e-6 * largest + 20 * c.slope.rounding for c in rows]),
        )

    def all_slopes(self, name: str, most: int = 2000) -> tuple[Array, Array, Array]:
        """The slopes of an input whose gradient has no usable shape: indices, slopes, how far one may be off."""
        size = min(self.subject.values[name].size, most)
        slopes = [self.differences.element(name, i, self.differences.step(name, i)) for i in range(size)]
        largest = max((s.terms for s in slopes), default=0.0)
        return (
            np.arange(size),
            np.array([s.value for s in slopes]),
            np.array([1e-4 * s.terms + 1e-6 * largest + 20 * s.rounding for s in slopes]),
        )

    @property
    def work(self) -> int:
        """About how many numbers one forward reads and writes."""
        return self.subject.work or self.y.size + sum(value.size for value in self.subject.values.values())

    @property
    def batch(self) -> int:
        """The number of samples: the length of the first axis of the first input that has one."""
        for value in self.subject.values.values():
            return len(value) if value.ndim else 1
        return 1

    def shape(self, name: str) -> Shape:
        """The shape of an input."""
        return tuple(self.subject.values[name].shape)
