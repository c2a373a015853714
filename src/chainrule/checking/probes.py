"""Further questions to a loss, and to all: at large inputs, and with the answers in other forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.behaviour import directional_error
from chainrule.checking.comparison import returned_array
from chainrule.checking.context import Check
from chainrule.checking.differences import Differences
from chainrule.checking.elements import Compared, compare_elements

#: How much larger than the inputs given those are at which overflow is looked for.
FAR = 1000.0
#: The sizes of the logits at which a loss is looked at again, and of how many of them: probabilities from exp(-8)
#: down to such as are 0 in floating point.
LOGITS = (8.0, 30.0, 100.0, 300.0, 1000.0)
LOGITS_TRIED = 32


def probe(check: Check) -> None:
    """Ask; what is wrong becomes a finding."""
    told = {finding.mistake for finding in check.findings if finding.severity == "error"}
    if "not-finite" not in told and not check.target.work:  # the nodes of a graph are asked by themselves
        _far_out(check)
    target = check.target
    if target.answers is None or check.y.size != 1:
        return
    if "not-finite" not in told:
        _large_logits(check)
    if target.handwritten and not target.native:  # a kernel may read beyond labels of another form
        _labels_in_other_forms(check)


def _predictions(check: Check) -> str | None:
    return next(iter(check.target.differentiable), None)


def _scaled(check: Check, factor: float, names: list[str]) -> dict[str, Array]:
    values = check.values
    return {n: (v * np.asarray(factor, v.dtype) if n in names else v) for n, v in values.items()}


def _data(check: Check) -> list[str]:
    """The inputs that are no parameters and no answers."""
    own = set(check.target.parameters)
    layer = getattr(check.target, "layer", None)
    own |= set(layer.parameters()) if layer is not None else set()
    return [n for n in check.target.differentiable if n not in own and n != check.target.answers]


def _far_out(check: Check) -> None:
    """At inputs 1000 times as large, nothing may overflow on the way to a number that float64 can hold.

    Infinity and NaN are no mistake by themselves: exp(1000) is too large, and arcsin(500) is not defined. They are
    one where the same code, computed with a wider range of exponents, gives numbers: log(1 + exp(1000)) is 1000.
    """
    wider = np.finfo(np.longdouble).maxexp > np.finfo(np.float64).maxexp
    names = _data(check)
    if check.dtype != "float64" or not names or not wider:  # not every machine has wider numbers
        return
    values = _scaled(check, FAR, names)
    at = f"At inputs {FAR:g} times as large as those given"
    y, gradients = _both(check, values, np.float64)
    if y is None:
        return
    if not np.isfinite(y).all():
        y_wide, _ = _both(check, values, np.longdouble)
        if y_wide is not None and np.isfinite(y_wide).all():
            came = "NaN" if np.isnan(y).any() else "infinite"
            detail = f"{at}, the output is {came}, and would be a number that float64 can hold."
            check.add("not-finite", names[0], facts={"detail": detail})
        return
    wrong = [name for name, gradient in gradients.items() if np.isnan(gradient).any()]
    if wrong:
        _, in_wide = _both(check, values, np.longdouble)
        for name in wrong:
            if name in in_wide and np.isfinite(in_wide[name]).all():
                check.add("not-finite", name, facts={"detail": f"{at}, the gradient of {name} is NaN."})
                return


def _both(
    check: Check, values: dict[str, Array], dtype: type[np.floating[Any]]
) -> tuple[Array | None, dict[str, Array]]:
    """Output and gradients, computed in a dtype, then as float64; None, and nothing, where that fails."""
    given = {n: v.astype(dtype) if is_float(v) else v.copy() for n, v in values.items()}
    gradients: dict[str, Array] = {}
    try:
        calls = check.target.start()
        y = np.array(calls.forward(given)).astype(np.float64)
    except (Exception, SystemExit):  # a function may refuse such inputs
        return None, gradients
    try:
        returned = calls.backward(check.dy.astype(dtype))
    except (Exception, SystemExit):  # it does work at the inputs given
        return y, gradients
    for name, raw in returned.items():
        if raw is not None and name in check.analytic and np.isfinite(check.analytic[name]).all():
            array, _ = returned_array(raw, check.shape(name), check.target.handwritten)
            if array is not None:
                gradients[name] = array
    return y, gradients


def _large_logits(check: Check) -> None:
    """Where the loss is large, forward and backward still have to be of one formula, for all sizes of logits.

    Asked only where the gradient is right at the values given, apart from an upstream gradient that is ignored, and
    where these are logits: numbers from 0 to 1 may be probabilities, which cannot be large.
    """
    name = _predictions(check)
    if name is None:
        return
    known = {f.mistake for f in check.findings if f.input == name and f.severity == "error"}
    x = np.asarray(check.target.values[name], np.float64)
    if not known <= {"upstream-ignored", "mutates-upstream", "mutates-input"} or ((x >= 0) & (x <= 1)).all():
        return
    if check.reference is None and check.accuracy in ("float16", "bfloat16"):
        return  # there, differences of large numbers show nothing
    rng = np.random.default_rng([check.seed, 5])
    spread = np.sign(x) * rng.uniform(0.6, 1.0, x.shape)
    for size in LOGITS:
        worst = _off_at(check, name, check.as_held(name, size * spread))
        if worst is not None:
            infinite = next((far for far in LOGITS if not _is_finite_at(check, name, far * spread)), None)
            if infinite is not None:
                detail = f"At logits of about ±{infinite:g} the loss is not finite."
                check.add("not-finite", name, facts={"detail": detail})
                return
            detail = f"It shows at logits of about ±{size:g}, not at those given."
            check.add_compared("loss-disagrees", name, worst, confidence=0.9, facts={"detail": detail})
            return


def _is_finite_at(check: Check, name: str, x: Array) -> bool:
    try:
        return bool(np.isfinite(check.output({**check.target.values, name: check.as_held(name, x)})).all())
    except Exception:  # it may refuse such predictions
        return True


def _off_at(check: Check, name: str, x: Array) -> Compared | None:
    """The element at which the gradient is furthest off, for other predictions; None where it is right."""
    values, dy = {**check.target.values, name: x}, np.asarray(check.dy, np.float64)
    try:
        raw = check.gradients(values, dy).get(name)
        y = check.output(values)
    except Exception:  # it may refuse such predictions
        return None
    if raw is None or not np.isfinite(y).all():
        return None
    array, _ = returned_array(raw, x.shape, check.target.handwritten)
    if array is None:
        return None
    if check.explained or _ignores_upstream(check, name):
        array = array * dy.reshape(-1)[0]
    rng, reference = np.random.default_rng([check.seed, 6]), check.reference
    plain = None if reference is None else Differences(reference.output, values, dy)
    differences = plain or check.differences_at(values, dy)
    chosen = np.sort(rng.permutation(array.size)[:LOGITS_TRIED])
    compared = compare_elements(differences, name, chosen, array, check.accuracy)
    scale = float(np.abs(array).max(initial=0))
    bad = [c for c in compared if not c.agrees and not c.kink and c.off > 1e-3 * scale > 0]
    return max(bad, key=lambda each: each.off, default=None)


def _ignores_upstream(check: Check, name: str) -> bool:
    other, first = check.for_other_dy.get(name), check.returned.get(name)
    try:
        return (
            other is not None
            and bool(np.any(first))  # 0 is 0 for every dy
            and bool(np.allclose(np.asarray(other), np.asarray(first), rtol=1e-7, atol=0))
        )
    except (TypeError, ValueError):
        return False


def _labels_in_other_forms(check: Check) -> None:
    """Labels as (N,), as (N, 1) and one-hot mean the same: a loss may refuse a form, but not misread it."""
    answers, name = check.target.answers, _predictions(check)
    if answers is None or name is None:
        return
    x, t = check.target.values[name], check.target.values[answers]
    labels = _as_labels(x, t)
    if labels is None:
        return
    forms: dict[str, Array] = {
        "(N,)": labels,
        "(N, 1)": labels[:, None],
        "one-hot": np.eye(x.shape[1])[labels],
    }
    given = "(N,)" if t.shape == labels.shape else "(N, 1)" if t.shape == (len(t), 1) else "one-hot"
    forms[given] = t
    losses: dict[str, float] = {}
    for form, each in forms.items():
        try:
            y = check.output({**check.target.values, answers: each})
        except Exception:  # refused: that is right, too
            continue
        if y.size == 1 and np.isfinite(y).all():
            losses[form] = float(y.reshape(-1)[0])
    right = {form for form in losses if _agrees_with_itself(check, answers, forms[form])}
    trusted = (
        losses[given] if given in right else next((losses[form] for form in forms if form in right), None)
    )
    of_classes = given != "one-hot" or sum(_near(losses[given], loss) for loss in losses.values()) > 1
    if not of_classes:  # it may be a loss of other things than classes, such as of many labels
        of_classes = _is_nothing_without_answers(check, answers, t)
    if trusted is None or not (of_classes or given not in right):
        return
    for form, loss in losses.items():
        if not _near(loss, trusted):
            detail = (
                f"With the same labels, the loss is {trusted:.4g}, and {loss:.4g} when they come as {form}."
            )
            severity: Any = "error" if form == given else "warning"
            facts = {"came": form, "detail": detail}
            if form == given:  # that explains what had no name yet
                check.findings[:] = [each for each in check.findings if each.mistake != "unknown"]
            check.add("label-shape", answers, severity=severity, confidence=0.9, facts=facts)


def _agrees_with_itself(check: Check, answers: str, t: Array) -> bool:
    """Whether the gradient is that of the loss, with the answers in another form."""
    name = _predictions(check)
    if name is None:
        return False
    values = {**check.values, answers: t}
    rng = np.random.default_rng(5)
    dy = np.ones_like(check.dy)  # one that ignores it may still read its labels right
    off = directional_error(check, values, dy, [name], rng)
    return off is not None and off < 1e-4


def _is_nothing_without_answers(check: Check, answers: str, t: Array) -> bool:
    """Whether the loss is 0 where all answers are: a sum of t * log(p) is, a loss of many labels is not."""
    try:
        y = check.output({**check.target.values, answers: np.zeros(t.shape)})
    except Exception:  # it refuses them
        return True
    return bool(np.all(y == 0))


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-4 * max(abs(one), abs(other))


def _as_labels(x: Array, t: Array) -> Array | None:
    """The labels that t stands for, as (N,), for predictions x of shape (N, K); None if t is something else."""
    if x.ndim != 2 or x.shape[1] < 2:
        return None
    n, k = x.shape
    whole = not is_float(t) or bool(np.all(t == np.round(t)))
    if not whole:
        return None
    if t.shape == (n, k) and bool(np.isin(t, (0, 1)).all()) and bool((t.sum(axis=1) == 1).all()):
        return np.asarray(t.argmax(axis=1))
    if t.shape in ((n,), (n, 1)) and t.min(initial=0) >= 0 and t.max(initial=0) < k:
        return t.reshape(-1).astype(np.int64)
    return None
