"""What the mistake probably is: hypotheses about a wrong gradient, tried on its numbers; the first to fit wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.differences import compare_elements
from chainrule.checking.evidence import Evidence
from chainrule.checking.objects import ObjectSession
from chainrule.errors import ShapeError
from chainrule.graph.values import unbroadcast


@dataclass(frozen=True)
class Diagnosis:
    """A code from `mistakes`, what fills in its advice, and how sure it is."""

    code: str
    confidence: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Case:
    """One wrong gradient: at the elements compared, what came (`a`) and what is right (`n`)."""

    evidence: Evidence
    name: str
    analytic: Array
    index: Array
    n: Array
    allowed: Array

    @property
    def a(self) -> Array:
        """What came, at the elements compared."""
        return self.analytic.reshape(-1)[self.index]

    @property
    def x(self) -> Array:
        """The input's values at the elements compared."""
        return np.asarray(self.evidence.subject.values[self.name], np.float64).reshape(-1)[self.index]

    @property
    def wrong(self) -> Array:
        """Which of the elements compared are off."""
        return ~self.near(self.a, self.n)

    def near(self, one: Array, other: Array) -> Array:
        """Which elements agree."""
        with np.errstate(all="ignore"):
            size = np.maximum(np.abs(one), np.abs(other))
            return np.asarray(np.isfinite(size) & (np.abs(one - other) <= self.allowed + 1e-4 * size))

    def fits(self, candidate: Array) -> bool:
        """Whether an array of the input's shape is the right gradient, at the elements compared."""
        if candidate.shape != self.analytic.shape or not self.index.size:
            return False
        return bool(self.near(candidate.reshape(-1)[self.index], self.n).all())

    def is_it(self, candidate: Array) -> bool:
        """Whether an array is what came."""
        if candidate.shape != self.analytic.shape:
            return False
        size = float(np.abs(self.analytic).max(initial=0))
        with np.errstate(all="ignore"):
            return bool(size > 0 and (np.abs(candidate - self.analytic) <= 1e-5 * size).all())

    def at_elements(self, other: Array) -> Array | None:
        """Another array's numbers at the same places, where it has, or can be broadcast to, the input's shape."""
        try:
            return np.broadcast_to(np.asarray(other, np.float64), self.analytic.shape).reshape(-1)[self.index]
        except ValueError:
            return None


Hypothesis = Callable[[Case], Diagnosis | None]


def diagnose(evidence: Evidence, name: str) -> list[Diagnosis]:
    """The likeliest mistake behind a wrong gradient; none where something else that was found explains it.

    A gradient that ignores the upstream one is looked at again as if that were 1: it may be wrong twice.
    """
    if name in evidence.behaviour.explained:
        return []
    if name in evidence.misshapen and evidence.misshapen[name].code == "shape":
        return [_misshapen(evidence, name)]
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


# One number for all elements ------------------------------------------------------------------------------


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
    other = case.evidence.for_other_dy.get(case.name)
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


def constant_of_few(case: Case) -> Diagnosis | None:
    """The same for one or two elements, of which any gradient is nearly a multiple."""
    return _constant(case, at_least=1)


def _constant(case: Case, at_least: int) -> Diagnosis | None:
    a, n = case.a, case.n
    good = np.abs(n) > 100 * case.allowed
    if not a.any() or good.sum() < at_least:
        return None
    ratios = a[good] / n[good]
    k = float(np.median(ratios))
    if not (np.isfinite(k) and k != 0 and case.fits(case.analytic / k)):
        return None
    N = case.evidence.batch
    confidence = 0.5 if good.sum() < 2 else 0.95
    known = _whose_length(case, k)
    if known == "batch":
        if k < 1 and _is_plain_sum(case):
            facts = {"axis": 0, "detail": f"It is averaged over the {N} samples, not summed."}
            return Diagnosis("axis", confidence, facts)
        sure = confidence if N != 2 else 0.6
        return Diagnosis("batch-mean", sure, {"n": N, "factor": k})
    return Diagnosis("factor", confidence, {"factor": k, "detail": known})


def _whose_length(case: Case, k: float) -> str:
    """'batch' where k is N or 1/N, else a sentence about the length it is, or nothing."""
    N = case.evidence.batch
    for value in (k, 1 / k):
        if N > 1 and abs(value - N) < 1e-3 * N:
            return "batch"
    lengths = {length for array in (case.evidence.y, case.analytic) for length in array.shape if length > 2}
    for length in sorted(lengths):
        if abs(k - length) < 1e-3 * length or abs(1 / k - length) < 1e-3 * length:
            return f"{length} is the length of an axis: a sum may stand where a mean belongs, or the reverse."
    return ""


