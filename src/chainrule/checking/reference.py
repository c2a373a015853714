"""A plain forward in float64, of which the target is the fast form: what the target computes is held against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.checking.context import Check, Reference
from chainrule.checking.diagnosis.where import where
from chainrule.checking.differences import RELATIVE
from chainrule.checking.precision import epsilon
from chainrule.checking.targets.functions import PlainTarget
from chainrule.checking.targets.target import Target, accepts, copies
from chainrule.errors import ArgumentError

#: How far the forward's output may be off, as a share of the tolerance of a gradient: a forward adds up less.
OF_TOLERANCE = 0.5


def reference_of(target: Target, forward: Callable[..., Any], shape: Shape) -> Reference:
    """The reference as a function of the target's values: of tensors where the target's are, or else of arrays."""
    if not callable(forward):
        raise ArgumentError(f"check: reference: expected a function, got {type(forward).__name__}")
    said = ""
    for candidate in _candidates(target, forward):
        try:
            y = _output(candidate, target.values)
        except (Exception, SystemExit) as error:
            said = said or f"{type(error).__name__}: {error}".rstrip(": ")
            continue
        ignored = {name for name in target.parameters if _ignores(candidate, target.values, name, y)}
        takes = frozenset(target.values) - ignored
        return Reference(lambda values: _shaped(_output(candidate, values), shape), takes)  # noqa: B023  # the loop ends here
    raise ArgumentError(
        f"check: reference: it is called with the same inputs as {target.name}, in float64 "
        f"({', '.join(target.values)}), and raised {said}"
    )


def _ignores(reference: Target, values: Mapping[str, Array], name: str, y: Array) -> bool:
    """Whether it has no say in a reference's output: a reference need not take the parameters of an object."""
    return np.array_equal(y, _output(reference, {**values, name: 1.1 * values[name] + 0.1}))


def _candidates(target: Target, forward: Callable[..., Any]) -> Iterable[Target]:
    if target.native:
        yield target.computing(forward)
    names = [name for name in target.values if name not in target.parameters]
    for some in (list(target.values), names):
        if accepts(forward, len(some)):
            yield PlainTarget("", "", {}, forward=forward, count=len(some))


def _shaped(output: Array, shape: Shape) -> Array:
    return output.reshape(shape) if output.size == math.prod(shape) else output


def _output(target: Target, values: Mapping[str, Array]) -> Array:
    with np.errstate(all="ignore"):
        output = np.array(target.start().forward(copies(values)))
    if output.dtype.kind not in "fiub":
        raise TypeError(f"it returned {output.dtype} where numbers belong")
    return output.astype(np.float64)


def compare_forward(check: Check) -> None:
    """Hold the target's output against the reference's: a finding where they differ."""
    assert check.reference is not None
    y, right = check.y.astype(np.float64), check.reference.output(check.target.values)
    if right.shape != y.shape:
        raise ArgumentError(
            f"check: reference: expected an output of shape {y.shape}, as {check.target.name} returns, got "
            f"{right.shape}"
        )
    if not np.isfinite(right).all():
        raise ArgumentError("check: reference: its output is not finite, for the inputs given")
    share = OF_TOLERANCE * RELATIVE[check.accuracy]
    size = np.sqrt(np.mean(right**2)) if right.size else 0.0
    off = np.abs(y - right)
    wrong = off > share * (np.abs(right) + size) + 8 * check.noise.absolute
    if not wrong.any() and not _is_off_as_a_whole(y, right, max(share / 4, 0.75 * epsilon(check.accuracy))):
        return
    worst = np.unravel_index(int(off.argmax()), off.shape)
    check.forward_is_wrong = True
    check.add(
        "forward-disagrees",
        element=tuple(int(i) for i in worst),
        analytic=float(y[worst]),
        numerical=float(right[worst]),
        error=float(off[worst] / max(abs(y[worst]), abs(right[worst]))),
        facts={"detail": where(wrong if wrong.any() else off > 0)},
    )


def _is_off_as_a_whole(y: Array, right: Array, allowed: float) -> bool:
    """Whether the outputs are all off by one small factor, which rounding would not do."""
    size = float((right * right).sum())
    return size > 0 and abs(float((y * right).sum()) / size - 1) > allowed
