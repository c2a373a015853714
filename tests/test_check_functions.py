"""`cr.check` on pairs of functions: the numbers themselves. What is right passes, what is wrong does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport

Function = Callable[[Array], Any]

RNG = np.random.default_rng(0)
U = RNG.normal(size=12) + np.array([2.0, -2.0] * 6)  # numbers of both signs


def check(f: Function, slope: Function, x: Any, times: Any = 1.0, **options: Any) -> CheckReport:
    """Check y = f(x), element by element, with dx = dy * slope(x) * times."""

    def forward(x: Array) -> Any:
        return f(x)

    def backward(dy: Array, x: Array) -> Any:
        return dy * slope(x) * times

    return cr.check(forward, x, backward=backward, **options)


def told(report: CheckReport) -> str:
    worst = [(f.element, f.analytic, f.numerical) for f in report.findings]
    return f"{report.summary()} {worst}"


def square(x: Array) -> Array:
    return x * x


def twice(x: Array) -> Array:
    return 2 * x


def sigmoid(x: Array) -> Array:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


# Inputs of every form -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x",
    [
        3.0,
        3,
        np.float32(3),
        [3.0],
        [[1, 2], [3, 4]],
        [True, False],
        np.arange(6).reshape(2, 3),
        U.astype(np.float32),
        U.astype(np.float16),
        np.asfortranarray(U.reshape(3, 4)),
        U.reshape(3, 4).T[::-1, ::2],
        np.ones((1, 4)),
        np.ones((2, 4)),
        np.ones((1, 1, 1)),
    ],
    ids=lambda x: f"{type(x).__name__}{np.shape(x)}{getattr(x, 'dtype', '')}",
)
def test_inputs_of_every_form(x: Any) -> None:
    report = check(square, twice, x)
    assert not report.findings, told(report)
    assert report.rows[0].shape == np.shape(x)
    assert report.rows[0].checked == np.size(x)
    assert not check(square, twice, x, times=1.001).passed


def test_an_empty_array_has_nothing_wrong() -> None:
    report = check(square, twice, np.zeros((0, 3)))
    assert not report.findings
    assert (report.verdict, report.rows[0].of) == ("not checked", 0)


def test_a_read_only_input_is_left_alone() -> None:
    x = U.copy()
    x.flags.writeable = False
    assert check(square, twice, x).passed
    assert not x.flags.writeable
    assert np.array_equal(x, U)


def test_both_styles_of_functions() -> None:
    W = RNG.normal(size=(4, 3))

    def affine(x: Array, W: Array) -> Array:
        return x @ W

    def with_cache(x: Array, W: Array) -> tuple[Array, Any]:
        return x @ W, (x, W)

    def backward(dy: Array, x: Array, W: Array) -> tuple[Array, Array]:
        return dy @ W.T, x.T @ dy

    x = RNG.normal(size=(5, 4))
    for report in (
        cr.check(affine, x, W, backward=backward),
        cr.check(with_cache, x, W, backward=lambda dy, cache: backward(dy, *cache)),
        cr.check(affine, x, W, backward=backward, names=["data", "weights"]),
    ):
        assert not report.findings, told(report)
    assert [row.input for row in report.rows] == ["data", "weights"]
    wrong = cr.check(with_cache, x, W, backward=lambda dy, cache: (dy @ W.T, 2 * x.T @ dy))
    assert [(f.mistake, f.input) for f in wrong.findings] == [("factor", "W")]


def test_a_constant_function_has_a_gradient_of_0() -> None:
    def constant(x: Array) -> Array:
        return np.ones(3)

    assert cr.check(constant, U, backward=lambda dy, x: np.zeros_like(x)).passed
    assert not cr.check(constant, U, backward=lambda dy, x: np.ones_like(x)).passed
    assert not cr.check(constant, U, backward=lambda dy, x: 1e-6 * np.ones_like(x)).passed


# Values of every size -------------------------------------------------------------------------------------

MIXED = U * 10.0 ** RNG.integers(-8, 7, 12)
SMOOTH: dict[str, tuple[Function, Function, Any]] = {
    **{f"square at {s:g}": (square, twice, s * U) for s in (1e-150, 1e-30, 1e-8, 1e6, 1e30, 1e150)},
    "square mixed": (square, twice, MIXED),
    "sin mixed": (np.sin, np.cos, MIXED),
    "cube mixed": (lambda x: x**3, lambda x: 3 * x**2, MIXED),
    "exp to 20": (np.exp, np.exp, np.array([20.0, -20.0, 19.0, 1.0])),
    "exp to 300": (np.exp, np.exp, np.array([300.0, -20.0, 1.0])),
    "1/x near 0.01": (lambda x: 1 / x, lambda x: -1 / x**2, np.array([0.01, 1000.0, 5.0, 0.02])),
    "log near 1e-6": (np.log, lambda x: 1 / x, np.array([1e-6, 1.0, 2.0, 3e-6])),
    "log of one number": (np.log, lambda x: 1 / x, 1e-6),
    "log of 1e-12 and 1e6": (np.log, lambda x: 1 / x, np.array([1e-12, 1e6])),
    "sqrt near 1e-10": (np.sqrt, lambda x: 0.5 / np.sqrt(x), np.array([1e-10, 1.0, 2.0])),
    "sigmoid at 40": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x), np.array([40.0, -40.0, 30.0, 1.0, 0.0])),
    "tanh at 20": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, np.array([20.0, 10.0, -20.0, 5.0])),
    "sin of 10,000 x": (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x), U),
    "variance far from 0": (lambda x: np.var(x + 1e6), lambda x: 2 * (x - x.mean()) / x.size, U),
    "a million more and less": (lambda x: (x + 1e6) - 1e6, np.ones_like, U),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_is_right_passes_and_what_is_one_percent_off_fails(name: str) -> None:
    f, slope, x = SMOOTH[name]
    report = check(f, slope, x)
    assert report.passed, told(report)
    assert not check(f, slope, x, times=1.01).passed


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("off", [0.01, 0.1, 1.0])
def test_how_wrong_is_wrong(dtype: str, off: float) -> None:
    assert not check(np.sin, np.cos, U, times=1 + off, dtype=dtype).passed
    assert check(np.sin, np.cos, U, times=1 + 1e-7, dtype=dtype).passed


#: Functions that lose most of their digits on the way, which their outputs do not show.
CANCELLING: dict[str, tuple[Function, Function, Any]] = {
    "ten thousand million more and less": (lambda x: (x + 1e10) - 1e10, np.ones_like, U),
    "1 - cos x": (lambda x: 1 - np.cos(x), np.sin, 1e-4 * U),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_what_the_forward_rounds_is_not_held_against_the_backward(name: str) -> None:
    f, slope, x = CANCELLING[name]
    report = check(f, slope, x)
    assert report.passed, told(report)
    assert not check(f, slope, x, times=2).passed


#: Smooth enough at 0, and the slope there is 0: a difference is of the order of its step, or of its square.
FLAT: dict[str, tuple[Function, Function]] = {
    "x^3": (lambda x: x**3, lambda x: 3 * x**2),
    "x |x|": (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x)),
    "max(x, 0)^2": (lambda x: np.maximum(x, 0) ** 2, lambda x: 2 * np.maximum(x, 0)),
    "x - sin x": (lambda x: x - np.sin(x), lambda x: 1 - np.cos(x)),
}


@pytest.mark.parametrize("x", [0.0, [0.0, 0.0, 0.0], [-1.0, 0.0, 1.0, 2.0]], ids=str)
@pytest.mark.parametrize("name", FLAT)
def test_a_gradient_of_0_at_0_passes(name: str, x: Any) -> None:
    f, slope = FLAT[name]
    report = check(f, slope, np.asarray(x))
    assert not report.findings, told(report)
    assert not check(f, lambda x: slope(x) + 0.01, np.asarray(x)).passed


def test_what_overflows_is_not_called_right() -> None:
    """A tolerance that is infinite would agree with anything."""
    report = check(square, twice, np.array([1e153, 2e153, -1e153]), times=2.0)
    assert not report.passed


# Kinks ----------------------------------------------------------------------------------------------------

AT = np.array([-1.0, 0.0, 2.0, 0.0, 3.0])
KINKED: dict[str, tuple[Function, Function, Array]] = {
    "relu, 0": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), AT),
    "relu, 1": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x >= 0), AT),
    "relu, a half": (lambda x: np.maximum(x, 0), lambda x: 0.5 * (np.sign(x) + 1), AT),
    "relu of zeros": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), np.zeros(3)),
    "relu of one 0": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), np.array(0.0)),
    "abs": (np.abs, np.sign, AT),
    "clip, inside": (lambda x: np.clip(x, -1, 2), lambda x: 1.0 * ((x > -1) & (x < 2)), AT),
    "clip, edges": (lambda x: np.clip(x, -1, 2), lambda x: 1.0 * ((x >= -1) & (x <= 2)), AT),
    "relu beside 0": (
        lambda x: np.maximum(x, 0),
        lambda x: 1.0 * (x > 0),
        np.array([1.0, 1e-9, -1e-9, 1e-7, -1e-5, 1e-5]),
    ),
}


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_is_a_note_at_most(name: str) -> None:
    f, slope, x = KINKED[name]
    report = check(f, slope, x)
    assert report.passed, told(report)
    assert {finding.mistake for finding in report.findings} <= {"kink"}
    assert {finding.severity for finding in report.findings} <= {"note"}


def test_a_kink_is_noted_where_it_is() -> None:
    report = check(lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), AT)
    (finding,) = report.findings
    assert (finding.mistake, finding.severity, finding.element) == ("kink", "note", (1,))
    assert report.rows[0].verdict == "kink"
    assert report.mistakes == ()


@pytest.mark.parametrize("name", KINKED)
def test_a_wrong_gradient_at_a_kink_is_an_error(name: str) -> None:
    f, slope, x = KINKED[name]
    assert not check(f, lambda x: slope(x) + 5, x).passed
    assert not check(f, lambda x: slope(x) - 5, x).passed


@pytest.mark.parametrize("where", [0, 2, 4])
def test_a_wrong_gradient_beside_a_kink_is_an_error(where: int) -> None:
    def slope(x: Array) -> Array:
        wrong = 1.0 * (x > 0)
        wrong[where] += 0.01
        return wrong

    report = check(lambda x: np.maximum(x, 0), slope, AT)
    assert not report.passed
    assert next(f for f in report.findings if f.severity == "error").element == (where,)


TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]])


def ties(x: Array) -> Array:
    return 1.0 * (x == x.max(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("share", "right"),
    [
        (lambda x: ties(x) / ties(x).sum(axis=1, keepdims=True), True),
        (lambda x: np.eye(3)[x.argmax(axis=1)], True),
        (ties, False),  # both of two equal ones get all of it: moved together they give twice the slope
        (lambda x: 0 * x, False),
    ],
    ids=["shared", "the first", "all to each", "none"],
)
def test_ties_of_max_share_one_gradient(share: Function, right: bool) -> None:
    def forward(x: Array) -> Array:
        return np.max(x, axis=1)

    report = cr.check(forward, TIES, backward=lambda dy, x: dy[:, None] * share(x))
    assert report.passed == right, told(report)


# One of many ----------------------------------------------------------------------------------------------

MANY = np.random.default_rng(1).normal(size=50_000) + 3


@pytest.mark.parametrize("off", [0.01, 0.1, 1.0])
def test_one_wrong_element_of_many_is_found(off: float) -> None:
    times = np.ones(MANY.shape)
    times[12_345] += off
    report = check(square, twice, MANY, times=times)
    assert not report.passed
    assert report.findings[0].element == (12_345,)
    row = report.rows[0]
    assert (row.of, row.verdict) == (50_000, "wrong")
    assert 256 <= row.checked <= 256 + 4


def test_several_wrong_elements_of_many_are_found() -> None:
    times = np.ones(MANY.shape)
    times[[5, 700, 40_000]] = 0.5, 1.01, 3
    report = check(square, twice, MANY, times=times)
    assert report.findings[0].element in [(5,), (700,), (40_000,)]
    assert "3 of the" in report.findings[0].advice


def test_many_right_elements_cost_little() -> None:
    ran = 0

    def forward(x: Array) -> Array:
        nonlocal ran
        ran += 1
        return x * x

    report = cr.check(forward, MANY, backward=lambda dy, x: dy * 2 * x)
    assert report.passed
    assert (report.rows[0].checked, report.rows[0].directions) == (32, 4)  # the last element by itself
    assert ran < 120


@pytest.mark.parametrize(("times", "dtype"), [(1, "float64"), (1, "float32"), (1000, "float64")])
def test_right_ones_are_not_looked_at_twice(times: float, dtype: str) -> None:
    """Neither float32 nor a steep function makes a direction disagree, so that more elements are compared."""
    x = np.random.default_rng(2).normal(size=3000)
    report = check(lambda x: np.sin(times * x), lambda x: times * np.cos(times * x), x, dtype=dtype)
    assert report.passed, told(report)
    assert report.rows[0].checked == 32


def test_fewer_elements_are_compared_where_a_forward_is_long() -> None:
    def forward(x: Array) -> Array:
        return np.multiply.outer(x, np.ones(100))

    report = cr.check(forward, np.linspace(1, 2, 1500), backward=lambda dy, x: dy.sum(axis=1))
    assert report.passed
    assert report.rows[0].checked == 32


def test_every_element_is_compared_where_there_are_few() -> None:
    times = np.ones(1999)
    times[777] = 1.0001
    report = check(square, twice, np.linspace(1, 2, 1999), times=times)
    assert report.findings[0].element == (777,)
    assert report.rows[0].checked == 1999


def binary_cross_entropy(p: Array, t: Array) -> float:
    return float(-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)))


def binary_cross_entropy_gradient(dy: Any, p: Array, t: Array) -> Array:
    return np.asarray(dy * (p - t) / (p * (1 - p)) / p.size)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (np.arcsin, lambda dy, p: dy / np.sqrt(1 - p * p)),
        (lambda p: np.log(p / (1 - p)), lambda dy, p: dy / (p * (1 - p))),
        (lambda p: np.sqrt(1 - p * p), lambda dy, p: -dy * p / np.sqrt(1 - p * p)),
        (np.arctanh, lambda dy, p: dy / (1 - p * p)),
    ],
    ids=["arcsin", "logit", "circle", "arctanh"],
)
def test_functions_that_are_not_defined_far_out_are_right(forward: Any, backward: Any) -> None:
    p = np.random.default_rng(0).uniform(0.1, 0.9, (4, 3))
    report = cr.check(lambda p: forward(p), p, backward=backward)
    assert report.mistakes == ()


def test_a_loss_of_probabilities_is_not_asked_about_logits() -> None:
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.1, 0.9, (4, 3)), rng.integers(0, 2, (4, 3)).astype(float)
    assert cr.check(binary_cross_entropy, p, t, backward=binary_cross_entropy_gradient).passed


def test_a_loss_that_grows_without_bound_may_be_infinite_far_out() -> None:
    x, t = np.random.default_rng(0).normal(size=(2, 5))

    def poisson(x: Array, t: Array) -> float:
        return float(np.sum(np.exp(x) - t * x))

    assert cr.check(poisson, x, t, backward=lambda dy, x, t: dy * (np.exp(x) - t)).passed


def test_overflow_on_the_way_to_a_number_is_found() -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    naive = cr.check(lambda x: np.log(1 + np.exp(x)), x, backward=lambda dy, x: dy / (1 + np.exp(-x)))
    assert naive.mistakes == ("not-finite",)
    assert cr.check(np.exp, x, backward=lambda dy, x: dy * np.exp(x), names=["x"]).mistakes == ()


def test_a_wrong_gradient_is_not_called_a_disagreement_of_the_loss_too() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2, 4, 3))

    def loss(x: Array, t: Array) -> float:
        return float(0.5 * ((x - t) ** 2).sum())

    report = cr.check(loss, x, t, backward=lambda dy, x, t: dy * (x - t) * (x > 0))
    assert report.mistakes == ("mask",)