def _is_plain_sum(case: Case) -> bool:
    """Whether the right gradient is dy, summed over the axes along which the input is broadcast."""
    dy = np.asarray(case.evidence.dy, np.float64)
    if dy.shape == case.analytic.shape:
        return False
    try:
        return case.fits(unbroadcast(dy, case.analytic.shape))
    except ShapeError:
        return False


# The right numbers, elsewhere -----------------------------------------------------------------------------


def order(case: Case) -> Diagnosis | None:
    """The gradients of two inputs exchanged."""
    for other, analytic in case.evidence.analytic.items():
        if other == case.name or not case.fits(analytic):
            continue
        index, n, allowed = case.evidence.numerical(other)
        there = Case(case.evidence, other, analytic, index, n, allowed)
        if there.fits(case.analytic):
            return Diagnosis("order", 1.0, {"other": other})
    for other, raw in case.evidence.returned.items():
        unchecked = other != case.name and other not in case.evidence.analytic and isinstance(raw, np.ndarray)
        if unchecked and raw.dtype.kind == "f" and case.fits(raw.astype(np.float64)):
            return Diagnosis("order", 0.9, {"other": other})
    return None


def transposed(case: Case) -> Diagnosis | None:
    """Two axes exchanged."""
    a = case.analytic
    for axes in permutations(range(a.ndim)):
        if (
            axes != tuple(range(a.ndim))
            and a.ndim <= 4
            and case.fits(np.ascontiguousarray(a.transpose(axes)))
        ):
            return Diagnosis("transpose", 0.95)
    return None


def product_transposed(case: Case) -> Diagnosis | None:
    """A matrix product one of whose factors is transposed, or not, where the reverse belongs."""
    right, came = [], []
    for (p, p_name), (q, q_name) in permutations(_matrices(case), 2):
        for one, one_name in ((p, p_name), (p.T, f"{p_name}.T")):
            for two, two_name in ((q, q_name), (q.T, f"{q_name}.T")):
                if one.shape[1] != two.shape[0] or (one.shape[0], two.shape[1]) != case.analytic.shape:
                    continue
                product = one @ two
                if case.fits(product):
                    right.append((p_name, q_name, f"{one_name} @ {two_name}"))
                if case.is_it(product):
                    came.append((p_name, q_name, f"{one_name} @ {two_name}"))
    for p_name, q_name, belongs in right:
        for p_came, q_came, stands in came:
            if {p_name, q_name} == {p_came, q_came}:
                return Diagnosis("transpose", 1.0, {"came": stands, "expected": belongs})
    return None


def _matrices(case: Case) -> list[tuple[Array, str]]:
    found = [(np.asarray(case.evidence.dy, np.float64), "dy")]
    for name, value in case.evidence.subject.values.items():
        if value.ndim == 2 and value.dtype.kind == "f":
            found.append((np.asarray(value, np.float64), name))
    return [(array, name) for array, name in found if array.ndim == 2 and array.size <= 100_000]


# Summed over axes -----------------------------------------------------------------------------------------


def summed_otherwise(case: Case) -> Diagnosis | None:
    """dy summed or averaged over other axes than those along which the input is broadcast."""
    if not _is_plain_sum(case):
        return None
    for axes, mean, reduced in _reductions(np.asarray(case.evidence.dy, np.float64)):
        if reduced.size == case.analytic.size and case.is_it(reduced.reshape(case.analytic.shape)):
            return Diagnosis("axis", 1.0, {"axis": _repeated(case), "detail": _summed(axes, mean)})
        if reduced.size == 1 and case.is_it(np.full(case.analytic.shape, reduced.item())):
            return Diagnosis("axis", 1.0, {"axis": _repeated(case), "detail": _summed(axes, mean)})
    return None


def _repeated(case: Case) -> int | tuple[int, ...] | None:
    """The axis, or the axes, of the output along which the input is repeated."""
    shape, of = case.analytic.shape, case.evidence.y.shape
    extra = len(of) - len(shape)
    axes = [*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and of[extra + i] != 1)]
    if extra < 0 or not axes:
        return None
    return axes[0] if len(axes) == 1 else tuple(axes)


def _reductions(dy: Array) -> Iterator[tuple[tuple[int, ...], bool, Array]]:
    for count in range(1, dy.ndim + 1):
        for axes in combinations(range(dy.ndim), count):
            yield axes, False, dy.sum(axis=axes)
            yield axes, True, dy.mean(axis=axes)


