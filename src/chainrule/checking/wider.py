"""The names of mistakes in half precision, by the same check in float32, where less noise hides them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chainrule.checking.mistakes import advice_for
from chainrule.checking.report import CheckReport, Finding
from chainrule.errors import ChainruleError

#: The dtypes in which slopes are so rough that many explanations fit.
HALVES = ("float16", "bfloat16")


def named_in_float32(report: CheckReport, check: Callable[[], CheckReport]) -> CheckReport:
    """The report with the names that `check` of the same in float32 gives to its gradients, where it runs."""
    if report.dtype not in HALVES or not any(map(_is_compared, report.findings)):
        return report
    try:
        wider = check()
    except ChainruleError:  # it takes half precision alone
        return report
    known = {each.input: each for each in reversed(wider.findings) if _is_compared(each)}
    compared = {row.input for row in wider.rows if row.verdict == "ok"}
    return replace(report, findings=tuple(_named(each, known, compared) for each in report.findings))


def _is_compared(finding: Finding) -> bool:
    """Whether it is about a gradient that is not its slope."""
    return (
        finding.severity == "error"
        and finding.analytic is not None
        and finding.mistake != "forward-disagrees"
    )


def _named(finding: Finding, known: dict[str | None, Finding], right: set[str]) -> Finding:
    if not _is_compared(finding):
        return finding
    if finding.input in right and finding.mistake == "unknown":
        facts = {"input": finding.input, "came": "a sum rounded too often", "expected": "half precision"}
        detail = "In float32 it is right: add up in float32, and round once, at the end."
        return replace(
            finding, mistake="dtype", advice=advice_for("dtype", **facts, detail=detail), confidence=0.7
        )
    wider = known.get(finding.input)
    if wider is None:
        return finding
    return replace(finding, mistake=wider.mistake, advice=wider.advice, confidence=wider.confidence)
