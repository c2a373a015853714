"""Graphs and a network in which one node is wrong: whether the check finds that node, and no other."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import chainrule as cr
from mutations.calling import callee_of
from mutations.mutating import Mutant
from mutations.spoiling import Spoiled, spoilings
from mutations.targets import Target
from mutations.wrapped import spoil

WRONG = "suspect"

LAYERS: tuple[type[cr.Layer], ...] = (
    cr.Sigmoid,
    cr.Tanh,
    cr.Softplus,
    cr.GELU,
    cr.Exp,
    cr.Softmax,
    cr.LayerNorm,
    cr.BatchNorm,
)
MISTAKES = ("negated", "doubled", "zeros", "ones for dy", "dy unchanged", "one element wrong by 1 %")


def graph_mutants() -> list[Mutant]:
    """Every one of these layers with every one of these mistakes, amid right nodes."""
    rng = np.random.default_rng(0)
    found = []
    for cls in LAYERS:
        alone = Target(cls(), (rng.normal(size=(5, 4)),), {})
        for spoiled in spoilings(callee_of(alone)):
            if spoiled.name in MISTAKES:
                found += [
                    Mutant(
                        f"{place.__name__} with cr.{cls.__name__}: {spoiled.name}",
                        functools.partial(place, cls, spoiled),
                        spoiled.expected,
                        functools.partial(place, cls, None),
                        WRONG,
                    )
                    for place in (graph, network)
                ]
    return found


def graph(cls: type[cr.Layer], spoiled: Spoiled | None, seed: int = 0, dtype: Any = np.float64) -> Target:
    """Two paths that meet: one through the layer, one around it."""
    x, scale = cr.Input("x"), cr.Input("scale")
    inner = (cr.Tanh()(x) * scale).named("inner")
    output = cr.Sum()(cr.Sigmoid()(_layer(cls, spoiled)(inner, name=WRONG) + 0.3 * inner))
    rng = np.random.default_rng(seed)
    feeds = {"x": rng.normal(size=(5, 4)).astype(dtype), "scale": rng.uniform(0.5, 1.5, 4).astype(dtype)}
    return Target(cr.Graph(output, seed=seed), (), {**feeds, **_options(dtype)})


def network(cls: type[cr.Layer], spoiled: Spoiled | None, seed: int = 0, dtype: Any = np.float64) -> Target:
    """A classifier with the layer between two affine ones."""
    x = cr.Input("x", shape=4)
    hidden = _layer(cls, spoiled)(cr.Affine(6)(x), name=WRONG)
    net = cr.Network(
        output=cr.Affine(3)(hidden), loss=cr.SoftmaxCrossEntropy(), seed=seed, dtype=np.dtype(dtype).name
    )
    rng = np.random.default_rng(seed)
    return Target(net, (rng.normal(size=(5, 4)).astype(dtype), rng.integers(0, 3, 5)), _options(dtype))


def _layer(cls: type[cr.Layer], spoiled: Spoiled | None) -> cr.Layer:
    return cls() if spoiled is None else spoil(cls(), spoiled)


def _options(dtype: Any) -> dict[str, Any]:
    return {} if np.dtype(dtype) == np.float64 else {"dtype": np.dtype(dtype).name}
