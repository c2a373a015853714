"""The mistakes themselves, made of right gradients; each only where it changes them by more than a thousandth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mutations.calling import Callee
from mutations.targets import Array
from mutations.traces import RELATIVE, upstream

Gradients = list[Any]
#: (gradients, dy, the values of forward) -> other gradients.
Change = Callable[[Gradients, Array, list[Any]], Gradients]


@dataclass
class Spoiled:
    """One mistake: what becomes of the gradients, of dy, and of what goes into forward."""

    name: str
    expected: frozenset[str]
    change: Change = lambda gradients, dy, values: gradients
    before: Callable[[Array], Array] = lambda dy: dy
    after_forward: Callable[[Array, tuple[Any, ...]], Array] = lambda y, values: y
    #: Use what the first forward kept.
    stale: bool = False
    #: What this one object remembers from call to call.
    memory: dict[str, Any] = field(default_factory=dict)

    def forward(self, parent: type) -> Callable[..., Any]:
        """The parent's forward, with what is to happen after it."""

        def forward(layer: Any, *values: Any, **keywords: Any) -> Any:
            y, saved, *state = parent.forward(layer, *values, **keywords)  # type: ignore[attr-defined]
            kept = layer.__dict__.setdefault("kept", saved) if self.stale else saved
            return (self.after_forward(y, values), (kept, values, y), *state)

        return forward

    def backward(self, parent: type) -> Callable[..., Any]:
        """The parent's backward on a spoiled dy, its gradients spoiled in turn."""

        def backward(layer: Any, dy: Array, saved: Any, **keywords: Any) -> Any:
            kept, values, _ = saved
            found = parent.backward(layer, self.before(dy), kept, **keywords)  # type: ignore[attr-defined]
            gradients = list(found) if isinstance(found, tuple) else [found]
            if "sum" in self.memory:
                last = layer.__dict__.get("last", [None] * len(gradients))
                gradients = [g if old is None else g + old for g, old in zip(gradients, last, strict=True)]
                layer.last = gradients
            changed = self.change(gradients, dy, list(values))
            return tuple(changed) if isinstance(found, tuple) else changed[0]

        return backward


def spoilings(callee: Callee) -> Iterator[Spoiled]:
    """All that are mistakes for this layer on these values."""
    with np.errstate(all="ignore"):
        y = callee.forward([np.copy(value) for value in callee.values])
        dy = upstream(y)
        right = [None if g is None else np.asarray(g) for g in callee.backward(dy)]
    dy = np.asarray(dy)
    for name, expected, change in _changes(callee, right, y):
        spoiled = Spoiled(name, frozenset(expected.split(" or ")), change)
        if _matters(change([None if g is None else g.copy() for g in right], dy, callee.values), right):
            yield spoiled
    yield from _others(callee, right, y)


def _matters(changed: Gradients, right: Gradients) -> bool:
    """Whether something is off by more than a thousandth, or is of another shape or kind."""
    for one, other in zip(changed, right, strict=False):
        if one is None or other is None:
            if one is not other:
                return True
            continue
        one = np.asarray(one)
        if one.shape != other.shape or one.dtype != other.dtype:
            return True
        largest = np.abs(other).max(initial=0)
        if not np.allclose(one, other, rtol=RELATIVE, atol=RELATIVE * largest):
            return True
    return len(changed) != len(right)


def _each(act: Callable[[Array], Array]) -> Change:
    return lambda gradients, dy, values: [None if g is None else act(np.asarray(g)) for g in gradients]


def _one(position: int, act: Callable[[Array], Any]) -> Change:
    def change(gradients: Gradients, dy: Array, values: list[Any]) -> Gradients:
        g = gradients[position]
        spoiled = None if g is None else act(np.asarray(g))
        return [*gradients[:position], spoiled, *gradients[position + 1 :]]

    return change


