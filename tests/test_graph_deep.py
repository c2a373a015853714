"""Deep graphs: no recursion, when building, running, naming the nodes or letting go of them."""

from __future__ import annotations

import gc
import sys
import time
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


def _seconds(layers, folder):
    """Processor time of saving, loading, predicting, and of the summary, for a chain of as many layers."""
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
        begin = time.process_time()
        step()
        found[name] = time.process_time() - begin
    return found


def test_files_predictions_and_summaries_take_time_in_proportion_to_the_depth(tmp_path):
    """Four times the layers take four times as long; sixteen times, where each layer looks at all the others."""
    _seconds(20, tmp_path)  # what is imported and built once
    few, many = ([_seconds(layers, tmp_path) for _ in range(2)] for layers in (1_000, 4_000))
    for name in few[0]:
        ratio = min(each[name] for each in many) / min(each[name] for each in few)
        assert ratio < 10, (name, ratio)
