"""Deep graphs: no recursion, when building, running, naming the nodes or letting go of them."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest

import chainrule as cr
from chainrule.errors import GraphError

DEPTH = 100_000


@pytest.fixture(autouse=True)
def _shallow_recursion() -> None:
    assert sys.getrecursionlimit() < DEPTH / 10


def test_a_chain_of_100_000_nodes() -> None:
    x = node = cr.Input("x")
    for _ in range(DEPTH // 2):
        node = -cr.Negative()(node)
    graph = cr.Graph(node)
    assert len(graph) == DEPTH + 1
    assert graph.forward(x=3.0) == 3
    assert graph.backward()["x"] == 1
    assert graph.names[-1] == f"negative{DEPTH}"
    watched = [weakref.ref(node), weakref.ref(x), weakref.ref(graph)]
    del x, node, graph
    gc.collect()
    assert [each() for each in watched] == [None, None, None]


def test_a_chain_without_a_graph_is_let_go_of() -> None:
    node = cr.Input("x")
    watched = weakref.ref(node)
    for _ in range(DEPTH):
        node = -node
    del node
    gc.collect()
    assert watched() is None


def test_a_diamond_of_depth_1000() -> None:
    node = cr.Input("x")
    for _ in range(1000):
        node = node + node
    graph = cr.Graph(node)
    assert len(graph) == 1001
    assert graph.forward(x=1.0) == 2.0**1000
    assert graph.backward()["x"] == 2.0**1000


def test_a_long_cycle_is_found() -> None:
    first = node = -cr.Input("x")
    for _ in range(10_000):
        node = -node
    first.inputs = (node,)
    with pytest.raises(GraphError, match="cycle"):
        cr.Graph(node)
