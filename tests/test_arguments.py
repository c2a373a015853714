"""The one place that checks arguments: NumPy's numbers are numbers everywhere, a bool is none anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arguments import as_whole, checked_dtype, number, one_of, whole_number, whole_numbers
from chainrule.errors import ArgumentError
from chainrule.loop import Batches, Health


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("(-inf, inf)", [-1e300, 0, 1e300], [math.inf, -math.inf, math.nan, 10**400]),
        ("[0, inf)", [0, 1e300], [-1e-300, math.inf, math.nan]),
        ("(0, 1]", [1e-300, 1], [0, 1.0000001]),
        ("[0, 1)", [0, 0.999], [1, -0.1]),
    ],
)
def test_numbers_lie_in_an_interval(interval: str, inside: list[float], outside: list[float]) -> None:
    for value in inside:
        assert number("a", value, interval) == value
    for value in outside:
        with pytest.raises(ArgumentError, match=r"^a: expected a (finite )?number"):
            number("a", value, interval)


def test_any_real_number_becomes_a_float() -> None:
    for value in (2, 2.0, np.int8(2), np.uint64(2), np.float16(2), np.float64(2), Fraction(2)):
        assert type(number("a", value)) is float
        assert number("a", value) == 2
    for other in ("2", None, True, np.True_, [2], 2j, np.array([2.0])):
        with pytest.raises(ArgumentError, match="a finite number, got "):
            number("a", other)


def test_whole_numbers() -> None:
    for value in (3, np.int8(3), np.uint64(3), np.array(3)):
        assert type(whole_number("n", value, 1)) is int
        assert whole_numbers("n", value) == (3,)
    for other in (3.0, np.float64(3), "3", None, True, np.True_, np.array(True)):
        assert as_whole(other) is None
        with pytest.raises(ArgumentError, match=r"^n: expected a whole number of at least 1, got "):
            whole_number("n", other, 1)
        with pytest.raises(ArgumentError, match=r"^n: expected a whole number or a tuple of them, got "):
            whole_numbers("n", other)
    assert whole_numbers("n", [np.int64(2), -1]) == (2, -1)
    assert whole_numbers("n", ()) == ()
    with pytest.raises(ArgumentError, match=r"a tuple of them, got \(1, True\)"):
        whole_numbers("n", (1, True))
    with pytest.raises(ArgumentError, match=r"^n: expected a whole number, got 0.5$"):
        whole_number("n", 0.5)


def test_dtypes() -> None:
    for dtype in ("float32", np.float64, np.dtype("float32"), float):
        assert checked_dtype(dtype) == np.dtype(dtype)
    for other in ("real", None, "int8", ">f4", "float16", object()):
        with pytest.raises(ArgumentError, match=r"^check: dtype: expected float32 or float64, got "):
            checked_dtype(other, owner="check")
    assert checked_dtype("float16", other_floats=True) == np.float16


def test_names() -> None:
    assert one_of("color", "red", ["red", "blue"]) == "red"
    with pytest.raises(
        ArgumentError, match=r"^Paint: unknown color 'rd'; did you mean 'red'\? Known: blue, red"
    ):
        one_of("color", "rd", ["red", "blue"], owner="Paint")
    for other in (None, 3, ["red"]):
        with pytest.raises(ArgumentError, match=r"^unknown color "):
            one_of("color", other, ["red", "blue"])  # type: ignore[arg-type]


def test_a_message_says_whose_argument_it_is_and_the_remedy() -> None:
    with pytest.raises(ArgumentError, match=r"^Zeros: expected a to be a number in .* got 'b'; try 0.1$"):
        number("a", "b", "[0, 1)", owner=cr.initializers.Zeros(), remedy="try 0.1")


NUMBERS: list[Callable[[Any], object]] = [
    cr.LeakyReLU,
    cr.ELU,
    cr.Dropout,
    cr.Huber,
    cr.SoftmaxCrossEntropy,
    lambda value: cr.BatchNorm(momentum=value),
    cr.initializers.Normal,
    cr.initializers.Uniform,
    cr.initializers.Constant,
    cr.initializers.Orthogonal,
    cr.SGD,
    cr.schedules.Cosine,
    lambda value: cr.Momentum(momentum=value),
    lambda value: cr.Adam(weight_decay=value, clip_norm=value),
    lambda value: cr.EarlyStopping(min_change=value),
    lambda value: cr.numerical_gradient(lambda x: float(x.sum()), np.ones(1), value),
]
WHOLE: list[Callable[[Any], object]] = [
    cr.Affine,
    cr.Softmax,
    cr.LayerNorm,
    cr.Sum,
    lambda value: cr.Embedding(value, value),
    lambda value: cr.Input("x", shape=value),
    lambda value: cr.EarlyStopping(patience=value),
    lambda value: Health(every=value, rows=value),
    lambda value: cr.schedules.Step(0.1, every=value),
    lambda value: cr.schedules.LinearWarmup(value, 0.1),
    lambda value: cr.Graph(cr.Input("x", shape=1), seed=value),
    lambda value: cr.Network(cr.Affine(1), input_shape=value, seed=value),
    lambda value: cr.TwoLayerNet(value, value, value),
    lambda value: cr.check(cr.ReLU(), np.ones(2), seed=value),
    lambda value: Batches.make(9, batch_size=value, sampling="shuffle", seed=value),
]


@pytest.mark.parametrize("take", NUMBERS)
def test_numbers_of_numpy_are_taken_wherever_those_of_python_are(take: Callable[[Any], object]) -> None:
    for value in (0.5, np.float32(0.5), np.float64(0.5)):
        take(value)
    for wrong in (True, np.True_, "0.5", math.nan):
        with pytest.raises(ArgumentError):
            take(wrong)


@pytest.mark.parametrize("take", WHOLE)
def test_whole_numbers_of_numpy_are_taken_wherever_those_of_python_are(take: Callable[[Any], object]) -> None:
    for value in (2, np.int32(2), np.uint8(2)):  # two outputs: a softmax over one says nothing
        take(value)
    for wrong in (True, np.True_, "2", 2.0):
        with pytest.raises(ArgumentError):
            take(wrong)
