"""Central differences: exact where they can be, and no trace left in the array."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array, first_not_finite, is_float
from chainrule.errors import ArgumentError, DataError
from chainrule.incoming import as_numbers

KNOWN: dict[str, tuple[Callable[[Array], Any], Callable[[Array], Array]]] = {
    "linear": (lambda x: (3 * x).sum() + 2, lambda x: np.full_like(x, 3)),
    "squares": (lambda x: (x**2).sum(), lambda x: 2 * x),
    "product": (lambda x: x.prod(), lambda x: x.prod() / x),
    "exp": (lambda x: np.exp(x).sum(), np.exp),
    "sin": (lambda x: np.sin(x).sum(), np.cos),
    "constant": (lambda x: 7, np.zeros_like),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 1, 3), (0, 3)], ids=str)
def test_known_functions(name: str, shape: tuple[int, ...]) -> None:
    f, derivative = KNOWN[name]
    x = np.asarray(np.random.default_rng(0).uniform(0.5, 2, shape))
    gradient = cr.numerical_gradient(f, x)
    assert gradient.shape == shape
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, derivative(x), rtol=2e-9, atol=1e-12)


def test_exactly_for_a_parabola() -> None:
    x = np.array([3.0, -2.0, 0.0])
    np.testing.assert_array_equal(cr.numerical_gradient(lambda x: (x * x).sum(), x, h=0.5), [6, -4, 0])


def test_it_scales_the_step_with_large_elements() -> None:
    x = np.array([1e8, 1e-3, -1e5])
    np.testing.assert_allclose(cr.numerical_gradient(lambda x: (x**2).sum(), x)[0], 2e8, rtol=1e-8)
    np.testing.assert_allclose(
        cr.numerical_gradient(lambda x: np.log(np.abs(x)).sum(), x)[::2], 1 / x[::2], rtol=1e-8
    )


def test_the_textbook_s_way() -> None:
    """f ignores its argument and reads the array under another name."""
    params = {"W": np.array([[1.0, 2.0], [3.0, 4.0]])}
    gradient = cr.numerical_gradient(lambda _: float((params["W"] ** 2).sum()), params["W"])
    np.testing.assert_allclose(gradient, 2 * params["W"], rtol=1e-9)
    view = params["W"][:, ::-1]
    np.testing.assert_allclose(
        cr.numerical_gradient(lambda _: params["W"][0, 0], view), [[0, 1], [0, 0]], atol=1e-12
    )


def test_x_is_put_back_bit_for_bit() -> None:
    x = np.array([0.1, 1e-300, -0.0, 1e300, np.pi])
    before = x.copy()
    cr.numerical_gradient(lambda x: 0.0, x)
    assert x.tobytes() == before.tobytes()


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_x_is_put_back_when_f_raises(calls: int) -> None:
    x, left = np.array([1.0, 2.0]), [calls]

    def f(x: Array) -> float:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return 0.0

    with pytest.raises(KeyboardInterrupt):
        cr.numerical_gradient(f, x)
    np.testing.assert_array_equal(x, [1, 2])


def test_what_f_could_not_see_changed_is_refused() -> None:
    """A copy would be changed while f reads the original, and every gradient would be 0."""
    frozen = np.array([1.0, 2.0])
    frozen.flags.writeable = False
    for x, came, remedy in (
        (frozen, "a read-only one", r"x\.astype\(float\)"),
        (np.array([1, 2]), "one of int64", r"x\.astype\(float\)"),
        (np.array([1, 2], np.uint8), "one of uint8", r"x\.astype\(float\)"),
        (np.array([True]), "one of bool", r"x\.astype\(float\)"),
        ([1.0, 2.0], "list", r"np\.array\(x, float\)"),
        ((1, 2), "tuple", r"np\.array\(x, float\)"),
    ):
        with pytest.raises(DataError, match=f"expected a writable float array.* got {came}; pass {remedy}"):
            cr.numerical_gradient(lambda _, x=x: float((np.asarray(x) ** 3).sum()), x)  # type: ignore[misc]


@pytest.mark.parametrize("x", [3.0, 3, np.float64(3)])
def test_a_number(x: Any) -> None:
    assert float(cr.numerical_gradient(lambda x: x**2, x)) == pytest.approx(6, rel=1e-9)


def test_float32_is_kept() -> None:
    x = np.linspace(0.5, 2, 7, dtype=np.float32)
    gradient = cr.numerical_gradient(lambda x: np.exp(x).sum(dtype=np.float64), x)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, np.exp(x), rtol=5e-3)


def test_strided_arrays() -> None:
    wide = np.zeros((4, 6))
    x = wide[::2, ::-3]
    x[...] = [[1, 2], [3, 4]]
    np.testing.assert_allclose(cr.numerical_gradient(lambda x: (x**2).sum(), x), 2 * x, rtol=1e-9)


@pytest.mark.parametrize("h", [0, -1e-4, np.nan, np.inf])
def test_h_is_positive(h: float) -> None:
    with pytest.raises(ArgumentError, match=rf"expected h to be a number in \(0, inf\), got {h}"):
        cr.numerical_gradient(lambda x: 0.0, np.ones(2), h)


@pytest.mark.parametrize("h", ["a", True, [1e-4]])
def test_h_is_a_number(h: Any) -> None:
    with pytest.raises(ArgumentError, match=r"expected h to be a number in \(0, inf\), got"):
        cr.numerical_gradient(lambda x: 0.0, np.ones(2), h)


def test_h_is_not_lost_beside_x() -> None:
    x = np.array([0.0, 1e6], np.float32)
    with pytest.raises(
        ArgumentError, match=r"h = 0.0001 is lost beside x\[1\] = 1000000.0 in float32; leave h out"
    ):
        cr.numerical_gradient(lambda x: float(x.sum()), x, h=1e-4)
    np.testing.assert_array_equal(x, [0, 1e6])


@pytest.mark.parametrize("x", [np.array(["a"]), np.array([1j]), np.array([None]), "text"], ids=repr)
def test_x_holds_numbers(x: Any) -> None:
    with pytest.raises(DataError, match="numerical_gradient: x: expected a number or an array of numbers"):
        cr.numerical_gradient(lambda x: 0.0, x)


def test_f_returns_one_number() -> None:
    x = np.array([1.0, 2.0])
    with pytest.raises(ArgumentError, match=r"expected f to return one number, got an array of shape \(2,\)"):
        cr.numerical_gradient(lambda x: x, x)
    with pytest.raises(DataError, match="what f returns: expected a number"):
        cr.numerical_gradient(lambda x: None, x)  # type: ignore[arg-type,return-value]
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_allclose(cr.numerical_gradient(lambda x: x.sum(keepdims=True), x), [1, 1])  # type: ignore[arg-type,return-value]


def test_not_finite_values_give_nan_without_a_warning() -> None:
    x = np.array([np.inf, np.nan, 1.0])
    gradient = cr.numerical_gradient(lambda x: float(np.nan_to_num(x[2]) * 2), x)
    assert np.isnan(gradient[:2]).all()
    assert gradient[2] == pytest.approx(2)


# The questions asked of arrays


def test_as_numbers() -> None:
    array = np.ones(3)
    assert as_numbers(array, "x") is array
    assert as_numbers(array, "x", copy=True) is not array
    for value in (1, 2.5, True, [1, 2], np.float32(3), [[]]):
        np.testing.assert_array_equal(as_numbers(value, "x"), np.array(value))
    for wrong in ("a", None, 1j, [[1], [1, 2]], sys):
        with pytest.raises(DataError, match="whose: expected a number or an array of numbers, got"):
            as_numbers(wrong, "whose")  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 2, 3, 4096])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite(rows: int, wrong: float) -> None:
    for place in np.ndindex(5, 2):
        array = np.zeros((5, 2))
        array[place] = wrong
        array[4, 1] = np.nan
        assert first_not_finite(array, rows) == place
    assert first_not_finite(np.zeros((5, 2)), rows) is None
    assert first_not_finite(np.array(wrong)) == ()
    assert first_not_finite(np.array(1.0)) is None
    assert first_not_finite(np.zeros((0, 3))) is None
    assert first_not_finite(np.array([1, 2])) is None


def test_is_float() -> None:
    for dtype, answer in (
        ("f2", True),
        ("f4", True),
        ("f8", True),
        ("i8", False),
        ("?", False),
        ("c16", False),
    ):
        assert is_float(np.zeros(2, dtype)) is answer
