"""What the mistake probably is: hypotheses about a wrong gradient, tried on its numbers; the first to fit wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.checking.context import Check
from chainrule.checking.diagnosis.asked_again import (
    block_left_out,
    forward_map,
    mixes_samples,
    normalization_term,
    part_left_out,
    rounds_inside,
    rows_left_out,
)
from chainrule.checking.diagnosis.case import Case, Diagnosis, Hypothesis
from chainrule.checking.diagnosis.factors import (
    constant,
    constant_along,
    constant_of_few,
    not_finite,
    sign,
    upstream_ignored,
    zero,
)
from chainrule.checking.diagnosis.local import masked, partly_masked, swapped_value, two_slopes, unchanged
from chainrule.checking.diagnosis.paths import paths, some_contributions
from chainrule.checking.diagnosis.places import order, product_transposed, transposed, transposed_weights
from chainrule.checking.diagnosis.shapes import misshapen
from chainrule.checking.diagnosis.sums import other_factor, reduced_otherwise, summed_otherwise
from chainrule.checking.diagnosis.where import in_the_tail, places, where
from chainrule.checking.elements import compare_elements, relative_error
from chainrule.checking.mistakes import advice_for


def name_mistakes(check: Check) -> None:
    """A finding for each wrong gradient: its worst element, and what the mistake probably is.

    What has no name follows perhaps from a mistake that has one, and says so.
    """
    for row in [row for row in check.rows if row.verdict == "wrong"]:
        name = row.input
        wrong = [each for each in check.compared.get(name, []) if not each.agrees and not each.kink]
        cut_off = any(each.mistake == "dtype" and each.input == name for each in check.findings)
        for found in diagnose(check, name):
            if found.code == "unknown" and cut_off:  # what was cut off with the dtype
                continue
            place = where(*places(check, name))
            if check.differences_for(name).is_rough and "behind" not in place:
                place = ""  # which elements are off is then half a matter of chance
            facts = found.facts | {"detail": " ".join(filter(None, [found.facts.get("detail"), place]))}
            details: dict[str, Any] = {"confidence": found.confidence, "facts": facts}
            if wrong:
                check.add_compared(found.code, name, max(wrong, key=lambda each: each.off), **details)
            else:
                check.add(found.code, name, **details, **_along(check, name))
    if any(each.severity == "error" and each.mistake != "unknown" for each in check.findings):
        detail = "It may follow from the other mistake that was found here: mend that first."
        check.findings[:] = [
            replace(each, advice=advice_for("unknown", node=each.node, input=each.input, detail=detail))
            if each.mistake == "unknown"
            else each
            for each in check.findings
        ]


def _along(check: Check, name: str) -> dict[str, float]:
    """The two numbers of the direction that disagrees, where no element does."""
    off = [each for each in check.along.get(name, ()) if not each.agrees]
    if not off:
        return {}
    claimed, slope = off[0].claimed, off[0].slope
    return {"analytic": claimed, "numerical": slope, "error": relative_error(claimed, slope)}


def diagnose(check: Check, name: str) -> list[Diagnosis]:
    """The likeliest mistake behind a wrong gradient; none where something else that was found explains it.

    A gradient that ignores the upstream one is looked at again as if that were 1: it may be wrong twice.
    """
    if name in check.explained:
        return []
    if name in check.misshapen:
        return [misshapen(check, name)]
    case = _case(check, name)
    first = _first_that_fits(case, HYPOTHESES if case.is_clear else (constant_along, rounds_inside))
    if first is None:
        return [_unknown(case)]
    if first.code != "upstream-ignored":
        return [first]
    plain = replace(check, dy=np.ones_like(check.dy), compared={}, analytic=dict(check.analytic))
    index, _, _ = check.numerical(name)
    plain.compared[name] = compare_elements(
        plain.differences, name, index, check.analytic[name], check.accuracy
    )
    if all(each.agrees or each.kink for each in plain.compared[name]):
        return [first]
    second = _first_that_fits(_case(plain, name), [h for h in HYPOTHESES if h is not upstream_ignored])
    return [first, second] if second is not None else [first]


def _case(check: Check, name: str) -> Case:
    index, n, allowed = check.numerical(name)
    return Case(check, name, check.analytic[name], index, n, allowed)


def _first_that_fits(case: Case, hypotheses: Iterable[Hypothesis]) -> Diagnosis | None:
    for hypothesis in hypotheses:
        with np.errstate(all="ignore"):
            found = hypothesis(case)
        if found is not None:
            return found
    return None


def _unknown(case: Case) -> Diagnosis:
    """What can be said where nothing fits."""
    wrong = int(case.wrong.sum())
    of = case.index.size
    if not wrong:
        return Diagnosis(
            "unknown", 1.0, {"detail": "It shows along directions, and at no element by itself."}
        )
    detail = f"{wrong} of the {of} elements compared {'is' if wrong == 1 else 'are'} off."
    if wrong == of:
        detail = "All elements compared are off." if of > 1 else "The one element compared is off."
    return Diagnosis("unknown", 1.0, {"detail": detail})


HYPOTHESES: tuple[Hypothesis, ...] = (
    not_finite,
    zero,
    upstream_ignored,
    sign,
    order,
    summed_otherwise,
    unchanged,
    constant,
    in_the_tail,
    masked,
    transposed,
    product_transposed,
    transposed_weights,
    swapped_value,
    reduced_otherwise,
    other_factor,
    mixes_samples,
    paths,
    two_slopes,
    part_left_out,
    rows_left_out,
    block_left_out,
    normalization_term,
    forward_map,
    partly_masked,
    rounds_inside,
    some_contributions,
    constant_of_few,
    constant_along,
)
