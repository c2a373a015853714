"""`cr.check` and what is no proper input, option, forward or backward: told in plain words, and never as passed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport
from chainrule.errors import ArgumentError, DataError

X = np.random.default_rng(0).normal(size=(3, 4))


def square(x: Array) -> Array:
    return x * x


def square_backward(dy: Array, x: Array) -> Array:
    return dy * 2 * x


class Square:
    def forward(self, x: Array) -> Array:
        self.x = x
        return x * x

    def backward(self, dy: Array) -> Any:
        return dy * 2 * self.x


def told(report: CheckReport) -> str:
    return "\n".join([report.summary(), *(f"{f.mistake}: {f.advice}" for f in report.findings)])


# Inputs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        [1.0, np.nan],
        np.array([[1.0], [-np.inf]]),
        [1j, 2],
        1j,
        "text",
        ["a", "b"],
        np.array([1.0, None], object),
        [[1.0], [1.0, 2.0]],
        None,
        {"x": 1.0},
        {1.0, 2.0},
        np.array(["2020"], "M8[Y]"),
        (i for i in range(3)),
    ],
    ids=lambda bad: f"{type(bad).__name__} {str(bad)[:12]!r}",
)
@pytest.mark.parametrize(
    "check",
    [
        lambda bad: cr.check(cr.ReLU(), bad),
        lambda bad: cr.check(Square(), bad),
        lambda bad: cr.check(square, bad, backward=square_backward),
        lambda bad: cr.check(cr.Graph(cr.Exp()(cr.Input("x"))), x=bad),
    ],
    ids=["layer", "object", "function", "graph"],
)
def test_inputs_that_are_no_numbers_are_refused(check: Any, bad: Any) -> None:
    with pytest.raises(DataError, match="x"):
        check(bad)


# Targets and options --------------------------------------------------------------------------------------


class NoBackward:
    def forward(self, x: Array) -> Array:
        return x


@pytest.mark.parametrize(
    ("target", "inputs", "options", "says"),
    [
        (Square, (X,), {}, "make one, Square"),
        (cr.ReLU, (), {}, r"make one, ReLU\("),
        (NoBackward(), (X,), {}, "NoBackward has no method backward"),
        (None, (X,), {}, "NoneType has no method forward"),
        ("relu", (X,), {}, "has no method forward"),
        (X, (X,), {}, "has no method forward"),
        (square, (X,), {}, "give its backward too"),
        (np.tanh, (X,), {}, "backward"),
        (square, (), {"backward": square_backward}, "give them"),
        (Square(), (), {}, "give them"),
        (cr.ReLU(), (X, X), {}, "2 inputs were given"),
        (cr.ReLU(), (), {"x": X}, "is for graphs"),
        (Square(), (X,), {"names": []}, "expected 1 different name"),
        (Square(), (X,), {"names": "xy"}, "expected 1 different name"),
        (cr.ReLU(), (), {"seed": -1}, "seed"),
        (cr.ReLU(), (), {"seed": 1.5}, "seed"),
        (cr.ReLU(), (), {"dtype": "float16"}, "float32 or float64"),
        (cr.ReLU(), (), {"dtype": "nothing"}, "float32 or float64"),
        (Square(), (X,), {"backward": square_backward}, "backward"),
        (cr.ReLU(), (X,), {"backward": square_backward}, "backward"),
        (cr.ReLU(), (X,), {"gradients": {"W": "dW"}}, "gradients"),
        (square, (X,), {"backward": square_backward, "gradients": {"W": "dW"}}, "gradients"),
        (square, (X,), {"backward": 3}, "backward"),
        (cr.Graph(cr.Exp()(cr.Input("x"))), (X,), {"backward": square_backward}, "backward"),
        (cr.Graph(cr.Exp()(cr.Input("x"))), (X,), {"names": ["a"]}, "names"),
    ],
)
def test_what_cannot_be_checked_is_told(target: Any, inputs: Any, options: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        cr.check(target, *inputs, **options)


@pytest.mark.parametrize(
    "target", [Square(), cr.Multiply(), cr.Affine(3)], ids=lambda each: type(each).__name__
)
def test_wrong_numbers_of_inputs(target: Any) -> None:
    for count in (0, 1, 2, 5):
        try:
            report = cr.check(target, *[X] * count)
        except ArgumentError:
            continue
        right = {"Square": (1,), "Multiply": (0, 2), "Affine": (0, 1)}[type(target).__name__]
        assert report.passed == (count in right), (count, told(report))


def test_no_layer_without_inputs_hides_what_its_forward_says() -> None:
    class Broken(cr.Layer):
        def forward(self, x: Array) -> Any:
            raise ValueError("boom")

        def backward(self, dy: Array, saved: Any) -> Any:
            return dy

    with pytest.raises(ArgumentError, match="boom"):
        cr.check(Broken())


def test_nothing_compared_is_not_passed_in_silence() -> None:
    with pytest.raises(ArgumentError):
        cr.check(cr.Graph(cr.Input("x")), x=2.0)


def test_a_forward_that_raises_in_a_graph_is_told() -> None:
    class Broken(cr.Layer):
        def forward(self, x: Array) -> Any:
            raise KeyError("boom")

        def backward(self, dy: Array, saved: Any) -> Any:
            return dy

    with pytest.raises((KeyError, cr.errors.ChainruleError), match="boom"):
        cr.check(cr.Graph(Broken()(cr.Input("x"))), x=X)


# Forwards -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y",
    [None, "text", {"y": X}, X + 1j, X.astype(object), [[1.0], [1.0, 2.0]], (X, X, X), [X, X]],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_a_forward_has_to_return_an_array_of_numbers(y: Any) -> None:
    report = cr.check(lambda x: y, X, backward=lambda dy, x: np.zeros_like(x))
    assert report.mistakes == ("raises",), told(report)
    assert "must return" in report.findings[0].advice
    assert [row.verdict for row in report.rows] == ["not checked"]


def test_a_forward_that_gives_nan_is_not_finite() -> None:
    report = cr.check(lambda x: np.log(x - 100), X, backward=lambda dy, x: dy / x)
    assert report.mistakes == ("not-finite",)
    assert report.findings[0].element == (0, 0)


@pytest.mark.parametrize("kind", [float, np.float64, np.asarray], ids=lambda kind: kind.__name__)
def test_a_forward_may_return_one_number(kind: Any) -> None:
    report = cr.check(lambda x: kind((x * x).sum()), X, backward=lambda dy, x: dy * 2 * x)
    assert not report.findings, told(report)


def test_a_forward_that_computes_in_float32_is_told() -> None:
    report = cr.check(lambda x: (x * x).astype(np.float32), X, backward=square_backward)
    assert not report.findings
    assert report.remarks == ("<lambda> rounds to float32 inside: it is checked at that accuracy.",)
    assert report.sharpness is not None
    assert 1e-6 < report.sharpness < 1e-3


def line_of(text: str) -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(k for k, line in enumerate(file, start=1) if line.rstrip().endswith(text))


def test_a_forward_that_raises_is_told_with_its_line() -> None:
    def forward(x: Array) -> Any:
        raise KeyError("no such thing")  # here it raises

    report = cr.check(forward, X, backward=square_backward)
    (finding,) = report.findings
    assert finding.mistake == "raises"
    assert "KeyError: 'no such thing'" in finding.advice
    assert "forward" in finding.advice
    assert finding.source == f"test_check_bad_input.py:{line_of('# here it raises')}"


def test_a_backward_that_raises_is_told_with_its_line() -> None:
    class Fails(Square):
        def backward(self, dy: Array) -> Any:
            return dy @ np.ones(99)  # here it fails

    report = cr.check(Fails(), X)
    (finding,) = report.findings
    assert (finding.mistake, report.rows[0].verdict) == ("raises", "not checked")
    assert "backward" in finding.advice
    assert finding.source == f"test_check_bad_input.py:{line_of('# here it fails')}"


def test_the_line_told_is_the_innermost() -> None:
    def helper(dy: Array) -> Any:
        return dy.no_such_method()  # here it breaks

    report = cr.check(square, X, backward=lambda dy, x: helper(dy))
    assert report.findings[0].source == f"test_check_bad_input.py:{line_of('# here it breaks')}"


def test_a_forward_that_raises_a_step_away_is_told() -> None:
    """A forward may refuse what is out of its range, and the inputs may stand at its edge."""

    def log(x: Array) -> Array:
        if (x > 1).any():
            raise ValueError("expected probabilities")
        return np.log(x)

    report = cr.check(log, np.array([1.0, 0.5]), backward=lambda dy, x: dy / x)
    assert set(report.mistakes) <= {"raises"}, told(report)
    assert cr.check(log, np.array([0.9, 0.5]), backward=lambda dy, x: dy / x).passed


# Backwards ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "mistake"),
    [
        (lambda dx: None, "missing"),
        (lambda dx: (), "missing"),
        (lambda dx: (None,), "missing"),
        (lambda dx: {"other": dx}, "missing"),
        (lambda dx: np.full_like(dx, np.nan), "not-finite"),
        (lambda dx: np.where(np.arange(4) == 2, np.inf, dx), "not-finite"),
        (lambda dx: dx.ravel(), "shape"),
        (lambda dx: dx[:2], "shape"),
        (lambda dx: dx.T, "transpose"),
        (lambda dx: np.zeros_like(dx), "zero"),
        (lambda dx: dx.astype(np.float32), "dtype"),
        (lambda dx: "text", "shape"),
        (lambda dx: dx + 0j, "shape"),
        (lambda dx: dx.astype(object), "shape"),
        (lambda dx: {1, 2}, "shape"),
    ],
)
@pytest.mark.parametrize("style", ["object", "function"])
def test_what_a_backward_returns_has_a_name(returned: Any, mistake: str, style: str) -> None:
    class Returns(Square):
        def backward(self, dy: Array) -> Any:
            return returned(super().backward(dy))

    if style == "object":
        report = cr.check(Returns(), X)
    else:
        report = cr.check(square, X, backward=lambda dy, x: returned(square_backward(dy, x)))
    assert report.mistakes[:1] == (mistake,), told(report)
    assert not report.passed


@pytest.mark.parametrize(
    "returned",
    [lambda dx: dx.astype(int), lambda dx: 0, lambda dx: 0.0, lambda dx: (dx, dx)],
    ids=["whole numbers", "0", "0.0", "two"],
)
def test_other_returns_do_not_pass(returned: Any) -> None:
    report = cr.check(square, X, backward=lambda dy, x: returned(square_backward(dy, x)))
    assert not report.passed, told(report)
    assert "axis" not in report.mistakes, "nothing is broadcast here"


def test_a_list_of_numbers_is_a_gradient() -> None:
    report = cr.check(square, X[0], backward=lambda dy, x: square_backward(dy, x).tolist())
    assert report.passed, told(report)


def test_two_inputs_and_one_gradient() -> None:
    report = cr.check(lambda a, b: a * b, X, X, backward=lambda dy, a, b: (dy * b,))
    assert [(f.mistake, f.input) for f in report.findings] == [("missing", "b")]
    assert [row.verdict for row in report.rows] == ["ok", "not checked"]


def test_what_a_function_prints_is_its_own_affair(capsys: pytest.CaptureFixture[str]) -> None:
    def talkative(dy: Array, x: Array) -> Array:
        print("backward")
        return square_backward(dy, x)

    assert cr.check(square, X, backward=talkative).passed
    assert set(capsys.readouterr().out.split()) <= {"backward"}


def test_a_slow_forward_is_run_a_few_times_an_element() -> None:
    """Ten milliseconds each: a check of twelve elements is done in a second."""

    def slow(x: Array) -> Array:
        time.sleep(0.01)
        return x * x

    report = cr.check(slow, X, backward=square_backward)
    assert report.passed
    assert report.seconds < 1


def test_numbers_that_overflow_in_a_formula_do_not_make_a_diagnosis() -> None:
    """exp(exp(20)) is infinite, and infinity is near nothing: this one is 1 % off, and that is all."""
    x = np.array([20.0, -20.0, 7.0, 1.0])
    report = cr.check(lambda x: np.exp(x), x, backward=lambda dy, x: 1.01 * dy * np.exp(x))
    assert report.mistakes == ("factor",), told(report)
