"""Kernels of optimizers: the rule of each in one pass over the flat vector.

What fades away, step by step, is 0 once it is below the smallest normal number. A sum of squares stays where the
epsilon beside its root is as small as that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.kernels.constants import FLOAT, TINY, ZERO


def add_decay(w: Array, g: Array, decay: Array) -> None:
    """g += decay * w: weight decay as part of the gradient."""
    for i in range(w.shape[0]):
        w[i] = ZERO if abs(w[i]) < TINY else w[i]
        g[i] += decay[i] * w[i]


def shrink(w: Array, decay: Array, rate: float) -> None:
    """w -= rate * decay * w: weight decay beside the gradient."""
    r = FLOAT(rate)
    for i in range(w.shape[0]):
        v = w[i] - w[i] * decay[i] * r
        w[i] = ZERO if abs(v) < TINY else v


def sgd(w: Array, g: Array, rate: float, t: int) -> None:
    r = FLOAT(rate)
    for i in range(w.shape[0]):
        w[i] -= r * g[i]


def momentum(w: Array, g: Array, velocity: Array, rate: float, t: int, momentum: float) -> None:
    r, m = FLOAT(rate), FLOAT(momentum)
    for i in range(w.shape[0]):
        v = m * velocity[i] - r * g[i]
        v = ZERO if abs(v) < TINY else v
        velocity[i] = v
        w[i] += v


def nesterov(w: Array, g: Array, velocity: Array, rate: float, t: int, momentum: float) -> None:
    r, m = FLOAT(rate), FLOAT(momentum)
    for i in range(w.shape[0]):
        v = m * velocity[i] - r * g[i]
        v = ZERO if abs(v) < TINY else v
        velocity[i] = v
        w[i] += m * v - r * g[i]


def adagrad(w: Array, g: Array, squares: Array, rate: float, t: int, epsilon: float) -> None:
    r, e = FLOAT(rate), FLOAT(epsilon)
    least = TINY if e * e > TINY else ZERO
    for i in range(w.shape[0]):
        s = squares[i] + g[i] * g[i]
        s = ZERO if s < least else s
        squares[i] = s
        w[i] -= r * g[i] / (np.sqrt(s) + e)


def rmsprop(
    w: Array, g: Array, mean_squares: Array, rate: float, t: int, alpha: float, epsilon: float
) -> None:
    r, a, rest, e = FLOAT(rate), FLOAT(alpha), FLOAT(1 - alpha), FLOAT(epsilon)
    least = TINY if e * e > TINY else ZERO
    for i in range(w.shape[0]):
        s = a * mean_squares[i] + rest * g[i] * g[i]
        s = ZERO if s < least else s
        mean_squares[i] = s
        w[i] -= r * g[i] / (np.sqrt(s) + e)


def adam(
    w: Array,
    g: Array,
    first: Array,
    second: Array,
    rate: float,
    t: int,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    b1, rest1, b2, rest2, e = FLOAT(beta1), FLOAT(1 - beta1), FLOAT(beta2), FLOAT(1 - beta2), FLOAT(epsilon)
    r = FLOAT(rate / (1 - beta1**t))
    least = TINY if e * e > TINY else ZERO
    unbias = FLOAT(1 / np.sqrt(1 - beta2**t))
    for i in range(w.shape[0]):
        m = b1 * first[i] + rest1 * g[i]
        v = b2 * second[i] + rest2 * g[i] * g[i]
        m = ZERO if abs(m) < TINY else m
        v = ZERO if v < least else v
        first[i] = m
        second[i] = v
        w[i] -= r * m / (np.sqrt(v) * unbias + e)


#: The kernel of each optimizer, by the name of its class.
UPDATES: dict[str, Callable[..., Any]] = {
    "SGD": sgd,
    "Momentum": momentum,
    "Nesterov": nesterov,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "Adam": adam,
    "AdamW": adam,
}
