"""How a graph is written down: leaves, operators, layers called on nodes, names, order."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DataError, GraphError, LayerError
from conftest import printed

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
}
VALUES = np.array([[1.5, 2.0, 0.5], [0.7, 3.0, 1.0]])


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(
    "other",
    [2, 0.25, True, np.float64(1.5), np.float32(1.5), np.int64(3), np.array([1.0, 2.0, 3.0]), [[2.0], [0.5]]],
    ids=lambda other: type(other).__name__,
)
def test_operators_take_numbers_and_arrays_on_either_side(name: str, other: Any) -> None:
    apply = BINARY[name]
    left, right = cr.Graph(apply(cr.Input("x"), other)), cr.Graph(apply(other, cr.Input("x")))
    as_float = np.asarray(other, dtype=np.float64)
    np.testing.assert_array_equal(left.forward(x=VALUES), apply(VALUES, as_float))
    np.testing.assert_array_equal(right.forward(x=VALUES), apply(as_float, VALUES))
    assert left.names[-1] == right.names[-1] == f"{name}1"


@pytest.mark.parametrize("name", BINARY)
def test_operators_take_nodes(name: str) -> None:
    graph = cr.Graph(BINARY[name](cr.Input("x"), cr.Parameter("w", 2)))
    np.testing.assert_array_equal(graph.forward(x=VALUES), BINARY[name](VALUES, 2.0))


def test_matmul_takes_an_array_on_either_side() -> None:
    matrix = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(cr.Graph(cr.Input("x") @ matrix).forward(x=VALUES), VALUES @ matrix)
    np.testing.assert_array_equal(cr.Graph(matrix @ cr.Input("x")).forward(x=VALUES), matrix @ VALUES)
    graph = cr.Graph(cr.Input("a") @ cr.Input("b"))
    np.testing.assert_array_equal(graph.forward(a=VALUES, b=matrix), VALUES @ matrix)


def test_unary_minus_and_index() -> None:
    x = cr.Input("x")
    np.testing.assert_array_equal(cr.Graph(-x).forward(x=VALUES), -VALUES)
    np.testing.assert_array_equal(cr.Graph(x[:, 1]).forward(x=VALUES), VALUES[:, 1])
    assert cr.Graph(x[1, -1]).forward(x=VALUES) == 1.0


def test_a_node_is_no_sequence() -> None:
    with pytest.raises(TypeError):
        list(cr.Input("x"))


def test_a_constant_is_a_copy() -> None:
    array = np.array([1.0, 2.0])
    graph = cr.Graph(cr.Input("x") * array)
    array[:] = 0
    np.testing.assert_array_equal(graph.forward(x=3.0), [3, 6])
    parameter = cr.Parameter("w", array)
    array[:] = 7
    np.testing.assert_array_equal(parameter.value, [0, 0])


@pytest.mark.parametrize("wrong", ["two", None, object(), 1j, [1, "x"], [[1, 2], [3]]], ids=printed)
def test_what_is_no_number_is_no_constant_and_no_parameter(wrong: Any) -> None:
    with pytest.raises(DataError, match="expected a number or an array of numbers"):
        cr.Input("x") + wrong
    with pytest.raises(DataError, match=r"Parameter\('w'\): expected"):
        cr.Parameter("w", wrong)


def test_every_layer_is_called_on_nodes() -> None:
    x = cr.Input("x")
    graph = cr.Graph(cr.Sum()(cr.Exp()(cr.Concatenate(axis=0)(x, VALUES, name="both"), name="exponential")))
    expected = np.exp(np.concatenate([VALUES, VALUES])).sum()
    assert graph.forward(x=VALUES) == pytest.approx(expected, rel=1e-14)
    assert graph.names == ("x", "constant1", "both", "exponential", "sum1")


@pytest.mark.parametrize("arguments", [(), (3.0,), (np.ones(2), np.ones(2)), ([cr.Input("x")],)])
def test_a_layer_called_on_no_node_says_how(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(LayerError, match=r"called on nodes of a graph, such as cr.Input\('x'\)"):
        cr.Add()(*arguments)


def test_the_number_of_inputs_is_checked_where_the_layer_is_called() -> None:
    x = cr.Input("x")
    with pytest.raises(LayerError, match=r"takes 2 inputs \(a, b\), got 1"):
        cr.Add()(x)
    with pytest.raises(LayerError, match=r"takes 1 to 3 inputs \(x, W, b\), got 4"):
        cr.Affine(3)(x, x, x, x)
    with pytest.raises(LayerError, match=r"takes 2 to 3 inputs \(x, t, sample_weight\), got 1"):
        cr.MeanSquaredError()(x)


def test_names_that_are_given() -> None:
    price, count = cr.Input("price"), cr.Input("count")
    total = (price * count).named("total")
    taxed = cr.Multiply()(total, 1.1, name="taxed")
    graph = cr.Graph(taxed)
    assert graph.names == ("price", "count", "total", "constant1", "taxed")
    assert graph["total"] is total
    assert graph.name_of(taxed) == "taxed"
    assert "total" in graph
    assert total in graph
    assert "tax" not in graph
    assert cr.Input("price") not in graph
    assert list(graph) == [graph[name] for name in graph.names]
    assert len(graph) == 5


@pytest.mark.parametrize("wrong", ["", "  ", 3, None])
def test_a_name_is_text(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="name of a node is a string that is not empty"):
        cr.Input("x").named(wrong)


def test_automatic_names() -> None:
    x = cr.Input("x")
    hidden = cr.ReLU()(cr.BatchNorm()(cr.Affine(4)(x)))
    graph = cr.Graph(cr.Affine(2)(hidden) * 2 + cr.Affine(2, bias=False)(x) * 3)
    assert graph.names == (
        *("x", "W1", "b1", "affine1", "gamma1", "beta1", "batchnorm1", "relu1"),
        *("W2", "b2", "affine2", "constant1", "multiply1", "W3", "affine3", "constant2", "multiply2", "add1"),
    )
    assert list(graph.inputs) == ["x"]
    assert list(graph.parameters) == ["W1", "b1", "gamma1", "beta1", "W2", "b2", "W3"]
    assert graph.state_names(graph["batchnorm1"].layer) == {  # type: ignore[arg-type]
        "running_mean": "running_mean1",
        "running_var": "running_var1",
    }


def test_one_layer_has_one_number_for_all_its_parameters() -> None:
    x = cr.Input("x")
    graph = cr.Graph(cr.Affine(2)(cr.Affine(4, bias=False)(x)))
    assert list(graph.parameters) == ["W1", "W2", "b2"]


def test_automatic_names_avoid_given_ones() -> None:
    x = cr.Input("affine1")
    graph = cr.Graph(cr.Affine(2)(cr.Affine(2)(x, name="affine2")))
    assert graph.names[-1] == "affine3"
    assert len(set(graph.names)) == len(graph)


def test_automatic_names_avoid_those_of_parameters() -> None:
    class Scale(cr.Layer):
        def parameters(self) -> dict[str, cr.ParameterSpec]:
            return {"scale": cr.ParameterSpec((), cr.initializers.Constant(3.0))}

        def forward(self, x, scale):  # type: ignore[no-untyped-def]
            return x * scale, (x, scale)

        def backward(self, dy, saved):  # type: ignore[no-untyped-def]
            x, scale = saved
            return dy * scale, dy * x

    graph = cr.Graph(Scale()(Scale()(cr.Input("x"))))
    assert graph.names == ("x", "scale1", "scale3", "scale2", "scale4")
    assert graph.forward(x=2.0) == 18
    assert graph.backward()["scale1"] == graph.gradients["scale2"] == 6


def test_parameters_of_two_layers_never_share_a_name() -> None:
    class Pair(cr.Layer):
        def parameters(self) -> dict[str, cr.ParameterSpec]:
            return {"W": cr.ParameterSpec((), cr.initializers.Ones())}

        def forward(self, x, W):  # type: ignore[no-untyped-def]
            return x * W, None

        def backward(self, dy, saved):  # type: ignore[no-untyped-def]
            return dy, dy

    class Odd(Pair):
        def parameters(self) -> dict[str, cr.ParameterSpec]:
            return {"W1": cr.ParameterSpec((), cr.initializers.Ones())}

        def forward(self, x, W1):  # type: ignore[no-untyped-def]
            return x * W1, None

    node = Odd()(cr.Input("x"))
    for _ in range(11):
        node = Pair()(node)
    graph = cr.Graph(node)
    assert len(graph.parameters) == 12
    assert len(set(graph.names)) == len(graph)


def test_the_order_is_depth_first_and_always_the_same() -> None:
    def build() -> cr.Graph:
        a, b, c = cr.Input("a"), cr.Input("b"), cr.Input("c")
        return cr.Graph((b * c).named("bc") + (a * b).named("ab") * c)

    assert build().names == ("b", "c", "bc", "a", "ab", "multiply1", "add1")
    assert build().names == build().names
    assert [node.name for node in build().sources("ab")] == ["a", "b"]


def test_a_graph_takes_a_node() -> None:
    with pytest.raises(GraphError, match="takes the node whose value is wanted, got float"):
        cr.Graph(3.0)  # type: ignore[arg-type]


def test_repr() -> None:
    x = cr.Input("x")
    assert repr(x) == "<Input, named 'x'>"
    assert repr((x * 2).named("double")) == "<Multiply() of x, ?, named 'double'>"
    assert repr(cr.Graph(x * 2)) == "<Graph of 3 nodes, output 'multiply1'>"
    graph = cr.Graph(x * 2)
    graph.forward(x=1.0)
    assert (
        repr(graph.values)
        == "{'x': np.float64(1.0), 'constant1': np.float64(2.0), 'multiply1': np.float64(2.0)}"
    )


@pytest.mark.parametrize("wrong", [0, -3, (2, 0), 2.5, (1.5,), "abc"])
def test_an_input_has_a_shape_of_positive_numbers(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Input\('x'\): expected a shape of positive whole numbers"):
        cr.Input("x", shape=wrong)


def test_shapes_of_inputs() -> None:
    assert cr.Input("x").shape is None
    assert cr.Input("x", shape=784).shape == (784,)
    assert cr.Input("x", shape=np.array([3, 4])).shape == (3, 4)  # type: ignore[arg-type]
