"""What looks wrong in a run, in plain sentences, each with what to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from chainrule.drawing.report.material import Material

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class RunFinding:
    """One thing that looks wrong: what it is, what to try, and where.

    `code` is a word for programs, such as "dead". `where` names the layer, the parameter or the class, if it is of
    one. An error is why a run cannot be relied on, a warning what costs quality, a note what may be improved.
    `effect` is the finding in a clause, for the words of what causes it, and `cause` its place among the causes
    where the code does not say it.
    """

    code: str
    text: str
    advice: str
    where: str = ""
    severity: Severity = "warning"
    effect: str = ""
    cause: str = ""

    def __str__(self) -> str:
        return f"{self.text}. Try: {self.advice}."


Rule = Callable[[Material], Iterator[RunFinding]]


def findings_of(run: Material) -> tuple[RunFinding, ...]:
    """What looks wrong in the run, the worst first: of what follows from each other, the first cause."""
    from chainrule.drawing.report import (
        symptoms_of_answers,
        symptoms_of_curves,
        symptoms_of_ends,
        symptoms_of_files,
        symptoms_of_layers,
        symptoms_of_setup,
    )
    from chainrule.drawing.report.causes import first_causes

    rules: list[Rule] = [
        *symptoms_of_ends.RULES,
        *symptoms_of_files.RULES,
        *symptoms_of_setup.RULES,
        *symptoms_of_curves.RULES,
        *symptoms_of_layers.RULES,
        *symptoms_of_answers.RULES,
    ]
    return first_causes([finding for rule in rules for finding in rule(run)])
