"""What looks wrong in a run: all the rules asked, and of what follows from each other the first cause."""

from __future__ import annotations

from chainrule.reports import (
    symptoms_of_answers,
    symptoms_of_curves,
    symptoms_of_ends,
    symptoms_of_files,
    symptoms_of_layers,
    symptoms_of_setup,
)
from chainrule.reports.causes import first_causes
from chainrule.reports.run import TrainingRun
from chainrule.reports.symptom import Rule, Symptom


def findings_of(run: TrainingRun) -> tuple[Symptom, ...]:
    """What looks wrong in the run, the worst first: of what follows from each other, the first cause."""
    rules: list[Rule] = [
        *symptoms_of_ends.RULES,
        *symptoms_of_files.RULES,
        *symptoms_of_setup.RULES,
        *symptoms_of_curves.RULES,
        *symptoms_of_layers.RULES,
        *symptoms_of_answers.RULES,
    ]
    return first_causes([finding for rule in rules for finding in rule(run)])
