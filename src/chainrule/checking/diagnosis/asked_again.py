"""What the backward gives for upstream gradients that tell: what mixes samples, what lacks a term, what is J dy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.checking.diagnosis.case import Case, Diagnosis
from chainrule.checking.diagnosis.where import TILES, tail_of
from chainrule.checking.precision import lowest, rounded

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
        moves = np.abs(first - second) > 1e-3 * np.abs(x).max(initial=0)
        if moves.mean() > (0.1 if moves.sum() > 2 else 0.5):  # a sum reaches more than single elements
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


def part_left_out(case: Case) -> Diagnosis | None:
    """What came is the slope for an upstream gradient that is 0 in a part: backward does not use that part.

    That of one of several outputs, or the first or the last indices of an axis, as where only the last block of a
    sum is kept, or is lost.
    """
    check, dy = case.check, np.array(case.check.dy, np.float64)
    chosen = case.index[case.wrong][:LOOKED_AT]
    if not dy.ndim or not chosen.size:
        return None

    def lacks(part: Array) -> bool:
        return _is_right_for(case, np.where(part, 0, dy), case.analytic, chosen)

    names, start = check.output_sizes, 0
    for k, (name, size) in enumerate(names.items() if len(names) > 1 else ()):
        part = np.arange(dy.size) // size == -1
        part[start : start + size] = True
        start += size
        if lacks(part):
            what = name or f"output {k + 1}"
            detail = f"It is right where the dy of {what} is 0: backward leaves that one out."
            return Diagnosis("fan-out", 0.95, {"detail": detail})
    flat = (dy.size // dy.shape[-1], dy.shape[-1]) if dy.size else dy.shape
    for shape in dict.fromkeys([flat, dy.shape]):
        for axis, last in product(range(len(shape)), (False, True)):
            end = _End(shape[axis], last)
            part = np.zeros(shape, bool)
            np.moveaxis(part, axis, 0)[end.part(_unused(case, shape, axis, end))] = True
            if part.any() and lacks(part.reshape(dy.shape)):
                what = "rows" if axis == 0 and shape == flat else f"indices of axis {axis}"
                detail = f"It does not use dy at {end.said} {what} of the output."
                return Diagnosis(end.code, 0.9, {"detail": detail})
    return None


@dataclass
class _End:
    """The first or the last indices along an axis, and how many of them have no say."""

    length: int
    last: bool
    count: int = 0

    def part(self, count: int) -> slice:
        self.count = count
        return slice(self.length - count, None) if self.last else slice(count)

    @property
    def said(self) -> str:
        return f"the {'last' if self.last else 'first'} {self.count} of the {self.length}"

    @property
    def code(self) -> str:
        """Whether it ends at the last, partial block."""
        return (
            "tail"
            if tail_of(self.length, self.length - self.count if self.last else self.count)
            else "fan-out"
        )


def _unused(case: Case, shape: Shape, axis: int, end: _End) -> int:
    """How many of the first or the last indices along an axis can have another dy, with no effect."""
    check = case.check

    def is_used(count: int) -> bool:
        moved = np.array(check.dy, np.float64).reshape(shape)
        np.moveaxis(moved, axis, 0)[end.part(count)] *= -0.5
        came = _gradient(case, check.as_given(rounded(moved.reshape(check.dy.shape), check.dtype)))
        return came is None or not np.array_equal(came, case.analytic)

    return _most(end.length, is_used)


def _most(length: int, is_used: Callable[[int], bool]) -> int:
    """The largest count that is not used, where a larger one is used as soon as a smaller one is; 0 if none is."""
    if length < 2 or is_used(1) or not is_used(length):
        return 0
    low, high = 1, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_used(middle) else (middle, high)
    return low


def rows_left_out(case: Case) -> Diagnosis | None:
    """It does not depend on some rows of another input, where the slopes do."""
    check, wrong = case.check, np.flatnonzero(case.wrong)[:LOOKED_AT]
    for other in check.data:
        value = check.target.values[other]
        if other == case.name or value.ndim < 2 or not wrong.size or not value.size:
            continue
        along = np.cos(np.arange(value.size)).reshape(value.shape)
        moved = check.as_held(other, value + 0.5 * check.differences.scale[other] * along)
        for last in (False, True):
            end = _End(value.size // value.shape[-1], last)

            def with_moved(
                count: int, other: str = other, moved: Array = moved, end: _End = end
            ) -> dict[str, Array]:
                some = check.target.values[other].copy()
                some.reshape(-1, some.shape[-1])[end.part(count)] = moved.reshape(-1, some.shape[-1])[
                    end.part(count)
                ]
                return {**check.target.values, other: some}

            def is_used(count: int) -> bool:
                came = _gradient(case, check.dy, with_moved(count))  # it is called at once
                return came is None or not np.array_equal(came, case.analytic)

            values = with_moved(_most(end.length, is_used))
            if not end.count:
                continue
            there = check.differences_at(values, check.dy, measured=False)
            slopes = [there.best_element(case.name, int(i), check.accuracy).value for i in case.index[wrong]]
            if (np.abs(slopes - case.n[wrong]) > 3 * case.allowed[wrong]).mean() > 0.5:
                detail = f"It does not depend on {end.said} rows of {other}, and should."
                return Diagnosis(end.code, 0.85, {"detail": detail})
    return None


def block_left_out(case: Case) -> Diagnosis | None:
    """Right for an upstream gradient that is 0 in the last, partial block of an axis: a sum lacks that block."""
    check, y = case.check, case.check.y
    chosen = case.index[case.wrong][:LOOKED_AT]
    for axis, length in enumerate(y.shape):
        for tile in TILES:
            first = length - length % tile
            if not 0 < first < length or chosen.size < 2:
                continue
            dy = np.array(check.dy, np.float64)
            np.moveaxis(dy, axis, 0)[first:] = 0
            came = _gradient(case, check.as_given(dy))
            if came is None:
                return None
            if _is_right_for(case, dy, came, chosen):
                detail = (
                    f"It is right where the last {length - first} of {length} along axis {axis} of dy are 0: a sum "
                    f"lacks these."
                )
                return Diagnosis("tail", 0.85, {"detail": detail})
    return None


def rounds_inside(case: Case) -> Diagnosis | None:
    """The backward rounds more coarsely than the forward: its gradients jump where inputs move a little."""
    check = case.check
    noise = check.noise_of_gradient(case.name)
    coarse = lowest([noise.dtype, check.accuracy])
    off = np.abs(case.a - case.n)
    if (
        coarse == check.accuracy
        or not (off <= 30 * noise.absolute.reshape(-1)[case.index] + case.allowed).all()
    ):
        return None
    detail = f"Its backward rounds to {coarse} somewhere inside: what it keeps, or what it adds up."
    return Diagnosis("dtype", 0.8, {"came": coarse, "expected": check.accuracy, "detail": detail})


def _is_right_for(case: Case, dy: Array, came: Array, chosen: Array) -> bool:
    """Whether a gradient is that for another upstream one, at some elements: the first two tell nearly always."""
    check = case.check
    for some in (chosen[:2], chosen[2:]):
        slopes, allowed = check.slopes_for(case.name, dy, some)
        off = np.abs(came.reshape(-1)[some] - slopes)
        if not (off <= allowed + check.resolution * np.abs(slopes)).all():
            return False
    return True


def _gradient(case: Case, dy: Array, values: Mapping[str, Array] | None = None) -> Array | None:
    """The gradient for another upstream one, or at other values; None where there is none of the input's shape."""
    check = case.check
    given = (
        check.values if values is None else {n: v.astype(check.values[n].dtype) for n, v in values.items()}
    )
    try:
        array = np.asarray(check.gradients(given, dy)[case.name], np.float64)
    except Exception:  # it worked for the first one
        return None
    return array if array.shape == case.analytic.shape else None
