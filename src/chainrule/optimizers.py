"""Optimizers: what one step does to the flat parameter vector, given the flat gradient.

An optimizer is a description and never changes. What it accumulates lives in an `OptimizerState`, so one
optimizer can train two networks, and a checkpoint can hold the state. In the formulas w are the parameters,
g the gradient, r the learning rate of this step and t = 1, 2, ... the step; running arrays start at zero.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, ShapeError, did_you_mean
from chainrule.schedules import Frozen, Schedule, as_schedule, checked

Arrays: TypeAlias = dict[str, Array]

# A step works through the vectors in blocks that stay in the cache while every operation passes over them:
# Adam on 5 million float32 takes 12 ms so, and 20 ms in one block. Much smaller ones pay for the calls.
BLOCK = 131_072

# What fades away is looked at every so many steps for numbers below the smallest normal one, which become 0:
# processors are slow with them. Momentum times 0.9 would keep them for ever, since rounding stops it at the last.
CLEARING = 64


@dataclass
class OptimizerState:
    """What an optimizer accumulates over the steps, for one parameter vector.

    `iteration` (steps done) and `arrays` (by name, each of the parameters' size and dtype) are all that a
    checkpoint needs: to resume, call `start` and put the saved ones in their place.
    """

    iteration: int
    arrays: Arrays
    size: int
    """How many parameters there are."""
    decay: Array | float
    """The weight decay of each parameter, or of all."""
    scratch: Array
    """Two rows for intermediate results, one block long."""


class Optimizer(Frozen, ABC):
    """The parent of the optimizers: learning rate, weight decay, clipping. A subclass supplies one `rule`.

    In this order, each where asked for:
    clip_norm: g <- g * min(1, clip_norm / |g|), with |g| over all parameters; PyTorch divides by |g| + 1e-6.
        A gradient that holds NaN or infinity is not clipped by norm, to keep it visible.
    clip_value: g <- min(max(g, -clip_value), clip_value), element by element.
    weight_decay: g <- g + weight_decay * w, the gradient of weight_decay / 2 * |w|^2. It applies where
        `decays` in `start` says so (not to biases and scales), or everywhere with decay_all=True.

    Shapes: parameters, gradient, running arrays all (P,). float32 or float64, kept.
    Raises: ArgumentError for a number out of range; ShapeError for vectors that do not fit each other.
    Source: Pascanu, Mikolov, Bengio, On the Difficulty of Training Recurrent Neural Networks (2013),
    algorithm 1 (clipping by norm); Goodfellow, Bengio, Courville, Deep Learning (2016), 7.1.1 (weight decay).
    """

    running: ClassVar[tuple[str, ...]] = ()
    """The names of the running arrays."""
    native: ClassVar[tuple[str, ...]] = ()
    """The name of the kernel that equals `rule`, and of the attributes it takes; of this very class only."""
    decoupled: ClassVar[bool] = False
    """Whether weight decay bypasses the gradient: w <- w - r * weight_decay * w, before the rule."""

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.schedule = as_schedule(learning_rate, self, "learning_rate")
        self.weight_decay = checked(self, "weight_decay", weight_decay, "[0, inf)", "try 1e-4; 0 is none")
        self.decay_all = decay_all
        self.clip_norm = self._clip("clip_norm", clip_norm)
        self.clip_value = self._clip("clip_value", clip_value)

    @abstractmethod
    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        """Update `w` and the `running` arrays in place, for one block of the vectors.

        `g` is clipped and decayed, and must not be written to; `scratch` has its shape and is free to use.
        The first step is t = 1.
        """

    def start(self, parameters: Array, decays: Array | None = None) -> OptimizerState:
        """The state before the first step on `parameters`. Weight decay applies where `decays` is True."""
        if parameters.ndim != 1:
            raise ShapeError(
                f"{self!r}: expected parameters as one flat vector, got shape {parameters.shape}; use ravel()"
            )
        if parameters.dtype not in (np.float32, np.float64):
            raise ArgumentError(
                f"{self!r}: expected float32 or float64 parameters, got {parameters.dtype}; "
                "convert them with astype(np.float32)"
            )
        if decays is not None and (decays.shape != parameters.shape or decays.dtype != np.bool_):
            raise ShapeError(
                f"{self!r}: expected decays as a bool array of shape {parameters.shape}, "
                f"got {decays.dtype} of shape {decays.shape}; give one bool a parameter, or None for all"
            )
        decay: Array | float = self.weight_decay
        if decays is not None and self.weight_decay and not self.decay_all:
            decay = np.multiply(decays, self.weight_decay, dtype=parameters.dtype)
        return OptimizerState(
            iteration=0,
            arrays={name: np.zeros_like(parameters) for name in self.running},
            size=parameters.size,
            decay=decay,
            scratch=np.empty((2, min(BLOCK, parameters.size)), parameters.dtype),
        )

    def step(
        self, parameters: Array, gradient: Array, state: OptimizerState, *, learning_rate: float | None = None
    ) -> None:
        """Change `parameters` and `state` in place by one step. `gradient` is only read.

        `learning_rate` is the rate of this step. Without it the optimizer's schedule is evaluated at
        `state.iteration`, which takes one that does not depend on the length of the training.
        """
        self._check_fit(parameters, gradient, state)
        rate = self._rate(learning_rate, state.iteration)
        scale = self._scale(gradient)
        state.iteration += 1
        for start in range(0, parameters.size, BLOCK):
            block = slice(start, start + BLOCK)
            w, g = parameters[block], gradient[block]
            changed, scratch = state.scratch[:, : w.size]
            decay = state.decay[block] if isinstance(state.decay, np.ndarray) else state.decay
            if scale != 1:
                g = np.multiply(g, scale, out=changed)
            if self.clip_value is not None:
                g = np.clip(g, -self.clip_value, self.clip_value, out=changed)
            if self.weight_decay and self.decoupled:
                np.multiply(w, decay, out=scratch)
                scratch *= rate
                w -= scratch
            elif self.weight_decay:
                np.multiply(w, decay, out=scratch)
                g = np.add(g, scratch, out=changed)
            running = {name: state.arrays[name][block] for name in self.running}
            self.rule(w, g, running, scratch, rate, state.iteration)
            if self.weight_decay:
                _clear(w, scratch, state.iteration)

    def _rate(self, given: float | None, iteration: int) -> float:
        if given is None:
            if self.schedule.needs_total:
                raise ArgumentError(
                    f"{self!r}: expected the learning rate of this step, since the schedule depends on the "
                    "length of the training, got none; "
                    "give step(..., learning_rate=optimizer.schedule(iteration, total))"
                )
            given = self.schedule(iteration, iteration + 1)
        if not 0 <= given < math.inf:
            raise ArgumentError(f"{self!r}: expected a learning rate in [0, inf), got {given}; try 0.01")
        return float(given)

    def _scale(self, gradient: Array) -> float:
        """What the gradient is multiplied by, to clip it by norm."""
        if self.clip_norm is None:
            return 1.0
        norm = _norm(gradient)
        return self.clip_norm / norm if self.clip_norm < norm < math.inf else 1.0

    def _clip(self, name: str, value: float | None) -> float | None:
        return (
            None if value is None else checked(self, name, value, "(0, inf)", "try 1.0; None does not clip")
        )

    def _check_fit(self, parameters: Array, gradient: Array, state: OptimizerState) -> None:
        expected = (state.size,), state.scratch.dtype
        for name, array in (("parameters", parameters), ("gradient", gradient)):
            if (array.shape, array.dtype) != expected:
                raise ShapeError(
                    f"{self!r}: expected {name} of shape {expected[0]} and {expected[1]}, as in start(), "
                    f"got {array.shape} and {array.dtype}; call start(parameters) for a new state"
                )
        for name in self.running:
            held = state.arrays.get(name)
            if held is None or (held.shape, held.dtype) != expected:
                raise ArgumentError(
                    f"{self!r}: expected state.arrays[{name!r}] of shape {expected[0]} and {expected[1]}, "
                    f"got {'none' if held is None else f'{held.shape} and {held.dtype}'}; "
                    "use the state that start() of this kind of optimizer returned"
                )
        if not parameters.flags.writeable:
            raise ArgumentError(
                f"{self!r}: expected parameters that can be written to; give a copy(), or where another thread is "
                "training the network, wait until that has ended"
            )


class SGD(Optimizer):
    """w <- w - r g.

    Source: Robbins, Monro, A Stochastic Approximation Method (1951).
    """

    native = ("SGD",)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        np.multiply(g, rate, out=scratch)
        w -= scratch


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

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.9,
        *,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            decay_all=decay_all,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        self.momentum = checked(self, "momentum", momentum, "[0, 1)", "try 0.9")

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        velocity = running["velocity"]
        np.multiply(g, rate, out=scratch)
        velocity *= self.momentum
        velocity -= scratch
        w += velocity
        _clear(velocity, scratch, t)


class Nesterov(Momentum):
    """v <- m v - r g,    w <- w + m v - r g.

    The gradient is taken at w, which stands for the point looked ahead to, as in PyTorch and in the source.
    At a constant rate this is PyTorch's nesterov=True; for a rate that changes, see `Momentum`.
    Source: Bengio, Boulanger-Lewandowski, Pascanu, Advances in Optimizing Recurrent Networks (2013),
    section 3.5.
    """

    native = ("Nesterov", "momentum")

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        velocity = running["velocity"]
        np.multiply(g, rate, out=scratch)
        velocity *= self.momentum
        velocity -= scratch
        w -= scratch
        np.multiply(velocity, self.momentum, out=scratch)
        w += scratch
        _clear(velocity, scratch, t)


class AdaGrad(Optimizer):
    """s <- s + g^2,    w <- w - r g / (sqrt(s) + epsilon).

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization
    (2011), equation 1, its diagonal form.
    """

    running = ("squares",)
    native = ("AdaGrad", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        epsilon: float = 1e-10,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            decay_all=decay_all,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        self.epsilon = _epsilon(self, epsilon)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        squares = running["squares"]
        np.multiply(g, g, out=scratch)
        squares += scratch
        np.sqrt(squares, out=scratch)
        scratch += self.epsilon
        np.divide(g, scratch, out=scratch)
        scratch *= rate
        w -= scratch
        _clear(squares, scratch, t, self.epsilon)


class RMSProp(Optimizer):
    """s <- alpha s + (1 - alpha) g^2,    w <- w - r g / (sqrt(s) + epsilon).

    Source: Tieleman, Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012).
    """

    running = ("mean_squares",)
    native = ("RMSProp", "alpha", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        alpha: float = 0.99,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            decay_all=decay_all,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        self.alpha = checked(self, "alpha", alpha, "[0, 1)", "try 0.99")
        self.epsilon = _epsilon(self, epsilon)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        squares = running["mean_squares"]
        _average(squares, g, self.alpha, scratch, squared=True)
        np.sqrt(squares, out=scratch)
        scratch += self.epsilon
        np.divide(g, scratch, out=scratch)
        scratch *= rate
        w -= scratch
        _clear(squares, scratch, t, self.epsilon)


class Adam(Optimizer):
    """m <- beta1 m + (1 - beta1) g,    v <- beta2 v + (1 - beta2) g^2,
    w <- w - r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).

    Source: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.
    """

    running = ("first_moment", "second_moment")
    native = ("Adam", "beta1", "beta2", "epsilon")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        decay_all: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            decay_all=decay_all,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )
        self.beta1 = checked(self, "beta1", beta1, "[0, 1)", "try 0.9")
        self.beta2 = checked(self, "beta2", beta2, "[0, 1)", "try 0.999")
        self.epsilon = _epsilon(self, epsilon)

    def rule(self, w: Array, g: Array, running: Arrays, scratch: Array, rate: float, t: int) -> None:
        first, second = running["first_moment"], running["second_moment"]
        _average(first, g, self.beta1, scratch)
        _average(second, g, self.beta2, scratch, squared=True)
        np.sqrt(second, out=scratch)
        scratch /= math.sqrt(1 - self.beta2**t)
        scratch += self.epsilon
        np.divide(first, scratch, out=scratch)
        scratch *= rate / (1 - self.beta1**t)
        w -= scratch
        _clear(first, scratch, t)
        _clear(second, scratch, t, self.epsilon)


class AdamW(Adam):
    """w <- w - r weight_decay w, then Adam's step with the gradient as it is: weight decay that is decoupled.

    Source: Loshchilov, Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2, with the schedule's
    rate r for its eta, as in PyTorch.
    """

    native = ("AdamW", "beta1", "beta2", "epsilon")

    decoupled = True

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        decay_all: bool = False,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            weight_decay=weight_decay,
            decay_all=decay_all,
            clip_norm=clip_norm,
            clip_value=clip_value,
        )


KINDS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind for kind in (SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW)
}


def get(name: str, **arguments: Any) -> Optimizer:
    """The optimizer of that name, in any case, made with the arguments.

    Raises: ArgumentError for an unknown name or argument, or a value out of range.

    >>> get("adam", beta1=0.8)
    Adam(beta1=0.8)
    """
    if name.lower() not in KINDS:
        raise ArgumentError(f"there is no optimizer {name!r}; {did_you_mean(name, KINDS)}")
    return KINDS[name.lower()](**arguments)


def _average(average: Array, g: Array, keep: float, scratch: Array, *, squared: bool = False) -> None:
    """average <- keep * average + (1 - keep) * g, or g^2."""
    if squared:
        np.multiply(g, g, out=scratch)
        scratch *= 1 - keep
    else:
        np.multiply(g, 1 - keep, out=scratch)
    average *= keep
    average += scratch


def _clear(fading: Array, scratch: Array, t: int, epsilon: float = 1.0) -> None:
    """Now and then, set what is below the smallest normal number to 0.

    Not in squares beside an epsilon that is as small as their roots: there the quotient would change.
    """
    tiny = float(np.finfo(fading.dtype).tiny)
    if t % CLEARING or epsilon * epsilon <= tiny:
        return
    np.abs(fading, out=scratch)
    np.greater_equal(scratch, tiny, out=scratch)
    fading *= scratch  # NaN stays NaN


def _norm(gradient: Array) -> float:
    """The length of the vector, also where the squares of its elements overflow."""
    with np.errstate(over="ignore"):
        squares = float(np.dot(gradient, gradient))
    if math.isfinite(squares):
        return math.sqrt(squares)
    largest = float(max(gradient.max(), -gradient.min()))
    if not math.isfinite(largest):
        return largest
    scaled = gradient / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))


def _epsilon(owner: Optimizer, value: float) -> float:
    return checked(owner, "epsilon", value, "(0, inf)", "it keeps the division from 0 / 0; try 1e-8")
