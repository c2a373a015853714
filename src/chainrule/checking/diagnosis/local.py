"""The wrong local gradient: none at all, another mask, a formula with another value in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.diagnosis.case import Case, Diagnosis
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast


def unchanged(case: Case) -> Diagnosis | None:
    """dy itself, though the local gradient is not 1."""
    dy = np.asarray(case.check.dy, np.float64)
    try:
        passed = unbroadcast(dy, case.analytic.shape)
    except ShapeError:
        return None
    if not case.is_it(passed):
        return None
    if _has_identity_path(case):
        detail = "The output is the input plus something, and only the first path's gradient is there."
        return Diagnosis("fan-out", 0.9, {"detail": detail})
    return Diagnosis("activation-gradient-missing")


def _has_identity_path(case: Case) -> bool:
    """Whether y = x + F(x) with an F that grows more slowly: far out, y is x."""
    values, name = dict(case.check.target.values), case.name
    if case.check.y.shape != case.analytic.shape:
        return False
    far = 1e4 * np.asarray(values[name], np.float64)
    try:
        y = case.check.output({**values, name: far})
    except Exception:  # it does not take such values
        return False
    near = np.asarray(case.check.y, np.float64)
    grows = bool(np.all(np.abs(y - far) < 0.05 * np.abs(far) + 1e-3))
    return grows and not case.near(near.reshape(-1)[case.index], case.x).all()


def masked(case: Case) -> Diagnosis | None:
    """Gradient where the forward blocked it, or none where it let it pass; or the two exchanged."""
    wrong, a, n = case.wrong, case.a, case.n
    if not wrong.any():
        return None
    none_wanted = np.abs(n) <= case.allowed
    none_came = a == 0
    if not none_wanted[wrong].any() and not none_came[wrong].any():
        return None
    if not (none_wanted | none_came)[wrong].all():
        return None
    leaks, blocks = bool(none_wanted[wrong].any()), bool(none_came[wrong].any())
    passing = case.at_elements(case.check.dy) if case.check.dy.shape == case.analytic.shape else None
    if leaks and blocks:
        detail = "It flows just where it should not, and not where it should."
    elif leaks:
        detail = "It flows where the output does not depend on the input."
    else:
        detail = "It is 0 where the output depends on the input."
    confidence = 0.95 if leaks and (passing is not None or blocks) else 0.8
    if int(wrong.sum()) == 1 and case.index.size > 10:
        confidence = 0.5
    return Diagnosis("mask", confidence, {"detail": detail})


def partly_masked(case: Case) -> Diagnosis | None:
    """Gradient at places that have no say in the output, or none at places that have, and others are wrong too."""
    compared = [each for each in case.check.compared[case.name] if not each.kink]
    a, n = case.a, case.n
    terms = np.array([each.slope.terms for each in compared])
    has_none = terms <= 1e-9 * terms.max(initial=0)
    leaks, blocks = has_none & (a != 0), ~has_none & (a == 0) & case.wrong
    strong = np.abs(a) > 1e-2 * np.abs(a).max(initial=0)
    if (leaks & strong).sum() >= 2:
        detail = "It flows where the output does not depend on the input."
        return Diagnosis("mask", 0.8, {"detail": detail})
    if blocks.sum() >= 3 and np.abs(n[blocks]).max() > 1e-2 * np.abs(n).max():
        return Diagnosis("mask", 0.8, {"detail": "It is 0 where the output depends on the input."})
    return None


def two_slopes(case: Case) -> Diagnosis | None:
    """The local gradient takes two values, as a leaky ReLU's does, and at some elements the other one is there."""
    dy = case.at_elements(case.check.dy) if case.check.dy.shape == case.analytic.shape else None
    if dy is None or case.index.size < 4:
        return None
    true, came = case.n / dy, case.a / dy
    values = _few_values(true)
    if values is None or len(values) != 2:
        return None
    near = [np.abs(came - v) <= 1e-3 * np.abs(values).max() for v in values]
    if (near[0] | near[1] | (np.abs(came) < 1e-9)).all():
        return Diagnosis(
            "mask", 0.85, {"detail": "Of the two slopes, the wrong one stands at some elements."}
        )
    return None


