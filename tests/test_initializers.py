"""Initializers: the spread they promise, their seeds and dtypes, and what they refuse."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError
from chainrule.initializers import (
    Constant,
    Glorot,
    He,
    Initializer,
    LeCun,
    Normal,
    Ones,
    Orthogonal,
    Uniform,
    Xavier,
    Zeros,
    fans,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


EVERY = [
    He(),
    He("uniform"),
    Xavier(),
    Xavier("uniform"),
    LeCun(),
    LeCun("uniform"),
    Normal(0.3),
    Uniform(0.3),
    Zeros(),
    Ones(),
    Constant(2.5),
    Orthogonal(),
]
RANDOM = [each for each in EVERY if not isinstance(each, (Zeros, Ones, Constant))]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((5,), (5, 5)), ((3, 4), (3, 4)), ((2, 3, 4), (6, 4)), ((0, 4), (1, 4)), ((3, 0), (3, 1))],
)
def test_fans(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert fans(shape) == expected


SHAPES = [(200, 300), (20, 10, 300), (60_000,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("cls", "variance"),
    [
        (He, lambda fan_in, fan_out: 2 / fan_in),
        (Xavier, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        (LeCun, lambda fan_in, fan_out: 1 / fan_in),
    ],
)
def test_variance_follows_the_shape(cls, variance, distribution, shape) -> None:
    fan_in, fan_out = (shape[0],) * 2 if len(shape) == 1 else (math.prod(shape[:-1]), shape[-1])
    std = math.sqrt(variance(fan_in, fan_out))
    drawn = cls(distribution)(shape, rng(), np.float64)
    assert drawn.shape == shape
    assert drawn.std() == pytest.approx(std, rel=0.02)
    assert abs(drawn.mean()) < 5 * std / math.sqrt(drawn.size)
    largest = np.abs(drawn).max()
    if distribution == "uniform":
        assert 0.99 * math.sqrt(3) * std < largest <= math.sqrt(3) * std
    else:
        assert largest > 3.5 * std  # a normal one has tails


@pytest.mark.parametrize("cls", [He, Xavier, LeCun])
def test_gain_multiplies_the_numbers(cls) -> None:
    assert np.array_equal(cls(gain=0.5)((4, 3), rng(), "f8"), 0.5 * cls()((4, 3), rng(), "f8"))
    with pytest.raises(ArgumentError, match=r"expected gain to be a number in \[0, inf\), got -1"):
        cls(gain=-1)


def test_affine_starts_with_half_of_hes_weights() -> None:
    net = cr.Network(cr.Affine(5), input_shape=4, loss=cr.MeanSquaredError(), seed=0)
    he = cr.Network(cr.Affine(5, weights=He()), input_shape=4, loss=cr.MeanSquaredError(), seed=0)
    assert np.allclose(net.params["W1"], 0.5 * he.params["W1"], rtol=1e-6)


def test_glorot_is_xavier() -> None:
    assert Glorot is Xavier


def test_normal_and_uniform() -> None:
    assert Normal(0.3)((100_000,), rng(), np.float64).std() == pytest.approx(0.3, rel=0.02)
    drawn = Uniform(0.3)((100_000,), rng(), np.float64)
    assert 0.299 < np.abs(drawn).max() <= 0.3
    assert drawn.std() == pytest.approx(0.3 / math.sqrt(3), rel=0.02)


def test_constants() -> None:
    np.testing.assert_array_equal(Zeros()((2, 3), rng(), np.float32), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(Ones()((2, 3), rng(), np.float32), np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(Constant(-2.5)((2,), rng(), np.float64), [-2.5, -2.5])


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (2, 4, 3), (1, 1), (0, 3)])
@pytest.mark.parametrize("gain", [1.0, 1.5])
def test_orthogonal(shape: tuple[int, ...], gain: float) -> None:
    q = Orthogonal(gain)(shape, rng(), np.float64).reshape(math.prod(shape[:-1]), shape[-1])
    product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_uniform_over_the_orthogonal_matrices() -> None:
    """Without correcting the signs of the factorization the diagonal leans to one side."""
    drawn = np.array([Orthogonal()((3, 3), rng(seed), np.float64) for seed in range(2000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.06)
    assert np.linalg.det(drawn[0]) * np.linalg.det(drawn[1:6]).prod() != 0
    assert {round(value) for value in np.linalg.det(drawn)} == {-1, 1}


@pytest.mark.parametrize("each", EVERY, ids=repr)
def test_dtype_shape_and_writable(each: Initializer) -> None:
    for dtype in (np.float32, np.float64):
        made = each((4, 3), rng(), dtype)
        assert made.dtype == dtype
        assert made.shape == (4, 3)
        assert made.flags.writeable
    assert each((0, 3), rng(), np.float32).shape == (0, 3)
    if not isinstance(each, Orthogonal):
        assert isinstance(each((), rng(), np.float32), np.ndarray)


@pytest.mark.parametrize("each", RANDOM, ids=repr)
def test_seeds(each: Initializer) -> None:
    first, again, other = (each((4, 3), rng(seed), np.float64) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0
    np.testing.assert_array_equal(each((4, 3), rng(1), np.float32), first.astype(np.float32))


def test_printed_and_pickled() -> None:
    assert repr(He()) == "He()"
    assert repr(Xavier(distribution="uniform")) == "Xavier(distribution='uniform')"
    assert pickle.loads(pickle.dumps(Normal(0.2))).std == 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: He("nromal"), "He: unknown distribution 'nromal'; did you mean 'normal'"),
        (lambda: Xavier(3), "Xavier: unknown distribution 3; Known: normal, uniform"),  # type: ignore[arg-type]
        (lambda: Normal(-1.0), r"Normal: expected std to be a number in \[0, inf\), got -1.0"),
        (lambda: Uniform(-2), r"Uniform: expected limit to be a number in \[0, inf\), got -2"),
        (lambda: Normal(math.nan), r"Normal: expected std to be a number in \[0, inf\), got nan"),
        (lambda: Constant("a"), "Constant: expected value to be a finite number, got 'a'"),  # type: ignore[arg-type]
        (lambda: Orthogonal(math.inf), "Orthogonal: expected gain to be a finite number, got inf"),
        (lambda: Orthogonal()((3,), rng(), np.float64), r"at least two axes, got \(3,\); use Normal\(\)"),
        (lambda: Constant(), "it takes"),  # type: ignore[call-arg]
    ],
)
def test_bad_arguments(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
