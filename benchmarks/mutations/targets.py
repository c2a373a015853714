"""What is handed to `cr.check`: recipes that make a target and its inputs from a class and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Rng: TypeAlias = np.random.Generator


class Target(NamedTuple):
    """`cr.check(target, *inputs, **options)`."""

    target: Any
    inputs: tuple[Any, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two functions that belong together."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return self.forward.__name__.removesuffix("_forward")


#: Makes a target from a class (or a Pair), a generator and a dtype.
Recipe: TypeAlias = Callable[[Any, Rng, Any], Target]
#: Draws one array.
Draw: TypeAlias = Callable[[Rng, Any], Array]


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Normal numbers."""
    return lambda rng, dtype: np.asarray(scale * rng.normal(size=shape), dtype)


def positive(*shape: int) -> Draw:
    """Numbers from 0.4 to 2.5."""
    return lambda rng, dtype: rng.uniform(0.4, 2.5, shape).astype(dtype)


def away_from(kinks: tuple[float, ...], *shape: int) -> Draw:
    """Normal numbers, none within 0.05 of a kink."""

    def draw(rng: Rng, dtype: Any) -> Array:
        x = rng.normal(size=shape)
        for kink in kinks:
            x = np.where(np.abs(x - kink) < 0.05, kink + np.where(x < kink, -0.05, 0.05), x)
        return x.astype(dtype)

    return draw


def distinct(*shape: int) -> Draw:
    """Numbers no two of which are nearer than 0.1."""
    return lambda rng, dtype: (0.1 * rng.permutation(int(np.prod(shape))) - 1).reshape(shape).astype(dtype)


def whole(limit: int, *shape: int) -> Draw:
    """Whole numbers below the limit."""
    return lambda rng, dtype: rng.integers(0, limit, shape)


def bits(*shape: int) -> Draw:
    """0 and 1 as floats."""
    return lambda rng, dtype: rng.integers(0, 2, shape).astype(dtype)


def one_hot(n: int, k: int) -> Draw:
    """Rows with one 1."""
    return lambda rng, dtype: np.eye(k, dtype=dtype)[rng.integers(0, k, n)]


def indices(*values: int) -> Draw:
    """These."""
    return lambda rng, dtype: np.array(values)


def _options(dtype: Any) -> dict[str, Any]:
    return {} if np.dtype(dtype) == np.float64 else {"dtype": np.dtype(dtype).name}


def on(*inputs: Draw, weights: tuple[Draw, ...] = ()) -> Recipe:
    """An object made from these weights, checked on these inputs."""

    def recipe(cls: Any, rng: Rng, dtype: Any) -> Target:
        made = cls(*[draw(rng, dtype) for draw in weights])
        return Target(made, tuple(draw(rng, dtype) for draw in inputs), _options(dtype))

    return recipe


def apart(*inputs: Draw) -> Recipe:
    """A pair of functions, checked on these inputs."""

    def recipe(pair: Any, rng: Rng, dtype: Any) -> Target:
        drawn = tuple(draw(rng, dtype) for draw in inputs)
        return Target(pair.forward, drawn, {"backward": pair.backward, **_options(dtype)})

    return recipe


def affine(n: int, d: int, m: int) -> Recipe:
    """n samples, d features, m units."""
    return on(normal(n, d), weights=(normal(d, m), normal(m)))


def affine_apart(n: int, d: int, m: int) -> Recipe:
    """The same for a pair of functions."""
    return apart(normal(n, d), normal(d, m), normal(m))


def scaled(n: int, d: int) -> Recipe:
    """n samples, d features, a gamma and a beta for each feature."""
    return on(normal(n, d), weights=(positive(d), normal(d)))


def recurrent(n: int, d: int, m: int) -> Recipe:
    """A step of n sequences with d features and m hidden units."""
    return on(
        normal(n, d), normal(n, m), weights=(normal(d, m, scale=0.6), normal(m, m, scale=0.6), normal(m))
    )
