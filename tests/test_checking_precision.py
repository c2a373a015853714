"""What the checked dtypes hold: epsilons, rounding to nearest even, and the coarsest of several."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.checking.precision import EPSILONS, epsilon, lowest, rounded
from chainrule.errors import ArgumentError


@pytest.mark.parametrize("dtype", EPSILONS)
def test_epsilon_is_the_step_above_one(dtype: str) -> None:
    step = epsilon(dtype)
    assert rounded(1 + step, dtype) == 1 + step
    assert rounded(1 + step / 2, dtype) == 1  # a tie goes to the even one
    assert rounded(1 + 1.5 * step, dtype) == 1 + 2 * step
    assert rounded(-1 - 0.51 * step, dtype) == -1 - step


@pytest.mark.parametrize("dtype", EPSILONS)
def test_what_a_dtype_holds_stays(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4)) * 10.0 ** np.arange(-2, 2)
    once = rounded(values, dtype)
    assert once.dtype == np.float64
    assert once.shape == (3, 4)
    assert np.abs(once / values - 1).max() <= epsilon(dtype) / 2 * (1 + 1e-6)
    assert np.array_equal(rounded(once, dtype), once)


def test_bfloat16_by_its_bits() -> None:
    given = [3.140625, 0.1, 1e-40, 3.4e38, -3.3e38, 0.0, np.inf, np.nan]
    expected = [3.140625, 0.10009765625, 2.0**-133, np.inf, -248 * 2.0**120, 0.0, np.inf, np.nan]
    np.testing.assert_array_equal(rounded(given, "bfloat16"), expected)
    assert rounded(np.float64(1.00390625), "bfloat16").shape == ()
    assert rounded(np.zeros((2, 0)), "bfloat16").shape == (2, 0)
    assert np.array_equal(rounded(np.arange(600.0)[::-2], "bfloat16")[-3:], [5, 3, 1])


def test_float16_overflows_as_it_does() -> None:
    assert np.array_equal(rounded([70000.0, 65504.0, 6e-8], "float16"), [np.inf, 65504.0, 2.0**-24])


def test_the_lowest() -> None:
    assert lowest(["float32", "bfloat16", "float16"]) == "bfloat16"
    assert lowest(["float64", "float32"]) == "float32"
    assert lowest([]) == "float64"


def test_an_unknown_dtype() -> None:
    with pytest.raises(ArgumentError, match="bfloat16"):
        epsilon("bfloat61")
    with pytest.raises(ArgumentError, match="float8"):
        rounded(1.0, "float8")
