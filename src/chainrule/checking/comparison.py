"""Comparing: each gradient that came is held against slopes, element by element or along random directions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.checking.context import Check, Misshapen
from chainrule.checking.differences import ALONG_DIRECTION, OF_SLOPE, Differences
from chainrule.checking.elements import Compared, compare_elements, directions, hold_along, ties_agree
from chainrule.checking.precision import epsilon, rounded
from chainrule.checking.report import Verdict
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast

#: Up to so many elements of an input each one is compared, and up to so many where something disagrees; above, a
#: sample of them, and the slopes along some random directions.
EVERY_ELEMENT, EVERY_WHEN_WRONG = 1000, 2000
#: How many are in a sample, at least and at most, and the same where something disagrees.
SAMPLED, SAMPLED_WHEN_WRONG = (8, 32), (32, 256)
#: So much work goes into the elements of one input: elements times the numbers that one forward reads and writes.
#: Where something disagrees, ten times as much.
WORK = 10_000_000
DIRECTIONS = 3


def upstream_for(y: Array, seed: int, dtype: str) -> Array:
    """A random upstream gradient, of numbers that a dtype holds: none near 0, and one number alone not near 1."""
    rng = np.random.default_rng([seed, 1])
    if y.size == 1:
        return rounded(rng.uniform(1.3, 2.7, y.shape), dtype)
    return rounded(rng.normal(size=y.shape) + np.where(rng.random(y.shape) < 0.5, -0.5, 0.5), dtype)


def compare(check: Check) -> None:
    """Compare the gradients of all differentiable inputs; each has its row. Notes of kinks are added."""
    for name in check.target.differentiable:
        raw = check.returned.get(name)
        if raw is None:
            wanted = check.target.differentiable
            came = sum(check.returned.get(each) is not None for each in wanted)
            facts = {"expected": f"{len(wanted)} gradients", "came": str(came)}
            check.add("missing", name, facts=facts)
            check.row(name, "not checked")
            continue
        array = _as_gradient(check, name, raw)
        if array is None:
            check.row(name, "wrong")
            continue
        check.analytic[name] = array
        found = _compared(check, name, array, check.differences_for(name))
        if found[0] == "wrong" and check.forward_is_wrong:  # it may be right for the forward as it is
            by_reference = check.compared[name], check.along[name]
            own = _compared(check, name, array, check.differences)
            if own[0] == "wrong":
                check.compared[name], check.along[name] = by_reference
            else:
                found = own
                check.said.append(
                    f"The gradient of {name} is that of the forward as it is, not of the reference."
                )
        check.row(name, *found)
        kinks = [each for each in check.compared.get(name, ()) if each.is_kink]
        if found[0] == "kink":
            detail = f"{len(kinks)} element{' stands' if len(kinks) == 1 else 's stand'} at such a place."
            check.add_compared("kink", name, kinks[0], severity="note", facts={"detail": detail})


def _as_gradient(check: Check, name: str, raw: Any) -> Array | None:
    """A returned gradient in its input's shape. None where it has another: `misshapen` keeps it."""
    array, came = returned_array(raw, check.shape(name), check.target.handwritten)
    exact = not isinstance(raw, np.ndarray)  # the plain number 0, or 2: nothing was cut off
    if came is not None and not exact and _is_coarser(came.dtype, check.accuracy):
        check.add("dtype", name, facts={"came": str(came.dtype), "expected": check.dtype})
    if came is None:
        expected = f"an array of shape {check.shape(name)}"
        check.misshapen[name] = Misshapen(type(raw).__name__, expected, np.zeros(()), is_no_array=True)
    elif array is None:
        check.misshapen[name] = Misshapen(str(came.shape), str(check.shape(name)), came.astype(np.float64))
    return array


def _is_coarser(dtype: np.dtype[Any], accuracy: str) -> bool:
    return dtype.kind != "f" or np.finfo(dtype).eps > 2 * epsilon(accuracy)


