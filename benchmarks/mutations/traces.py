"""Everything in which a mistake may show. A mutant's trace differs from that of the correct one, or it is none."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mutations.calling import Callee, callee_of
from mutations.targets import Array, Target

Trace = dict[str, Any]

RELATIVE = 1e-3


def trace(make: Callable[[], Target]) -> Trace:
    """What a target does, step by step; an exception is what a step did, too."""
    found: Trace = {}
    with np.errstate(all="ignore"):
        _plain(callee_of(make()), found)
        _again(callee_of(make()), found)
        for scale in (30.0, 1000.0):
            _scaled(callee_of(make()), scale, found)
        _column(callee_of(make()), found)
    return found


def differs(one: Trace, other: Trace) -> list[str]:
    """The steps in which two traces differ by more than a thousandth."""
    return [key for key in one.keys() | other.keys() if not _alike(one.get(key), other.get(key))]


def numerical(callee: Callee, dy: Array, position: int) -> Array:
    """Central differences of sum(dy * y) for one of the values."""
    values = [copy.deepcopy(value) for value in callee.values]
    x = values[position]
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        kept = x[index]
        sums = []
        for step in (1e-5, -1e-5):
            values[position] = x.copy()
            values[position][index] = kept + step
            sums.append(float((dy * callee.forward([copy.deepcopy(each) for each in values])).sum()))
        gradient[index] = (sums[0] - sums[1]) / 2e-5
    return gradient


def upstream(y: Array) -> Any:
    """A random dy that looks like y; a float where y is a number."""
    drawn = np.random.default_rng(3).normal(size=y.shape)
    dy = np.asarray(drawn, y.dtype if y.dtype.kind == "f" else np.float64)
    return dy if y.ndim else dy.dtype.type(dy)


def _copies(values: list[Any]) -> list[Any]:
    return [copy.deepcopy(value) for value in values]


def _plain(callee: Callee, found: Trace) -> None:
    values = _copies(callee.values)
    y = _try(found, "y", lambda: callee.forward(values))
    if y is None:
        return
    dy = upstream(y)
    gradients = _try(found, "gradients", lambda: callee.backward(dy))
    found["dy afterwards"] = np.array(dy)
    found["values afterwards"] = _copies(values)
    if gradients is not None:
        found["dy itself"] = [gradient is dy for gradient in gradients]
        found["y afterwards"] = np.array(y)
        found["gradients"] = _copies(gradients)
        _try(found, "gradients again", lambda: _copies(callee.backward(upstream(y))))


def _again(callee: Callee, found: Trace) -> None:
    """Other values: after a forward and a backward with the first, and a step of the weights in place."""
    for turn in ("first", "second"):
        values = _copies(callee.values)
        if turn == "second":
            for position in callee.positions:
                values[position] = _other(values[position])
                kept = callee.values[position]
                kept[...] = values[position]
        y = _try(found, f"y, {turn}", functools.partial(callee.forward, values))
        if y is not None:
            gradients = _try(found, f"gradients, {turn}", functools.partial(callee.backward, upstream(y)))
            found[f"gradients, {turn}"] = _copies(gradients) if isinstance(gradients, list) else gradients


def _other(value: Array) -> Array:
    """The same numbers elsewhere, and a little smaller; nothing that was positive turns negative."""
    return np.asarray(0.9 * (value[::-1] if value.ndim else value), value.dtype)


def _scaled(callee: Callee, scale: float, found: Trace) -> None:
    values = _copies(callee.values)
    values[0] = values[0] * scale if 0 in callee.positions else values[0]
    _try(found, f"y, {scale:g} times", lambda: callee.forward(values))


def _column(callee: Callee, found: Trace) -> None:
    """Labels as (N, 1), where they were (N,) or one-hot."""
    values = _copies(callee.values)
    if len(values) != 2:
        return
    t = values[1]
    if t.dtype.kind == "i" and t.ndim == 1:
        values[1] = t[:, None]
    elif t.ndim == 2 and set(np.unique(t)) == {0, 1}:
        values[1] = t.argmax(axis=1)[:, None]
    _try(found, "y, labels as a column", lambda: callee.forward(values))


def _try(found: Trace, step: str, act: Callable[[], Any]) -> Any:
    try:
        found[step] = act()
    except Exception as error:
        found[step] = type(error).__name__
        return None
    return found[step]


def _alike(one: Any, other: Any) -> bool:
    one, other = (np.asarray(each) if isinstance(each, np.generic) else each for each in (one, other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        largest = np.abs(other[np.isfinite(other)]).max(initial=0) if np.size(other) else 0
        return bool(np.allclose(one, other, rtol=RELATIVE, atol=RELATIVE * float(largest), equal_nan=True))
    return type(one) is type(other) and bool(one == other)
