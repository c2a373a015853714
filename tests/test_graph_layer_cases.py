"""Every layer of chainrule in a graph: its gradients there, against central differences on the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from layer_cases import LayerCase, all_cases

EPSILON = float(np.finfo(np.float64).eps)
cases = pytest.mark.parametrize("case", all_cases(), ids=str)


def graph_of(case: LayerCase) -> tuple[cr.Graph, dict[str, Array], np.random.Generator]:
    """The case's layer on inputs named x0, x1, ..., and what is fed to them, frozen."""
    rng = np.random.default_rng(len(str(case)))
    feeds = {f"x{k}": value for k, value in enumerate(case.inputs(rng, np.float64))}
    for value in feeds.values():
        value.flags.writeable = False
    layer = case.make()
    graph = cr.Graph(layer(*(cr.Input(name) for name in feeds), name="y"), seed=case.seed)
    if case.state is not None:
        names = graph.state_names(layer)
        graph.state |= {names[short]: value for short, value in case.state(np.float64).items()}
        for value in graph.state.values():
            value.flags.writeable = False
    return graph, feeds, rng


def differences(f: Callable[[Array], Array], x: Array, dy: Array) -> tuple[Array, Array]:
    """The gradient of (f(x) * dy).sum() by central differences, and how far off it may be."""
    numeric, allowed = np.zeros(x.shape), np.zeros(x.shape)
    size = EPSILON * np.abs(dy * f(x)).sum()
    for i in np.ndindex(x.shape):
        step = EPSILON ** (1 / 3) * max(1.0, abs(x[i]) ** 0.5)
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        width = above[i] - below[i]
        terms = dy * (f(above) - f(below)) / width
        numeric[i] = terms.sum()
        allowed[i] = 1e-6 * np.abs(terms).sum() + 10 * size / width
    return numeric, allowed + 1e-9 * np.abs(numeric).max(initial=0) + 1e-30


@cases
def test_gradients_in_a_graph(case: LayerCase) -> None:
    graph, feeds, rng = graph_of(case)
    y = np.asarray(graph.forward(feeds, training=case.training, step=3))
    dy = np.asarray(rng.normal(size=y.shape))
    dy.flags.writeable = False
    graph.backward(dy)
    for k in case.positions(tuple(feeds.values())):
        name = f"x{k}"
        gradient = np.asarray(graph.gradients[name])
        assert gradient.shape == feeds[name].shape
        assert gradient.dtype == np.float64

        def output(x: Array, name: str = name) -> Array:
            return graph.evaluate({**feeds, name: x}, training=case.training, step=3)

        numeric, allowed = differences(output, feeds[name], dy)
        assert (np.abs(gradient - numeric) <= allowed).all(), f"{case}, {name}:\n{gradient}\nnot\n{numeric}"


@cases
def test_a_layer_may_be_used_between_frozen_values(case: LayerCase) -> None:
    """What a layer is handed may be a value that other nodes need too: nothing writes to it."""
    rng = np.random.default_rng(0)
    feeds = {f"x{k}": value for k, value in enumerate(case.inputs(rng, np.float64))}
    before = {name: value.copy() for name, value in feeds.items()}
    layer = case.make()
    graph = cr.Graph(layer(*(cr.Input(name) for name in feeds)), seed=0)
    y = np.asarray(graph.forward(feeds, training=case.training))
    values = {name: np.array(value) for name, value in graph.values.items()}
    dy = np.ones(y.shape)
    graph.backward(dy)
    np.testing.assert_array_equal(dy, np.ones(y.shape))
    for name, value in feeds.items():
        np.testing.assert_array_equal(value, before[name])
    for name, value in values.items():
        np.testing.assert_array_equal(graph.values[name], value)


def test_one_graph_of_every_kind_of_node_writes_to_nothing_it_is_given() -> None:
    rng = np.random.default_rng(0)
    given = [
        rng.normal(size=(6, 4)),
        np.array([0, 2, 1, 1, 0, 2]),
        rng.normal(size=(4, 4)),
        rng.normal(size=4),
    ]
    for array in given:
        array.flags.writeable = False
    before = [array.copy() for array in given]
    x, ids = cr.Input("x"), cr.Input("ids")
    w = cr.Parameter("w", given[2])
    h = cr.BatchNorm()(cr.Affine(4)(x @ w + given[3]) * given[3] - (-x) / 2)
    h = cr.Concatenate()(cr.ReLU()(h), cr.Dropout(0.3)(h), cr.LayerNorm()(h + cr.Embedding(3, 4)(ids)))
    h = cr.Affine(3)(h[:, ::2] ** 2 + cr.Take(axis=1)(h, np.arange(6)))
    graph = cr.Graph(cr.SoftmaxCrossEntropy()(h, ids) + cr.Mean()(cr.Exp()(x)), seed=0)
    graph.forward(x=given[0], ids=given[1], w=given[2], training=True)
    graph.backward()
    assert all(name in graph.gradients for name in [*graph.parameters, "x"])
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy)