def returned_array(raw: Any, shape: Shape, handwritten: bool) -> tuple[Array | None, Array | None]:
    """A returned gradient as float64 of the input's shape, and as the array that came; None where it is neither."""
    try:
        came = np.asarray(raw)
    except ValueError:
        return None, None
    if came.dtype.kind not in "fiub":
        return None, None
    wide = came.astype(np.float64)
    if wide.shape == shape:
        return wide, came
    if not handwritten:
        try:
            return unbroadcast(wide, shape), came
        except ShapeError:
            pass
    if wide.size == math.prod(shape) == 1:  # a number where an array of one number was wanted, or the reverse
        return wide.reshape(shape), came
    return None, came


def _compared(
    check: Check, name: str, analytic: Array, differences: Differences
) -> tuple[Verdict, float | None, float | None]:
    """Compare one gradient: the verdict, the error, and how sharp that was. What was compared is kept."""
    size, accuracy = analytic.size, check.accuracy
    rng = np.random.default_rng([check.seed, len(check.rows)])
    tried = check.along[name] = []
    if size == 0:
        return "ok", None, None
    by_directions = differences.is_rough or check.dtype != "float64"
    at_first, when_wrong = WORK // check.work, 10 * WORK // check.work
    sampled = int(np.clip(at_first, *SAMPLED))
    few = size > min(EVERY_ELEMENT, at_first)
    few_when_wrong = size > SAMPLED[1] and size > min(EVERY_WHEN_WRONG, when_wrong)
    few = size > sampled and (few or differences.is_rough or check.target.native)
    failing = None
    for direction in _directions(analytic, few, by_directions, rng):
        tried.append(hold_along(differences, name, analytic, direction, accuracy))
        if not tried[-1].agrees:
            failing = direction
            break

    def elements(chosen: Array) -> list[Compared]:
        found = check.compared[name] = compare_elements(differences, name, chosen, analytic, accuracy)
        return found

    if failing is None:
        compared = elements(_sample(analytic, sampled, rng) if few else np.arange(size))
    if not few_when_wrong and (failing is not None or not all(each.agrees for each in compared)):
        compared = elements(np.arange(size))
    elif failing is not None:
        hidden = _bisect(differences, name, analytic, failing, accuracy)
        compared = elements(
            np.union1d(_sample(analytic, int(np.clip(when_wrong, *SAMPLED_WHEN_WRONG)), rng), hidden)
        )
    if accuracy != "float64" and not few_when_wrong:
        _excuse(check, name, compared)
    # Where the forward is rough, the noise of single elements hides more than that of a direction.
    by_elements = len(compared) == size and not differences.is_rough
    if failing is not None and by_elements and _is_their_sum(compared, analytic, failing, accuracy):
        failing = None  # along a direction the function bends sooner than along one axis
    kinks = [each for each in compared if each.is_kink]
    failed = [each for each in compared if not each.agrees and not each.kink]
    if len(kinks) > 1 and not failed and not ties_agree(differences, name, kinks, analytic, accuracy):
        for each in kinks:
            each.kink = False
        failed, kinks = kinks, []
    by_itself = by_directions and (differences.is_rough or not any(each.kink for each in compared))
    is_wrong = failed or (failing is not None and by_itself)  # slopes along a direction know nothing of kinks
    verdict: Verdict = "wrong" if is_wrong else "kink" if kinks else "ok"
    if not is_wrong and not any(each.is_defined for each in compared):
        verdict = "not checked"
    error = max(failed, key=lambda each: each.off).error if failed else _largest_error(compared)
    sharp = [each.sharpness for each in compared] + [each.sharpness for each in tried if by_directions]
    sharpness = min(sharp)
    if sharpness <= 1 or is_wrong:
        return verdict, error, sharpness if math.isfinite(sharpness) else None
    least = 64 * epsilon(accuracy) * float(np.abs(check.dy).max(initial=0)) * math.sqrt(check.y.size)
    noise = min((each.allowed for each in compared if each.is_defined), default=0.0)
    is_hidden = noise > least and all(each.allowed > each.slope.terms for each in compared)
    if differences.is_rough and (is_hidden or float(np.abs(analytic).max()) > least):
        check.said.append(
            f"The noise of {check.target.name} hides the gradient of {name}: any would have passed. Against a "
            f"plain forward in float64, reference=..., it shows."
        )
        check.target = replace(check.target, uncompared=(*check.target.uncompared, name))
        return "not checked", error, None
    return verdict, None, None  # it is 0, and how far from that is no relative error


