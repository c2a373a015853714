"""Wrong as a whole: not finite, zero, negated, times a constant, or not using the upstream gradient."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.diagnosis.case import Case, Diagnosis
from chainrule.checking.diagnosis.sums import is_plain_sum, repeated
from chainrule.checking.differences import Differences
from chainrule.checking.elements import directions, hold_along
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast


def not_finite(case: Case) -> Diagnosis | None:
    """NaN or infinity."""
    bad = ~np.isfinite(case.analytic)
    if not bad.any():
        return None
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    return Diagnosis(
        "not-finite", 1.0, {"detail": f"The gradient holds {case.analytic[place]} at {list(place)}."}
    )


def zero(case: Case) -> Diagnosis | None:
    """All 0."""
    return Diagnosis("zero") if not case.analytic.any() else None


def upstream_ignored(case: Case) -> Diagnosis | None:
    """The same, whatever the upstream gradient is."""
    other = case.check.for_other_dy.get(case.name)
    if other is None:
        return None
    try:
        array = np.asarray(other, np.float64)
        if array.shape != case.analytic.shape:
            array = unbroadcast(array, case.analytic.shape)
    except (TypeError, ValueError, ShapeError):
        return None
    return Diagnosis("upstream-ignored") if case.is_it(array) else None


def sign(case: Case) -> Diagnosis | None:
    """Negated."""
    return Diagnosis("sign") if case.fits(-case.analytic) else None


def constant(case: Case) -> Diagnosis | None:
    """The right gradient times one number: 1/N, N, or another."""
    return _constant(case, at_least=3)


def constant_along(case: Case) -> Diagnosis | None:
    """The right gradient times a number that single elements do not show, beside the noise: all together do."""
    check = case.check
    off = [each for each in check.along.get(case.name, ()) if not each.agrees]
    differences, rng = check.differences_for(case.name), np.random.default_rng([check.seed, 9])
    if (case.wrong.any() and not differences.is_rough) or not off or not off[0].slope:
        return None
    k = off[0].claimed / off[0].slope
    tried = [np.sign(case.analytic), *directions(case.analytic.shape, 3, rng)]
    scaled = case.analytic / k
    if case.fits(scaled) and all(
        hold_along(differences, case.name, scaled, each, check.accuracy).agrees for each in tried
    ):
        return Diagnosis(
            "factor", 0.8, {"factor": k, "detail": "It shows along all of its elements together."}
        )
    return None


def constant_of_few(case: Case) -> Diagnosis | None:
    """The same for one or two elements, of which any gradient is nearly a multiple."""
    return _constant(case, at_least=1)


def _constant(case: Case, at_least: int) -> Diagnosis | None:
    a, n = case.a, case.n
    good = case.strong(at_least)
    if not a.any() or good.sum() < at_least:
        return None
    ratios = a[good] / n[good]
    k = float(np.median(ratios))
    if not (np.isfinite(k) and k != 0 and case.fits(case.analytic / k)):
        return None
    N = case.check.batch
    confidence = 0.5 if good.sum() < 2 else 0.95
    if is_plain_sum(case) and _is_mean(case, k):
        return Diagnosis(
            "axis", confidence, {"axis": repeated(case), "detail": "It is averaged, not summed."}
        )
    known = _whose_length(case, k)
    if known == "batch" and N == 2 and _stays(case, k):
        known = ""
    elif not known and repeated(case) and _is_mean(case, k):
        facts = {"axis": repeated(case), "detail": "It is averaged over some of them, not summed."}
        return Diagnosis("axis", confidence, facts)
    if known == "batch":
        sure = confidence if N != 2 else 0.6
        return Diagnosis("batch-mean", sure, {"n": N, "factor": k})
    return Diagnosis("factor", confidence, {"factor": k, "detail": known})


def _stays(case: Case, k: float) -> bool:
    """Whether the factor is the same in a batch that is twice as large: then it is not the batch's length."""
    check = case.check
    N, chosen = check.batch, case.index[case.strong(1)][:8]

    def doubled(array: Array) -> Array:
        return np.concatenate([array, array]) if array.ndim and len(array) == N else array

    values = {n: v if n in check.target.parameters else doubled(v) for n, v in check.values.items()}
    dy = doubled(check.dy)
    try:
        came = np.asarray(check.gradients(values, dy)[case.name], np.float64).reshape(-1)[chosen]
        there = Differences(check.output, values, dy, None, check.target.dtypes)
        n = [there.best_element(case.name, int(i), check.accuracy).value for i in chosen]
    except Exception:  # it cannot be made larger
        return False
    return bool(abs(np.median(came / n) - k) < 0.05 * abs(k))


def _is_mean(case: Case, k: float) -> bool:
    """Whether 1/k is the number of elements along some of the axes that are summed over."""
    axes = repeated(case)
    along = [case.check.y.shape[i] for i in ((axes,) if isinstance(axes, int) else axes or ())]
    counts = {math.prod(some) for n in range(1, len(along) + 1) for some in combinations(along, n)}
    return any(count > 1 and abs(1 / k - count) < 1e-3 * count for count in counts)


def _whose_length(case: Case, k: float) -> str:
    """'batch' where k is N or 1/N, else a sentence about the length it is, or nothing."""
    N = case.check.batch
    for value in (k, 1 / k):
        if N > 1 and abs(value - N) < 1e-3 * N:
            return "batch"
    lengths = {length for array in (case.check.y, case.analytic) for length in array.shape if length > 2}
    for length in sorted(lengths):
        if abs(k - length) < 1e-3 * length or abs(1 / k - length) < 1e-3 * length:
            return f"{length} is the length of an axis: a sum may stand where a mean belongs, or the reverse."
    return ""
