"""Every layer of chainrule with a backward that spoils the right gradients: one mistake after the other."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from mutations.calling import callee_of
from mutations.mutating import Mutant
from mutations.spoiling import Spoiled, spoilings
from mutations.targets import Target, normal, positive
from mutations.traces import differs, trace

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
#: The table that holds what every layer is tested on.
layer_cases: Any = importlib.import_module("layer_cases")

#: In these the mistake could not show, or the checker may rightly speak of something else: a kink, rounding.
LEFT_OUT = (
    "empty", "extreme", "one", "no-axes", "predicting", "rate-0", "equal", "everything", "nothing", "base",
)  # fmt: skip


def wrapped_mutants() -> list[Mutant]:
    """One mutant for each layer and mistake, on the first of its cases where the mistake shows."""
    return [mutant for cls in layer_cases.all_layers() for mutant in _of_layer(cls)]


def target_of(case: Any, rng: np.random.Generator, dtype: Any) -> Target:
    """A row of the table as it is handed to `cr.check`, which makes the layer's parameters itself."""
    layer = case.make()
    inputs = case.inputs(rng, dtype)
    options = {} if np.dtype(dtype) == np.float64 else {"dtype": np.dtype(dtype).name}
    if not case.training:
        options["training"] = False
    return Target(layer, inputs[: len(inputs) - len(layer.parameters())], options)


def _of_layer(cls: type[cr.Layer]) -> Iterator[Mutant]:
    done: set[str] = set()
    for make in _situations(cls):
        for spoiled in spoilings(callee_of(make())):
            wrong = functools.partial(_made, make, spoiled)
            # What an earlier forward kept may do: the shape of x, say.
            if spoiled.name not in done and (not spoiled.stale or differs(trace(wrong), trace(make))):
                done.add(spoiled.name)
                yield Mutant(f"cr.{cls.__name__}: {spoiled.name}", wrong, spoiled.expected, make)


def _situations(cls: type[cr.Layer]) -> Iterator[Callable[[], Target]]:
    for case in layer_cases.CASES[cls]:
        if not any(word in case.name for word in LEFT_OUT):
            yield functools.partial(_drawn, case)
    if cls in SQUARE:
        yield SQUARE[cls]


def _drawn(case: Any) -> Target:
    return target_of(case, np.random.default_rng(0), np.float64)


def _square(make: Callable[[], cr.Layer], *draws: Callable[..., Any]) -> Callable[[], Target]:
    def target() -> Target:
        rng = np.random.default_rng(0)
        return Target(make(), tuple(draw(rng, np.float64) for draw in draws), {})

    return target


#: Where two axes of a gradient can be exchanged, and an N that is not one of the layer's other numbers.
SQUARE: dict[type[cr.Layer], Callable[[], Target]] = {
    cr.Affine: _square(lambda: cr.Affine(4), normal(5, 4)),
    cr.MatMul: _square(cr.MatMul, normal(4, 4), normal(4, 4)),
    cr.Multiply: _square(cr.Multiply, normal(4, 4), normal(4, 4)),
    cr.Divide: _square(cr.Divide, positive(4, 4), positive(4, 4)),
    cr.Sigmoid: _square(cr.Sigmoid, normal(4, 4)),
    cr.Softmax: _square(cr.Softmax, normal(4, 4)),
    cr.LayerNorm: _square(cr.LayerNorm, normal(4, 4)),
    cr.Transpose: _square(cr.Transpose, normal(4, 4)),
    cr.Embedding: _square(lambda: cr.Embedding(4, 4), lambda rng, dtype: np.array([0, 2, 2, 1, 3, 0])),
}


def spoil(layer: cr.Layer, spoiled: Spoiled) -> cr.Layer:
    """The layer, with its class replaced by one that spoils what the parent gives."""
    parent = type(layer)
    methods = {
        name: functools.wraps(getattr(parent, name))(method)
        for name, method in (("forward", spoiled.forward(parent)), ("backward", spoiled.backward(parent)))
    }
    layer.__class__ = type(parent.__name__, (parent,), {**methods, "__module__": __name__})
    return layer


def _made(make: Callable[[], Target], spoiled: Spoiled) -> Target:
    made = make()
    spoil(made.target, spoiled)
    return made
