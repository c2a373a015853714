"""The numerical side of a check: slopes by central differences, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.noise import ROUGH, Noise, scale_of
from chainrule.checking.precision import epsilon, rounded

EPSILON = epsilon("float64")
CUBE_ROOT = EPSILON ** (1 / 3)  # balances truncation, of order h², against rounding, of order epsilon / h

#: By the dtype in which the backward runs: how far an element may be off, relative to the sum of the sizes of the
#: terms that make it up, and relative to the largest such sum.
RELATIVE = {"float64": 1e-5, "float32": 2e-4, "float16": 4e-3, "bfloat16": 3e-2}
OF_LARGEST = {"float64": 1e-13, "float32": 2e-6, "float16": 1e-3, "bfloat16": 8e-3}
#: How many machine epsilons of the largest |dy| a backward may round off.
OF_UPSTREAM = {"float64": 16, "float32": 16, "float16": 0, "bfloat16": 0}
#: How far the slope along a random direction may be off, relative to the norm of the terms and to itself.
ALONG_DIRECTION = {"float64": 1e-6, "float32": 1e-4, "float16": 2e-3, "bfloat16": 1.5e-2}
OF_SLOPE = {"float64": 0.0, "float32": 1e-5, "float16": 5e-4, "bfloat16": 4e-3}

#: Where the points of such a slope stand, in steps, and their weights: exact for polynomials of degree 4.
FOUR_POINTS = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))


@dataclass(frozen=True)
class Slope:
    """dL/dx by a difference, where L = sum(dy * y): the slope, the size of its terms, and its rounding."""

    value: float
    terms: float
    rounding: float
    #: dy/dx of the output element at the place of the input element, where both have one shape.
    own: float = math.nan
    #: The standard deviation that the forward's measured noise gives it.
    noise: float = 0.0
    #: How much it changes when it is taken by two points in the place of four.
    bend: float = 0.0

    @property
    def unsure(self) -> float:
        """How far it may be off for all that is known of it."""
        return 10 * self.rounding + 8 * self.noise + self.bend


class Point(dict[str, Array]):
    """The values of the inputs, and which one is moved at present: of the others, what was made is still right."""

    moved: str | None = None


class Differences:
    """Slopes of L = sum(dy * y) at one point, with y computed by `forward`, from and as float64 arrays.

    Where the forward rounds more coarsely than that, as `noise` tells, and `dtypes` for its inputs, steps are as
    long as its noise asks for: noise**(1/5) balances noise / h against truncation, of order h⁴.
    """

    def __init__(
        self,
        forward: Callable[[Mapping[str, Array]], Array],
        values: Mapping[str, Array],
        dy: Array,
        noise: Noise | None = None,
        dtypes: Mapping[str, str] | None = None,
    ) -> None:
        self._forward, self._noise = forward, noise
        self._dtypes = {name: dtype for name, dtype in (dtypes or {}).items() if dtype != "float64"}
        self._values = Point(
            {
                name: np.array(v, dtype=np.float64 if v.dtype.kind == "f" else None)
                for name, v in values.items()
            }
        )
        self._dy = np.asarray(dy, np.float64)
        self._upstream = float(np.abs(self._dy).max(initial=0))
        self._middle: Array | None = None
        self.scale = {n: scale_of(v) for n, v in self._values.items() if v.dtype.kind == "f"}

    @property
    def is_rough(self) -> bool:
        """Whether the forward rounds so coarsely that slopes are taken over long steps, by four points."""
        return bool(self._dtypes) or (self._noise is not None and self._noise.relative > ROUGH)

    def unseen(self, name: str) -> float:
        """How large a slope may be although no output moved: each is rounded, and may have moved by half a unit."""
        if self._noise is None:
            return 0.0
        with np.errstate(all="ignore"):
            moved = float((np.abs(self._dy) * self._noise.absolute).max(initial=0.0))
        return moved / (0.1 * self.scale[name])

    def least(self, name: str, dtype: str) -> float:
        """What a backward may round off: some machine epsilons of |dy|, of less where the input is small."""
        return OF_UPSTREAM[dtype] * epsilon(dtype) * self._upstream * min(1.0, self.scale[name])

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
        if self.is_rough:
            return settled(self.by_shorter_steps(name, index))
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
        above, up, below, down = self._on_both_sides(name, index, h)
        right = self._slope(up, self._at_the_middle(), above - kept, None)
        return right, self._slope(self._at_the_middle(), down, kept - below, None)

    def to_one_side(self, name: str, direction: Array, h: float) -> Slope:
        """The slope along a direction, to its side alone."""
        return self._slope(
            self._output_at(name, self._values[name] + h * direction), self._at_the_middle(), h, None
        )

    def along(self, name: str, direction: Array, h: float) -> Slope:
        """The slope along a direction, an array of the input's shape."""
        up, down = self._on_both_sides_along(name, h * direction)
        return self._slope(up, down, 2 * h, None)

    def off_along(self, name: str, direction: Array, analytic: Array) -> Iterator[Slope]:
        """How far the slope along a direction is from that of a gradient, by shorter and shorter steps."""
        h = self._relative_step() * self.scale[name]
        return (self._off_by_four_points(name, direction, analytic, h / 3**k) for k in range(6))

    def by_shorter_steps(self, name: str, index: int) -> Iterator[Slope]:
        """The slope along one element of a forward that rounds coarsely, by shorter and shorter steps."""
        h = self._relative_step() * max(abs(float(self._values[name].flat[index])), self.scale[name])
        reached = np.zeros(self._dy.shape, bool)
        return (self._by_four_points(name, index, h / 3**k, reached) for k in range(6))

    def product(self, name: str, direction: Array) -> Array:
        """The Jacobian times a direction: what each output changes by, along it."""
        size = float(np.abs(direction).max(initial=0)) or 1.0
        h = (self._relative_step() / 4 if self.is_rough else CUBE_ROOT) * self.scale[name] / size
        up, down = self._on_both_sides_along(name, h * direction)
        return np.asarray((up - down) / (2 * h))

    def contributions(self, name: str, index: int) -> Array:
        """What each element of the output adds to the slope along one element: dy_j ∂y_j/∂x_i."""
        long = self._relative_step() * self.scale[name] if self.is_rough else 0.0
        h = max(long / 4, self.step(name, index))
        above, up, below, down = self._on_both_sides(name, index, h)
        return np.asarray(self._dy * (up - down) / (above - below))

    def own_slope(self, name: str, index: int, at: Mapping[str, Array]) -> float:
        """dy[i]/dx[i] at other values of the inputs."""
        other = Differences(self._forward, at, np.ones_like(self._dy), self._noise, self._dtypes)
        return other.best_element(name, index, "float64").own

    # Long steps ----------------------------------------------------------------------------------------------

    def _relative_step(self) -> float:
        relative = self._noise.relative if self._noise is not None else 0.0
        least = max((epsilon(dtype) / 4 for dtype in self._dtypes.values()), default=ROUGH)
        return float(np.clip(relative, least, 4e-3) ** 0.2)

    def _by_four_points(self, name: str, index: int, h: float, reached: Array) -> Slope:
        """`reached` gathers the outputs that moved, by this step or a longer one: less may be rounded away."""
        kept = float(self._values[name].flat[index])
        middle = self._at_the_middle()
        points = [self._held(name, kept + k * h) for k, _ in FOUR_POINTS]
        outputs = [self._output_with(name, index, value) for value in points]
        width = sum(
            weight * (float(value) - kept) for (_, weight), value in zip(FOUR_POINTS, points, strict=True)
        )
        if not width:
            return Slope(math.nan, math.nan, math.inf)
        others = outputs
        if self._dtypes:  # outputs that depend on it so little that they are rounded to what they were
            others = [*outputs, self._output_with(name, index, self._held(name, kept + 8 * h))]
        for each in others:
            reached |= each != middle
        own = math.nan
        if middle.shape == self._values[name].shape:
            own = _by_weights(float(each.flat[index]) for each in outputs) / width
        dy, here = self._dy[reached], middle[reached]
        there = [each[reached] for each in outputs]
        change = dy * _by_weights(there) / width
        value = float(np.sum(change))
        noise = 0.95 / abs(width) * self._noise_of(reached)
        bend = self._bend(value, [dy * (each - here) for each in there], abs(width), noise)
        return Slope(value, float(np.abs(change).sum()), 0.0, own, noise, bend)

    def _off_by_four_points(self, name: str, direction: Array, analytic: Array, h: float) -> Slope:
        array, middle = self._values[name], self._at_the_middle()
        changes, linear = [], []
        for k, _ in FOUR_POINTS:
            there = self._held(name, array + k * h * direction)
            changes.append(self._dy * (self._output_at(name, there) - middle))
            terms = analytic * (there - array)
            linear.append(float(terms.sum()))
        norm = float(np.linalg.norm(terms)) / (2 * h)
        noise = 0.95 / h * self._noise_of(...)
        off = [float(change.sum()) - by for change, by in zip(changes, linear, strict=True)]
        total = _by_weights(off) / h
        claimed = (linear[2] - linear[1]) / (2 * h)
        return Slope(total, norm, 0.0, math.nan, noise, self._bend(total + claimed, changes, h, noise))

    def _bend(self, slope: float, changes: list[Array], h: float, noise: float) -> float:
        """How far a slope by four points may be off where the function bends, by the changes of dy * y at these.

        Two points give another slope where it bends. Where an output has a kink, its slopes to the two sides differ
        by as much over one step as over two, and not by half as much: twice the norm of these, beyond the noise.
        """
        by_two = float((changes[2] - changes[1]).sum()) / (2 * h)
        kinks = 2 * (changes[1] + changes[2]) / h - (changes[0] + changes[3]) / (2 * h)
        beyond = float(np.linalg.norm(kinks)) ** 2 - (7 * noise) ** 2
        return abs(slope - by_two) + 2 * math.sqrt(max(0.0, beyond))

    def _noise_of(self, outputs: Any) -> float:
        """The standard deviation of the sum of dy * y over some outputs."""
        if self._noise is None or not self.is_rough:
            return 0.0
        return float(np.linalg.norm(self._dy[outputs] * self._noise.absolute[outputs]))

    def _held(self, name: str, value: Any) -> Any:
        dtype = self._dtypes.get(name)
        return value if dtype is None else rounded(value, dtype)

    # Outputs -------------------------------------------------------------------------------------------------

    def _on_both_sides(self, name: str, index: int, h: float) -> tuple[float, Array, float, Array]:
        """An element and the output a step above, and a step below."""
        kept = float(self._values[name].flat[index])
        above, below = (float(self._held(name, kept + step)) for step in (h, -h))
        return above, self._output_with(name, index, above), below, self._output_with(name, index, below)

    def _on_both_sides_along(self, name: str, step: Array) -> tuple[Array, Array]:
        array = self._values[name]
        return self._output_at(name, array + step), self._output_at(name, array - step)

    def _output_with(self, name: str, index: int, value: float) -> Array:
        """The output with another value of one element, which is put back."""
        array = self._values[name]
        kept = array.flat[index]
        try:
            array.flat[index] = value
            self._values.moved = name
            return self._forward(self._values)
        finally:
            array.flat[index] = kept
            self._values.moved = None

    def _output_at(self, name: str, value: Array) -> Array:
        """The output with another value of an input."""
        there = Point(self._values)
        there[name], there.moved = self._held(name, value), name
        return self._forward(there)

    def _at_the_middle(self) -> Array:
        """The output at the point itself."""
        if self._middle is None:
            self._middle = self._forward(self._values)
        return self._middle

    def _slope(self, up: Array, down: Array, width: float, own: int | None) -> Slope:
        with np.errstate(all="ignore"):
            raw = up - down
            change = self._dy * raw
            moved = raw != 0
            size = np.abs(self._dy) * np.abs(up)
            largest = float(size.max(initial=0)) or 1.0  # taken out, so that no square overflows
            lost = largest * float(np.linalg.norm(size[~moved] / largest))  # by less than a digit
            return Slope(
                value=float(change.sum() / width),
                terms=float(np.abs(change).sum() / abs(width)),
                rounding=float(EPSILON * (4 * size[moved].sum() + lost) / abs(width)),
                own=math.nan if own is None else float(raw.flat[own] / width),
                noise=self._noise_of(moved) / abs(width),
            )


def resolving(slopes: Iterator[Slope], off: float) -> Iterator[Slope]:
    """The slopes by which it shows whether something is as far off as the first one said, at a longer step, where
    the function may bend: less noise is counted than for that one, since all of them would have to err alike.
    """
    return (replace(s, noise=3 / 8 * s.noise) for s in slopes if 5 * s.noise + s.bend < 0.6 * off)


def settled(slopes: Iterator[Slope]) -> Slope:
    """The first slope within whose step the function does not bend, or else the surest one."""
    best = next(slopes)
    while not best.bend <= 0.02 * best.terms + 2 * best.noise:  # NaN is not settled
        shorter = next(slopes, None)
        if shorter is None:
            break
        if shorter.unsure < best.unsure or not math.isfinite(best.value):
            best = shorter
        elif shorter.noise > best.unsure:
            break
    return best


def _by_weights(outputs: Iterable[Any]) -> Any:
    """What four outputs, or sums of them, add up to with the weights of their points."""
    return sum(weight * each for (_, weight), each in zip(FOUR_POINTS, outputs, strict=True))
