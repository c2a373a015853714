"""What each kernel is called with: a case draws its inputs for a length, often one that ends in a partial block."""

# mypy: ignore-errors

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice, product
from typing import Any

import numpy as np
import torch

from mutations.kernels import attention, elementwise, losses, norms, scans
from mutations.kernels.elementwise import angles
from mutations.targets import Target, away_from, normal, positive

LENGTH = 19
#: A partial last block, whole blocks, less than one block, one number more than a block, one number.
LENGTHS = (LENGTH, 16, 5, 9, 1)
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Case:
    """A kernel, the plain forward that it is the fast form of, and what both are called with."""

    name: str
    function: Any
    reference: Callable[..., Any]
    #: Of a length: draws, as in `mutations.targets`, and plain values.
    inputs: Callable[[int], tuple[Any, ...]]
    #: Inputs whose gradient is another by design, or that have none.
    straight_through: tuple[str, ...] = ()
    lengths: tuple[int, ...] = LENGTHS

    def make(
        self,
        dtype: str,
        *,
        seed: int = 0,
        length: int = LENGTH,
        reference: bool = True,
        function: Any = None,
    ) -> Target:
        """`cr.check(kernel, *inputs, **options)`; another function in place of the kernel, say a mutant of it."""
        rng = np.random.default_rng(1000 + seed)
        kind = getattr(torch, dtype)
        inputs = tuple(_drawn(each, rng, kind) for each in self.inputs(length))
        options: dict[str, Any] = {"reference": self.reference} if reference else {}
        if self.straight_through:
            options["straight_through"] = list(self.straight_through)
        return Target(function or self.function, inputs, options)


def _drawn(value: Any, rng: np.random.Generator, kind: Any) -> Any:
    if callable(value):
        value = torch.from_numpy(np.array(value(rng, np.float64)))
    return value.to(kind) if torch.is_tensor(value) and value.is_floating_point() else value


def labels(classes: int, *shape: int) -> Callable[..., Any]:
    """Classes, every fourth of them to be ignored."""

    def draw(rng: np.random.Generator, dtype: Any) -> Any:
        drawn = rng.integers(0, classes, shape)
        drawn[1::4] = -100
        return drawn

    return draw


def allowed(*shape: int) -> Callable[..., Any]:
    """True for two thirds, and for the first of each row."""

    def draw(rng: np.random.Generator, dtype: Any) -> Any:
        mask = rng.random(shape) < 2 / 3
        mask[..., 0] = True
        return mask

    return draw


def near_one(*shape: int) -> Callable[..., Any]:
    """Numbers from 0.8 to 1.25."""
    return lambda rng, dtype: rng.uniform(0.8, 1.25, shape)


def rates(*shape: int) -> Callable[..., Any]:
    """Numbers from 0.3 to 0.95."""
    return lambda rng, dtype: rng.uniform(0.3, 0.95, shape)


def _attention(causal: bool, longer: int) -> Callable[[int], tuple[Any, ...]]:
    return lambda n: (
        normal(1, 2, n, 2), normal(1, 2, n + longer, 2), normal(1, 2, n + longer, 2), causal, 0.5,
    )  # fmt: skip


SHORT = (11, 8, 5, 1)

RMS = Case("RMSNorm", norms.RMSNorm, norms.rms_norm, lambda n: (normal(2, 5, n), positive(n), 1e-5))
RMS_SMALL = Case("RMSNorm of small numbers", norms.RMSNorm, norms.rms_norm,
    lambda n: (normal(10, n, scale=0.01), positive(n), 1e-4))  # fmt: skip
LAYER = Case("LayerNorm", norms.LayerNorm, norms.layer_norm,
    lambda n: (normal(10, n + 1), positive(n + 1), normal(n + 1), 1e-5))  # fmt: skip
LAYER_SMALL = Case("LayerNorm of small numbers", norms.LayerNorm, norms.layer_norm,
    lambda n: (normal(10, n + 1, scale=0.01), positive(n + 1), normal(n + 1), 1e-4))  # fmt: skip
GROUP = Case("GroupNorm", norms.GroupNorm, norms.group_norm,
    lambda n: (normal(2, 6, n), positive(6), normal(6), 2, 1e-5))  # fmt: skip
INSTANCE = Case("InstanceNorm", norms.GroupNorm, norms.group_norm,
    lambda n: (normal(2, 4, n + 1, scale=0.05), positive(4), normal(4), 4, 1e-3))  # fmt: skip
SOFTMAX = Case("Softmax", attention.Softmax, attention.softmax, lambda n: (normal(4, n), None, False, 1.5))
MASKED = Case("Softmax, masked", attention.Softmax, attention.softmax,
    lambda n: (normal(2, 3, n), allowed(3, n), False, 1.0))  # fmt: skip
