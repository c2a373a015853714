"""The section "Fused kernels" of MUTATIONS.md, and what it was written from, kernels.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from mutations.kernels.measuring import KernelOutcome, KernelResults
from mutations.report import KERNELS, cell, kernels_section, share, table

RULES = """\
Kernels as they are written for Triton, here in PyTorch on a CPU: blocks of 8 with a partial last one, float32
inside, float32 or bfloat16 outside, as `torch.autograd.Function`s with both styles of context, flags and `None`
among their arguments. Each has a plain forward beside it, which is handed to `cr.check` as `reference=`. A mutant
is tried with it and, where backward alone is wrong, without. *Above* means that its relative error, measured in
the Euclidean norm against the reference's float64 gradients, is above the sharpness that the report states for
the right kernel. *Located*: the first finding speaks of an input whose gradient is wrong."""


def write_section(results: KernelResults, folder: Path) -> None:
    """Put the section into the page in this folder in place of the last one, and the numbers into kernels.json."""
    content: dict[str, Any] = {
        **asdict(results),
        "outcomes": [{**asdict(o), "above": o.above, "right": o.right} for o in results.outcomes],
    }
    (folder / "kernels.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    page = folder / "MUTATIONS.md"
    text = page.read_text(encoding="utf-8") if page.exists() else "## Rules\n"
    old, new = kernels_section(text), section(results)
    text = text.replace(old, new) if old else text.replace("## Rules\n", f"{new}\n## Rules\n")
    page.write_text(text, encoding="utf-8")


def section(results: KernelResults) -> str:
    """All of it."""
    above = [o for o in results.outcomes if o.above]
    below = [o for o in results.outcomes if not o.above]
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    parts = [
        KERNELS,
        f"Written by `python -m mutations --kernels` ({results.seconds / 60:.0f} minutes; {versions}).",
        RULES,
        table(
            ("mutants above the sharpness", "how many", "found", "named", "located"),
            [_group(name, outcomes) for name, outcomes in _groups(above)],
        ),
        f"{_alarms(results)}",
        "Sharpness as stated, with the reference and without, and the mutants with the reference above it:",
        table(
            ("kernel", "float32", "without", "bfloat16", "without", "mutants", "found", "named"),
            [_kernel(name, results.outcomes) for name in _names(results.outcomes)],
        ),
        "Not found, or called otherwise:",
        _missed(above),
        f"Below the stated sharpness, so that nothing is promised: {len(below)}.",
        _below(below),
        _true(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _groups(outcomes: list[KernelOutcome]) -> Iterable[tuple[str, list[KernelOutcome]]]:
    for dtype in ("float32", "bfloat16"):
        for reference in (True, False):
            chosen = [o for o in outcomes if o.dtype == dtype and o.reference == reference]
            yield f"{dtype}, {'with' if reference else 'without'} reference", chosen
    yield "**all**", outcomes


def _group(name: str, outcomes: list[KernelOutcome]) -> tuple[str, ...]:
    placed = [o for o in outcomes if o.located is not None]
    return (
        name,
        str(len(outcomes)),
        share(sum(o.detected for o in outcomes), len(outcomes)),
        share(sum(o.right for o in outcomes), len(outcomes)),
        share(sum(bool(o.located) for o in placed), len(placed)),
    )


def _names(outcomes: list[KernelOutcome]) -> list[str]:
    return list(dict.fromkeys(o.name.split(":")[0] for o in outcomes))


def _kernel(name: str, outcomes: list[KernelOutcome]) -> tuple[str, ...]:
    mine = [o for o in outcomes if o.name.split(":")[0] == name]
    stated = [
        median([o.sharpness for o in mine if o.dtype == dtype and o.reference == reference] or [float("inf")])
        for dtype in ("float32", "bfloat16")
        for reference in (True, False)
    ]
    tried = [o for o in mine if o.above and o.reference]
    return (
        name,
        *(f"{each:.1e}" for each in stated),
        str(len(tried)),
        share(sum(o.detected for o in tried), len(tried)),
        share(sum(o.right for o in tried), len(tried)),
    )


def _how(outcome: KernelOutcome) -> str:
    return f"{outcome.dtype}{'' if outcome.reference else ', without'}"


def _missed(outcomes: list[KernelOutcome]) -> str:
    """One line for a mutant and what is said of it, with all the ways in which it was tried."""
    ways: dict[tuple[str, str, str], list[str]] = {}
    for o in outcomes:
        if not o.right:
            said = ", ".join([o.named, *o.others])
            ways.setdefault((cell(o.name), " or ".join(o.expected), said), []).append(_how(o))
    rows = [(*line, "; ".join(how)) for line, how in ways.items()]
    return table(("mutant", "expected", "reported", "in"), rows) if rows else "None."


def _below(outcomes: list[KernelOutcome]) -> str:
    rows = [
        (cell(o.name), _how(o), f"{o.error:.1e}", f"{o.sharpness:.1e}", o.named if o.detected else "")
        for o in outcomes
    ]
    return table(("mutant", "in", "its error", "sharpness", "found all the same"), rows) if rows else ""


def _alarms(results: KernelResults) -> str:
    alarms = results.alarms
    text = (
        f"{len(alarms.found)} false alarms in {alarms.checks:,} checks of right kernels over seeds, lengths and "
        f"dtypes, with reference and without, {alarms.milliseconds:.0f} ms each on average."
    )
    counted = Counter((alarm.name, alarm.dtype, alarm.named) for alarm in alarms.found)
    rows = [(*what, str(times)) for what, times in counted.most_common()]
    return f"{text}\n\n{table(('what', 'dtype', 'reported', 'times'), rows)}" if rows else text


def _true(results: KernelResults) -> str:
    if not results.sharpness:
        return ""
    rows = [
        (
            s.name,
            f"{s.dtype}{'' if s.reference else ', without'}",
            s.input,
            f"{s.stated:.1e}",
            f"{s.found} of {s.tries}",
        )
        for s in results.sharpness
    ]
    return "One gradient times 1 + the stated sharpness, found in how many of so many seeds:\n\n" + table(
        ("kernel", "in", "gradient of", "sharpness", "found"), rows
    )
