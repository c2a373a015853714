"""`reference`, `straight_through`, `sizes`, and `assert_gradients`: on functions and objects of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 19))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def softmax_backward(dy: Array, x: Array) -> Array:
    y = softmax(x)
    return np.asarray(y * (dy - (dy * y).sum(axis=-1, keepdims=True)))


def test_a_reference_tells_a_wrong_forward_from_a_wrong_backward() -> None:
    def unscaled(x: Array) -> Array:
        return np.asarray(1.01 * softmax(x))

    report = cr.check(softmax, X, backward=softmax_backward, reference=softmax)
    assert report.verdict == "passed"
    forward = cr.check(unscaled, X, backward=lambda dy, x: 1.01 * softmax_backward(dy, x), reference=softmax)
    assert forward.mistakes == ("forward-disagrees",)
    assert "is that of the forward as it is" in forward.remarks[-1]
    backward = cr.check(softmax, X, backward=lambda dy, x: -softmax_backward(dy, x), reference=softmax)
    assert backward.mistakes == ("sign",)


def test_where_a_forward_is_wrong_is_said() -> None:
    def cut(x: Array) -> Array:
        y = softmax(x)
        y[:, 16:] = 0
        return y

    report = cr.check(cut, X, backward=softmax_backward, reference=softmax)
    assert report.findings[0].mistake == "forward-disagrees"
    assert "in the last 3 of 19 along axis 1, behind 1 block of 16" in report.findings[0].advice


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (3, "expected a function"),
        (lambda: 1.0, "raised"),
        (lambda x: x.sum(axis=0), "expected an output of shape"),
        (lambda x: x * np.nan, "not finite"),
    ],
)
def test_a_reference_that_cannot_be_one_is_an_error(reference: Any, said: str) -> None:
    with pytest.raises(cr.errors.ArgumentError, match=said):
        cr.check(softmax, X, backward=softmax_backward, reference=reference)


def test_an_object_s_parameters_may_be_taken_by_the_reference_or_not() -> None:
    class Scale:
        def __init__(self, w: Array) -> None:
            self.w = w

        def forward(self, x: Array) -> Array:
            self.x = x
            return x * self.w

        def backward(self, dy: Array) -> Array:
            self.dw = (dy * self.x).sum(axis=0)
            return dy * self.w

    w = RNG.normal(size=19)
    assert cr.check(Scale(w), X, reference=lambda x, w: x * w).passed
    assert cr.check(Scale(w), X, reference=lambda x: x * w).passed


def test_what_is_straight_through_is_not_compared() -> None:
    def rounding(x: Array, w: Array) -> Array:
        return np.asarray(np.round(x) * w)

    def backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
        return dy * w, dy * np.round(x)

    assert not cr.check(rounding, X, X + 3, backward=backward).passed
    report = cr.check(rounding, X, X + 3, backward=backward, straight_through=["x"])
    assert report.passed
    assert [row.input for row in report.rows] == ["w"]
    assert "x is straight-through" in report.remarks[0]
    with pytest.raises(cr.errors.ArgumentError, match="straight_through"):
        cr.check(rounding, X, X, backward=backward, straight_through=["z"])


def cut_backward(dy: Array, x: Array) -> Array:
    """Right for lengths that 8 divides."""
    dx = np.zeros_like(x)
    whole = x.shape[1] // 8 * 8
    dx[:, :whole] = (2 * x * dy)[:, :whole]
    return dx


def test_other_sizes_show_what_the_given_one_hides() -> None:
    x = RNG.normal(size=(4, 16))
    assert cr.check(lambda x: x * x, x, backward=cut_backward).passed
    report = cr.check(lambda x: x * x, x, backward=cut_backward, sizes=True)
    assert not report.passed
    assert report.findings[0].node == "<lambda>, 1 for 16"
    assert cr.check(lambda x: x * x, x, backward=cut_backward, sizes={16: [24, 32]}).passed
    assert not cr.check(lambda x: x * x, x, backward=cut_backward, sizes=[17]).passed
    with pytest.raises(cr.errors.ArgumentError, match="no axis of the inputs has length 5; they have 4, 16"):
        cr.check(lambda x: x * x, x, backward=cut_backward, sizes={5: [3]})


def test_sizes_that_are_refused_are_said() -> None:
    def even(x: Array) -> Array:
        if x.shape[0] % 2:
            raise ValueError("an even number of rows")
        return x * x

    report = cr.check(even, X[:4], backward=lambda dy, x: 2 * dy * x, sizes={4: [3, 6]})
    assert (report.verdict, report.uncompared) == ("incomplete", ("3 for 4",))
    assert "was not checked with 3 for 4" in report.remarks[-1]
    assert cr.check(even, X[:4], backward=lambda dy, x: 2 * dy * x, sizes=True).passed


def test_a_backward_that_raises_at_another_size_is_wrong() -> None:
    def whole(dy: Array, x: Array) -> Array:
        if x.shape[1] % 8:
            raise IndexError("out of range")
        return 2 * dy * x

    report = cr.check(lambda x: x * x, RNG.normal(size=(4, 16)), backward=whole, sizes={16: [19]})
    assert report.mistakes == ("raises",)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exact_kinks_are_no_false_alarm(dtype: str) -> None:
    x = RNG.normal(size=(6, 5))
    x[0] = 0
    report = cr.check(cr.ReLU(), x, dtype=dtype)
    assert report.passed
    assert [each.mistake for each in report.findings] == ["kink"]


def test_a_reference_may_have_another_shape_and_round_inside() -> None:
    def squares(x: Array) -> Array:
        return np.asarray((x * x).sum(axis=1))

    def backward(dy: Array, x: Array) -> Array:
        return np.asarray(2 * x * dy[:, None])

    assert cr.check(
        squares, X, backward=backward, reference=lambda x: (x * x).sum(axis=1, keepdims=True)
    ).passed
    rounded = cr.check(
        squares, X, backward=backward, reference=lambda x: (x.astype(np.float32) ** 2).sum(axis=1)
    )
    assert not [each for each in rounded.findings if each.mistake != "forward-disagrees"]
    assert "The reference rounds to float32 inside" in " ".join(rounded.remarks)


def test_what_was_not_compared_is_said() -> None:
    def both(x: Array, z: Array) -> Array:
        return np.asarray(2 * x + np.sqrt(z))

    report = cr.check(both, X, 0 * X, backward=lambda dy, x, z: (2 * dy, 12345.0 * dy))
    assert report.verdict == "incomplete"
    assert "z not compared" in report.summary()
    assert cr.check(np.square, np.zeros((0, 4)), backward=lambda dy, x: 2 * dy * x).verdict == "not checked"


def test_assert_gradients_wants_something_to_try() -> None:
    said: dict[str, dict[str, Any]] = {
        "at least one seed": {"seeds": ()},
        "expected seeds, such as": {"seeds": 3},
        r"such as seeds=\[0, 1\]": {"seed": 3},
        "dtype or dtypes, got both": {"dtype": "float32", "dtypes": ["float64"]},
    }
    for message, options in said.items():
        with pytest.raises(cr.errors.ArgumentError, match=message):
            cr.assert_gradients(softmax, X, backward=softmax_backward, **options)


def test_what_is_all_in_float32_is_checked_in_float32() -> None:
    narrow = X.astype(np.float32)
    report = cr.check(softmax, narrow, backward=softmax_backward)
    assert (report.dtype, report.verdict) == ("float32", "passed")
    assert report.remarks == ("All that was given is in float32, and so the check was made in float32.",)
    assert cr.check(softmax, narrow, backward=softmax_backward, dtype="float64").dtype == "float64"


def test_a_boolean_input_has_no_gradient() -> None:
    report = cr.check(lambda x, keep: x * keep, X, X > 0, backward=lambda dy, x, keep: dy * keep)
    assert (report.verdict, [row.input for row in report.rows]) == ("passed", ["x"])


def test_a_wrong_loss_of_one_column_is_named() -> None:
    x, t = X[:, :1], X[:, 1:2]
    for some in (slice(None), slice(1)):
        report = cr.check(
            lambda x, t: ((x - t) ** 2).mean(),
            x[some],
            t[some],
            backward=lambda dy, x, t: (3 * dy * 2 * (x - t) / x.size, -3 * dy * 2 * (x - t) / x.size),
        )
        assert set(report.mistakes) == {"factor"}, report


def test_extreme_numbers_are_no_false_alarm_in_float32() -> None:
    a, b = np.array([1e4, -1e4, 1e-4]), np.array([1e4, 0.5, -1e4])
    for seed in range(3):
        report = cr.check(cr.Divide(), a, b, dtype="float32", seed=seed)
        assert report.passed, report


def rows_left_out(dy: Array, x: Array, w: Array, t: Array) -> tuple[Array, Array, Array]:
    last = np.arange(len(x)) >= 16
    return 2 * (x * w - t) * w * dy, (2 * (x * w - t) * x * dy)[last].sum(axis=0), -2 * (x * w - t) * dy


def test_what_a_gradient_lacks_is_said() -> None:
    rng = np.random.default_rng(0)
    x, w, t = rng.normal(size=(20, 6)), rng.normal(size=6), rng.normal(size=(20, 6))
    loss = cr.check(lambda x, w, t: ((x * w - t) ** 2).sum(), x, w, t, backward=rows_left_out)
    assert [(each.mistake, each.input) for each in loss.findings] == [("tail", "w")]
    assert "does not depend on the first 16 of the 20 rows of x" in loss.findings[0].advice

    def without_rows(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
        return dy * w, (dy * x)[3:].sum(axis=0)

    (found,) = cr.check(np.multiply, x, w, backward=without_rows).findings
    assert (found.mistake, found.input) == ("fan-out", "x2")
    assert "does not use dy at the first 3 of the 20 rows" in found.advice

    def without_block(dy: Array, x: Array) -> Array:
        y = softmax(x)
        product = (dy * y)[..., :-3].sum(axis=-1, keepdims=True)
        return np.asarray(y * (dy - product))

    (found,) = cr.check(softmax, rng.normal(size=(4, 19)), backward=without_block).findings
    assert found.mistake == "tail"
    assert "the last 3 of 19 along axis 1 of dy are 0" in found.advice

    def halves(x: Array) -> Array:
        return np.asarray(x * np.arange(1, 7) * np.cos(x))

    def exchanged(dy: Array, x: Array) -> Array:
        return np.roll(dy * np.arange(1, 7) * (np.cos(x) - x * np.sin(x)), 3, axis=1)

    (found,) = cr.check(halves, x, backward=exchanged).findings
    assert found.mistake == "order"
    assert "one half of x along axis 1" in found.advice


def test_a_factor_is_told_from_the_length_of_a_batch_of_two() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5))
    assert cr.check(np.sin, x, backward=lambda dy, x: 2 * dy * np.cos(x)).mistakes == ("factor",)
    averaged = cr.check(np.sin, x, backward=lambda dy, x: dy * np.cos(x) / len(x))
    assert averaged.mistakes == ("batch-mean",)


def test_assert_gradients_raises_with_the_report() -> None:
    cr.assert_gradients(softmax, X, backward=softmax_backward, seeds=range(2), dtypes=("float64", "float32"))
    with pytest.raises(AssertionError, match=r"do not pass with seed=0:(.|\n)*sign"):
        cr.assert_gradients(softmax, X, backward=lambda dy, x: -softmax_backward(dy, x))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_stated_sharpness_is_true(dtype: str) -> None:
    stated = cr.check(softmax, X, backward=softmax_backward, dtype=dtype).sharpness
    assert stated is not None
    found = 0
    for seed in range(40):
        report = cr.check(
            softmax, X, backward=lambda dy, x: (1 + stated) * softmax_backward(dy, x), dtype=dtype, seed=seed
        )
        found += not report.passed
    assert found >= 39
    assert stated < {"float64": 1e-4, "float32": 2e-3}[dtype]


def test_a_reference_s_error_without_words_is_called_by_its_kind() -> None:
    def fails(x: Array) -> Array:
        raise AssertionError

    with pytest.raises(cr.errors.ArgumentError, match=r"and raised AssertionError$"):
        cr.check(softmax, X, backward=softmax_backward, reference=fails)


def test_windows_that_backward_does_not_visit_are_a_tail() -> None:
    """Sums of two neighbours of seven: the last one alone has no gradient."""

    def backward(dy: Array, x: Array) -> Array:
        dx = np.zeros_like(x)
        dx[:, :6] = np.repeat(dy[:, :3], 2, axis=1)
        return dx

    x = np.random.default_rng(0).normal(size=(3, 7))
    report = cr.check(lambda x: np.add.reduceat(x, [0, 2, 4, 6], axis=1), x, backward=backward)
    assert report.mistakes == ("tail",)


def test_a_backward_that_rounds_inside_is_named_for_each_input() -> None:
    def half(x: Array) -> Array:
        return x.astype(np.float16).astype(np.float64)

    def backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
        slope = dy * (1 - half(np.tanh(x * w)) ** 2)
        return slope * w, slope * x

    rng = np.random.default_rng(0)
    report = cr.check(
        lambda x, w: np.tanh(x * w), *rng.normal(size=(2, 6, 5)), backward=backward, names=["x", "w"]
    )
    assert [(each.mistake, each.input) for each in report.findings] == [("dtype", "x"), ("dtype", "w")]
    assert all("rounds to float16" in each.advice for each in report.findings)