def _summed(axes: tuple[int, ...], mean: bool) -> str:
    over = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
    return f"It is {'averaged' if mean else 'summed'} over {over}."


# The wrong local gradient ---------------------------------------------------------------------------------


def unchanged(case: Case) -> Diagnosis | None:
    """dy itself, though the local gradient is not 1."""
    dy = np.asarray(case.evidence.dy, np.float64)
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
    values, name = dict(case.evidence.subject.values), case.name
    if case.evidence.y.shape != case.analytic.shape:
        return False
    far = 1e4 * np.asarray(values[name], np.float64)
    try:
        y = case.evidence.output({**values, name: far})
    except Exception:  # it does not take such values
        return False
    near = np.asarray(case.evidence.y, np.float64)
    grows = bool(np.all(np.abs(y - far) < 0.05 * np.abs(far) + 1e-3))
    return grows and not case.near(near.reshape(-1)[case.index], case.x).all()


def paths(case: Case) -> Diagnosis | None:
    """One of several paths from the input to the output left out."""
    dy = case.at_elements(case.evidence.dy) if case.evidence.dy.shape == case.analytic.shape else None
    if dy is not None:
        own = np.array([c.slope.own for c in case.evidence.compared[case.name] if not c.kink])
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
    evidence = case.evidence
    other = evidence.for_other_dy.get(case.name)
    if other is None or np.shape(other) != case.analytic.shape:
        return None
    there = np.asarray(other, np.float64).reshape(-1)[case.index]
    scaled = case.at_elements(evidence.other_dy)
    y = case.at_elements(evidence.y)
    if scaled is None or y is None or not (dy != 0).all():
        return None
    size = float(np.abs(case.a).max(initial=0))
    own = np.array([c.slope.own for c in evidence.compared[case.name] if not c.kink])
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
        parts = case.evidence.differences.contributions(case.name, int(index)).ravel()
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


def reduced_otherwise(case: Case) -> Diagnosis | None:
    """The right terms, summed over another axis, as a scale's: (dy * x).sum(axis=1) for axis 0."""
    reductions = _other_reductions(case.evidence, case.name)
    for axes, mean, reduced in reductions:
        if reduced.size == case.analytic.size and case.is_it(reduced.reshape(case.analytic.shape)):
            return Diagnosis("axis", 0.95, {"axis": _repeated(case), "detail": _summed(axes, mean)})
    return None


def _other_reductions(evidence: Evidence, name: str) -> Iterator[tuple[tuple[int, ...], bool, Array]]:
    """The terms of a broadcast input's gradient, one for each output, summed over every choice of axes."""
    shape, size = evidence.shape(name), evidence.subject.values[name].size
    if (
        size > 200
        or evidence.y.ndim == 0
        or shape == evidence.y.shape
        or not _broadcasts(shape, evidence.y.shape)
    ):
        return
    terms = sum(
        (evidence.differences.contributions(name, i) for i in range(size)), np.zeros(evidence.y.shape)
    )
    yield from _reductions(np.asarray(terms))


def transposed_weights(case: Case) -> Diagnosis | None:
    """Right when a square weight is transposed between forward and backward."""
    evidence = case.evidence
    for name, value in evidence.subject.values.items():
        session = replace(evidence.subject, dtype=evidence.settings.dtype).start()
        square = value.ndim == 2 and value.shape[0] == value.shape[1] and value.shape[0] > 1
        if not isinstance(session, ObjectSession) or not square or name not in session.parameters():
            continue
        values = {n: v.copy() for n, v in evidence.values.items()}
        session.forward(values)
        session.replace_parameter(name, np.ascontiguousarray(values[name].T))
        try:
            array = np.asarray(session.backward(evidence.dy.copy()).get(case.name), np.float64)
        except Exception:  # it refuses
            continue
        if case.fits(array):
            return Diagnosis(
                "transpose", 0.95, {"detail": f"With {name}.T in the place of {name} it is right."}
            )
    return None


