"""A gradient of another shape than its input's."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from chainrule.checking.context import Check
from chainrule.checking.diagnosis.case import Case, Diagnosis, broadcasts
from chainrule.checking.diagnosis.sums import other_reductions, reductions, repeated, summed
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast


def misshapen(check: Check, name: str) -> Diagnosis:
    """The mistake behind a gradient of another shape than its input's."""
    problem, shape = check.misshapen[name], check.shape(name)
    came = problem.array
    facts: dict[str, Any] = {"came": problem.came, "expected": problem.expected}
    if came.size == 0 or problem.is_no_array:
        return Diagnosis("shape", 1.0, facts)
    index, n, allowed = check.all_slopes(name)
    case = Case(check, name, np.zeros(shape), index, n, allowed)
    try:
        if case.fits(unbroadcast(came, shape)):
            return Diagnosis("broadcast", 1.0, {**facts, "axis": repeated(case)})
    except ShapeError:
        pass
    for other, its in check.misshapen.items():
        exchanged = its.array.shape == shape and came.shape == check.shape(other)
        if other != name and exchanged and case.fits(its.array):
            return Diagnosis("order", 1.0, {**facts, "other": other})
    for axes in permutations(range(came.ndim)):
        if came.ndim <= 4 and case.fits(np.ascontiguousarray(came.transpose(axes))):
            return Diagnosis("transpose", 1.0, facts)
    if came.size == case.analytic.size and case.fits(came.reshape(shape)):
        return Diagnosis("shape", 1.0, {**facts, "detail": "The numbers are right; reshape them."})
    dy = np.asarray(check.dy, np.float64)
    is_repeated = repeated(case) is not None
    for axes, mean, reduced in reductions(dy) if is_repeated else ():
        if reduced.size == came.size and np.allclose(reduced.reshape(came.shape), came, rtol=1e-5, atol=0):
            return Diagnosis("axis", 1.0, {"axis": repeated(case), "detail": summed(axes, mean)})
    for axes, mean, reduced in other_reductions(check, name):
        if reduced.size == came.size and np.allclose(reduced.reshape(came.shape), came, rtol=1e-5, atol=1e-9):
            return Diagnosis("axis", 1.0, {"axis": repeated(case), "detail": summed(axes, mean)})
    if is_repeated and (came.size == 1 or (came.ndim == 1 and came.shape[0] in dy.shape and len(shape) == 1)):
        return Diagnosis("axis", 0.7, {"axis": repeated(case)})
    if came.shape == dy.shape and broadcasts(shape, dy.shape):
        return Diagnosis("broadcast", 0.8, facts)
    if came.shape == shape[::-1]:
        return Diagnosis("transpose", 0.7, facts)
    return Diagnosis("shape", 1.0, facts)
