"""Activations: values, stability far from zero, and what they refuse. Warnings are errors here."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule.layers as layers
from chainrule.errors import ArgumentError, ShapeError

V = np.array([-3.0, -1.0, -0.25, 0.0, 0.5, 2.0])

# Values and gradients (for dy = 1) at V, from PyTorch 2.13 in float64.
PYTORCH = {
    "LeakyReLU": (
        layers.LeakyReLU(0.1),
        [-0.3, -0.1, -0.025, 0.0, 0.5, 2.0],
        [0.1, 0.1, 0.1, 0.1, 1.0, 1.0],
    ),
    "ELU": (
        layers.ELU(0.7),
        [-0.665149052142495, -0.44248439117999, -0.154839451850017, 0.0, 0.5, 2.0],
        [0.034850947857505, 0.25751560882001, 0.545160548149983, 0.7, 1.0, 1.0],
    ),
    "GELU": (
        layers.GELU(),
        [
            -0.00404969409489,
            -0.158655253931457,
            -0.100323418579269,
            0.0,
            0.345731230637007,
            1.954499736103642,
        ],
        [
            -0.011945647204184,
            -0.083315470587686,
            0.304626645116364,
            0.5,
            0.867495124656163,
            1.085231801078197,
        ],
    ),
    "GELU-approximate": (
        layers.GELU(approximate=True),
        [
            -0.003637392081773,
            -0.158808009391723,
            -0.100324649298315,
            0.0,
            0.345714009825144,
            1.954597694087775,
        ],
        [-0.01158416663097, -0.082964083845783, 0.30464590484894, 0.5, 0.867369903534642, 1.086099256623618],
    ),
    "SiLU": (
        layers.SiLU(),
        [-0.1422776195327, -0.268941421369995, -0.10945587477855, 0.0, 0.311229665600927, 1.761594155955765],
        [-0.08810410601517, 0.072329488128513, 0.376289978429802, 0.5, 0.739961187302652, 1.090784248784896],
    ),
    "Softplus": (
        layers.Softplus(),
        [
            0.048587351573742,
            0.313261687518223,
            0.575939419878844,
            math.log(2),
            0.974076984180107,
            2.126928011042973,
        ],
        [0.047425873177567, 0.268941421369995, 0.437823499114202, 0.5, 0.622459331201855, 0.880797077977882],
    ),
}


@pytest.mark.parametrize("name", PYTORCH)
def test_values_from_pytorch(name: str) -> None:
    layer, values, gradients = PYTORCH[name]
    y, saved = layer.forward(V)
    np.testing.assert_allclose(y, values, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.backward(np.ones(6), saved), gradients, rtol=1e-12, atol=1e-15)


def test_relu() -> None:
    y, saved = layers.ReLU().forward(np.array([-1.0, 0.0, 2.0, np.nan, np.inf]))
    np.testing.assert_array_equal(y, [0, 0, 2, np.nan, np.inf])
    np.testing.assert_array_equal(layers.ReLU().backward(np.full(5, 3.0), saved), [0, 0, 3, 0, 3])


def test_relu_leaves_no_nan_of_an_infinite_gradient() -> None:
    _, saved = layers.ReLU().forward(np.array([-1.0, 1.0]))
    np.testing.assert_array_equal(layers.ReLU().backward(np.array([np.inf, np.inf]), saved), [0, np.inf])


ELEMENTWISE = [
    (layers.ReLU(), (0, 1e4), (0, 1)),
    (layers.LeakyReLU(), (-100, 1e4), (0.01, 1)),
    (layers.ELU(), (-1, 1e4), (0, 1)),
    (layers.GELU(), (0, 1e4), (0, 1)),
    (layers.GELU(approximate=True), (0, 1e4), (0, 1)),
    (layers.SiLU(), (0, 1e4), (0, 1)),
    (layers.Softplus(), (0, 1e4), (0, 1)),
    (layers.Sigmoid(), (0, 1), (0, 0)),
    (layers.Tanh(), (-1, 1), (0, 0)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("layer", "values", "gradients"), ELEMENTWISE, ids=lambda each: repr(each))
def test_far_from_zero(layer: layers.Layer, values, gradients, dtype: type) -> None:
    y, saved = layer.forward(np.array([-1e4, 1e4], dtype))
    np.testing.assert_allclose(y, values, rtol=1e-6)
    np.testing.assert_allclose(layer.backward(np.ones(2, dtype), saved), gradients, rtol=1e-6)


@pytest.mark.parametrize("layer", [each for each, _, _ in ELEMENTWISE], ids=repr)
def test_nan_stays_nan(layer: layers.Layer) -> None:
    assert np.isnan(layer.forward(np.array([np.nan]))[0]).all()


def test_far_below_zero_nothing_cancels() -> None:
    """1 + erf, or y + alpha, would be rounded to 0 long before."""
    y, _ = layers.GELU().forward(np.array([-20.0]))
    np.testing.assert_allclose(y, -20 * 2.753624118606233e-89, rtol=1e-12)
    layer = layers.ELU()
    _, saved = layer.forward(np.array([-50.0]))
    np.testing.assert_allclose(layer.backward(np.ones(1), saved), math.exp(-50))
    np.testing.assert_allclose(layers.Softplus().forward(np.array([-50.0]))[0], math.exp(-50))


def test_softmax_values() -> None:
    x = np.log([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]])
    np.testing.assert_allclose(layers.Softmax().forward(x)[0], [[0.125, 0.25, 0.625], [0.25, 0.25, 0.5]])
    np.testing.assert_allclose(layers.Softmax(axis=0).forward(x)[0][:, 2], [5 / 7, 2 / 7])
    np.testing.assert_allclose(np.exp(layers.LogSoftmax().forward(x)[0])[0], [0.125, 0.25, 0.625])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_far_from_zero(dtype: type) -> None:
    x = np.array([[-1e4, 1e4, 0.0], [1e4, 1e4, 1e4], [-1e4, -1e4, -2e4]], dtype)
    y, saved = layers.Softmax().forward(x)
    np.testing.assert_allclose(y, [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]], rtol=1e-6)
    assert np.isfinite(layers.Softmax().backward(x, saved)).all()
    y, saved = layers.LogSoftmax().forward(x)
    np.testing.assert_allclose(y[0], [-2e4, 0, -1e4])
    dx = layers.LogSoftmax().backward(np.eye(3, dtype=dtype), saved)
    np.testing.assert_allclose(dx[0], [1, -1, 0])


def test_softmax_of_masked_logits() -> None:
    x = np.array([[-np.inf, 0.0, 0.0], [-np.inf, -np.inf, -np.inf]])
    y, saved = layers.Softmax().forward(x)
    np.testing.assert_array_equal(y, [[0, 0.5, 0.5], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(layers.Softmax().backward(np.eye(3)[:2], saved)[0], [0, 0, 0])


def test_softmax_of_no_classes() -> None:
    assert layers.Softmax().forward(np.ones((3, 0)))[0].shape == (3, 0)


def test_gradient_of_softmax_sums_to_zero() -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 4, 5))
    for layer in (layers.Softmax(axis=0), layers.LogSoftmax(axis=0)):
        _, saved = layer.forward(x)
        np.testing.assert_allclose(layer.backward(dy, saved).sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("cls", [layers.Softmax, layers.LogSoftmax])
def test_softmax_refuses(cls: type[layers.Layer]) -> None:
    with pytest.raises(
        ShapeError, match=r"axis=2\): expected an array that has axis 2, .* use an axis from -2 to 1"
    ):
        cls(axis=2).forward(np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="expected axis to be a whole number"):
        cls(axis="classes")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LeakyReLU(math.nan), "LeakyReLU: expected slope to be a finite number, got nan"),
        (lambda: layers.LeakyReLU("0.1"), "expected slope to be a finite number, got '0.1'"),
        (lambda: layers.ELU(-1.0), r"ELU: expected alpha to be a number in \[0, inf\), got -1.0"),
        (lambda: layers.ELU(True), "expected alpha"),
        (lambda: layers.ELU(alhpa=1.0), "did you mean 'alpha'"),
    ],
)
def test_bad_arguments(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


ALL = [
    layers.ReLU(),
    layers.LeakyReLU(0.1),
    layers.ELU(),
    layers.GELU(),
    layers.GELU(approximate=True),
    layers.SiLU(),
    layers.Softplus(),
    layers.Sigmoid(),
    layers.Tanh(),
    layers.Softmax(),
    layers.LogSoftmax(),
]


@pytest.mark.parametrize("layer", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.bool_])
def test_whole_numbers_are_computed_as_floats(layer: layers.Layer, dtype: type) -> None:
    x = np.array([0, 1, 2, 100]).astype(dtype)
    y, saved = layer.forward(x)
    expected, saved_of_floats = layer.forward(x.astype(np.float64))
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, expected)
    dy = np.array([1.0, -2.0, 3.0, 0.5])
    np.testing.assert_array_equal(layer.backward(dy, saved), layer.backward(dy, saved_of_floats))


def test_the_most_negative_int8() -> None:
    assert layers.Sigmoid().forward(np.array([-128], np.int8))[0][0] == pytest.approx(math.exp(-128))
    assert layers.Softplus().forward(np.array([-128], np.int8))[0][0] == pytest.approx(math.exp(-128))


@pytest.mark.parametrize("layer", ALL, ids=repr)
def test_lists_are_taken(layer: layers.Layer) -> None:
    np.testing.assert_array_equal(layer.forward([1, 2])[0], layer.forward(np.array([1.0, 2.0]))[0])
