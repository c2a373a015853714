"""Broadcasting undone: gradients of random shapes that broadcast, against central differences."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as strategies
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.arrays import Array, Shape

SHAPES = [
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((4,), (2, 3, 4)),
    ((2, 3, 4), (1, 4)),
    ((1, 1, 1), (3,)),
    ((1,), ()),
    ((5, 1), (5, 1)),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
]
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


def positive(rng: np.random.Generator, shape: Shape) -> Array:
    return np.asarray(rng.uniform(0.5, 2, shape))


def assert_gradients(graph: cr.Graph, feeds: dict[str, Array], rng: np.random.Generator) -> None:
    """Against central differences, under a random upstream gradient."""
    y = np.asarray(graph.forward(feeds))
    dy = rng.normal(size=y.shape)
    graph.backward(dy)
    for name, value in feeds.items():

        def final(x: Array, name: str = name) -> float:
            return float((graph.evaluate({**feeds, name: x}) * dy).sum())

        gradient = np.asarray(graph.gradients[name])
        assert gradient.shape == value.shape
        numeric = cr.numerical_gradient(final, value.copy())
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_binary_operations(operation: str, shapes: tuple[Shape, Shape]) -> None:
    rng = np.random.default_rng(0)
    graph = cr.Graph(OPERATIONS[operation](cr.Input("a"), cr.Input("b")))
    assert_gradients(graph, {"a": positive(rng, shapes[0]), "b": positive(rng, shapes[1])}, rng)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    strategies.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3),
    st.integers(0, 10),
)
def test_three_inputs_of_random_shapes(shapes: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = cr.Input("a"), cr.Input("b"), cr.Input("c")
    graph = cr.Graph((a * b - c) / (b + c * c) + a**b * cr.Tanh()(c))
    values = [positive(rng, shape) for shape in shapes.input_shapes]
    assert_gradients(graph, dict(zip("abc", values, strict=True)), rng)


def test_a_node_that_is_broadcast_two_ways_at_once() -> None:
    rng = np.random.default_rng(1)
    x = cr.Input("x")
    graph = cr.Graph(x * cr.Transpose()(x) + x)  # (3, 1) * (1, 3) + (3, 1)
    assert_gradients(graph, {"x": positive(rng, (3, 1))}, rng)


def test_exactly() -> None:
    graph = cr.Graph(cr.Input("column") + cr.Input("row"))
    graph.forward(column=np.zeros((3, 1)), row=np.zeros((1, 4)))
    dy = np.arange(12.0).reshape(3, 4)
    graph.backward(dy)
    np.testing.assert_array_equal(graph.gradients["column"], dy.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(graph.gradients["row"], dy.sum(axis=0, keepdims=True))
