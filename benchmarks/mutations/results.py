"""What a run found, counted, and as it is written to mutations.json."""

from __future__ import annotations

import json
import platform
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

import chainrule as cr
from mutations.gradcheck import Said
from mutations.measuring import Alarms, Outcome
from mutations.projection import Missed


@dataclass
class Results:
    """All of it."""

    outcomes: list[Outcome]
    alarms: Alarms
    #: None where PyTorch is missing.
    gradcheck: list[Said] | None
    gradcheck_alarms: list[Said] | None
    gradcheck_correct: int
    projection: list[Missed]
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)

    def rate(self, outcomes: list[Outcome]) -> tuple[int, int, int]:
        """How many, how many of them were detected, how many called by their name."""
        return len(outcomes), sum(o.detected for o in outcomes), sum(o.right for o in outcomes)

    @property
    def codes(self) -> list[str]:
        """All that are expected of some mutant, in order."""
        return sorted({code for outcome in self.outcomes for code in outcome.expected})

    def of_code(self, code: str) -> list[Outcome]:
        """The mutants that may be called by it; one that may be called by two is counted with both."""
        return [outcome for outcome in self.outcomes if code in outcome.expected]

    def confusion(self) -> dict[str, Counter[str]]:
        """How often each expectation ("mask", or "axis or shape") was called what."""
        table: dict[str, Counter[str]] = {}
        for outcome in self.outcomes:
            table.setdefault(" or ".join(outcome.expected), Counter())[outcome.named] += 1
        return dict(sorted(table.items()))

    def said_of(self, outcomes: list[Outcome]) -> list[Said]:
        """What PyTorch's checker said of those of these mutants that it was given."""
        said = {each.name: each for each in self.gradcheck or []}
        return [said[outcome.name] for outcome in outcomes if outcome.name in said]

    def to_json(self) -> str:
        """Everything, one mutant a record."""
        said = {each.name: each.said for each in self.gradcheck or []}
        content: dict[str, Any] = {
            "versions": self.versions,
            "seconds": self.seconds,
            "mutants": [
                {
                    **asdict(outcome),
                    "detected": outcome.detected,
                    "right": outcome.right,
                    "gradcheck": said.get(outcome.name),
                }
                for outcome in self.outcomes
            ],
            "confusion": self.confusion(),
            "correct": asdict(self.alarms),
            "gradcheck_objections": [asdict(each) for each in self.gradcheck_alarms or []],
            "projection": [asdict(each) for each in self.projection],
        }
        return json.dumps(content, indent=1) + "\n"


def versions() -> dict[str, str]:
    """Of what the run depends on."""
    found = {"Python": platform.python_version(), "NumPy": np.__version__, "chainrule": cr.__version__}
    try:
        import torch
    except ImportError:
        return found
    return {**found, "PyTorch": str(torch.__version__)}
