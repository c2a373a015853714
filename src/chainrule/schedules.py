"""Learning rates that change during training: pure functions of the iteration and the training's length."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from chainrule.arguments import number, whole_number
from chainrule.configured import Frozen
from chainrule.errors import ArgumentError


class Schedule(Frozen, ABC):
    """The learning rate at iteration t (0 is the first) of a training of T iterations.

    A subclass supplies `rate_at(t, T)`, with 0 <= t <= T. The last iteration is T - 1; from t = T on, the
    schedule is over and keeps the value `rate_at(T, T)`, so training a little longer is no error.

    Raises: ArgumentError for t < 0 or T < 1.
    """

    needs_total: bool = True
    """Whether the rate depends on T. If not, an optimizer can evaluate the schedule without knowing T."""

    def __call__(self, iteration: int, total: int) -> float:
        if iteration < 0 or total < 1:
            raise ArgumentError(
                f"{self!r}: expected iteration >= 0 and total >= 1, got {iteration} and {total}; "
                "count iterations from 0, and give the number of iterations of the whole training as total"
            )
        return self.rate_at(min(iteration, total), total)

    def rates(self, first: int, count: int, total: int) -> list[float]:
        """The rates of `count` iterations, from `first` on."""
        return [self(first + k, total) for k in range(count)]

    @abstractmethod
    def rate_at(self, iteration: int, total: int) -> float:
        """The rate, for 0 <= iteration <= total."""


class Constant(Schedule):
    """rate(t) = rate."""

    needs_total = False

    def __init__(self, rate: float) -> None:
        self.rate = number("rate", rate, "[0, inf)", owner=self, remedy="try 0.01")

    def rates(self, first: int, count: int, total: int) -> list[float]:
        return [self.rate] * count

    def rate_at(self, iteration: int, total: int) -> float:
        return self.rate


class Step(Schedule):
    """rate(t) = rate * factor^floor(t / every): constant, and cut by `factor` after each `every` iterations.

    Source: He et al., Deep Residual Learning for Image Recognition (2016), 3.4.
    """

    needs_total = False

    def __init__(self, rate: float, factor: float = 0.1, *, every: int) -> None:
        self.rate = number("rate", rate, "[0, inf)", owner=self, remedy="try 0.1")
        self.factor = number(
            "factor", factor, "(0, 1]", owner=self, remedy="try 0.1, a tenth after each period"
        )
        self.every = whole_number("every", every, 1, owner=self, remedy="give iterations, not epochs")

    def rate_at(self, iteration: int, total: int) -> float:
        return self.rate * self.factor ** (iteration // self.every)


class Exponential(Schedule):
    """rate(t) = rate * decay^t. The rate halves every ln 2 / (1 - decay) iterations, about: 693 for 0.999.

    Source: Bengio, Practical Recommendations for Gradient-Based Training of Deep Architectures (2012), 3.1.1.
    """

    needs_total = False

    def __init__(self, rate: float, decay: float = 0.999) -> None:
        self.rate = number("rate", rate, "[0, inf)", owner=self, remedy="try 0.01")
        self.decay = number(
            "decay", decay, "(0, 1]", owner=self, remedy="it acts at every iteration; try 0.999"
        )

    def rate_at(self, iteration: int, total: int) -> float:
        return self.rate * self.decay**iteration


class InverseSquareRoot(Schedule):
    """rate(t) = rate / sqrt(1 + t / after): it falls by 29 % in the first `after` iterations, and ever slower then.

    It needs no length of the training: large steps where there are few, small ones at the end of many.
    Source: Vaswani et al., Attention Is All You Need (2017), 5.3, there after a warmup.
    """

    needs_total = False

    def __init__(self, rate: float, after: int = 30) -> None:
        self.rate = number("rate", rate, "[0, inf)", owner=self, remedy="try 0.01")
        self.after = whole_number("after", after, 1, owner=self, remedy="give iterations, not epochs; try 30")

    def rate_at(self, iteration: int, total: int) -> float:
        return self.rate / math.sqrt(1 + iteration / self.after)


class Cosine(Schedule):
    """rate(t) = final + (rate - final) * (1 + cos(pi * t / T)) / 2, without restarts.

    `final` is reached at t = T, after the last iteration: with final = 0 no iteration is wasted.
    Source: Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), equation 5.
    """

    def __init__(self, rate: float, final: float = 0.0) -> None:
        self.rate = number("rate", rate, "[0, inf)", owner=self, remedy="try 0.01")
        self.final = number("final", final, "[0, inf)", owner=self, remedy="try 0.0")

    def rate_at(self, iteration: int, total: int) -> float:
        return _cosine(self.rate, self.final, iteration / total)


class LinearWarmup(Schedule):
    """rate(t) = then(0) * (t + 1) / (n + 1) for t < n, with n = `iterations`; from there on `then(t - n)`.

    The first iteration already learns, and the ramp meets `then` at t = n without a step. `then` sees a
    training of T - n iterations, so a cosine still ends when the training does.
    Source: Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour (2017), 2.2.
    """

    def __init__(self, iterations: int, then: float | Schedule) -> None:
        remedy = "give iterations, not epochs; for none leave LinearWarmup out"
        self.iterations = whole_number("iterations", iterations, 1, owner=self, remedy=remedy)
        self.then = as_schedule(then, self, "then")
        self.needs_total = self.then.needs_total

    def rate_at(self, iteration: int, total: int) -> float:
        ramp = min(1.0, (iteration + 1) / (self.iterations + 1))
        return ramp * self.then(max(0, iteration - self.iterations), max(1, total - self.iterations))


class OneCycle(Schedule):
    """Up from peak / start_divisor to `peak`, then down to peak / (start_divisor * final_divisor).

    The ascent takes the fraction `warmup` of the training. Both parts follow half a cosine, and the numbers
    are PyTorch's; the paper's own parts are straight lines. The peak is at t = warmup * T and the end at
    t = T; in PyTorch both are one iteration earlier. Momentum is not cycled.
    Source: Smith, Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates
    (2018), section 3.
    """

    def __init__(
        self, peak: float, warmup: float = 0.3, *, start_divisor: float = 25.0, final_divisor: float = 1e4
    ) -> None:
        self.peak = number("peak", peak, "[0, inf)", owner=self, remedy="try 0.1")
        self.warmup = number(
            "warmup", warmup, "(0, 1)", owner=self, remedy="it is a fraction of the training; try 0.3"
        )
        self.start_divisor = number("start_divisor", start_divisor, "[1, inf)", owner=self, remedy="try 25")
        self.final_divisor = number("final_divisor", final_divisor, "[1, inf)", owner=self, remedy="try 1e4")

    def rate_at(self, iteration: int, total: int) -> float:
        start = self.peak / self.start_divisor
        done = iteration / total
        if done < self.warmup:
            return _cosine(start, self.peak, done / self.warmup)
        return _cosine(self.peak, start / self.final_divisor, (done - self.warmup) / (1 - self.warmup))


def as_schedule(value: float | Schedule, owner: object = "as_schedule", name: str = "value") -> Schedule:
    """A schedule as it is, a number as `Constant`. `owner` and `name` are for the error's message.

    Raises: ArgumentError for a negative or infinite number, or what is neither number nor schedule.
    """
    if isinstance(value, Schedule):
        return value
    remedy = "try 0.01, or a schedule such as Cosine(0.01)"
    return Constant(number(name, value, "[0, inf)", owner=owner, remedy=remedy))


def _cosine(start: float, end: float, fraction: float) -> float:
    """Half a cosine from start (at fraction 0) to end (at fraction 1), exact at both."""
    wave = math.cos(math.pi * fraction)
    return start * (1 + wave) / 2 + end * (1 - wave) / 2
