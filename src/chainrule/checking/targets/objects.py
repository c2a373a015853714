"""Objects as textbooks write them: forward and backward keep their state on self, gradients beside parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.randomness import held
from chainrule.checking.targets.calling import Calling, as_given
from chainrule.checking.targets.naming import FORWARD_AND_BACKWARD, Methods, Path
from chainrule.checking.targets.parameters import Place
from chainrule.checking.targets.places import Original, fill, look, put
from chainrule.checking.targets.target import (
    Calls,
    Returned,
    Target,
    WrongCount,
    in_order_and_by_name,
    returned_in_order,
    source_of,
)
from chainrule.errors import ArgumentError

#: So many calls of forward without a backward are remembered in a stack that it pushes to.
REMEMBERED = 50


@dataclass(frozen=True)
class Adding:
    """The gradients that backward adds to, and those of them where that is meant: all, or its only one, perhaps."""

    paths: tuple[Path, ...] = ()
    meant: tuple[Path, ...] = ()
    cleared: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Updating:
    """The parameters that backward updates: with the rate where it is a multiple of the gradient, else None."""

    rates: dict[Path, float | None] = field(default_factory=dict)
    #: Whether what it returns depends on the rate: it was computed with the updated parameters. None: not known.
    early: bool | None = False


@dataclass
class ObjectTarget(Target):
    """An object with forward and backward; its parameters are inputs too."""

    original: Original = field(default_factory=lambda: Original(None))
    calling: Calling = field(default_factory=Calling)
    #: The names of its forward and backward.
    methods: Methods = FORWARD_AND_BACKWARD[0]
    #: By the name of a parameter: where it stands, and how to get its gradient.
    places: dict[str, Place] = field(default_factory=dict)
    #: Inputs that forward is given as plain numbers.
    plain: frozenset[str] = frozenset()
    #: Gradients that backward adds to, zero at the start; where that is meant, before each backward.
    adds: Adding = field(default_factory=Adding)
    #: Parameters that backward updates, and that are put back then.
    updates: Updating = field(default_factory=Updating)
    #: Lists of the inputs of past calls.
    stacks: tuple[Path, ...] = ()

    def start(self, dtype: str = "float64") -> ObjectCalls:
        return ObjectCalls(self, dtype)

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(self.places)

    @property
    def source(self) -> str | None:
        return source_of(getattr(type(self.original.thing), self.methods.backward, None))

    @property
    def method(self) -> Any:
        return getattr(self.original.thing, self.methods.forward)

    @property
    def data(self) -> list[str]:
        """The inputs that forward is called with."""
        return [name for name in self.values if name not in self.places]

    def places_to_cast(self) -> Iterator[Path]:
        """Where a copy has the dtype in which it runs: parameters, and gradients that are of the same dtype."""
        for place in self.places.values():
            own = getattr(look(self.original.thing, place.path), "dtype", None)
            yield place.path
            yield from (
                g for g in place.gradients if getattr(look(self.original.thing, g), "dtype", None) == own
            )


class ObjectCalls(Calls):
    def __init__(self, target: ObjectTarget, dtype: str) -> None:
        self.target = target
        self.object = target.original.copy(target.places_to_cast(), dtype)
        fill(self.object, target.adds.paths, 0.0)
        self._scalar = False
        self._inputs: list[Any] = []

    def forward(self, values: Mapping[str, Array]) -> Any:
        target = self.target
        for name, place in target.places.items():
            put(self.object, place.path, values[name])
        self._forget()
        self._inputs = as_given({name: values[name] for name in target.data}, target.plain)
        forward = getattr(self.object, target.methods.forward)
        with held(forward, target.draws):
            result = forward(*self._inputs)
        if result is None and target.calling.output is not None:
            result = look(self.object, target.calling.output)
        self._scalar = not isinstance(result, np.ndarray)
        return result

    def _forget(self) -> None:
        """Keep stacks short that forward pushes to, where backward is not called."""
        for path in self.target.stacks:
            stack = look(self.object, path)
            while stack is not None and len(stack) > REMEMBERED:
                del stack[0]

    def result(self, dy: Any) -> Any:
        """What backward itself returns after the latest forward."""
        upstream = dy[()] if self._scalar and isinstance(dy, np.ndarray) else dy
        arguments, options = self.target.calling.arguments(upstream, self._inputs)
        backward = getattr(self.object, self.target.methods.backward)
        with np.errstate(all="ignore"), held(backward, self.target.draws, seed=1):
            return backward(*arguments, **options)

    def backward(self, dy: Any) -> Returned:
        target = self.target
        fill(self.object, target.adds.meant, 0.0)
        before = {path: np.array(look(self.object, path)) for path in target.updates.rates}
        returned = self._returned(self.result(dy))
        for name, place in target.places.items():
            if place.rate is not None:
                start, after = before[place.path], np.asarray(look(self.object, place.path))
                returned[name] = (start - after) / np.asarray(place.rate, start.dtype)
        for path, value in before.items():
            put(self.object, path, value)
        if not target.calling.has_upstream and np.size(dy) == 1:  # it is for one of 1, and has no other
            return {n: None if g is None else np.asarray(g) * np.reshape(dy, ()) for n, g in returned.items()}
        return returned

    def _returned(self, result: Any) -> Returned:
        """The gradients that backward returned, and those that it left on the object."""
        target = self.target
        kept: dict[str, tuple[Path, ...]] = {name: (path,) for name, path in target.calling.kept.items()}
        kept |= {name: place.gradients for name, place in target.places.items() if place.gradients}
        measured = {name for name, place in target.places.items() if place.rate is not None}
        names = [name for name in target.values if name not in kept and name not in measured]
        try:
            found = returned_in_order(names, result, target.differentiable)
        except WrongCount:
            order, _ = in_order_and_by_name(result)
            if len(order) != len(target.values):
                raise
            found = dict(zip(target.values, order, strict=True))  # it returns, too, what it keeps
        for name, paths in kept.items():
            gradients = [look(self.object, path) for path in paths]
            found[name] = gradients[0] if len(gradients) == 1 else sum(g for g in gradients if g is not None)
            if isinstance(found[name], list):
                found[name] = np.array(found[name])
        return found

    def replace_parameter(self, name: str, value: Array) -> None:
        """Let a parameter have another value from now on."""
        put(self.object, self.target.places[name].path, value)

    def parameters(self) -> dict[str, Array]:
        found = {name: look(self.object, place.path) for name, place in self.target.places.items()}
        return {name: np.asarray(value) for name, value in found.items()}


def methods_of(target: Any) -> Methods:
    """The names of the forward and the backward of an object; ArgumentError where it has none, or is a class."""
    if inspect.isclass(target):
        raise ArgumentError(
            f"check takes an object, got the class {target.__name__}: make one, {target.__name__}(...)"
        )
    for methods in FORWARD_AND_BACKWARD:
        if all(callable(getattr(target, method, None)) for method in methods):
            return methods
    missing = next(name for name in FORWARD_AND_BACKWARD[0] if not callable(getattr(target, name, None)))
    raise ArgumentError(
        f"check: {type(target).__name__} has no method {missing}(); what is checked has forward and backward, or "
        f"is a function given together with backward=..., also two methods: check(net.run, x, backward=net.back)"
    )
