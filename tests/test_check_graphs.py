"""`cr.check` on graphs and networks: the nodes that are wrong are named, and nothing of the graph changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4))
LABELS = RNG.integers(0, 3, 5)


class Cube(cr.Layer):
    """A wrong one: 2 stands where 3 belongs."""

    def forward(self, x: Array) -> tuple[Array, Array]:
        return x**3, x

    def backward(self, dy: Array, x: Array) -> Array:
        return dy * 2 * x**2


class Minus(cr.Layer):
    """A wrong one: the sign is missing."""

    def forward(self, x: Array) -> tuple[Array, None]:
        return -x, None

    def backward(self, dy: Array, saved: None) -> Array:
        return dy


def x() -> cr.Input:
    return cr.Input("x")


def total(node: Any) -> cr.Graph:
    return cr.Graph(cr.Sum()(node), seed=0)


def told(report: CheckReport) -> str:
    return "\n".join([report.summary(), *(f"{f.place}: {f.mistake}: {f.advice}" for f in report.findings)])


def errors(report: CheckReport) -> list[tuple[str, str]]:
    return [(f.node, f.mistake) for f in report.findings if f.severity == "error"]


# What is wrong is named -----------------------------------------------------------------------------------


def test_two_wrong_nodes_are_named_and_only_these() -> None:
    report = cr.check(total(Minus()(cr.Tanh()(Cube()(x())) * 3)), x=X)
    assert errors(report) == [("cube1", "factor"), ("minus1", "sign")]
    wrong = {row.node for row in report.rows if row.verdict == "wrong"}
    assert wrong == {"cube1", "minus1", "the whole graph"}


def test_a_wrong_layer_used_twice_is_named_twice() -> None:
    cube = Cube()
    assert errors(cr.check(total(cube(cube(x()))), x=X)) == [("cube1", "factor"), ("cube2", "factor")]


def test_a_right_node_between_wrong_ones_is_right() -> None:
    report = cr.check(total(Cube()(cr.Exp()(Minus()(x())))), x=0.3 * X)
    assert {row.node: row.verdict for row in report.rows}["exp1"] == "ok"


def test_a_node_whose_backward_raises_is_named() -> None:
    class Raises(Cube):
        def backward(self, dy: Array, x: Array) -> Array:
            raise ValueError("boom")

    report = cr.check(total(Raises()(cr.Exp()(x()))), x=X)
    assert errors(report) == [("raises1", "raises")]
    assert "boom" in report.findings[0].advice


def test_a_node_whose_forward_gives_nan_is_named() -> None:
    report = cr.check(total(cr.Log()(x())), x=-np.abs(X))
    assert ("log1", "not-finite") in errors(report)


def test_a_layer_with_too_few_or_too_many_gradients_is_named() -> None:
    class Product(cr.Layer):
        def forward(self, a: Array, b: Array) -> tuple[Array, Any]:
            return a * b, (a, b)

        def backward(self, dy: Array, saved: Any) -> Any:
            a, b = saved
            return (dy * b, dy * a, dy)[: self.many]

    for many, node in ((1, "product1"), (3, "product1")):
        layer = Product()
        layer.many = many  # type: ignore[attr-defined]
        report = cr.check(total(layer(x(), cr.Input("y"))), x=X, y=X)
        assert errors(report)[0][0] == node, told(report)


# What is right passes -------------------------------------------------------------------------------------


def shared() -> cr.Graph:
    affine = cr.Affine(4)
    return total(affine(cr.ReLU()(affine(x()))))


GRAPHS: dict[str, tuple[cr.Graph, dict[str, Any]]] = {
    "one node": (cr.Graph(cr.Exp()(x())), {"x": X}),
    "one number": (cr.Graph(cr.Tanh()(x())), {"x": 0.5}),
    "constants": (total(2 / (3 + cr.Tanh()(x())) - 1), {"x": X}),
    "whole numbers": (total(x() * 2), {"x": [1, 2, 3]}),
    "power of a negative number": (total(x() ** 2), {"x": X}),
    "power of 0": (total(x() ** 3), {"x": [0.0, 1.0, -1.0]}),
    "a shared layer": (shared(), {"x": X}),
    "dropout and batch norm": (total(cr.Dropout(0.5)(cr.BatchNorm()(cr.Affine(3)(x())))), {"x": X}),
    "indices": (total(cr.Tanh()(cr.Embedding(7, 3)(cr.Input("ids")))), {"ids": [[1, 2], [2, 6]]}),
    "labels": (cr.Graph(cr.SoftmaxCrossEntropy()(x(), cr.Input("t"))), {"x": X, "t": [0, 1, 2, 3, 0]}),
    "one-hot labels": (
        cr.Graph(cr.SoftmaxCrossEntropy()(x(), cr.Input("t"))),
        {"x": X, "t": np.eye(4)[[0, 1, 2, 3, 0]]},
    ),
    "whole targets": (
        cr.Graph(cr.MeanSquaredError()(x() * 2, cr.Input("t"))),
        {"x": X, "t": np.ones((5, 4), int)},
    ),
    "targets of 0 and 1": (
        cr.Graph(cr.SigmoidCrossEntropy()(x(), cr.Input("t"))),
        {"x": X, "t": 1.0 * (X > 0)},
    ),
    "probabilities": (
        cr.Graph(cr.SoftmaxCrossEntropy()(x(), cr.Input("t"))),
        {"x": X, "t": np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)},
    ),
    "weights of samples": (
        cr.Graph(cr.SoftmaxCrossEntropy()(x(), cr.Input("t"), cr.Input("w"))),
        {"x": X, "t": [0, 1, 2, 3, 0], "w": [1.0, 2.0, 0.5, 1.0, 1.0]},
    ),
    "float32": (cr.Graph(cr.Sum()(cr.Exp()(x())), dtype="float32"), {"x": X.astype(np.float32)}),
    "kinks": (total(cr.Max(axis=1)(cr.ReLU()(x()))), {"x": [[1.0, 1.0], [0.0, 0.0]]}),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "predicting"])
@pytest.mark.parametrize("name", GRAPHS)
def test_right_graphs_pass(name: str, training: bool) -> None:
    graph, feeds = GRAPHS[name]
    report = cr.check(graph, training=training, **feeds)
    assert report.passed, told(report)
    assert report.rows
    assert all(row.verdict in ("ok", "kink") for row in report.rows), told(report)


def test_an_optional_input_may_be_left_out() -> None:
    class Weighted(cr.Layer):
        def forward(self, x: Array, w: Array | None = None) -> tuple[Array, Any]:
            return (x if w is None else x * w), (x, w)

        def backward(self, dy: Array, saved: Any) -> Any:
            x, w = saved
            return (dy, None) if w is None else (dy * w, dy * x)

    graph = total(Weighted()(x(), cr.Input("w", optional=True)))
    for feeds in ({"x": X}, {"x": X, "w": X + 1}):
        report = cr.check(graph, **feeds)
        assert not report.findings, told(report)
        assert {row.input for row in report.rows if row.node == "the whole graph"} == set(feeds)


def test_one_node_may_be_several_inputs_of_another() -> None:
    h = cr.Tanh()(x())
    report = cr.check(total(cr.Concatenate()(h, h, h)), x=X)
    assert report.passed, told(report)
    rows = [row.input for row in report.rows if row.node == "concatenate1"]
    assert len(rows) == len(set(rows)) == 3


def test_training_reaches_the_nodes_and_the_whole() -> None:
    class Doubles(cr.Layer):
        """Right while training only."""

        def forward(self, x: Array, *, training: bool) -> tuple[Array, None]:
            return (x if training else 2 * x), None

        def backward(self, dy: Array, saved: None) -> Array:
            return dy

    graph = total(Doubles()(x()))
    for training, verdict in ((True, "ok"), (False, "wrong")):
        report = cr.check(graph, x=X, training=training)
        found = {row.node: row.verdict for row in report.rows}
        assert (found["doubles1"], found["the whole graph"]) == (verdict, verdict)


def network(loss: cr.Layer | None = None, outputs: int = 3) -> cr.Network:
    return cr.Network(
        cr.Affine(5),
        cr.BatchNorm(),
        cr.Tanh(),
        cr.Dropout(0.3),
        cr.Affine(outputs),
        input_shape=4,
        loss=loss or cr.SoftmaxCrossEntropy(),
        seed=0,
    )


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (cr.SoftmaxCrossEntropy(), LABELS),
        (cr.SoftmaxCrossEntropy(), np.eye(3)[LABELS]),
        (cr.MeanSquaredError(), X[:, :3]),
        (cr.Huber(), X[:, :3]),
        (cr.SigmoidCrossEntropy(), np.eye(3)[LABELS]),
        (cr.SigmoidCrossEntropy(), np.eye(3, dtype=int)[LABELS]),
    ],
    ids=["labels", "one-hot", "numbers", "huber", "0.0 and 1.0", "0 and 1"],
)
def test_networks_pass(loss: cr.Layer, t: Array) -> None:
    for training in (True, False):
        report = cr.check(network(loss), X, t, training=training)
        assert not report.findings, told(report)
        whole = [row.input for row in report.rows if row.node == "the whole graph"]
        assert whole == ["x", "W1", "b1", "gamma1", "beta1", "W2", "b2"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_may_be_checked_in_either_dtype(dtype: str) -> None:
    for net in (network(), network().astype("float64")):
        report = cr.check(net, X.astype(np.float32), LABELS, dtype=dtype)
        assert not report.findings, told(report)


# Nothing changes ------------------------------------------------------------------------------------------


def test_the_graph_keeps_its_values_and_gradients() -> None:
    graph = total(cr.Exp()(x()) + 3)
    graph.forward(x=X)
    graph.backward()
    values = {name: np.array(graph.values[name]) for name in graph.names}
    gradients = {name: np.array(graph.gradients[name]) for name in graph.names}
    assert cr.check(graph, x=X[:2] + 1).passed
    assert all(np.array_equal(graph.values[name], value) for name, value in values.items())
    assert all(np.array_equal(graph.gradients[name], value) for name, value in gradients.items())


def test_the_network_keeps_its_parameters_and_statistics() -> None:
    net = network()
    flat, parameters = net.params.flat, net.params.flat.copy()
    state = {name: value.copy() for name, value in net.graph.state.items()}
    x_fed, t_fed = X.copy(), LABELS.copy()
    cr.check(net, x_fed, t_fed)
    assert net.params.flat is flat or np.shares_memory(net.params.flat, flat)
    assert np.array_equal(net.params.flat, parameters)
    assert state
    assert all(np.array_equal(net.graph.state[name], value) for name, value in state.items())
    assert net.params.flat.dtype == np.float32
    assert np.array_equal(x_fed, X)
    assert np.array_equal(t_fed, LABELS)


def test_a_graph_without_parameters_yet_gets_none() -> None:
    graph = total(cr.Affine(3)(x()))
    assert cr.check(graph, x=X).passed
    with pytest.raises(cr.errors.NotComputedError):
        graph.parameter_value("W1")


def test_the_parameters_of_the_graph_are_those_that_are_checked() -> None:
    seen: list[Array] = []

    class Scale(cr.Layer):
        def parameters(self) -> dict[str, cr.layers.ParameterSpec]:
            return {"g": cr.layers.ParameterSpec((4,), cr.initializers.Ones())}

        def forward(self, x: Array, g: Array) -> tuple[Array, Any]:
            seen.append(g.copy())
            return x * g, (x, g)

        def backward(self, dy: Array, saved: Any) -> tuple[Array, Array]:
            x, g = saved
            return dy * g, dy * x

    net = cr.Network(Scale(), input_shape=4, loss=cr.MeanSquaredError(), seed=0)
    net.params["g1"] = [1.0, 2.0, 3.0, 4.0]
    seen.clear()
    assert cr.check(net, X, X).passed
    assert any(np.array_equal(g, [1.0, 2.0, 3.0, 4.0]) for g in seen)


def test_the_statistics_of_the_graph_are_those_that_are_used() -> None:
    graph = total(cr.BatchNorm()(x()))
    graph.forward(x=X, training=True)
    name = next(name for name in graph.state if "mean" in name)
    graph.state = {**graph.state, name: np.full(4, 1e6)}
    report = cr.check(graph, x=X, training=False)
    assert report.passed, told(report)
    before = cr.check(total(cr.BatchNorm()(x())), x=X, training=False)
    gamma = [[row.error for row in each.rows if row.input == "gamma1"] for each in (report, before)]
    assert gamma[0] != gamma[1]


def test_the_same_seed_gives_the_same_report() -> None:
    def content(seed: int) -> dict[str, Any]:
        found = cr.check(network(), X, LABELS, seed=seed).to_dict()
        del found["seconds"]
        return found

    assert content(0) == content(0)
    assert content(0) != content(1)


# How values are given -------------------------------------------------------------------------------------


def test_values_by_name_in_a_dict_or_by_place() -> None:
    graph = total(cr.Exp()(x()))
    rows = [cr.check(graph, x=X).rows, cr.check(graph, {"x": X}).rows, cr.check(graph, X).rows]
    assert rows[0] == rows[1] == rows[2]
    net = network()
    assert cr.check(net, X, t=LABELS).rows == cr.check(net, {"x": X, "t": LABELS}).rows


def test_a_graph_that_ran_is_checked_at_its_values() -> None:
    graph = total(cr.Exp()(x()))
    graph.forward(x=X)
    assert cr.check(graph).rows == cr.check(graph, x=X).rows


@pytest.mark.parametrize(
    ("inputs", "feeds", "error"),
    [
        ((), {}, cr.errors.ArgumentError),
        ((X, X), {}, cr.errors.ArgumentError),
        ((X,), {}, cr.errors.ArgumentError),
        ((), {"x": X}, cr.errors.ChainruleError),
        ((), {"x": X, "y": X, "z": X}, cr.errors.GraphError),
        ((), {"x": X, "y": X[:, :3]}, cr.errors.ShapeError),
    ],
)
def test_values_that_are_missing_or_too_many(inputs: Any, feeds: Any, error: Any) -> None:
    graph = total(x() * cr.Input("y"))
    with pytest.raises(error):
        cr.check(graph, *inputs, **feeds)


@pytest.mark.parametrize(
    ("x", "t", "error"),
    [
        (X[:, :2], LABELS, cr.errors.ShapeError),
        (X, LABELS + 5, cr.errors.DataError),
        (X * np.nan, LABELS, cr.errors.DataError),
        (X, LABELS[:3], cr.errors.ChainruleError),
    ],
    ids=["features", "labels", "nan", "lengths"],
)
def test_a_batch_that_does_not_fit_is_told(x: Any, t: Any, error: Any) -> None:
    with pytest.raises(error):
        cr.check(network(), x, t)


def test_a_network_needs_a_whole_batch() -> None:
    with pytest.raises(cr.errors.ArgumentError, match="t is missing"):
        cr.check(network(), X)
    with pytest.raises(cr.errors.ArgumentError, match="4 inputs given"):
        cr.check(network(), X, LABELS, X, X)


@pytest.mark.parametrize("seed", range(6))
def test_a_network_that_has_learnt_all_there_is_raises_no_alarm(seed: int) -> None:
    """Its loss is a small difference of large logits, which rounds in the differences more than its size shows."""
    rng = np.random.default_rng(seed)
    t = rng.integers(0, 3, 300)
    x = (4 * rng.normal(size=(3, 4)))[t] + rng.normal(size=(300, 4))
    layers = [cr.Affine(50), cr.ReLU(), cr.Affine(3)]
    net = cr.Network(*layers, input_shape=4, loss=cr.SoftmaxCrossEntropy(), seed=seed)
    net.fit(x, t, epochs=330)
    report = cr.check(net, x[:10], t[:10])
    assert report.passed
    assert not report.findings, report.summary()
