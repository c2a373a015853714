"""Arithmetic and reductions: exact values, the edges of their domains, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule.layers as layers
from chainrule.errors import ArgumentError, DataError, ShapeError
from layer_cases import run_backward

BOTH = (True, True)


def a(*values: float, dtype: type = np.float64) -> np.ndarray:
    return np.array(values, dtype)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Add(), [5.0, 1.0]),
        (layers.Subtract(), [1.0, -5.0]),
        (layers.Multiply(), [6.0, -6.0]),
        (layers.Divide(), [1.5, -2 / 3]),
        (layers.Power(), [9.0, -8.0]),
    ],
)
def test_values(layer: layers.Layer, expected: list[float]) -> None:
    y, _ = layer.forward(a(3, -2), a(2, 3))
    np.testing.assert_allclose(y, expected)


def test_division_by_zero_is_silent() -> None:
    layer = layers.Divide()
    y, saved = layer.forward(a(1, -1, 0), a(0, 0, 0))
    np.testing.assert_array_equal(y, [np.inf, -np.inf, np.nan])
    da, db = layer.backward(a(1, 1, 1), saved, needs=BOTH)
    np.testing.assert_array_equal(da, [np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(db, [-np.inf, np.inf, np.nan])


def test_exp_log_and_sqrt_are_silent_beyond_their_domain() -> None:
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(layers.Exp().forward(a(1e4, -1e4, dtype=dtype))[0], [np.inf, 0])
        y, saved = layers.Log().forward(a(0, -1, np.inf, dtype=dtype))
        np.testing.assert_array_equal(y, [-np.inf, np.nan, np.inf])
        np.testing.assert_array_equal(layers.Log().backward(a(1, 1, 1), saved), [np.inf, -1, 0])
        y, saved = layers.Sqrt().forward(a(0, -1, 4, dtype=dtype))
        np.testing.assert_array_equal(y, [0, np.nan, 2])
        np.testing.assert_array_equal(layers.Sqrt().backward(a(1, 1, 1), saved), [np.inf, np.nan, 0.25])


def test_power_at_its_edges() -> None:
    layer = layers.Power()
    x, p = a(0, 0, 0, 0, -2, -2, 3), a(0, 1, 2, -1, 2, 0.5, 0)
    y, saved = layer.forward(x, p)
    np.testing.assert_array_equal(y, [1, 0, 0, np.inf, 4, np.nan, 1])
    dx, dp = layer.backward(np.ones(7), saved, needs=BOTH)
    np.testing.assert_array_equal(dx, [0, 1, 0, -np.inf, -4, np.nan, 0])
    np.testing.assert_array_equal(dp, [0, 0, 0, -np.inf, np.nan, np.nan, np.log(3)])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_power_does_not_compute_in_integers(dtype: type) -> None:
    y, saved = layers.Power().forward(np.array([2, 10], dtype), np.array([3, 3], dtype))
    assert y.dtype.kind == "f"
    np.testing.assert_array_equal(y, [8, 1000])
    dx, _ = layers.Power().backward(np.ones(2), saved, needs=BOTH)
    np.testing.assert_array_equal(dx, [12, 300])
    y, _ = layers.Power().forward(np.array([2.0, 4.0], np.float32), np.array(-1, np.int64))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, [0.5, 0.25])


def test_small_integers_do_not_wrap() -> None:
    small = np.array([200], np.uint8)
    assert layers.Add().forward(small, small)[0] == 400
    assert layers.Subtract().forward(small, small + np.uint8(1))[0] == -1
    assert layers.Multiply().forward(small, small)[0] == 40_000
    assert layers.Negative().forward(small)[0] == -200
    assert layers.MatMul().forward(small, small)[0] == 40_000


def test_matmul_against_einsum() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5))
    y, saved = layers.MatMul().forward(x, w)
    np.testing.assert_allclose(y, np.einsum("tnk,km->tnm", x, w))
    dy = rng.normal(size=y.shape)
    dx, dw = layers.MatMul().backward(dy, saved, needs=BOTH)
    np.testing.assert_allclose(dx, np.einsum("tnm,km->tnk", dy, w))
    np.testing.assert_allclose(dw, np.einsum("tnm,tnk->km", dy, x))


@pytest.mark.parametrize("layer", [layers.Add(), layers.Multiply(), layers.Divide(), layers.Power()])
def test_shapes_that_do_not_broadcast(layer: layers.Layer) -> None:
    name = type(layer).__name__
    with pytest.raises(ShapeError, match=rf"{name}: .* got \(2, 3\) and \(4,\); Reshape\(\) one of them"):
        layer.forward(np.ones((2, 3)), np.ones(4))


def test_matmul_refuses() -> None:
    with pytest.raises(ShapeError, match=r"got \(2, 3\) and \(2, 3\); Transpose\(\) or Reshape\(\) one"):
        layers.MatMul().forward(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"use Multiply\(\) for numbers"):
        layers.MatMul().forward(np.ones((2, 3)), np.array(2.0))


# Reductions


X = np.array([[1.0, 5.0, 5.0], [2.0, -1.0, 0.0]])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Sum(), 12.0),
        (layers.Sum(axis=0), [3.0, 4.0, 5.0]),
        (layers.Sum(axis=-1, keepdims=True), [[11.0], [1.0]]),
        (layers.Mean(), 2.0),
        (layers.Mean(axis=(0, 1), keepdims=True), [[2.0]]),
        (layers.Max(axis=1), [5.0, 2.0]),
        (layers.Max(axis=[0]), [2.0, 5.0, 5.0]),
    ],
)
def test_reduction_values(layer: layers.Layer, expected: object) -> None:
    y, _ = layer.forward(X)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, expected)


def test_max_shares_among_ties() -> None:
    layer = layers.Max(axis=1)
    _, saved = layer.forward(X)
    np.testing.assert_array_equal(layer.backward(a(3, 4), saved), [[0, 1.5, 1.5], [4, 0, 0]])
    layer = layers.Max()
    _, saved = layer.forward(np.zeros((3, 1)))
    np.testing.assert_array_equal(layer.backward(np.array(6.0), saved), [[2], [2], [2]])


def test_max_of_nan_is_nan() -> None:
    layer = layers.Max(axis=1)
    y, saved = layer.forward(np.array([[1, np.nan], [1, 2]]))
    np.testing.assert_array_equal(y, [np.nan, 2])
    np.testing.assert_array_equal(layer.backward(a(1, 1), saved), [[np.nan, np.nan], [0, 1]])


@pytest.mark.parametrize("layer", [layers.Mean(), layers.Max(), layers.Mean(axis=0), layers.Max(axis=(0, 1))])
def test_mean_and_max_of_nothing(layer: layers.Layer) -> None:
    with pytest.raises(
        ShapeError, match=r"at least one element .* got x of shape \(0, 3\).*leave empty batches out"
    ):
        layer.forward(np.ones((0, 3)))


def test_sum_of_nothing_is_zero() -> None:
    y, saved = layers.Sum(axis=0).forward(np.ones((0, 3)))
    np.testing.assert_array_equal(y, np.zeros(3))
    assert run_backward(layers.Sum(axis=0), np.ones(3), saved, (True,))[0].shape == (0, 3)


def test_axes_that_are_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"Sum\(axis=2\): .* axis 2, got one with 2 axes; use an axis from -2 to 1"
    ):
        layers.Sum(axis=2).forward(X)
    with pytest.raises(ShapeError, match="a single number has no axes"):
        layers.Sum(axis=0).forward(np.array(1.0))
    with pytest.raises(ShapeError, match="name it once"):
        layers.Mean(axis=(1, -1)).forward(X)
    with pytest.raises(
        ArgumentError, match=r"Max: expected axis to be a whole number or a tuple .* got 'rows'"
    ):
        layers.Max(axis="rows")
    with pytest.raises(ArgumentError, match=r"Sum: expected axis to be a whole number .* got 1.5"):
        layers.Sum(axis=1.5)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Add(), 102),
        (layers.Subtract(), 98),
        (layers.Multiply(), 200),
        (layers.Divide(), 50),
        (layers.Power(), 10000),
    ],
)
def test_plain_numbers_and_lists(layer: layers.Layer, expected: float) -> None:
    y, saved = layer.forward(100, 2)
    assert y == expected
    layer.backward(np.ones(()), saved)
    y, saved = layer.forward([100, 100], 2)
    np.testing.assert_array_equal(y, [expected, expected])
    layer.backward(np.ones(2), saved)


def test_plain_numbers_and_lists_of_one_operand() -> None:
    assert layers.Negative().forward(3)[0] == -3
    np.testing.assert_array_equal(layers.MatMul().forward([[1, 2]], [[3], [4]])[0], [[11]])
    for layer, f in ((layers.Exp(), np.exp), (layers.Log(), np.log), (layers.Sqrt(), np.sqrt)):
        for x in (4, [4, 4], np.array([4, 4], np.int8)):
            y, saved = layer.forward(x)
            assert y.dtype == np.float64
            np.testing.assert_array_equal(y, f(np.array(x, np.float64)))
            assert layer.backward(np.ones(y.shape), saved).dtype == np.float64


@pytest.mark.parametrize("wrong", ["two", None, 1j])
def test_what_is_no_number_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match="expected a number or an array of numbers, got"):
        layers.Multiply().forward(wrong, 2)


def test_floats_are_saved_as_they_are() -> None:
    x, y = a(1, 2), a(3, 4, dtype=np.float32)
    _, saved = layers.Multiply().forward(x, y)
    assert saved[0] is x
    assert saved[1] is y
