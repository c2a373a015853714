"""How a target behaves when it is used twice, handed arrays of others, or given other weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.context import Check
from chainrule.checking.elements import directions, hold_along
from chainrule.checking.precision import epsilon
from chainrule.checking.targets.places import is_same
from chainrule.checking.targets.target import Calls, Returned, copies

LEFT_BEHIND = ("accumulates", "stale-state")


def watch(check: Check, calls: Calls) -> None:
    """Use the target again in several ways, and compare what it gives with its first answers."""
    _aliases(check)
    _updates(check)
    _repeats(check)
    if check.random:
        check.add("random")
    if check.random or check.explained:
        return
    first = _as_float64(check.returned)
    _backward_twice(check, first, calls)
    if not check.fresh_each_time and not check.found(*LEFT_BEHIND):
        _used_before(check, first)
    _other_uses(check, first)


def _as_float64(returned: Returned) -> dict[str, Array]:
    """Copies of the gradients that are arrays of numbers: a later backward does not change them."""
    kept: dict[str, Array] = {}
    for name, value in returned.items():
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            continue
        if array.dtype.kind in "fiub":
            kept[name] = np.array(array, dtype=np.float64)
    return kept


def _same(a: Array, b: Array, slack: float = 1e-6, least: float = 0.0) -> bool:
    if a.shape != b.shape:
        return False
    size = max(float(np.abs(a).max(initial=0)), float(np.abs(b).max(initial=0)))
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(a - b) <= slack * size + least) | (a == b) | (np.isnan(a) & np.isnan(b))))


def _output(calls: Calls, values: Mapping[str, Array]) -> Array:
    return np.array(calls.forward(copies(values)), np.float64)


def _aliases(check: Check) -> None:
    """Whether arrays that were handed over are written to, or come back as they are."""
    values, calls = check.values, check.calls()
    given, upstream = copies(values), check.dy.copy()
    calls.forward(given)
    calls.show_writes()
    after_forward = copies(given)
    written = sorted(name for name in given if not is_same(given[name], values[name]))
    for name in written:
        check.writes = True
        check.add("mutates-input", name, facts={"detail": f"The forward wrote to {name}."})
    weights = copies(calls.parameters())
    returned = calls.backward(upstream)
    calls.show_writes()
    if not is_same(upstream, check.dy):
        check.writes = True
        check.add("mutates-upstream", next(iter(check.target.differentiable), None))
    elif check.target.handwritten and upstream.ndim:
        for name, gradient in returned.items():
            if gradient is upstream:
                check.add("aliases-upstream", name, severity="warning")
    for name in given:
        if name not in written and not is_same(given[name], after_forward[name]):
            check.writes = True
            check.add("mutates-input", name, facts={"detail": f"The backward wrote to {name}."})
    for name, value in calls.parameters().items():
        if not is_same(value, weights[name]):
            check.writes = True
            check.explained |= set(values)
            detail = f"The backward changed {name} itself, before it was done."
            check.add("stale-weights", name, facts={"detail": detail})


def _updates(check: Check) -> None:
    """Whether a backward that updates its parameters computes with the updated ones what it returns."""
    contract = check.target.contract
    if not contract.updates:
        return
    early = contract.updates_early
    if early is None:  # no learning rate to change: then a wrong dx is taken to come from that
        rng = np.random.default_rng(4)
        off = directional_error(check, check.values, check.dy, check.data, rng) if check.data else None
        early = off is not None and off > 1e-4
    if early:
        check.explained |= set(check.target.values)
        detail = f"The backward changed {contract.updates[0]} itself, before it was done."
        check.add("stale-weights", contract.updates[0], facts={"detail": detail})


def _moved(check: Check, values: Mapping[str, Array], of: list[str], sign: float = 1.0) -> dict[str, Array]:
    """Other values of the same shapes: each float input in `of` is turned around and scaled a little."""
    moved = copies(values)
    for name in of:
        value = moved[name]
        turned = np.asarray(value.reshape(-1)[::-1].reshape(value.shape) * (0.9 * sign))
        moved[name] = check.as_held(name, turned).astype(value.dtype)
    return moved


def _repeats(check: Check) -> None:
    """Whether the forward gives the same for the same, from new calls and from those that were used."""
    values, y = check.values, check.y.astype(np.float64)
    calls = check.calls()
    if not _same(_output(calls, values), y):
        check.random = True
        return
    moved = _moved(check, values, check.data)
    try:
        there = _output(check.calls(), moved)
        used, again = _output(calls, moved), _output(calls, values)
    except Exception:  # not every function takes other values; then new calls for each slope are safe
        check.fresh_each_time = True
        return
    check.fresh_each_time = not (_same(used, there) and _same(again, y))
    if not check.fresh_each_time:
        return
    calls = check.calls()
    calls.forward(copies(values))
    if _same(_output(calls, values), y):
        detail = "The forward of other inputs gives what an earlier forward left behind."
        check.add("stale-state", next(iter(check.target.differentiable), None), facts={"detail": detail})


def _backward_twice(check: Check, first: Mapping[str, Array], calls: Calls) -> None:
    """A second backward has to give the same again: after the same forward, or each after one of its own."""
    pops = check.target.contract.pops
    try:
        if pops:
            calls = check.calls()
            calls.forward(copies(check.values))
            calls.forward(_moved(check, check.values, check.data))
            earlier = _as_float64(calls.backward(check.dy.copy()))
        second = _as_float64(calls.backward(check.dy.copy()))
        third = {} if pops else _as_float64(calls.backward(check.dy.copy()))
    except Exception as error:
        detail = f"The first backward works, the second one raises {type(error).__name__}: {error}."
        check.add("stale-state", facts={"detail": detail})
        return
    for name, gradient in first.items():
        if name not in second or _same(second[name], gradient):
            continue
        added = earlier.get(name, gradient) if pops else gradient
        adds = second[name].shape == added.shape
        if adds and pops:
            adds = _same(second[name], gradient + added)
        elif adds:  # what it keeps may have come from calls before these
            adds = _same(third.get(name, second[name]) - second[name], gradient)
        if adds:
            _add_accumulates(check, name)
        else:
            check.add("stale-state", name, facts={"detail": "A second backward gives another result."})


def _add_accumulates(check: Check, name: str, detail: str | None = None) -> None:
    """The one gradient of an object that adds to it may be meant so: a warning."""
    meant = check.target.contract.adds and name in check.target.parameters
    facts = {} if detail is None else {"detail": detail}
    check.add("accumulates", name, severity="warning" if meant else "error", facts=facts)


def _used_before(check: Check, first: Mapping[str, Array]) -> None:
    """After a use with other inputs, forward and backward have to give the same as with new calls."""
    values, dy = check.values, check.dy
    for sign in (1.0, -1.0):
        other = _moved(check, values, check.data, sign)
        try:
            calls = check.calls()
            calls.forward(copies(other))
            earlier = _as_float64(calls.backward(dy.copy()))
        except Exception:  # not every function takes other values
            continue
        try:
            calls.forward(copies(values))
            after_both = _as_float64(calls.backward(dy.copy()))
            calls = check.calls()
            calls.forward(copies(other))
            calls.forward(copies(values))
            after_forward = _as_float64(calls.backward(dy.copy()))
        except Exception as error:
            detail = f"After another use it raises {type(error).__name__}: {error}."
            check.add("stale-state", facts={"detail": detail})
            return
        for name, gradient in first.items():
            if not _same(after_forward.get(name, gradient), gradient):
                detail = "What an earlier forward kept is used for this backward."
                check.add("stale-state", name, facts={"detail": detail})
            elif not _same(after_both.get(name, gradient), gradient):
                added = name in earlier and _same(after_both[name], gradient + earlier[name])
                detail = "It depends on an earlier forward and backward."
                if added:
                    _add_accumulates(check, name, detail)
                else:
                    check.add("stale-state", name, facts={"detail": detail})
        if check.found(*LEFT_BEHIND):
            return


def watch_other_values(check: Check) -> None:
    """With other inputs and other weights, the gradient has to be that of the function there, as it is here."""
    if check.found("stale-weights", *LEFT_BEHIND) or any(row.verdict == "wrong" for row in check.rows):
        return
    rng = np.random.default_rng(3)
    values, data = check.values, check.data
    weights = [name for name in check.target.differentiable if name not in data]
    if not data:
        return
    here = directional_error(check, values, check.dy, data, rng)
    if here is None or here > 1e-4:
        return
    there = directional_error(check, _moved(check, values, data), check.dy, data, rng)
    least = 1e-2 if check.accuracy in ("float64", "float32") else 0.2
    if there is not None and there > least:
        detail = "With other inputs the gradient is wrong: it is computed from what an earlier call kept."
        check.add("stale-state", data[0], facts={"detail": detail})
        return
    changed = _moved(check, values, weights)
    for name in weights:
        changed[name] = np.asarray(changed[name] * 1.3 + np.asarray(0.1, changed[name].dtype))
    off = directional_error(check, changed, check.dy, data, rng) if weights else None
    if off is not None and off > least:
        detail = "After a change of the weights the gradient is wrong."
        check.add("stale-weights", data[0], facts={"detail": detail})


def _other_uses(check: Check, first: Mapping[str, Array]) -> None:
    """Used in other ways, such as for one gradient alone, it has to give the same: one finding for each mistake."""
    slack = max(1e-6, 16 * epsilon(check.dtype))
    least = slack * max((float(np.abs(each).max(initial=0)) for each in first.values()), default=0.0)
    for use in check.target.other_uses(check.dy):
        if check.found(use.mistake):
            continue
        try:
            y = _output(use.calls, check.values)
            dy = check.dy if use.dy is None else use.dy
            came = _as_float64(use.calls.backward(dy.copy())) if use.names else {}
            expected = first if dy is check.dy else _as_float64(check.gradients(check.values, dy))
        except Exception as error:
            if use.may_refuse:
                check.said.append(f"{use.said} it raises {type(error).__name__}, which is no wrong gradient.")
            else:
                detail = f"{use.said} it raises {type(error).__name__}: {error}."
                check.add(use.mistake, next(iter(use.names), None), facts={"detail": detail})
            continue
        if not _same(y, check.y.astype(np.float64), slack):
            check.add(use.mistake, facts={"detail": f"{use.said} the output is another."})
            continue
        for name in use.names:
            none = np.zeros(check.shape(name))  # what is not used at all has no gradient, which is 0
            if not _same(came.get(name, none), expected.get(name, none), slack, least):
                check.add(
                    use.mistake, name, facts={"detail": f"{use.said} the gradient of {name} is another."}
                )
                break


def directional_error(
    check: Check, values: Mapping[str, Array], dy: Array, names: list[str], rng: np.random.Generator
) -> float | None:
    """How much further than it may be the gradient's slope along a random direction is from that of the function,
    relative to its terms.
    """
    try:
        gradients = _as_float64(check.gradients(values, dy))
        differences = check.differences_at(values, dy, measured=check.accuracy != "float64")
    except Exception:  # it cannot be used with these values; reported elsewhere if it matters
        return None
    worst = 0.0
    for name in names:
        if name not in gradients or gradients[name].shape != values[name].shape:
            return None
        for direction in directions(values[name].shape, 2, rng):  # along one alone it may agree by chance
            found = hold_along(differences, name, gradients[name], direction, check.accuracy)
            if not math.isfinite(found.slope) or not math.isfinite(found.claimed):
                return None
            terms = float(np.linalg.norm(gradients[name] * direction))
            size = max(terms, abs(found.slope))
            worst = max(worst, (abs(found.claimed - found.slope) - found.allowed) / size if size else 0.0)
    return worst