def _excuse(check: Check, name: str, compared: list[Compared]) -> None:
    """Let a few elements pass that are off by no more than backward itself rounds there.

    Where large terms cancel, as where two numbers of nearly the same size are normalized, one element has no more
    digits than that, and slopes do not show how large the terms were.
    """
    wrong = [each for each in compared if not each.agrees and not each.kink]
    if 0 < len(wrong) <= max(1, len(compared) // 10):
        noise = check.noise_of_gradient(name).absolute.reshape(-1)
        for each in wrong:
            each.agrees = bool(each.off <= 10 * noise[each.index] + each.allowed)


def _is_their_sum(compared: list[Compared], analytic: Array, direction: Array, dtype: str) -> bool:
    """Whether a gradient's slope along a direction is what the slopes of all its elements add up to."""
    if not all(each.agrees and each.is_defined for each in compared):
        return False
    terms = (analytic * direction).reshape(-1)
    slope = sum(each.slope.value * float(direction.flat[each.index]) for each in compared)
    unsure = sum(each.slope.unsure * abs(float(direction.flat[each.index])) for each in compared)
    allowed = ALONG_DIRECTION[dtype] * float(np.linalg.norm(terms)) + OF_SLOPE[dtype] * abs(slope) + unsure
    return abs(float(terms.sum()) - slope) <= allowed


def _directions(
    analytic: Array, is_sampled: bool, is_rough: bool, rng: np.random.Generator
) -> Iterator[Array]:
    """The directions to hold a gradient along: random ones where not all elements are compared, and in the last
    slice of each axis, where a partial block would be; its own signs where noise hides all that is smaller.
    """
    if is_rough:
        yield np.where(analytic < 0, -1.0, 1.0)
    if is_sampled or is_rough:
        yield from directions(analytic.shape, DIRECTIONS, rng)
    if is_sampled:
        for axis, length in enumerate(analytic.shape):
            if length > 1:
                last = np.zeros(analytic.shape)
                np.moveaxis(last, axis, 0)[-1] = 1.0
                yield last * directions(analytic.shape, 1, rng)[0]


def _largest_error(compared: list[Compared]) -> float:
    """Of the elements that agree, the largest difference, relative to the largest gradient."""
    agreeing = [each for each in compared if each.agrees]
    size = max((abs(each.slope.value) for each in agreeing), default=0.0)
    off = max((abs(each.analytic - each.slope.value) for each in agreeing), default=0.0)
    return off / size if size else 0.0


def _sample(analytic: Array, count: int, rng: np.random.Generator) -> Array:
    """Flat indices: half of them single ones, half of them in whole rows where these are not too long."""
    size = analytic.size
    if size <= count:
        return np.arange(size)
    single = rng.choice(size, count, replace=False)
    length = analytic.shape[-1] if analytic.ndim else 1
    if length > count // 2:
        return np.sort(single)
    rows = rng.choice(size // length, max(1, count // 2 // length), replace=False)
    whole = (rows[:, None] * length + np.arange(length)).ravel()
    return np.union1d(single[: count // 2], whole)


def _bisect(
    differences: Differences, name: str, analytic: Array, direction: Array, dtype: str, most: int = 4
) -> Array:
    """Flat indices where the gradient is off: a direction that disagrees is halved until one element is left."""
    found: list[int] = []
    waiting = [(0, direction.size)]
    tries = 0
    while waiting and len(found) < most and tries < 200:
        start, stop = waiting.pop()
        if stop - start == 1:
            found.append(start)
            continue
        middle = (start + stop) // 2
        for part in ((start, middle), (middle, stop)):
            tries += 1
            partial = np.zeros_like(direction)
            partial.reshape(-1)[part[0] : part[1]] = direction.reshape(-1)[part[0] : part[1]]
            if not hold_along(differences, name, analytic, partial, dtype).agrees:
                waiting.append(part)
    return np.array(found, dtype=np.intp)