CAUSAL = Case("Softmax, causal", attention.Softmax, attention.softmax,
    lambda n: (normal(n, n), None, True, 0.7), lengths=SHORT)  # fmt: skip
LOG_SOFTMAX = Case("LogSoftmax", attention.LogSoftmax, attention.log_softmax, lambda n: (normal(4, n),))
FLASH = Case(
    "FlashAttention", attention.FlashAttention, attention.attention, _attention(False, 4), lengths=SHORT
)
FLASH_CAUSAL = Case("FlashAttention, causal", attention.FlashAttention, attention.attention,
    _attention(True, 0), lengths=SHORT)  # fmt: skip
HALVES = Case("RotaryHalves", elementwise.RotaryHalves, elementwise.rotary_halves,
    lambda n: (normal(2, n, 1, 8), 3))  # fmt: skip
PAIRS = Case("RotaryPairs", elementwise.RotaryPairs, elementwise.rotary_pairs,
    lambda n: (normal(2, n, 1, 8), *angles(n, 4, 2)), straight_through=("cos", "sin"))  # fmt: skip
SWIGLU = Case("SwiGLU", elementwise.SwiGLU, elementwise.swiglu, lambda n: (normal(4, n), normal(4, n)))
GEGLU = Case("GeGLU", elementwise.GeGLU, elementwise.geglu, lambda n: (normal(3, 2 * n),))
REGLU = Case("ReGLU", elementwise.ReGLU, elementwise.reglu, lambda n: (away_from((0.0,), 3, 2 * n),))
QUANTIZED = Case("QuantizedLinear", elementwise.QuantizedLinear, elementwise.quantized_linear,
    lambda n: (normal(4, n), normal(3, n), normal(3)), straight_through=("x",))  # fmt: skip
PLAIN_LOSS = Case("CrossEntropy", losses.CrossEntropy, losses.cross_entropy,
    lambda n: (normal(9, n + 1, scale=2), labels(n + 1, 9), 0.0, 0.0, None))  # fmt: skip
FULL_LOSS = Case("CrossEntropy, smoothed and capped", losses.CrossEntropy, losses.cross_entropy,
    lambda n: (normal(9, n + 1, scale=4), labels(n + 1, 9), 0.1, 0.02, 5.0))  # fmt: skip
LINEAR_LOSS = Case("LinearCrossEntropy", losses.LinearCrossEntropy, losses.linear_cross_entropy,
    lambda n: (normal(n + 1, 4), normal(8, 4), normal(8), labels(8, n + 1)))  # fmt: skip
SUM = Case("CumulativeSum", scans.CumulativeSum, scans.cumulative_sum, lambda n: (normal(2, n, 2),))
PRODUCT = Case("CumulativeProduct", scans.CumulativeProduct, scans.cumulative_product,
    lambda n: (near_one(2, n, 2),), lengths=SHORT)  # fmt: skip
RECURRENCE = Case("LinearRecurrence", scans.LinearRecurrence, scans.linear_recurrence,
    lambda n: (rates(2, n, 2), normal(2, n, 2), normal(2, 2)), lengths=SHORT)  # fmt: skip
AVERAGE = Case("MovingAverage", scans.MovingAverage, scans.moving_average,
    lambda n: (normal(2, n, 2), rates(2)), lengths=SHORT)  # fmt: skip

CASES = (
    RMS, RMS_SMALL, LAYER, LAYER_SMALL, GROUP, INSTANCE, SOFTMAX, MASKED, CAUSAL, LOG_SOFTMAX, FLASH, FLASH_CAUSAL,
    HALVES, PAIRS, SWIGLU, GEGLU, REGLU, QUANTIZED, PLAIN_LOSS, FULL_LOSS, LINEAR_LOSS, SUM, PRODUCT, RECURRENCE,
    AVERAGE,
)  # fmt: skip


@dataclass(frozen=True)
class Right:
    """A right kernel on one length and in one dtype, with its reference or without."""

    case: Case
    length: int
    dtype: str
    reference: bool

    @property
    def name(self) -> str:
        return f"{self.case.name}, length {self.length}" + ("" if self.reference else ", without reference")

    def make_target(self, seed: int, dtype: str) -> Target:
        """With new random numbers for each seed; every other time it is `apply` that is handed over."""
        made = self.case.make(dtype, seed=seed, length=self.length, reference=self.reference)
        return made._replace(target=made.target.apply) if seed % 2 else made


def checks(wanted: int) -> Iterator[tuple[Right, int, str]]:
    """So many checks of right kernels: lengths, dtypes, with and without reference, then the next seed."""
    turns = (
        (Right(case, length, dtype, reference), seed, dtype)
        for seed in count()
        for dtype, reference in product(DTYPES, (True, False))
        for case in CASES
        for length in case.lengths
    )
    return islice(turns, wanted)
