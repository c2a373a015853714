"""A layer of chainrule as a target: its contract says what it asks for and returns."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.randomness import held
from chainrule.checking.targets.target import (
    Calls,
    Returned,
    Target,
    WrongCount,
    returned_in_order,
    source_of,
)
from chainrule.errors import LayerError
from chainrule.layers import Layer, Loss


@dataclass
class LayerTarget(Target):
    """A layer, with a value for each of its inputs, its parameters among them."""

    layer: Layer | None = None
    training: bool = True
    state: Mapping[str, Array] | None = None
    seed: int = 0
    handwritten: bool = False

    def start(self, dtype: str = "float64") -> Calls:
        assert self.layer is not None
        try:
            own = copy.deepcopy(self.layer)  # a layer keeps nothing on itself, but one that is checked may
        except Exception:  # what it holds cannot be copied
            own = self.layer
        return _LayerCalls(self, own)

    @property
    def source(self) -> str | None:
        return source_of(getattr(type(self.layer), "backward", None))

    @property
    def method(self) -> Any:
        return getattr(self.layer, "forward", None)

    @property
    def draws_by_contract(self) -> bool:
        """Whether it asks for a generator, and uses it: while training."""
        return self.layer is not None and "rng" in self.layer.signature.forward_asks and self.training

    @property
    def answers(self) -> str | None:
        return list(self.values)[1] if isinstance(self.layer, Loss) and len(self.values) > 1 else None


class _LayerCalls(Calls):
    def __init__(self, target: LayerTarget, layer: Layer) -> None:
        self._target, self._layer, self._saved = target, layer, None
        self._count = 0

    def forward(self, values: Mapping[str, Array]) -> Any:
        target, asks = self._target, self._layer.signature.forward_asks
        asked: dict[str, Any] = {}
        if "training" in asks:
            asked["training"] = target.training
        if "rng" in asks:
            asked["rng"] = np.random.default_rng(target.seed)
        if "state" in asks:
            dtype = np.result_type(*(v for v in values.values() if is_float(v)))
            asked["state"] = {k: v.astype(dtype) for k, v in (target.state or {}).items()}
        with held(self._layer.forward, self._target.draws):
            result = self._layer.forward(*values.values(), **asked)
        expected = 3 if "state" in asks else 2
        if not isinstance(result, tuple) or len(result) != expected:
            raise LayerError(
                f"the forward of {type(self._layer).__name__} must return (output, saved"
                f"{', new_state' if expected == 3 else ''}), got {type(result).__name__}"
            )
        self._saved = result[1]
        self._count = len(values)
        return result[0]

    def backward(self, dy: Any) -> Returned:
        asked = {}
        if "needs" in self._layer.signature.backward_asks:
            asked["needs"] = (True,) * self._count
        with held(self._layer.backward, self._target.draws, seed=1):
            result = self._layer.backward(dy, self._saved, **asked)
        given = len(result) if isinstance(result, tuple) else 1
        if given < self._count:
            raise WrongCount(given, self._count)
        return returned_in_order(list(self._target.values), result)
