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
    """

    code: str
    text: str
    advice: str
    where: str = ""
    severity: Severity = "warning"

    def __str__(self) -> str:
        return f"{self.text}. Try: {self.advice}."


Rule = Callable[[Material], Iterator[RunFinding]]


def findings_of(run: Material) -> tuple[RunFinding, ...]:
    """All that looks wrong in the run, the worst first."""
    from chainrule.drawing.report import symptoms_of_answers, symptoms_of_curves, symptoms_of_layers

    rules: list[Rule] = [
        *symptoms_of_curves.RULES,
        *symptoms_of_layers.RULES,
        *symptoms_of_answers.RULES,
    ]
    found = [finding for rule in rules for finding in rule(run)]
    codes = {finding.code for finding in found}
    if "chance" in codes:  # that one answer for all would be as good is the same mistake told again
        found = [finding for finding in found if finding.code not in ("baseline", "missed class")]
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: order[finding.severity]))
