"""A broadcast input's gradient: summed over other axes than those along which it was repeated."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.context import Check
from chainrule.checking.diagnosis.case import Case, Diagnosis, broadcasts
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast


def summed_otherwise(case: Case) -> Diagnosis | None:
    """dy summed or averaged over other axes than those along which the input is broadcast."""
    if not is_plain_sum(case):
        return None
    for axes, mean, reduced in reductions(np.asarray(case.check.dy, np.float64)):
        if reduced.size == case.analytic.size and case.is_it(reduced.reshape(case.analytic.shape)):
            return Diagnosis("axis", 1.0, {"axis": repeated(case), "detail": summed(axes, mean)})
        if reduced.size == 1 and case.is_it(np.full(case.analytic.shape, reduced.item())):
            return Diagnosis("axis", 1.0, {"axis": repeated(case), "detail": summed(axes, mean)})
    return None


def reduced_otherwise(case: Case) -> Diagnosis | None:
    """The right terms, summed over another axis, as a scale's: (dy * x).sum(axis=1) for axis 0."""
    reductions = other_reductions(case.check, case.name)
    for axes, mean, reduced in reductions:
        if reduced.size == case.analytic.size and case.is_it(reduced.reshape(case.analytic.shape)):
            return Diagnosis("axis", 0.95, {"axis": repeated(case), "detail": summed(axes, mean)})
    return None


def other_factor(case: Case) -> Diagnosis | None:
    """A scale's gradient as dy times an input, where forward multiplies it with something else, and sums."""
    check = case.check
    if check.shape(case.name) == check.y.shape or not broadcasts(case.analytic.shape, check.y.shape):
        return None
    for name, value in check.target.values.items():
        if name != case.name and value.shape == check.y.shape and value.dtype.kind == "f":
            product = np.asarray(unbroadcast(np.asarray(check.dy * value, np.float64), case.analytic.shape))
            if case.is_it(product):
                came = f"{name} as it is"
                facts = {"came": came, "expected": f"what forward multiplies {case.name} with"}
                return Diagnosis("value-for-gradient", 0.95, facts)
    return None


def is_plain_sum(case: Case) -> bool:
    """Whether the right gradient is dy, summed over the axes along which the input is broadcast."""
    dy = np.asarray(case.check.dy, np.float64)
    if dy.shape == case.analytic.shape:
        return False
    try:
        return case.fits(unbroadcast(dy, case.analytic.shape))
    except ShapeError:
        return False


def repeated(case: Case) -> int | tuple[int, ...] | None:
    """The axis, or the axes, of the output along which the input is repeated."""
    shape, of = case.analytic.shape, case.check.y.shape
    extra = len(of) - len(shape)
    if extra < 0:
        return None
    axes = [*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and of[extra + i] != 1)]
    if not axes:
        return None
    return axes[0] if len(axes) == 1 else tuple(axes)


def reductions(dy: Array) -> Iterator[tuple[tuple[int, ...], bool, Array]]:
    for count in range(1, dy.ndim + 1):
        for axes in combinations(range(dy.ndim), count):
            yield axes, False, dy.sum(axis=axes)
            yield axes, True, dy.mean(axis=axes)


def other_reductions(check: Check, name: str) -> Iterator[tuple[tuple[int, ...], bool, Array]]:
    """The terms of a broadcast input's gradient, one for each output, summed over every choice of axes."""
    shape, size = check.shape(name), check.target.values[name].size
    if size > 200 or check.y.ndim == 0 or shape == check.y.shape or not broadcasts(shape, check.y.shape):
        return
    terms = sum((check.differences.contributions(name, i) for i in range(size)), np.zeros(check.y.shape))
    yield from reductions(np.asarray(terms))


def summed(axes: tuple[int, ...], mean: bool) -> str:
    over = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
    return f"It is {'averaged' if mean else 'summed'} over {over}."
