"""Run the checker over the corpus: was the mistake found, was it named, was anything right called wrong."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import chainrule as cr
from mutations.correct import Correct
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
        report, message, milliseconds = _checked(target, inputs, options)
        findings = [] if report is None else findings_of(report)
        codes = list(dict.fromkeys(finding.mistake for finding in findings))
        outcomes.append(
            Outcome(
                mutant.name,
                sorted(mutant.expected),
                CRASHED if report is None else codes[0] if codes else NOTHING,
                None if mutant.node is None else {finding.node for finding in findings} == {mutant.node},
                milliseconds,
                codes[1:],
                message,
            )
        )
        advance(mutant.name)
    return outcomes


def run_correct(checks: Iterable[tuple[Correct, int, Any]], advance: Advance = lambda name: None) -> Alarms:
    """Give what is right to `cr.check`; any error or warning is a false alarm, and so is an exception."""
    alarms = Alarms(0, [], 0.0)
    total = 0.0
    for correct, seed, dtype in checks:
        target, inputs, options = correct.make_target(seed, dtype)
        report, message, milliseconds = _checked(target, inputs, options)
        alarms.checks += 1
        total += milliseconds
        if report is None:
            alarms.found.append(Alarm(correct.name, seed, dtype.__name__, CRASHED, "error", message))
        elif found := findings_of(report):
            worst = found[0]
            said = f"{worst.place}: {worst.advice}"
            alarms.found.append(
                Alarm(correct.name, seed, dtype.__name__, worst.mistake, worst.severity, said)
            )
        advance(correct.name)
    alarms.milliseconds = total / max(alarms.checks, 1)
    return alarms


def findings_of(report: Any) -> list[Any]:
    """Errors, then warnings, each in the order in which they were found; notes are no findings."""
    return sorted(
        (finding for finding in report.findings if finding.severity in RANK),
        key=lambda finding: RANK[finding.severity],
    )


def _checked(target: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, str, float]:
    begin = time.perf_counter()
    report, message = None, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = cr.check(target, *inputs, **options)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
    return report, message, 1000 * (time.perf_counter() - begin)
