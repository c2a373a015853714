"""The rules: what one step does to the parameters, given the gradient.

In the formulas w are the parameters, g the gradient, r the learning rate of this step and t = 1, 2, ... the step;
running arrays start at zero.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

import numpy as np

from chainrule.arrays import Array
from chainrule.optimizers.optimizer import Arrays, Optimizer, clear, within
from chainrule.schedules import Schedule

DIVISION = "it keeps the division from 0 / 0; try 1e-8"


@dataclass(repr=False, eq=False)
class SGD(Optimizer):
    """w <- w - r g.

    Source: Robbins, Monro, A Stochastic Approximation Method (1951).
    """

    native = ("SGD",)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        np.multiply(g, rate, out=scratch)
        w -= scratch


@dataclass(repr=False, eq=False)
class Momentum(Optimizer):
    """v <- m v - r g,    w <- w + v.

    PyTorch keeps b <- m b + g and takes w <- w - r b. At a constant rate the two are the same (v = -r b).
    When the rate changes, here each past gradient keeps the rate of its own step; in PyTorch all take the
    new one.
    Source: Polyak, Some Methods of Speeding Up the Convergence of Iteration Methods (1964); Goodfellow,
    Bengio, Courville, Deep Learning (2016), algorithm 8.2.
    """

    running = ("velocity",)
    native = ("Momentum", "momentum")

    momentum: float = within("[0, 1]", 0.9, "try 0.9")

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        velocity = self._accelerated(g, running["velocity"], scratch, rate)
        w += velocity
        clear(velocity, scratch, t)

    def _accelerated(self, g: Array, velocity: Array, scratch: Array, rate: float) -> Array:
        """v <- m v - r g, with r g left in scratch."""
        np.multiply(g, rate, out=scratch)
        velocity *= self.momentum
        velocity -= scratch
        return velocity


@dataclass(repr=False, eq=False)
class Nesterov(Momentum):
    """v <- m v - r g,    w <- w + m v - r g.

    The gradient is taken at w, which stands for the point looked ahead to, as in PyTorch and in the source.
    At a constant rate this is PyTorch's nesterov=True; for a rate that changes, see `Momentum`.
    Source: Bengio, Boulanger-Lewandowski, Pascanu, Advances in Optimizing Recurrent Networks (2013),
    section 3.5.
    """

    native = ("Nesterov", "momentum")

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        velocity = self._accelerated(g, running["velocity"], scratch, rate)
        w -= scratch
        np.multiply(velocity, self.momentum, out=scratch)
        w += scratch
        clear(velocity, scratch, t)


@dataclass(repr=False, eq=False)
class AdaGrad(Optimizer):
    """s <- s + g^2,    w <- w - r g / (sqrt(s) + epsilon).

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization
    (2011), equation 1, its diagonal form.
    """

    running = ("squares",)
    native = ("AdaGrad", "epsilon")

    _: KW_ONLY
    epsilon: float = within("(0, inf)", 1e-10, DIVISION)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        squares = running["squares"]
        np.multiply(g, g, out=scratch)
        squares += scratch
        _descend(w, g, squares, scratch, rate, self.epsilon)
        clear(squares, scratch, t, self.epsilon)


@dataclass(repr=False, eq=False)
class RMSProp(Optimizer):
    """s <- alpha s + (1 - alpha) g^2,    w <- w - r g / (sqrt(s) + epsilon).

    Source: Tieleman, Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012).
    """

    running = ("mean_squares",)
    native = ("RMSProp", "alpha", "epsilon")

    _: KW_ONLY
    alpha: float = within("[0, 1)", 0.99, "try 0.99")
    epsilon: float = within("(0, inf)", 1e-8, DIVISION)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        squares = running["mean_squares"]
        _average(squares, g, self.alpha, scratch, squared=True)
        _descend(w, g, squares, scratch, rate, self.epsilon)
        clear(squares, scratch, t, self.epsilon)


@dataclass(repr=False, eq=False)
class Adam(Optimizer):
    """m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2,
    w <- w - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).

    Source: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.
    """

    running = ("first_moment", "second_moment")
    native = ("Adam", "beta1", "beta2", "epsilon")

    learning_rate: float | Schedule = 0.001
    _: KW_ONLY
    beta1: float = within("[0, 1)", 0.9, "try 0.9")
    beta2: float = within("[0, 1)", 0.999, "try 0.999")
    epsilon: float = within("(0, inf)", 1e-8, DIVISION)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        first, second = running["first_moment"], running["second_moment"]
        _average(first, g, self.beta1, scratch)
        _average(second, g, self.beta2, scratch, squared=True)
        first_share, second_share = 1 - self.beta1**t, 1 - self.beta2**t
        _descend(w, first, second, scratch, rate / first_share, self.epsilon, math.sqrt(second_share))
        clear(first, scratch, t)
        clear(second, scratch, t, self.epsilon)


@dataclass(repr=False, eq=False)
class AdamHat(Adam):
    """m, v as in Adam,    w <- w - r sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon).

    Adam with epsilon beside the uncorrected moment, as scikit-learn and TensorFlow have it.
    Source: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015), end of section 2: epsilon hat.
    """

    native = ("AdamHat", "beta1", "beta2", "epsilon")

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        first, second = running["first_moment"], running["second_moment"]
        _average(first, g, self.beta1, scratch)
        _average(second, g, self.beta2, scratch, squared=True)
        corrected = rate * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        _descend(w, first, second, scratch, corrected, self.epsilon)
        clear(first, scratch, t)
        clear(second, scratch, t, self.epsilon)


@dataclass(repr=False, eq=False)
class AdamW(Adam):
    """w <- w - r weight_decay w, then Adam's step with the gradient as it is: weight decay that is decoupled.

    Source: Loshchilov, Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2, with the schedule's
    rate r for its eta, as in PyTorch.
    """

    native = ("AdamW", "beta1", "beta2", "epsilon")

    decoupled = True

    _: KW_ONLY
    weight_decay: float = within("[0, inf)", 0.01, "try 0.01; 0 is none")


def _average(average: Array, g: Array, keep: float, scratch: Array, *, squared: bool = False) -> None:
    """average <- keep * average + (1 - keep) * g, or g^2."""
    if squared:
        np.multiply(g, g, out=scratch)
        scratch *= 1 - keep
    else:
        np.multiply(g, 1 - keep, out=scratch)
    average *= keep
    average += scratch


def _descend(
    w: Array, g: Array, squares: Array, scratch: Array, rate: float, epsilon: float, correction: float = 1.0
) -> None:
    """w <- w - rate * g / (sqrt(squares) / correction + epsilon)."""
    np.sqrt(squares, out=scratch)
    if correction != 1:
        scratch /= correction
    scratch += epsilon
    np.divide(g, scratch, out=scratch)
    scratch *= rate
    w -= scratch
