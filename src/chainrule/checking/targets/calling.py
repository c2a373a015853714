"""How an object is called: what its backward takes, and where forward and backward leave what they don't return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.targets.naming import (
    CLEARS,
    INPUT_GRADIENTS,
    RATES,
    Path,
    is_gradient_of,
)
from chainrule.checking.targets.places import attributes_of, is_numbers, walk
from chainrule.checking.targets.target import ANSWERS, accepts

Takes = Literal["upstream", "nothing", "inputs", "answers", "upstream and inputs", "inputs and upstream"]

#: The learning rate that a backward is handed where neither it nor its object has one.
RATE = 0.01


@dataclass(frozen=True)
class Calling:
    """The way to call forward and backward of one object."""

    #: What backward takes: the upstream gradient, the inputs of forward, those behind the first, or both.
    takes: Takes = "upstream"
    #: The argument of backward that is a learning rate, and what it is given.
    rate: tuple[str, float] | None = None
    #: Where the output stands after a forward that returns nothing, and gradients of inputs after such a backward.
    output: Path | None = None
    kept: Mapping[str, Path] = field(default_factory=dict)

    @property
    def has_upstream(self) -> bool:
        """Whether backward is given an upstream gradient; else that is 1."""
        return "upstream" in self.takes

    def arguments(self, dy: Any, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """What backward is called with."""
        options: dict[str, Any] = {} if self.rate is None else {self.rate[0]: self.rate[1]}
        given = {
            "upstream": [dy],
            "nothing": [],
            "inputs": list(inputs),
            "answers": list(inputs[1:]),
            "upstream and inputs": [dy, *inputs],
            "inputs and upstream": [*inputs, dy],
        }
        return given[self.takes], options


def calling_of(thing: Any, backward: str, names: Sequence[str]) -> Calling:
    """How the backward of that name is called, as its arguments say; `names` are the inputs of forward."""
    method = getattr(thing, backward)
    try:
        found = list(inspect.signature(method).parameters.values())
    except (TypeError, ValueError):
        return Calling()
    positional = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rates = [p for p in found[1:] if RATES.fullmatch(p.name) and p.kind not in (p.POSITIONAL_ONLY,)]
    rate = None
    if rates:
        default = rates[0].default
        given = default if isinstance(default, Real) and not isinstance(default, bool) else None
        kept = rate_on(thing)
        rate = (rates[0].name, float(given) if given else RATE if kept is None else kept[1])
    needed = [p.name for p in positional if p.default is p.empty and p not in rates]
    if not accepts(method, 1) and not needed and not rates:
        return Calling("nothing")
    if len(needed) > 1 and len(needed) == len(names):
        return Calling("inputs", rate)
    if len(needed) > 1 and len(needed) == 1 + len(names):
        is_first = needed[0].lower() in {name.lower() for name in names}
        return Calling("inputs and upstream" if is_first else "upstream and inputs", rate)
    if len(needed) == 1 and needed[0] in ANSWERS and len(names) == 2:
        return Calling("answers", rate)
    return Calling("upstream", rate)


def rate_on(thing: Any) -> tuple[Path, float] | None:
    """The learning rate that an object keeps, or one of the objects on it, and where."""
    for path, value in walk(thing):
        named = path and isinstance(path[-1], str) and RATES.fullmatch(path[-1])
        if named and isinstance(value, float) and value:
            return path, float(value)
    return None


def written_gradients(before: Any, after: Any, names: Sequence[str]) -> dict[str, Path]:
    """Where a backward that returned nothing has left the gradients of inputs: dx of x, dinputs."""
    attributes = attributes_of(after)
    found: dict[str, Path] = {}
    for name in names:
        kept = next(
            (each for each in attributes if is_gradient_of(each, name) and is_numbers(attributes[each])), None
        )
        if kept is not None:
            found[name] = (kept,)
    if not found and names:
        path = written(before, after, INPUT_GRADIENTS)
        found = {} if path is None else {names[0]: path}
    return found


def written(before: Any, after: Any, names: Sequence[str]) -> Path | None:
    """The first of these attributes that was written: where what was not returned may stand."""
    earlier, later = attributes_of(before), attributes_of(after)
    for name in names:
        if is_numbers(later.get(name)) and later[name] is not earlier.get(name):
            return (name,)
    return None


def clearing_methods(thing: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The methods that set gradients to zero, such as zero_grad, on an object and on those that it keeps."""
    for path, each in walk(thing):
        if isinstance(each, (np.ndarray, np.generic, list, tuple, dict, str, int, float)):
            continue
        for name in dir(type(each)):
            method = getattr(each, name, None) if CLEARS.fullmatch(name) else None
            if callable(method) and accepts(method, 0):
                yield ".".join([*map(str, path), name]), method


def plain_inputs(inputs: Mapping[str, Any]) -> frozenset[str]:
    """Inputs that are a truth value or a number, `training` say, beside arrays: they have no gradient."""
    truths = {name for name, value in inputs.items() if isinstance(value, (bool, np.bool_))}
    plain = truths | {name for name, value in inputs.items() if isinstance(value, Real)}
    return frozenset(plain if len(plain) < len(inputs) else truths)


def as_given(values: Mapping[str, Array], plain: frozenset[str]) -> list[Any]:
    """The inputs as forward is called with them."""
    return [value.item() if name in plain else value for name, value in values.items()]
