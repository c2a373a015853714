"""Run the checker over the corpus: was the mistake found, was it named, was anything right called wrong."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import chainrule as cr
from mutations.mutating import Mutant

Advance = Callable[[str], None]

RANK = {"error": 0, "warning": 1}
#: What a mutant that passes is called in the tables.
NOTHING = "nothing"
#: What a check that itself raised is called.
CRASHED = "the check raised"


@dataclass
class Outcome:
    """What became of one mutant. `named` is the first finding of the highest severity."""

    name: str
    expected: list[str]
    named: str
    located: bool | None
    milliseconds: float
    others: list[str] = field(default_factory=list)
    message: str = ""

    @property
    def detected(self) -> bool:
        """Whether anything was found."""
        return self.named not in (NOTHING, CRASHED)

    @property
    def right(self) -> bool:
        """Whether it was called by one of its names."""
        return self.named in self.expected


@dataclass
class Alarm:
    """Something right that was called wrong."""

    name: str
    seed: int
    dtype: str
    named: str
    severity: str
    message: str


@dataclass
class Alarms:
    """All of them, of so many checks."""

    checks: int
    found: list[Alarm]
    milliseconds: float


def run_mutants(mutants: Iterable[Mutant], advance: Advance = lambda name: None) -> list[Outcome]:
    """Give each to `cr.check`."""
    outcomes = []
    for mutant in mutants:
        target, inputs, options = mutant.make_target()
        report, message, milliseconds = checked(target, inputs, options)
        nodes = {finding.node for finding in findings_of(report)}
        located = None if mutant.node is None else nodes == {mutant.node}
        outcomes.append(Outcome(**outcome_of(mutant, report, message, milliseconds), located=located))
        advance(mutant.name)
    return outcomes


def outcome_of(mutant: Any, report: Any, message: str, milliseconds: float) -> dict[str, Any]:
    """The fields of an outcome, but for the place."""
    codes = list(dict.fromkeys(finding.mistake for finding in findings_of(report)))
    return {
        "name": mutant.name,
        "expected": sorted(mutant.expected),
        "named": CRASHED if report is None else codes[0] if codes else NOTHING,
        "milliseconds": milliseconds,
        "others": codes[1:],
        "message": message,
    }


def run_correct(checks: Iterable[tuple[Any, int, Any]], advance: Advance = lambda name: None) -> Alarms:
    """Give what is right to `cr.check`. An error or a warning is a false alarm, and so is an exception."""
    alarms = Alarms(0, [], 0.0)
    total = 0.0
    for correct, seed, dtype in checks:
        report, message, milliseconds = checked(*correct.make_target(seed, dtype))
        alarms.checks += 1
        total += milliseconds
        alarm = functools.partial(Alarm, correct.name, seed, getattr(dtype, "__name__", dtype))
        if report is None:
            alarms.found.append(alarm(CRASHED, "error", message))
        elif found := findings_of(report):
            worst = found[0]
            alarms.found.append(alarm(worst.mistake, worst.severity, f"{worst.place}: {worst.advice}"))
        advance(correct.name)
    alarms.milliseconds = total / max(alarms.checks, 1)
    return alarms


def findings_of(report: Any) -> list[Any]:
    """Errors, then warnings, each in the order in which they were found; notes are no findings. None has none."""
    return sorted(
        (finding for finding in getattr(report, "findings", ()) if finding.severity in RANK),
        key=lambda finding: RANK[finding.severity],
    )


def checked(target: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, str, float]:
    """The report, or None and what was raised; and the milliseconds it took."""
    begin = time.perf_counter()
    report, message = None, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = cr.check(target, *inputs, **options)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
    return report, message, 1000 * (time.perf_counter() - begin)
