"""Activations: functions of one element, and the softmax of an axis. None overflows; integers become floats."""

from __future__ import annotations

import math

import numpy as np

from chainrule.arguments import number, whole_number
from chainrule.arrays import Array
from chainrule.layers.arithmetic import floats
from chainrule.layers.axes import axes_of
from chainrule.layers.base import Layer


class ReLU(Layer):
    """y = max(x, 0),    dL/dx = dL/dy where x > 0, else 0 (at 0 too).

    Shapes: x any -> y the same. float32 or float64, kept. NaN stays NaN.
    Source: Nair, Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """

    is_activation = True
    can_die = True

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        y = np.maximum(x, 0)
        return y, y

    def backward(self, dy: Array, y: Array) -> Array:
        return np.where(y > 0, dy, 0)


class LeakyReLU(Layer):
    """y = x where x > 0, else slope * x,    dL/dx = dL/dy where x > 0, else dL/dy * slope (at 0 too).

    Shapes: x any -> y the same. float32 or float64, kept.
    Raises: ArgumentError unless slope is a finite number.
    Source: Maas, Hannun, Ng, Rectifier nonlinearities improve neural network acoustic models (2013).
    """

    is_activation = True

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = number("slope", slope, owner=self)

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        return np.where(x > 0, x, self.slope * x), x

    def backward(self, dy: Array, x: Array) -> Array:
        return np.where(x > 0, dy, self.slope * dy)


class ELU(Layer):
    """y = x where x > 0, else alpha * (exp(x) - 1),    dL/dx = dL/dy * (1 where x > 0, else alpha * exp(x)).

    Shapes: x any -> y the same. float32 or float64, kept.
    Raises: ArgumentError unless alpha is a finite number of at least 0.
    Source: Clevert, Unterthiner, Hochreiter, Fast and accurate deep network learning by ELUs (2016), eq. 15.
    """

    is_activation = True

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number("alpha", alpha, "[0, inf)", owner=self)

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        negative = np.minimum(x, 0)  # exp of a large x would overflow, though np.where drops it
        return np.where(x > 0, x, self.alpha * np.expm1(negative)), x

    def backward(self, dy: Array, x: Array) -> Array:
        return dy * np.where(x > 0, 1, self.alpha * np.exp(np.minimum(x, 0)))


class GELU(Layer):
    """y = x * P(x),    dL/dx = dL/dy * (P(x) + x * exp(-x^2 / 2) / sqrt(2 pi)),    P the normal distribution.

    With `approximate`, y = x / 2 * (1 + t), t = tanh(u), u = sqrt(2 / pi) * (x + 0.044715 x^3), and
    dL/dx = dL/dy * ((1 + t) / 2 + x / 2 * (1 - t^2) * du/dx).

    Shapes: x any -> y the same. float32 or float64, kept.
    Source: Hendrycks, Gimpel, Gaussian error linear units (2016), section 2.
    """

    is_activation = True

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = bool(approximate)

    @np.errstate(over="ignore")
    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        (x,) = floats(x)
        if self.approximate:
            t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
            return x * 0.5 * (1 + t), (x, t)
        from scipy.special import ndtr  # exact far below 0, where 1 + erf cancels; slow to import

        p = ndtr(x)
        return x * p, (x, p)

    @np.errstate(over="ignore")
    def backward(self, dy: Array, saved: tuple[Array, Array]) -> Array:
        if self.approximate:
            x, t = saved
            du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
            slope: Array = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du
        else:
            x, p = saved
            slope = p + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return dy * slope


class SiLU(Layer):
    """y = x * s, s = 1 / (1 + exp(-x)),    dL/dx = dL/dy * s * (1 + x * (1 - s)). Also known as Swish.

    Shapes: x any -> y the same. float32 or float64, kept.
    Source: Elfwing, Uchibe, Doya, Sigmoid-weighted linear units (2018), eq. 5 and 8.
    """

    is_activation = True

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        (x,) = floats(x)
        s = sigmoid(x)
        return x * s, (x, s)

    def backward(self, dy: Array, saved: tuple[Array, Array]) -> Array:
        x, s = saved
        dx: Array = dy * s * (1 + x * (1 - s))
        return dx


