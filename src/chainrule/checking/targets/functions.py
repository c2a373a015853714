"""Two functions as a target: forward(*inputs) and backward(dy, *inputs), or with a cache handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.checking.randomness import held
from chainrule.checking.targets.calling import as_given
from chainrule.checking.targets.target import Calls, Returned, Target, accepts, returned_in_order, source_of


@dataclass
class FunctionTarget(Target):
    """Two functions: forward(*inputs) and backward(dy, *inputs), or with a cache handed from one to the other."""

    forward: Callable[..., Any] | None = None
    backward: Callable[..., Any] | None = None
    #: Inputs that are given as plain numbers.
    plain: frozenset[str] = frozenset()

    def start(self, dtype: str = "float64") -> Calls:
        assert self.forward is not None
        assert self.backward is not None
        return _FunctionCalls(self, self.forward, self.backward)

    @property
    def source(self) -> str | None:
        return source_of(self.backward)

    @property
    def method(self) -> Any:
        return self.forward


@dataclass
class PlainTarget(Target):
    """A forward alone, called with the inputs in their order, or with the first of them."""

    forward: Callable[..., Any] = field(default=lambda *_: None)
    count: int = 0

    def start(self, dtype: str = "float64") -> Calls:
        return _PlainCalls(self.forward, self.count)


class _PlainCalls(Calls):
    def __init__(self, forward: Callable[..., Any], count: int) -> None:
        self._forward, self._count = forward, count

    def forward(self, values: Mapping[str, Array]) -> Any:
        result = self._forward(*list(values.values())[: self._count])
        if isinstance(result, (tuple, list)) and any(isinstance(each, np.ndarray) for each in result):
            return np.concatenate([np.ravel(each) for each in result])
        return result

    def backward(self, dy: Any) -> Returned:
        raise NotImplementedError("it is a forward alone")


class _FunctionCalls(Calls):
    def __init__(
        self, target: FunctionTarget, forward: Callable[..., Any], backward: Callable[..., Any]
    ) -> None:
        self._forward, self._backward = forward, backward
        self._names, self._draws = list(target.values), target.draws
        self._differentiable, self._plain = target.differentiable, target.plain
        self._rest: tuple[Any, ...] = ()

    def forward(self, values: Mapping[str, Array]) -> Any:
        with held(self._forward, self._draws):
            result = self._forward(*as_given(values, self._plain))
        if isinstance(result, tuple) and len(result) == 2:
            result, cache = result
            self._rest = (cache,)
        else:
            self._rest = (
                tuple(as_given(values, self._plain)) if accepts(self._backward, 1 + len(values)) else ()
            )
        return result

    def backward(self, dy: Any) -> Returned:
        with held(self._backward, self._draws, seed=1):
            result = self._backward(dy, *self._rest)
        return returned_in_order(self._names, result, self._differentiable)
