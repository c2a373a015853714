"""Deep graphs: no recursion, when building, running, naming the nodes or letting go of them."""

from __future__ import annotations

import cProfile
import gc
import sys
import weakref

import numpy as np
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


def _calls(layers, folder):
    """Calls of functions in saving, loading, predicting, and in the summary, for a chain of as many layers."""
    chain = [layer for _ in range(layers // 2) for layer in (cr.Affine(4), cr.ReLU())]
    net = cr.Network(*chain, input_shape=4, loss="mse", seed=0)
    path, x, loaded = folder / "net", np.zeros((3, 4), np.float32), []
    steps = {
        "save": lambda: cr.save(net, path),
        "load": lambda: loaded.append(cr.load(path)),
        "predict": lambda: loaded[0].predict(x),
        "summary": lambda: loaded[0].summary(),
    }
    found = {}
    for name, step in steps.items():
        profile = cProfile.Profile()
        profile.runcall(step)
        found[name] = sum(each.callcount for each in profile.getstats())
    return found


def test_files_predictions_and_summaries_take_work_in_proportion_to_the_depth(tmp_path):
    """Four times the layers, four times the calls; sixteen times, where each layer looks at all the others."""
    _calls(20, tmp_path)  # what is imported and built once
    few, many = (_calls(layers, tmp_path) for layers in (500, 2_000))
    for name, calls in few.items():
        assert many[name] < 4.5 * calls, name
