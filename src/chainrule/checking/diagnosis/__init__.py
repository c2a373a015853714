"""What the mistake probably is: hypotheses about a wrong gradient, tried on its numbers; the first to fit wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from chainrule.checking.diagnosis.case import Case, Diagnosis, Hypothesis
from chainrule.checking.diagnosis.factors import (
    constant,
    constant_of_few,
    not_finite,
    sign,
    upstream_ignored,
    zero,
)
from chainrule.checking.diagnosis.local import masked, swapped_value, two_slopes, unchanged
from chainrule.checking.diagnosis.paths import paths, some_contributions
from chainrule.checking.diagnosis.places import order, product_transposed, transposed, transposed_weights
from chainrule.checking.diagnosis.shapes import misshapen
from chainrule.checking.diagnosis.sums import reduced_otherwise, summed_otherwise
from chainrule.checking.differences import compare_elements
from chainrule.checking.evidence import Evidence


def diagnose(evidence: Evidence, name: str) -> list[Diagnosis]:
    """The likeliest mistake behind a wrong gradient; none where something else that was found explains it.

    A gradient that ignores the upstream one is looked at again as if that were 1: it may be wrong twice.
    """
    if name in evidence.behaviour.explained:
        return []
    if name in evidence.misshapen and evidence.misshapen[name].code == "shape":
        return [misshapen(evidence, name)]
    case = _case(evidence, name)
    first = _first_that_fits(case, HYPOTHESES)
    if first is None:
        return [_unknown(case)]
    if first.code != "upstream-ignored":
        return [first]
    plain = replace(evidence, dy=np.ones_like(evidence.dy), compared={}, analytic=dict(evidence.analytic))
    index, _, _ = evidence.numerical(name)
    plain.compared[name] = compare_elements(
        plain.differences, name, index, evidence.analytic[name], evidence.settings.dtype
    )
    if all(each.agrees or each.kink for each in plain.compared[name]):
        return [first]
    second = _first_that_fits(_case(plain, name), [h for h in HYPOTHESES if h is not upstream_ignored])
    return [first, second] if second is not None else [first]


def _case(evidence: Evidence, name: str) -> Case:
    index, n, allowed = evidence.numerical(name)
    return Case(evidence, name, evidence.analytic[name], index, n, allowed)


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
    constant,
    unchanged,
    masked,
    transposed,
    product_transposed,
    transposed_weights,
    swapped_value,
    reduced_otherwise,
    paths,
    two_slopes,
    some_contributions,
    constant_of_few,
)
