"""The parent of the optimizers: arguments, state, clipping, weight decay, and a step in blocks around the rule.

An optimizer is a description and never changes. What it accumulates lives in an `OptimizerState`, so one
optimizer can train two networks, and a checkpoint can hold the state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

import numpy as np

from chainrule.arguments import number
from chainrule.arrays import Array, norm_of
from chainrule.configured import Frozen
from chainrule.errors import ArgumentError, ShapeError
from chainrule.schedules import Schedule, as_schedule

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

    def __getstate__(self) -> dict[str, Any]:
        return {
            **vars(self),
            "scratch": (self.scratch.shape, self.scratch.dtype),
        }  # whose numbers mean nothing

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "scratch": np.empty(*state["scratch"])})
        for name, array in self.arrays.items():
            if not array.flags.writeable:  # joblib reads large arrays where they lie in a file
                self.arrays[name] = array.copy()


def within(interval: str, default: float | None, remedy: str) -> Any:
    """A field for a number in the interval, which may also be None where that is the default."""
    return field(default=default, metadata={"interval": interval, "remedy": remedy})


@dataclass(repr=False, eq=False)
class Optimizer(Frozen, ABC):
    """The parent of the optimizers: learning rate, weight decay, clipping. A subclass supplies one `rule`, and may
    take further arguments, as fields of a dataclass or in an ordinary `__init__`.

    In this order, each where asked for:
    clip_norm: g <- g * min(1, clip_norm / |g|), with |g| over all parameters; PyTorch divides by |g| + 1e-6.
        A gradient that holds NaN or infinity is not clipped by norm, to keep it visible.
    clip_value: g <- min(max(g, -clip_value), clip_value), element by element.
    weight_decay: g <- g + weight_decay * w, the gradient of weight_decay / 2 * |w|^2. It applies where
        `decays` in `start` says so (not to biases and scales), or everywhere with decay_all=True.
    penalized: with a number above 0, weight decay is scikit-learn's alpha, the penalty of a sum over the batch:
        the step is one on (sum_i s_i L_i + weight_decay / 2 * |w|^2) / sum_i s_i, over the rows i of the batch with
        sample weights s_i (1 if not given), and the losses that a training records hold `penalized` times the
        penalty. 1 records the very objective.

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

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY
    weight_decay: float = within("[0, inf)", 0.0, "try 1e-4; 0 is none")
    decay_all: bool = False
    clip_norm: float | None = within("(0, inf)", None, "try 1.0; None does not clip")
    clip_value: float | None = within("(0, inf)", None, "try 1.0; None does not clip")
    penalized: float = within("[0, inf)", 0.0, "try 1; 0 is weight decay of the mean")

    def __post_init__(self) -> None:
        self.schedule = as_schedule(self.learning_rate, self, "learning_rate")
        for each in fields(self):
            value = getattr(self, each.name)
            if each.metadata and value is not None:
                vars(self)[each.name] = number(each.name, value, owner=self, **each.metadata)
        if self.penalized and (self.decoupled or not vars(type(self)).get("native")):
            raise ArgumentError(
                f"{self!r}: a penalty is part of the loss, for SGD, Momentum, Nesterov, AdaGrad, RMSProp and Adam; "
                f"leave penalized out"
            )

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
        self,
        parameters: Array,
        gradient: Array,
        state: OptimizerState,
        *,
        learning_rate: float | None = None,
        rows: float = 1.0,
    ) -> None:
        """Change `parameters` and `state` in place by one step. `gradient` is only read.

        `learning_rate` is the rate of this step. Without it the optimizer's schedule is evaluated at
        `state.iteration`, which takes one that does not depend on the length of the training. `rows` is the sum of
        the batch's sample weights, for an optimizer that is `penalized`.
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
                if self.penalized:
                    scratch /= rows
                g = np.add(g, scratch, out=changed)
            running = {name: state.arrays[name][block] for name in self.running}
            self.rule(w, g, running, scratch, rate, state.iteration)
            if self.weight_decay:
                clear(w, scratch, state.iteration)

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
        length = norm_of(gradient)
        return self.clip_norm / length if self.clip_norm < length < math.inf else 1.0

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


def clear(fading: Array, scratch: Array, t: int, epsilon: float = 1.0) -> None:
    """Now and then, set what is below the smallest normal number to 0.

    Not in squares beside an epsilon that is as small as their roots: there the quotient would change.
    """
    tiny = float(np.finfo(fading.dtype).tiny)
    if t % CLEARING or epsilon * epsilon <= tiny:
        return
    np.abs(fading, out=scratch)
    np.greater_equal(scratch, tiny, out=scratch)
    fading *= scratch  # NaN stays NaN
