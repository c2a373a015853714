"""How a subject behaves when it is used twice, handed arrays of others, or given other weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.subjects import Returned, Session, Subject


@dataclass
class Behaviour:
    """What was seen: findings, and how the forward has to be called for slopes to make sense."""

    observed: list[dict[str, Any]] = field(default_factory=list)
    #: The forward gives another result every time, even from a new session.
    random: bool = False
    #: The forward depends on what its session did before, so that each slope needs a new session.
    fresh_each_time: bool = False
    #: Forward or backward writes to what it is given.
    writes: bool = False
    #: The inputs whose gradient is wrong because of something observed, and needs no other name.
    explained: set[str] = field(default_factory=set)

    def add(self, mistake: str, input: str | None = None, **details: Any) -> None:
        """Remember a finding."""
        self.observed.append({"mistake": mistake, "input": input, **details})


def watch(
    subject: Subject, settings: Any, y: Array, dy: Array, returned: Returned, session: Session
) -> Behaviour:
    """Use the subject again in several ways, and compare what it gives with its first answers."""
    seen = Behaviour()
    values = {
        n: v.astype(settings.dtype, copy=False) if is_float(v) else v for n, v in subject.values.items()
    }
    first = _kept(returned)
    subject = replace(subject, dtype=settings.dtype)
    _aliases(seen, subject, values, dy)
    _repeats(seen, subject, values, y)
    if seen.random or seen.explained:
        return seen
    _backward_twice(seen, dy, first, session)
    _used_before(seen, subject, values, dy, first)
    _other_values(seen, subject, values, dy)
    return seen


def _kept(returned: Returned) -> dict[str, Array]:
    """Copies of the gradients, so that a later backward does not change them."""
    kept: dict[str, Array] = {}
    for name, value in returned.items():
        if value is not None:
            try:
                array = np.asarray(value)
                if array.dtype.kind in "fiub":
                    kept[name] = np.array(array, dtype=np.float64)
            except (TypeError, ValueError):
                continue
    return kept


def _copies(values: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.copy() for name, value in values.items()}


def _same(a: Array, b: Array) -> bool:
    if a.shape != b.shape:
        return False
    size = max(float(np.abs(a).max(initial=0)), float(np.abs(b).max(initial=0)))
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(a - b) <= 1e-6 * size) | (a == b) | (np.isnan(a) & np.isnan(b))))


def _aliases(seen: Behaviour, subject: Subject, values: Mapping[str, Array], dy: Array) -> None:
    """Whether arrays that were handed over are written to, or come back as they are."""
    session = subject.start()
    given = _copies(values)
    session.forward(given)
    written = {name for name in given if not _same_bits(given[name], values[name])}
    for name in sorted(written):
        seen.writes = True
        seen.add("mutates-input", name, facts={"detail": f"The forward wrote to {name}."})
    weights = {name: value.copy() for name, value in session.parameters().items()}
    given = _copies(values)
    session = subject.start()
    session.forward(given)
    after_forward, upstream = _copies(given), dy.copy()
    returned = session.backward(upstream)
    if not _same_bits(upstream, dy):
        seen.writes = True
        seen.add("mutates-upstream", _first_differentiable(subject))
    elif subject.handwritten and dy.ndim:
        for name, gradient in returned.items():
            if gradient is upstream:
                seen.add("aliases-upstream", name, severity="warning")
    for name in given:
        if name not in written and not _same_bits(given[name], after_forward[name]):
            seen.writes = True
            seen.add("mutates-input", name, facts={"detail": f"The backward wrote to {name}."})
    for name, value in session.parameters().items():
        if name in weights and not _same_bits(np.asarray(value), weights[name]):
            seen.writes = True
            seen.explained |= set(subject.values)
            seen.add(
                "stale-weights",
                name,
                facts={"detail": f"The backward changed {name} itself, before it was done."},
            )


def _same_bits(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _first_differentiable(subject: Subject) -> str | None:
    return next(iter(subject.differentiable), None)


def _moved(
    subject: Subject, values: Mapping[str, Array], of: list[str], sign: float = 1.0
) -> dict[str, Array]:
    """Other values of the same shapes: each float input in `of` is turned around and scaled a little."""
    moved = _copies(values)
    for name in of:
        value = moved[name]
        turned = np.asarray(value.reshape(-1)[::-1].reshape(value.shape) * (0.9 * sign))
        moved[name] = turned.astype(value.dtype)
    return moved


def _repeats(seen: Behaviour, subject: Subject, values: Mapping[str, Array], y: Array) -> None:
    """Whether the forward gives the same for the same, from new sessions and from one that was used."""
    if not _same(np.asarray(subject.start().forward(_copies(values)), np.float64), y.astype(np.float64)):
        seen.random = True
        return
    data = [name for name in subject.differentiable if name not in subject.start().parameters()]
    session = subject.start()
    session.forward(_copies(values))
    try:
        moved = _moved(subject, values, data)
        there = np.array(subject.start().forward(_copies(moved)), np.float64)
        used = np.array(session.forward(_copies(moved)), np.float64)
        again = np.array(session.forward(_copies(values)), np.float64)
    except Exception:  # not every function takes other values; then a new session for each slope is safe
        seen.fresh_each_time = True
        return
    seen.fresh_each_time = not (_same(used, there) and _same(again, y.astype(np.float64)))
    if not seen.fresh_each_time:
        return
    session = subject.start()
    session.forward(_copies(values))
    if _same(np.asarray(session.forward(_copies(values)), np.float64), y.astype(np.float64)):
        detail = "The forward of other inputs gives what an earlier forward left behind."
        seen.add("stale-state", _first_differentiable(subject), facts={"detail": detail})


def _backward_twice(seen: Behaviour, dy: Array, first: Mapping[str, Array], session: Session) -> None:
    """A second backward after one forward has to give the same again."""
    try:
        second = _kept(session.backward(dy.copy()))
        third = _kept(session.backward(dy.copy()))
    except Exception as error:
        seen.add(
            "stale-state",
            facts={
                "detail": f"The first backward works, the second one raises {type(error).__name__}: {error}."
            },
        )
        return
    for name, gradient in first.items():
        if name not in second or _same(second[name], gradient):
            continue
        adds = second[name].shape == gradient.shape and _same(second[name], 2 * gradient)
        if adds and _same(third.get(name, second[name]), 3 * gradient):
            seen.add("accumulates", name)
        else:
            seen.add("stale-state", name, facts={"detail": "A second backward gives another result."})


def _used_before(
    seen: Behaviour, subject: Subject, values: Mapping[str, Array], dy: Array, first: Mapping[str, Array]
) -> None:
    """After a use with other inputs, forward and backward have to give the same as in a new session."""
    if seen.fresh_each_time or any(
        each["mistake"] in ("accumulates", "stale-state") for each in seen.observed
    ):
        return
    data = [name for name in subject.differentiable if name not in subject.start().parameters()]
    for sign in (1.0, -1.0):
        other = _moved(subject, values, data, sign)
        try:
            session = subject.start()
            session.forward(_copies(other))
            earlier = _kept(session.backward(dy.copy()))
        except Exception:  # not every function takes other values
            continue
        try:
            session.forward(_copies(values))
            after_both = _kept(session.backward(dy.copy()))
            session = subject.start()
            session.forward(_copies(other))
            session.forward(_copies(values))
            after_forward = _kept(session.backward(dy.copy()))
        except Exception as error:
            detail = f"After another use it raises {type(error).__name__}: {error}."
            seen.add("stale-state", facts={"detail": detail})
            return
        for name, gradient in first.items():
            if not _same(after_forward.get(name, gradient), gradient):
                detail = "What an earlier forward kept is used for this backward."
                seen.add("stale-state", name, facts={"detail": detail})
            elif not _same(after_both.get(name, gradient), gradient):
                added = name in earlier and _same(after_both[name], gradient + earlier[name])
                detail = "It depends on an earlier forward and backward."
                seen.add("accumulates" if added else "stale-state", name, facts={"detail": detail})
        if seen.observed and seen.observed[-1]["mistake"] in ("accumulates", "stale-state"):
            return


def _other_values(seen: Behaviour, subject: Subject, values: Mapping[str, Array], dy: Array) -> None:
    """With other inputs, and with other weights, the gradient has to be that of the function there."""
    if any(each["mistake"] in ("stale-weights", "stale-state", "accumulates") for each in seen.observed):
        return
    rng = np.random.default_rng(3)
    kept = subject.start().parameters()
    weights = [name for name in subject.differentiable if name in kept]
    data = [name for name in subject.differentiable if name not in kept]
    if not data:
        return
    here = directional_error(subject, values, dy, data, rng)
    if here is None or here > 1e-4:
        return
    there = directional_error(subject, _moved(subject, values, data), dy, data, rng)
    if there is not None and there > 1e-2:
        detail = "With other inputs the gradient is wrong: it is computed from what an earlier call kept."
        seen.add("stale-state", data[0], facts={"detail": detail})
        return
    changed = _moved(subject, values, weights)
    for name in weights:
        changed[name] = np.asarray(changed[name] * 1.3 + np.asarray(0.1, changed[name].dtype))
    off = directional_error(subject, changed, dy, data, rng) if weights else None
    if off is not None and off > 1e-2:
        seen.add(
            "stale-weights", data[0], facts={"detail": "After a change of the weights the gradient is wrong."}
        )


def directional_error(
    subject: Subject, values: Mapping[str, Array], dy: Array, names: list[str], rng: np.random.Generator
) -> float | None:
    """How far the gradient's slope along a random direction is from that of the function, relative to its terms."""
    session = subject.start()
    wide = {n: v.astype(np.float64) if is_float(v) else v for n, v in values.items()}
    try:
        session.forward(_copies(values))
        gradients = _kept(session.backward(dy.copy()))
        direction = {n: rng.normal(size=wide[n].shape) for n in names}
        if any(n not in gradients or gradients[n].shape != wide[n].shape for n in names):
            return None
        terms = np.concatenate([(gradients[n] * direction[n]).ravel() for n in names])
        h = 1e-6
        up, down = (
            np.asarray(
                subject.start().forward(
                    {n: v + s * h * direction[n] if n in names else v.copy() for n, v in wide.items()}
                ),
                np.float64,
            )
            for s in (1.0, -1.0)
        )
    except Exception:  # it cannot be used with these weights, which is told elsewhere if it matters
        return None
    slope = float((dy * (up - down)).sum()) / (2 * h)
    if not (np.isfinite(slope) and np.isfinite(terms).all()):
        return None
    size = max(float(np.sqrt((terms**2).sum())), abs(slope))
    return abs(float(terms.sum()) - slope) / size if size else 0.0