def _changes(callee: Callee, right: Gradients, y: Array) -> Iterator[tuple[str, str, Change]]:
    """(name, expected codes, change) for mistakes in the gradients alone."""
    kind = type(getattr(callee, "layer", None)).__name__
    positions = [i for i in callee.positions if right[i] is not None and right[i].size]
    if not positions:
        return
    largest = max(positions, key=lambda i: right[i].size)
    N = len(callee.values[0]) if np.ndim(callee.values[0]) else 1
    negative = "sign or activation-gradient-missing" if kind == "Negative" else "sign"
    yield "negated", negative, _each(np.negative)
    yield "doubled", "factor or batch-mean" if N == 2 else "factor", _each(lambda g: 2 * g)
    yield "a tenth missing", "factor", _each(lambda g: g * g.dtype.type(0.9))
    if N > 2:
        yield "divided by N", "batch-mean", _each(lambda g: g / g.dtype.type(N))
        yield "times N", "batch-mean", _each(lambda g: N * g)
    yield "zeros", "zero", _each(np.zeros_like)
    yield "as integers", "dtype", _each(lambda g: g.astype(np.int64))
    yield "as float32", "dtype", _each(lambda g: g.astype(np.float32))
    yield "none for one", "missing", _one(largest, lambda g: None)
    if len(right) > 1 and len(positions) == len(right):
        yield "one too few", "missing", lambda gradients, dy, values: gradients[:-1]
    if np.count_nonzero(right[largest]) >= 6:
        yield "one element wrong by 1 %", "unknown", _one(largest, _one_element)
        yield "a NaN", "not-finite", _one(largest, _with_nan)
    if right[largest].ndim >= 2 and len(right[largest]) > 1:
        yield "laid flat", "shape", _one(largest, np.ravel)
        yield "a row missing", "shape", _one(largest, lambda g: g[1:])
    first = right[positions[0]]
    if len(positions) > 1 and right[positions[1]].shape == first.shape:
        opposite = np.allclose(right[positions[1]], -first)
        called = "order or sign" if opposite else "order"
        yield "two exchanged", called, _exchanged(positions[0], positions[1])
    elif len(positions) == 3 and right[1].shape == right[2].shape:
        yield "two exchanged", "order", _exchanged(1, 2)
    for i in positions:
        if right[i].ndim >= 2 and right[i].shape[-1] == right[i].shape[-2]:
            same = " or activation-gradient-missing" if kind == "Transpose" else ""
            yield "two axes exchanged", "transpose" + same, _one(i, lambda g: np.swapaxes(g, -1, -2))
            break
    if positions[0] == 0 and first.shape == y.shape and kind != "Transpose":
        missing = "activation-gradient-missing"
        if kind in ("ReLU", "LeakyReLU", "Dropout"):
            missing += " or mask"
        if kind == "Negative":
            missing += " or sign"
        yield "dy unchanged", missing, lambda gradients, dy, values: [1 * dy, *gradients[1:]]
    if kind in MASKED and right[largest].size >= 6:
        yield "nothing for a third", "mask", _one(largest, _third_zero)
    if kind in ("ReLU", "Dropout"):
        yield "half leaks through", "mask", _half_leaks
    if kind in ("Affine", "BatchNorm", "LayerNorm") and len(right) == 3:
        yield "the bias summed to one number", "axis", _one(2, np.sum)
        yield "the bias averaged", "axis or batch-mean", _one(2, lambda g: g / g.dtype.type(y.size // g.size))


#: Layers that work on each element by itself, so that a gradient of 0 is one that was held back.
MASKED = (
    "ELU", "GELU", "ReLU", "LeakyReLU", "SiLU", "Sigmoid", "Softplus", "Tanh", "Exp", "Log", "Sqrt", "Negative",
    "Dropout", "Max",
)  # fmt: skip


def _one_element(g: Array) -> Array:
    wrong = g.copy()
    wrong.flat[np.abs(wrong).argmax()] *= 1.01
    return wrong


def _with_nan(g: Array) -> Array:
    wrong = g.copy()
    wrong.flat[0] = np.nan
    return wrong


def _third_zero(g: Array) -> Array:
    wrong = g.copy()
    wrong.flat[::3] = 0
    return wrong


def _half_leaks(gradients: Gradients, dy: Array, values: list[Any]) -> Gradients:
    return [np.where(gradients[0] == 0, dy / 2, gradients[0])]


def _exchanged(i: int, j: int) -> Change:
    def change(gradients: Gradients, dy: Array, values: list[Any]) -> Gradients:
        swapped = list(gradients)
        swapped[i], swapped[j] = swapped[j], swapped[i]
        return swapped

    return change


def _others(callee: Callee, right: Gradients, y: Array) -> Iterator[Spoiled]:
    """Mistakes that show in what is done, or in a second call."""
    if not callee.positions or not any(g is not None and g.size for g in right):
        return
    yield Spoiled("ones for dy", frozenset({"upstream-ignored"}), before=np.ones_like)
    if y.ndim and y.size:
        yield Spoiled("writes into dy", frozenset({"mutates-upstream"}), change=_writes_dy)
    yield Spoiled("backward writes into x", frozenset({"mutates-input"}), change=_writes_x)
    yield Spoiled("forward writes into x", frozenset({"mutates-input"}), after_forward=_forward_writes)
    yield Spoiled("adds to the last gradients", frozenset({"accumulates"}), memory={"sum": True})
    yield Spoiled("raises", frozenset({"raises"}), change=_raises)
    yield Spoiled("noise in forward", frozenset({"random"}), after_forward=_noisy)
    if getattr(callee, "saved", None) is not None:
        yield Spoiled("what the first forward kept", frozenset({"stale-state"}), stale=True)


def _floats(values: Any) -> list[Array]:
    return [value for value in values if isinstance(value, np.ndarray) and value.dtype.kind == "f"]


def _writes_dy(gradients: Gradients, dy: Array, values: list[Any]) -> Gradients:
    dy *= 2
    return gradients


def _writes_x(gradients: Gradients, dy: Array, values: list[Any]) -> Gradients:
    copies = [None if g is None else np.copy(g) for g in gradients]
    for value in _floats(values)[:1]:
        value *= 0.5
    return copies


def _forward_writes(y: Array, values: tuple[Any, ...]) -> Array:
    result = np.copy(y)
    for value in _floats(values)[:1]:
        value *= 0.5
    return result


def _raises(gradients: Gradients, dy: Array, values: list[Any]) -> Gradients:
    raise ValueError("shapes (5, 4) and (5, 3) not aligned")


def _noisy(y: Array, values: tuple[Any, ...]) -> Array:
    noise = np.random.default_rng().normal(size=np.shape(y))
    return np.asarray(y * (1 + 0.1 * noise), np.asarray(y).dtype)
