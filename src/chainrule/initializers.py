"""What a parameter holds before training: one rule a class, drawn from an explicit generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.arguments import number, one_of
from chainrule.arrays import Array, Shape
from chainrule.configured import Configured
from chainrule.errors import ArgumentError


class Initializer(Configured):
    """A rule that fills a new array: `Initializer(...)(shape, rng, dtype)`.

    Random numbers are drawn in float64 and then rounded, so one seed gives the same weights in every dtype.
    """

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        """A new array of the shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} defines no __call__(shape, rng, dtype)")


def fans(shape: Shape) -> tuple[int, int]:
    """How many values an output is summed from (fan in) and an input is spread over (fan out).

    The last axis is out and the product of the others is in, as in `W` of shape (D, M); an array with one
    axis, of n elements, has n for both. Neither is below one.
    """
    if len(shape) < 2:
        return (max(math.prod(shape), 1),) * 2
    return max(math.prod(shape[:-1]), 1), max(shape[-1], 1)


class _Scaled(Initializer):
    """Zero-mean numbers, normal or uniform, whose standard deviation follows from the shape, times `gain`."""

    def __init__(self, distribution: str = "normal", *, gain: float = 1.0) -> None:
        self.distribution = one_of("distribution", distribution, ("normal", "uniform"), owner=self)
        self.gain = number("gain", gain, "[0, inf)", owner=self)

    def standard_deviation(self, shape: Shape) -> float:
        raise NotImplementedError

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        std = self.gain * self.standard_deviation(shape)
        if self.distribution == "normal":
            return rng.normal(0.0, std, shape).astype(dtype)
        limit = math.sqrt(3.0) * std  # the variance of U(-limit, limit) is limit**2 / 3
        return rng.uniform(-limit, limit, shape).astype(dtype)


class He(_Scaled):
    """Variance 2 / fan_in: keeps the size of values through layers that ReLU follows.

    `normal` draws from N(0, 2 / fan_in), `uniform` from U(-limit, limit), limit = sqrt(6 / fan_in). The fan
    in is the product of all axes but the last; for one axis, its length. `gain` multiplies the numbers: 1 keeps
    sizes in networks of many layers, and 0.5, with which `Affine` starts, learns better in those of a few.

    Raises: ArgumentError for an unknown distribution, or a gain below 0.
    Source: He, Zhang, Ren, Sun, Delving Deep into Rectifiers (2015), eq. 10.
    """

    def standard_deviation(self, shape: Shape) -> float:
        return math.sqrt(2.0 / fans(shape)[0])


class Xavier(_Scaled):
    """Variance 2 / (fan_in + fan_out): a compromise between values forward and gradients backward.

    `normal` draws from N(0, 2 / (fan_in + fan_out)), `uniform` from U(-limit, limit),
    limit = sqrt(6 / (fan_in + fan_out)). The fan out is the last axis, the fan in the product of the others;
    for one axis both are its length. Also known as `Glorot`.

    `gain` multiplies the numbers.

    Raises: ArgumentError for an unknown distribution, or a gain below 0.
    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural networks (2010),
    eq. 16.
    """

    def standard_deviation(self, shape: Shape) -> float:
        return math.sqrt(2.0 / sum(fans(shape)))


Glorot = Xavier


class LeCun(_Scaled):
    """Variance 1 / fan_in: keeps the size of values through layers that are linear near zero.

    `normal` draws from N(0, 1 / fan_in), `uniform` from U(-limit, limit), limit = sqrt(3 / fan_in). The fan
    in is the product of all axes but the last; for one axis, its length.

    `gain` multiplies the numbers.

    Raises: ArgumentError for an unknown distribution, or a gain below 0.
    Source: LeCun, Bottou, Orr, Müller, Efficient BackProp (1998), 4.6.
    """

    def standard_deviation(self, shape: Shape) -> float:
        return math.sqrt(1.0 / fans(shape)[0])


class Normal(Initializer):
    """Numbers from N(0, std**2), whatever the shape.

    Raises: ArgumentError unless std is finite and not negative.
    """

    def __init__(self, std: float = 0.01) -> None:
        self.std = number("std", std, "[0, inf)", owner=self)

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return rng.normal(0.0, self.std, shape).astype(dtype)


class Uniform(Initializer):
    """Numbers from U(-limit, limit), whatever the shape.

    Raises: ArgumentError unless limit is finite and not negative.
    """

    def __init__(self, limit: float = 0.05) -> None:
        self.limit = number("limit", limit, "[0, inf)", owner=self)

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return rng.uniform(-self.limit, self.limit, shape).astype(dtype)


class Constant(Initializer):
    """The same value everywhere.

    Raises: ArgumentError unless value is a finite number.
    """

    def __init__(self, value: float) -> None:
        self.value = number("value", value, owner=self)

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return np.full(shape, self.value, dtype)


class Zeros(Initializer):
    """Zero everywhere."""

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """One everywhere."""

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        return np.ones(shape, dtype)


class Orthogonal(Initializer):
    """gain * Q, where Q is an orthogonal matrix, uniform among all of them.

    The array is seen as a matrix (product of the first axes, last axis). A tall one has orthonormal columns,
    a wide one orthonormal rows.

    Raises: ArgumentError unless gain is a finite number; or for a shape with fewer than two axes.
    Source: Saxe, McClelland, Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks (2014); the signs after Mezzadri, How to generate random matrices from the classical
    compact groups (2007), section 5.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = number("gain", gain, owner=self)

    def __call__(self, shape: Shape, rng: np.random.Generator, dtype: Any) -> Array:
        if len(shape) < 2:
            raise ArgumentError(
                f"{self!r}: expected a shape with at least two axes, got {shape}; use Normal() or Zeros()"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # without it, Q is not uniform
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)
