"""What the backward gives for upstream gradients that tell: what mixes samples, what lacks a term, what is J dy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.diagnosis.case import Case, Diagnosis
from chainrule.checking.noise import measure
from chainrule.checking.precision import lowest

#: So many elements are looked at.
LOOKED_AT = 24


def mixes_samples(case: Case) -> Diagnosis | None:
    """The gradient of one row depends on the upstream gradient of another, and the outputs do not."""
    y, x = case.check.y, case.analytic
    for axis in range(min(y.ndim, x.ndim)):
        length = y.shape[axis]
        if length < 2 or x.shape[axis] != length or not _rows_apart(case, axis):
            continue
        dy = case.check.dy.copy()
        np.moveaxis(dy, axis, 0)[-1] *= 2
        moved = _gradient(case, dy)
        if moved is None:
            continue
        first, second = (np.moveaxis(each, axis, 0)[:-1] for each in (x, moved))
        if np.abs(first - second).max(initial=0) > 1e-3 * np.abs(x).max(initial=0):
            detail = (
                f"The gradient at one index of axis {axis} uses the dy of others: a sum runs over that axis."
            )
            return Diagnosis("axis", 0.9, {"detail": detail})
    return None


def _rows_apart(case: Case, axis: int) -> bool:
    """Whether outputs along an axis depend only on the input of the same index."""
    values = dict(case.check.target.values)
    moved = values[case.name].copy()
    first = np.moveaxis(moved, axis, 0)[:1]
    first[...] = case.check.as_held(case.name, first * 1.25 + 0.25 * case.check.differences.scale[case.name])
    y = case.check.output_or_nan({**values, case.name: moved})
    before, after = (np.moveaxis(np.asarray(each, np.float64), axis, 0) for each in (case.check.y, y))
    return bool(np.array_equal(before[1:], after[1:])) and not np.array_equal(before[:1], after[:1])


def normalization_term(case: Case) -> Diagnosis | None:
    """Right for an upstream gradient at a right angle to the output: what lacks is the term with the sum of dy * y.

    That of softmax, of attention, of a division by a norm or by a standard deviation.
    """
    check = case.check
    y = np.asarray(check.y, np.float64)
    if y.ndim == 0 or y.shape[-1] < 2:
        return None
    dy = np.asarray(check.dy, np.float64)
    with np.errstate(all="ignore"):
        share = (dy * y).sum(axis=-1, keepdims=True) / (y * y).sum(axis=-1, keepdims=True)
    apart = dy - np.where(np.isfinite(share), share, 0) * y
    came = _gradient(case, check.as_given(apart))
    if came is None:
        return None
    chosen = case.index[case.wrong][:LOOKED_AT]
    if case.wrong.sum() < 3:
        return None
    other = check.slopes_for(case.name, apart, chosen)
    off = np.abs(came.reshape(-1)[chosen] - other[0])
    was = np.abs(case.a - case.n)[case.wrong][:LOOKED_AT]
    agrees = off <= other[1] + check.resolution * np.abs(other[0])
    if agrees.all() or off.sum() < 0.05 * was.sum() or (agrees.mean() > 0.9 and off.sum() < 0.4 * was.sum()):
        detail = (
            "It is right where the sum of dy * y along the last axis is 0: the term with that sum is wrong."
        )
        return Diagnosis("fan-out", 0.9, {"detail": detail})
    return None


def forward_map(case: Case) -> Diagnosis | None:
    """The Jacobian times dy, where its transpose belongs: a rotation not turned back, a scan not reversed."""
    check, dy = case.check, np.asarray(case.check.dy, np.float64)
    if check.y.shape != case.analytic.shape or check.y.ndim == 0:
        return None
    product = check.differences_for(case.name).product(case.name, dy).reshape(-1)[case.index]
    size = float(np.abs(case.a).max(initial=0))
    allowed = 8 * check.resolution * size + 20 * check.noise.absolute.reshape(-1)[case.index]
    off = (np.abs(product - case.a) > allowed) | case.near(product, case.n)
    return Diagnosis("adjoint", 0.95) if size > 0 and off[case.wrong].mean() < 0.1 else None


def output_left_out(case: Case) -> Diagnosis | None:
    """Right for an upstream gradient that is 0 for one of several outputs: backward does not use that one."""
    check, start = case.check, 0
    chosen = case.index[case.wrong][:LOOKED_AT]
    parts = check.output_sizes
    if len(parts) < 2 or case.wrong.sum() < 2:
        return None
    for k, (name, size) in enumerate(parts.items()):
        dy = np.array(check.dy, np.float64)
        dy[start : start + size] = 0
        start += size
        slopes, allowed = check.slopes_for(case.name, dy, chosen)
        came = case.analytic.reshape(-1)[chosen]
        if bool((np.abs(came - slopes) <= allowed + check.resolution * np.abs(slopes)).all()):
            detail = (
                f"It is right where the dy of {name or f'output {k + 1}'} is 0: backward leaves that one out."
            )
            return Diagnosis("fan-out", 0.95, {"detail": detail})
    return None


def rounds_inside(case: Case) -> Diagnosis | None:
    """The backward rounds more coarsely than the forward: its gradients jump where inputs move a little."""
    check = case.check

    def gradient(values: Mapping[str, Array]) -> Array:
        try:
            given = {name: value.astype(check.values[name].dtype) for name, value in values.items()}
            return np.asarray(check.gradients(given, check.dy)[case.name], np.float64).reshape(
                case.analytic.shape
            )
        except Exception:  # it worked for the values given
            return np.full(case.analytic.shape, np.nan)

    rng = np.random.default_rng([check.seed, 8])
    noise = measure(gradient, check.target.values, case.analytic, check.target.dtypes, rng, both=True)
    coarse = lowest([noise.dtype, check.accuracy])
    off = np.abs(case.a - case.n)
    if (
        coarse == check.accuracy
        or not (off <= 30 * noise.absolute.reshape(-1)[case.index] + case.allowed).all()
    ):
        return None
    detail = f"Its backward rounds to {coarse} somewhere inside: what it keeps, or what it adds up."
    return Diagnosis("dtype", 0.8, {"came": coarse, "expected": check.accuracy, "detail": detail})


def _gradient(case: Case, dy: Array) -> Array | None:
    """The gradient for another upstream one; None where there is none of the input's shape."""
    try:
        array = np.asarray(case.check.gradients(case.check.values, dy)[case.name], np.float64)
    except Exception:  # it worked for the first one
        return None
    return array if array.shape == case.analytic.shape else None
