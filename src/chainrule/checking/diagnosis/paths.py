"""Several paths from an input to the output, of which some are missing."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.diagnosis.case import Case, Diagnosis


def paths(case: Case) -> Diagnosis | None:
    """One of several paths from the input to the output left out."""
    dy = case.at_elements(case.check.dy) if case.check.dy.shape == case.analytic.shape else None
    if dy is not None:
        own = np.array([c.slope.own for c in case.check.compared[case.name] if not c.kink])
        if np.isfinite(own).all():
            diagonal = dy * own
            if not case.near(diagonal, case.n).all():
                detail = ""
                if case.near(case.a, diagonal).all():
                    detail = (
                        "Each output depends on several inputs, and only that of the same place is counted."
                    )
                elif case.near(case.a, case.n - diagonal).all():
                    detail = "Each output depends on several inputs, and that of the same place is left out."
                if detail:
                    return Diagnosis("fan-out", 0.95, {"detail": detail})
        spread = _spread(case, dy)
        if spread is not None:
            return spread
        if case.near(case.a, case.n - dy).all():
            detail = "What is missing is dy itself: the path that goes straight from the input to the output."
            return Diagnosis("fan-out", 0.95, {"detail": detail})
    return _path_through_a_statistic(case)


def _spread(case: Case, dy: Array) -> Diagnosis | None:
    """Each gradient is that of the output of the same place alone, though outputs depend on several inputs."""
    check = case.check
    other = check.for_other_dy.get(case.name)
    if other is None or np.shape(other) != case.analytic.shape:
        return None
    there = np.asarray(other, np.float64).reshape(-1)[case.index]
    scaled = case.at_elements(check.other_dy)
    y = case.at_elements(check.y)
    if scaled is None or y is None or not (dy != 0).all():
        return None
    size = float(np.abs(case.a).max(initial=0))
    own = np.array([c.slope.own for c in check.compared[case.name] if not c.kink])
    mixes = np.isfinite(own).all() and not case.near(dy * own, case.n).all()
    if mixes and bool((np.abs(there - case.a * scaled / dy) <= 1e-6 * size).all()):
        detail = "Each output depends on several inputs, and only that of the same place is counted."
        return Diagnosis("fan-out", 0.9, {"detail": detail})
    if mixes and case.near(case.a, case.n - dy * y).all():
        detail = "Each output depends on several inputs, and that of the same place is left out."
        return Diagnosis("fan-out", 0.9, {"detail": detail})
    with np.errstate(all="ignore"):
        factor = y / case.x
    if not mixes and (case.near(case.a, dy * factor).all() or case.near(case.a, case.n - dy * factor).all()):
        detail = (
            "The output is a product of two functions of the input, and only one of them is differentiated."
        )
        return Diagnosis("fan-out", 0.9, {"detail": detail})
    return None


def some_contributions(case: Case) -> Diagnosis | None:
    """A sum of some of the terms, not of all: what one path adds was put in the place of what others added."""
    wrong = case.index[case.wrong][:12]
    seen = 0
    for index in wrong:
        parts = case.check.differences.contributions(case.name, int(index)).ravel()
        parts = parts[np.abs(parts) > 1e-9 * np.abs(parts).max(initial=0)]
        if not 2 <= parts.size <= 12:
            return None
        came = float(case.analytic.reshape(-1)[index])
        chosen = (np.arange(1, 2**parts.size - 1)[:, None] >> np.arange(parts.size)) & 1
        sums = chosen @ parts
        if not (np.abs(sums - came) <= 1e-5 * np.abs(parts).max()).any():
            return None
        seen += 1
    if seen < min(3, case.index.size):
        return None
    detail = "It is the sum of some of the terms: those of the other paths were overwritten, not added to."
    return Diagnosis("fan-out", 0.9, {"detail": detail})


def _path_through_a_statistic(case: Case) -> Diagnosis | None:
    """A mean's or a variance's path: what is missing is constant along an axis, or grows with the centred input."""
    if case.index.size != case.analytic.size or case.check.y.shape != case.analytic.shape:
        return None
    shape = case.analytic.shape
    missing = case.analytic - case.n.reshape(shape)
    size = float(np.abs(missing).max())
    x = np.asarray(case.check.target.values[case.name], np.float64)
    allowed = 1e-4 * size + float(case.allowed.max()) * (10 if case.check.accuracy == "float64" else 3)
    if allowed > 0.2 * size:  # anything would fit
        return None
    for count in range(1, len(shape) + 1):
        for axes in combinations(range(len(shape)), count):
            if np.prod([shape[i] for i in axes]) < 3:
                continue
            mean = missing.mean(axis=axes, keepdims=True)
            if float(np.abs(missing - mean).max()) <= allowed:
                detail = "What is missing is the same for all that share a mean: the path through the mean."
                return Diagnosis("fan-out", 0.9, {"detail": detail})
            centred = x - x.mean(axis=axes, keepdims=True)
            spread = (centred**2).sum(axis=axes, keepdims=True)
            slope = (missing * centred).sum(axis=axes, keepdims=True) / np.where(spread > 0, spread, 1)
            without = missing - slope * centred
            if float(np.abs(without).max()) <= allowed:
                detail = (
                    "What is missing grows with the distance from the mean: the path through the variance, or "
                    "its factor (N for N - 1)."
                )
                return Diagnosis("fan-out", 0.9, {"detail": detail})
            rest = without - without.mean(axis=axes, keepdims=True)
            if np.prod([shape[i] for i in axes]) > 3 and float(np.abs(rest).max()) <= allowed:
                detail = "The paths through the mean and through the variance are missing."
                return Diagnosis("fan-out", 0.9, {"detail": detail})
    return None