def _few_values(numbers: Array) -> Array | None:
    """The different numbers among these, if there are at most three."""
    rounded = np.unique(np.round(numbers / max(float(np.abs(numbers).max()), 1e-300), 4))
    return rounded * float(np.abs(numbers).max()) if rounded.size <= 3 else None


FORMULAS: dict[str, Callable[[Array], Array]] = {
    "v (1 - v)": lambda v: v * (1 - v),
    "1 - v²": lambda v: 1 - v * v,
    "v": lambda v: v,
    "2 v": lambda v: 2 * v,
    "3 v²": lambda v: 3 * v * v,
    "1 / v": lambda v: 1 / v,
    "1 / (2 v)": lambda v: 0.5 / v,
    "-1 / v²": lambda v: -1 / (v * v),
    "-v²": lambda v: -v * v,
    "1 - v": lambda v: 1 - v,
    "1 - exp(-v)": lambda v: -np.expm1(-v),
    "exp(v)": np.exp,
    "1 / (1 + exp(-v))": lambda v: 1 / (1 + np.exp(-v)),
    "cos v": np.cos,
    "v > 0": lambda v: (v > 0).astype(np.float64),
}


def swapped_value(case: Case) -> Diagnosis | None:
    """A formula for the local gradient with the input in it where the output belongs, or another such exchange."""
    dy = case.at_elements(case.check.dy)
    if dy is None:
        return None
    true, came = case.n / dy, case.a / dy
    allowed = case.allowed / np.abs(dy)
    values = {"the output": case.at_elements(case.check.y)}
    for name, value in case.check.target.values.items():
        if value.dtype.kind == "f":
            values[name] = case.at_elements(value)
    known = {name: v for name, v in values.items() if v is not None}

    def near(one: Array, other: Array) -> bool:
        size = np.maximum(np.abs(one), np.abs(other))
        good = np.isfinite(size) & (np.abs(one - other) <= allowed + 1e-4 * size)
        return bool(good.all())

    if case.index.size < 2:
        return None
    for text, formula in FORMULAS.items():
        right = [name for name, v in known.items() if near(formula(v), true)]
        wrong = [name for name, v in known.items() if near(formula(v), came)]
        for belongs in right:
            for stands in wrong:
                if belongs != stands:
                    detail = f"{text} was computed with v = {stands}, where v = {belongs} belongs."
                    return Diagnosis(
                        "value-for-gradient", 0.95, {"came": stands, "expected": belongs, "detail": detail}
                    )
    return _at_the_output(case, came, allowed)


def _at_the_output(case: Case, came: Array, allowed: Array) -> Diagnosis | None:
    """f'(y) where f'(x) belongs, for any function of one element, by its slopes at y."""
    check = case.check
    if check.y.shape != case.analytic.shape or len(check.target.differentiable) != 1:
        return None
    there = {**check.target.values, case.name: np.asarray(check.y, np.float64)}
    try:
        slopes = np.array([check.differences.own_slope(case.name, int(i), there) for i in case.index[:50]])
    except Exception:  # it cannot be computed there
        return None
    came, allowed = came[:50], allowed[:50]
    own = np.array([c.slope.own for c in check.compared[case.name] if not c.kink])[:50]
    if (np.abs(own - slopes) <= 1e-3 * np.abs(slopes)).all():  # it is linear: they are the same everywhere
        return None
    if np.isfinite(slopes).all() and (np.abs(came - slopes) <= allowed + 1e-4 * np.abs(slopes)).all():
        detail = "The local gradient is that at the output, where that at the input belongs."
        return Diagnosis("value-for-gradient", 0.9, {"detail": detail})
    return None
