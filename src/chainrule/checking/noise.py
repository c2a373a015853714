"""How much a forward rounds, by its fourth differences: they vanish for what is smooth, and not for noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.precision import epsilon, lowest, rounded

#: Steps, relative to an input: with the shorter ones float32 shows, with the longer ones float16 and bfloat16.
FINE, COARSE, LONG = (1e-5, 3e-7), (1e-2, 2e-3), (5e-2, 2e-2)
#: Up to this relative size the noise is that of float64.
ROUGH = 1e-13
#: So many numbers of an output tell which dtype holds them.
SEEN = 10_000
#: From these relative sizes of the noise on, a forward is taken to round to such a dtype somewhere inside.
LEVELS = (("bfloat16", 4e-4), ("float16", 2e-5), ("float32", 1e-9))


@dataclass(frozen=True)
class Noise:
    """What a forward rounds: the standard deviation of each number of its output, and relative to their sizes."""

    absolute: Array
    relative: float

    @property
    def dtype(self) -> str:
        """The dtype whose rounding it looks like."""
        return next((dtype for dtype, least in LEVELS if self.relative >= least), "float64")


def measure(
    forward: Callable[[Mapping[str, Array]], Array],
    values: Mapping[str, Array],
    y: Array,
    dtypes: Mapping[str, str],
    rng: np.random.Generator,
    all_steps: bool = False,
) -> Noise:
    """Measure it at the values given. `dtypes` says what the inputs are rounded to; float64 where it says nothing.

    A fourth difference of a smooth function shrinks with the fourth power of the step, that at a kink with the
    step, that of noise not at all: of two steps, the smaller result counts. Longer steps are tried where it is not
    smooth for the shorter ones, or `all_steps` always.
    """
    if y.size == 0:
        return Noise(y, 0.0)
    repeats = 3 if y.size <= 3 else 2 if y.size < 10 else 1
    finest = 8 * epsilon(lowest(dtypes.values()))  # shorter steps would be lost
    floor = epsilon("float64") * np.abs(y)
    if "float16" in dtypes.values():  # its small numbers stand apart by no less
        floor = np.maximum(floor, 0.3 * 2.0**-24)
    absolute, is_smooth = floor, False
    for steps in (FINE, COARSE, *((LONG,) if all_steps else ())):
        if is_smooth and not all_steps:  # what shows with longer steps is how it bends
            continue
        long, short = (_spread(forward, values, y, dtypes, max(step, finest), repeats, rng) for step in steps)
        if not (np.isfinite(long.noise).all() and np.isfinite(short.noise).all()):
            continue
        if long.held != "float64":  # each of its numbers is rounded, however smooth the function is
            absolute = np.maximum(absolute, 0.3 * epsilon(long.held) * np.abs(y))
        ratio = _relative(long.noise, y) / max(_relative(short.noise, y), 1e-300)
        bends = ratio > (6 if steps == FINE else 3.2) and max(steps) > finest
        is_smooth = short.is_smooth if steps == FINE else is_smooth
        if not bends:
            absolute = np.maximum(absolute, np.minimum(long.noise, short.noise))
    relative = _relative(absolute, y)
    return Noise(absolute if relative > ROUGH or lowest(dtypes.values()) != "float64" else floor, relative)


@dataclass(frozen=True)
class _Spread:
    """By the fourth differences along some lines: the standard deviation of each output, and whether these are far
    below the first differences where these are not 0.
    """

    noise: Array
    is_smooth: bool
    #: The coarsest dtype that holds all the outputs exactly.
    held: str


def _relative(spread: Array, y: Array) -> float:
    """The middle one of the relative sizes: a kink, or a number that cancels, is not the rule."""
    size = np.abs(y).ravel()
    counts = size > 0
    return float(np.median(spread.ravel()[counts] / size[counts])) if counts.any() else 0.0


def _spread(
    forward: Callable[[Mapping[str, Array]], Array],
    values: Mapping[str, Array],
    y: Array,
    dtypes: Mapping[str, str],
    step: float,
    repeats: int,
    rng: np.random.Generator,
) -> _Spread:
    total, change = np.zeros(y.shape), np.zeros(y.shape)
    for _ in range(repeats):
        lines = {
            n: _line(v, step, dtypes.get(n, "float64"), rng) for n, v in values.items() if v.dtype.kind == "f"
        }
        outputs = []
        for k in range(-3, 4):
            moved = {n: start + k * along for n, (start, along) in lines.items()}
            outputs.append(forward({**values, **moved}))
        with np.errstate(all="ignore"):
            first = _differences(outputs)
            change += sum(np.abs(each) for each in first) / (len(first) * repeats)
            fourth = _differences(_differences(_differences(first)))
            total += sum(each * each for each in fourth) / (len(fourth) * 70 * repeats)
    noise, changed = np.asarray(np.sqrt(total)), change > 0
    is_smooth = bool(changed.any()) and bool(np.median(noise[changed] / change[changed]) < 0.1)
    return _Spread(noise, is_smooth, _held_by(np.stack([each.reshape(-1)[:SEEN] for each in outputs])))


def _held_by(outputs: Array) -> str:
    some = outputs[outputs != np.round(outputs)]  # whole numbers tell nothing
    held = (dtype for dtype, _ in LEVELS if some.size and np.array_equal(some, rounded(some, dtype)))
    return next(held, "float64")


def _differences(outputs: list[Array]) -> list[Array]:
    return [after - before for before, after in pairwise(outputs)]


def _line(x: Array, step: float, dtype: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """A start beside x, and a step from there: start + k step is a number of the dtype for k from -3 to 3."""
    size = np.maximum(np.abs(x), scale_of(x))
    sign = rng.choice([-1.0, 1.0], x.shape)
    along = step * size * rng.uniform(0.5, 1.5, x.shape)
    unit = epsilon(dtype) * np.exp2(np.floor(np.log2(np.abs(x) + 4 * along)))
    return np.round(x / unit) * unit, sign * np.maximum(np.round(along / unit), 1) * unit


def scale_of(array: Array) -> float:
    """The size of the values of an array: the root of their mean square; 1 where they are all 0."""
    if array.size == 0:
        return 1.0
    largest = float(np.abs(array).max())
    if not 0 < largest < math.inf:
        return 1.0
    return largest * math.sqrt(float(np.mean((array / largest) ** 2)))
