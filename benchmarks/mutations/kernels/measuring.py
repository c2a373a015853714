"""Run the checker over mutants of kernels: found, named, above the stated sharpness? And is that sharpness true?"""

# mypy: ignore-errors

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mutations.kernels.cases import CASES, DTYPES, Case
from mutations.kernels.mutants import KernelMutant
from mutations.kernels.truth import input_names, off
from mutations.measuring import Advance, Alarms, Outcome, checked, findings_of, outcome_of


@dataclass
class KernelOutcome(Outcome):
    """What became of one mutant in one dtype, with its reference or without."""

    dtype: str = ""
    reference: bool = True
    #: The report's figure for the right kernel on the same inputs; infinite where it gives none.
    sharpness: float = math.inf
    #: How far the mutant is off: its output where forward is wrong, else the worst of its gradients.
    error: float = math.inf

    @property
    def above(self) -> bool:
        """Whether its error is above the stated sharpness, so that it has to be found."""
        return self.error > self.sharpness


@dataclass
class Sharpness:
    """How often a gradient times 1 + the stated sharpness was found."""

    name: str
    dtype: str
    reference: bool
    stated: float
    input: str
    found: int
    tries: int


@dataclass
class KernelResults:
    """All of it."""

    outcomes: list[KernelOutcome]
    alarms: Alarms
    sharpness: list[Sharpness]
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)


def run_kernel_mutants(
    mutants: Iterable[KernelMutant],
    advance: Advance = lambda name: None,
    references: tuple[bool, ...] = (True, False),
) -> list[KernelOutcome]:
    """Give each to `cr.check` in its dtypes, with its reference, and without where backward alone is wrong."""
    outcomes = []
    for mutant in mutants:
        for dtype, reference in mutant.tries():
            if reference in references:
                outcomes.append(_outcome(mutant, dtype, reference))
        advance(mutant.name)
    return outcomes


def _outcome(mutant: KernelMutant, dtype: str, reference: bool) -> KernelOutcome:
    target = mutant.make(dtype, reference)
    report, message, milliseconds = checked(*target)
    tried = off(mutant.case, mutant.make(dtype, True))
    found = findings_of(report)
    return KernelOutcome(
        **outcome_of(mutant, report, message, milliseconds),
        located=bool(found) and found[0].input in mutant.inputs if mutant.inputs else None,
        dtype=dtype,
        reference=reference,
        sharpness=stated_sharpness(mutant.case, dtype, reference),
        error=tried.output if mutant.forward_is_wrong else max(tried.gradients.values()),
    )


@functools.cache
def stated_sharpness(case: Case, dtype: str, reference: bool) -> float:
    """What the report of the right kernel says."""
    report, _, _ = checked(*case.make(dtype, reference=reference))
    stated = getattr(report, "sharpness", None)
    return math.inf if stated is None else float(stated)


def run_sharpness(
    cases: Iterable[Case] = CASES, tries: int = 200, advance: Advance = lambda name: None
) -> list[Sharpness]:
    """Is `report.sharpness` true: a gradient times 1 + sharpness should be found in 99 % of the seeds."""
    measured = []
    for case in cases:
        for dtype in DTYPES:
            for reference in (True, False):
                measured.append(sharpness_found(case, dtype, reference, tries))
                advance(case.name)
    return measured


def sharpness_found(case: Case, dtype: str, reference: bool, tries: int) -> Sharpness:
    """In how many seeds the kernel is called wrong when its last gradient is multiplied by 1 + sharpness."""
    stated = stated_sharpness(case, dtype, reference)
    inputs = case.make(dtype).inputs
    names = [
        name
        for name, value in zip(input_names(case.function), inputs, strict=False)
        if hasattr(value, "is_floating_point")
        and value.is_floating_point()
        and name not in case.straight_through
    ]
    if not math.isfinite(stated):
        return Sharpness(case.name, dtype, reference, stated, names[-1], 0, 0)
    wrong = scaled(case.function, input_names(case.function).index(names[-1]), 1 + stated)
    found = 0
    for seed in range(tries):
        target, inputs, options = case.make(dtype, reference=reference, function=wrong)
        report, _, _ = checked(target, inputs, {**options, "seed": seed})
        found += report is not None and bool(findings_of(report))
    return Sharpness(case.name, dtype, reference, stated, names[-1], found, tries)


def scaled(function: Any, position: int, factor: float) -> Any:
    """The kernel, one of whose gradients is multiplied by a number."""

    def backward(ctx: Any, *upstream: Any) -> Any:
        found = function.backward(ctx, *upstream)
        gradients = list(found) if isinstance(found, tuple) else [found]
        gradients[position] = (gradients[position].float() * factor).to(gradients[position].dtype)
        return tuple(gradients)

    return type(f"Scaled{function.__name__}", (function,), {"backward": staticmethod(backward)})