def _path_through_a_statistic(case: Case) -> Diagnosis | None:
    """A mean's or a variance's path: what is missing is constant along an axis, or grows with the centred input."""
    if case.index.size != case.analytic.size or case.evidence.y.shape != case.analytic.shape:
        return None
    shape = case.analytic.shape
    missing = case.analytic - case.n.reshape(shape)
    size = float(np.abs(missing).max())
    x = np.asarray(case.evidence.subject.values[case.name], np.float64)
    allowed = 1e-4 * size + float(case.allowed.max()) * 10
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
                    "What is missing grows with the distance from the mean: the path through the variance."
                )
                return Diagnosis("fan-out", 0.9, {"detail": detail})
            rest = without - without.mean(axis=axes, keepdims=True)
            if np.prod([shape[i] for i in axes]) > 3 and float(np.abs(rest).max()) <= allowed:
                detail = "The paths through the mean and through the variance are missing."
                return Diagnosis("fan-out", 0.9, {"detail": detail})
    return None


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
    passing = case.at_elements(case.evidence.dy) if case.evidence.dy.shape == case.analytic.shape else None
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


def two_slopes(case: Case) -> Diagnosis | None:
    """The local gradient takes two values, as a leaky ReLU's does, and at some elements the other one is there."""
    dy = case.at_elements(case.evidence.dy) if case.evidence.dy.shape == case.analytic.shape else None
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
    dy = case.at_elements(case.evidence.dy)
    if dy is None:
        return None
    true, came = case.n / dy, case.a / dy
    allowed = case.allowed / np.abs(dy)
    values = {"the output": case.at_elements(case.evidence.y)}
    for name, value in case.evidence.subject.values.items():
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
    evidence = case.evidence
    if evidence.y.shape != case.analytic.shape or len(evidence.subject.differentiable) != 1:
        return None
    there = {**evidence.subject.values, case.name: np.asarray(evidence.y, np.float64)}
    try:
        slopes = np.array([evidence.differences.own_slope(case.name, int(i), there) for i in case.index[:50]])
    except Exception:  # it cannot be computed there
        return None
    came, allowed = came[:50], allowed[:50]
    if np.isfinite(slopes).all() and (np.abs(came - slopes) <= allowed + 1e-4 * np.abs(slopes)).all():
        detail = "The local gradient is that at the output, where that at the input belongs."
        return Diagnosis("value-for-gradient", 0.9, {"detail": detail})
    return None


# A wrong shape --------------------------------------------------------------------------------------------


def _misshapen(evidence: Evidence, name: str) -> Diagnosis:
    """The mistake behind a gradient of another shape than its input's."""
    problem, shape = evidence.misshapen[name], evidence.shape(name)
    came = problem.array
    facts: dict[str, Any] = {"came": problem.came, "expected": problem.expected}
    if came.size == 0 or problem.is_no_array:
        return Diagnosis("shape", 1.0, facts)
    index, n, allowed = evidence.all_slopes(name)
    case = Case(evidence, name, np.zeros(shape), index, n, allowed)
    try:
        if case.fits(unbroadcast(came, shape)):
            return Diagnosis("broadcast", 1.0, {**facts, "axis": _repeated(case)})
    except ShapeError:
        pass
    for other, its in evidence.misshapen.items():
        exchanged = its.array.shape == shape and came.shape == evidence.shape(other)
        if other != name and exchanged and case.fits(its.array):
            return Diagnosis("order", 1.0, {**facts, "other": other})
    for axes in permutations(range(came.ndim)):
        if came.ndim <= 4 and case.fits(np.ascontiguousarray(came.transpose(axes))):
            return Diagnosis("transpose", 1.0, facts)
    if came.size == case.analytic.size and case.fits(came.reshape(shape)):
        return Diagnosis("shape", 1.0, {**facts, "detail": "The numbers are right; reshape them."})
    dy = np.asarray(evidence.dy, np.float64)
    repeated = _repeated(case) is not None
    for axes, mean, reduced in _reductions(dy) if repeated else ():
        if reduced.size == came.size and np.allclose(reduced.reshape(came.shape), came, rtol=1e-5, atol=0):
            return Diagnosis("axis", 1.0, {"axis": _repeated(case), "detail": _summed(axes, mean)})
    for axes, mean, reduced in _other_reductions(evidence, name):
        if reduced.size == came.size and np.allclose(reduced.reshape(came.shape), came, rtol=1e-5, atol=1e-9):
            return Diagnosis("axis", 1.0, {"axis": _repeated(case), "detail": _summed(axes, mean)})
    if repeated and (came.size == 1 or (came.ndim == 1 and came.shape[0] in dy.shape and len(shape) == 1)):
        return Diagnosis("axis", 0.7, {"axis": _repeated(case)})
    if came.shape == dy.shape and _broadcasts(shape, dy.shape):
        return Diagnosis("broadcast", 0.8, facts)
    if came.shape == shape[::-1]:
        return Diagnosis("transpose", 0.7, facts)
    return Diagnosis("shape", 1.0, facts)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


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