class Softplus(Layer):
    """y = log(1 + exp(x)),    dL/dx = dL/dy / (1 + exp(-x)).

    Shapes: x any -> y the same. float32 or float64, kept.
    Source: Dugas, Bengio, Bélisle, Nadeau, Garcia, Incorporating second-order functional knowledge (2001).
    """

    is_activation = True

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), x

    def backward(self, dy: Array, x: Array) -> Array:
        return dy * sigmoid(x)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)),    dL/dx = dL/dy * y * (1 - y).

    Shapes: x any -> y the same. float32 or float64, kept.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 3.10.
    """

    is_activation = True
    saturation = 0.5, math.sqrt(0.2475)  # y (1 - y) is 0.0025, a hundredth of 0.25

    def forward(self, x: Array) -> tuple[Array, Array]:
        y = sigmoid(x)
        return y, y

    def backward(self, dy: Array, y: Array) -> Array:
        dx: Array = dy * y * (1 - y)
        return dx


class Tanh(Layer):
    """y = tanh(x),    dL/dx = dL/dy * (1 - y^2).

    Shapes: x any -> y the same. float32 or float64, kept.
    """

    is_activation = True
    saturation = 0.0, math.sqrt(0.99)  # 1 - y^2 is 0.01

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        y = np.tanh(x)
        return y, y

    def backward(self, dy: Array, y: Array) -> Array:
        dx: Array = dy * (1 - y * y)
        return dx


class Softmax(Layer):
    """y_k = exp(x_k) / sum_j exp(x_j) along the axis,    dL/dx = y * (dL/dy - sum_j dL/dy_j y_j).

    Shapes: x any -> y the same. float32 or float64, kept.
    Raises: ShapeError when x has no such axis.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.2.2.3.
    """

    is_activation = True

    def __init__(self, axis: int = -1) -> None:
        self.axis = whole_number("axis", axis, owner=self)

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        axes_of(self, (self.axis,), x.ndim)
        y = softmax(x, self.axis)
        return y, y

    def backward(self, dy: Array, y: Array) -> Array:
        dx: Array = y * (dy - (dy * y).sum(axis=self.axis, keepdims=True))
        return dx


class LogSoftmax(Layer):
    """y_k = x_k - log sum_j exp(x_j) along the axis,    dL/dx = dL/dy - exp(y) * sum_j dL/dy_j.

    Shapes: x any -> y the same. float32 or float64, kept.
    Raises: ShapeError when x has no such axis.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), 6.2.2.3.
    """

    is_activation = True

    def __init__(self, axis: int = -1) -> None:
        self.axis = whole_number("axis", axis, owner=self)

    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        axes_of(self, (self.axis,), x.ndim)
        y = log_softmax(x, self.axis)
        return y, y

    def backward(self, dy: Array, y: Array) -> Array:
        dx: Array = dy - np.exp(y) * dy.sum(axis=self.axis, keepdims=True)
        return dx


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); the exponent is never positive."""
    (x,) = floats(x)
    e = np.exp(-np.abs(x))
    s: Array = np.where(x >= 0, 1, e) / (1 + e)
    return s


@np.errstate(invalid="ignore")
def _below_largest(x: Array, axis: int) -> Array:
    """x minus its largest value along the axis, which then is 0. A row without a finite value becomes NaN."""
    (x,) = floats(x)
    z: Array = x - x.max(axis=axis, keepdims=True, initial=-np.inf)
    return z


def softmax(x: Array, axis: int = -1) -> Array:
    """exp(x) over its sum along the axis, computed from the differences to the largest value."""
    e = np.exp(_below_largest(x, axis))
    p: Array = e / e.sum(axis=axis, keepdims=True)
    return p


def log_softmax(x: Array, axis: int = -1) -> Array:
    """The logarithm of the softmax, exact where the softmax itself is rounded to 0."""
    z = _below_largest(x, axis)
    log_p: Array = z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
    return log_p
