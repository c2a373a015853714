"""What a check found: findings, the table of what was compared, and the report that holds both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from chainrule.arrays import Array, Shape
from chainrule.graph import Graph
from chainrule.graph.values import Pass

Severity = Literal["error", "warning", "note"]
Verdict = Literal["ok", "wrong", "kink", "not checked"]
Outcome = Literal["passed", "wrong", "incomplete", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One mistake: where it is, what was expected there, and what it probably is.

    `mistake` is a code from `docs/mistakes.md`. `input` names the input or the parameter whose gradient it is, and
    `element` the index of the one that is furthest off, with what backward gave there (`analytic`) and what
    differences gave (`numerical`). `error` is |analytic - numerical| / max(|analytic|, |numerical|). `confidence`,
    from 0 to 1, is how sure the name is, not how sure it is that something is wrong. `source` is "file:line".
    """

    mistake: str
    node: str
    advice: str
    input: str | None = None
    element: tuple[int, ...] | None = None
    analytic: float | None = None
    numerical: float | None = None
    error: float | None = None
    confidence: float = 1.0
    severity: Severity = "error"
    source: str | None = None

    @property
    def place(self) -> str:
        """Node, input and element, as text: 'affine1, W[0, 3]'."""
        index = "" if not self.element else str(list(self.element))
        if self.input is None:
            return f"{self.node}, output{index}" if index else self.node
        return f"{self.node}, {self.input}{index}"


@dataclass(frozen=True)
class Row:
    """One gradient that was compared: of which input of which node, how many elements of how many, how far off."""

    node: str
    kind: str
    input: str
    shape: Shape
    checked: int
    of: int
    directions: int
    error: float | None
    verdict: Verdict
    #: The smallest factor 1 + s on this gradient that would have been seen nearly always.
    sharpness: float | None = None


@dataclass(frozen=True)
class LookedAt:
    """What a check looked at, to draw it: a graph and its pass, or the inputs of one layer, object or function.

    Arrays are copies: what was checked can be changed, and checked again.
    """

    graph: Graph | None = None
    pass_: Pass | None = None
    inputs: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckReport:
    """The result of `cr.check`. Print it, look at it in a notebook, or read `findings`.

    `verdict` is "wrong" where a finding is an error (warnings and notes, of a kink, are none); else "not checked"
    where no gradient was compared; else "incomplete" where the output depends on something whose gradient was not;
    else "passed".
    """

    target: str
    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]
    seconds: float
    seed: int
    dtype: str
    #: What else is worth knowing: random numbers that were held, arrays that nothing was known of.
    remarks: tuple[str, ...] = ()
    #: What the output depends on, and was not compared.
    uncompared: tuple[str, ...] = ()
    #: What was looked at, for `cr.draw(report)`.
    looked_at: LookedAt = field(default_factory=LookedAt, repr=False, compare=False)

    @property
    def verdict(self) -> Outcome:
        """Of the whole check: "passed", "wrong", "incomplete" or "not checked"."""
        if any(finding.severity == "error" for finding in self.findings):
            return "wrong"
        compared = [row for row in self.rows if row.verdict != "not checked" and row.checked]
        if not compared:
            return "not checked"
        left_out = self.uncompared or any(row.verdict == "not checked" for row in self.rows)
        return "incomplete" if left_out else "passed"

    @property
    def passed(self) -> bool:
        """Whether the verdict is "passed": something was compared, nothing is wrong, and nothing was left out."""
        return self.verdict == "passed"

    @property
    def sharpness(self) -> float | None:
        """The smallest relative error, a factor 1 + s on any one of the gradients, that nearly every seed shows."""
        known = [row.sharpness for row in self.rows if row.sharpness is not None]
        return max(known, default=None)

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The codes of all errors and warnings, each once, in the order in which they were found."""
        found = [finding.mistake for finding in self.findings if finding.severity != "note"]
        return tuple(dict.fromkeys(found))

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain Python values, ready for JSON; NaN and infinity as text."""
        content: dict[str, Any] = _plain(
            {
                "target": self.target,
                "passed": self.passed,
                "verdict": self.verdict,
                "findings": [asdict(finding) for finding in self.findings],
                "rows": [asdict(row) for row in self.rows],
                "seconds": self.seconds,
                "seed": self.seed,
                "dtype": self.dtype,
                "remarks": self.remarks,
                "uncompared": self.uncompared,
                "sharpness": self.sharpness,
            }
        )
        return content

    def summary(self) -> str:
        """One line: passed or not, and what was found how often."""
        counts = Counter(finding.mistake for finding in self.findings if finding.severity != "note")
        kinks = sum(finding.severity == "note" for finding in self.findings)
        what = ", ".join(f"{code} ({n})" if n > 1 else code for code, n in counts.items())
        compared = sum(row.verdict != "not checked" for row in self.rows)
        gradients = f"{compared} gradient{'' if compared == 1 else 's'} compared"
        ending = f"; {kinks} note{'' if kinks == 1 else 's'}" if kinks else ""
        told = [what] if what else []
        if self.verdict == "incomplete":
            rows = [row.input for row in self.rows if row.verdict == "not checked"]
            told.append(f"{', '.join(dict.fromkeys([*self.uncompared, *rows]))} not compared")
        if self.verdict == "not checked":
            told.append("no slope to compare with; give other inputs")
        verdict = "failed" if self.verdict == "wrong" else self.verdict
        return f"{self.target}: {verdict}{': ' + ', '.join(told) if told else ''}; {gradients}{ending}"

    def __str__(self) -> str:
        from chainrule.checking.rendering import as_text

        return as_text(self)

    def __rich__(self) -> Any:
        from chainrule.checking.rendering import as_rich

        return as_rich(self)

    def _repr_html_(self) -> str:
        from chainrule.checking.rendering import as_html

        return as_html(self)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
