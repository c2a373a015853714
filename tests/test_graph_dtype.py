"""One dtype for a whole run; whole numbers stay whole only where a layer takes indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, DataError
from conftest import printed

X32 = np.array([[0.5, 1.5], [2.0, 3.0]], np.float32)


def dtypes(graph: cr.Graph) -> set[str]:
    """The dtypes of all values and gradients of the last run."""
    graph.backward(np.ones(np.shape(graph.values[graph.output])))
    return {array.dtype.name for arrays in (graph.values, graph.gradients) for array in arrays.values()}


def everything(x: Any) -> Any:
    """Numbers of Python on both sides of a node, and layers with parameters and statistics."""
    h = cr.BatchNorm()(cr.Affine(3)(2 * x + 1) / 3 - 0.5)
    return cr.Sum()(cr.GELU()(h) ** 2 + np.array([1.0, 2.0, 3.0]))


def test_float32_stays_float32() -> None:
    graph = cr.Graph(everything(cr.Input("x")), seed=0)
    for training in (True, False):
        graph.forward(x=X32, training=training)
        assert dtypes(graph) == {"float32"}
    assert {value.dtype.name for value in graph.state.values()} == {"float32"}
    assert graph.parameter_value("W1").dtype == np.float32


def test_float64_stays_float64() -> None:
    graph = cr.Graph(everything(cr.Input("x")), seed=0)
    graph.forward(x=X32.astype(np.float64))
    assert dtypes(graph) == {"float64"}


def test_whole_numbers_become_float64() -> None:
    x = cr.Input("x")
    graph = cr.Graph(cr.Sum()(x / 2 + x * 100 - (-x) ** 2 + x @ cr.Transpose()(x)))
    for value in ([[1, 2]], np.array([[200, 250]], np.uint8), np.array([[True, False]])):
        graph.forward(x=value)
        assert dtypes(graph) == {"float64"}
        v = np.asarray(value, np.float64)
        assert graph.values["sum1"] == (v / 2 + v * 100 - v**2 + v @ v.T).sum(), "nothing wraps around"


def test_mixed_becomes_float64() -> None:
    a, b = cr.Input("a"), cr.Input("b")
    graph = cr.Graph(cr.Sum()(a * b))
    graph.forward(a=X32, b=X32.astype(np.float64))
    assert dtypes(graph) == {"float64"}
    graph.forward(a=X32, b=X32)
    assert dtypes(graph) == {"float32"}
    graph.forward(a=X32, b=3)
    assert dtypes(graph) == {"float32"}, "whole numbers decide nothing"


def test_parameters_count() -> None:
    graph = cr.Graph(cr.Sum()(cr.Input("x") * cr.Parameter("w", 2.0)))
    graph.forward(x=X32)
    assert dtypes(graph) == {"float64"}
    graph.forward(x=X32, w=np.float32(2))
    assert dtypes(graph) == {"float32"}, "the value that was fed counts instead"
    graph = cr.Graph(cr.Sum()(cr.Input("x") * cr.Parameter("w", np.float32(2))))
    graph.forward(x=X32)
    assert dtypes(graph) == {"float32"}
    assert cr.Parameter("w", 3).value.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", np.float64])
def test_the_dtype_that_is_given_wins(dtype: Any) -> None:
    graph = cr.Graph(everything(cr.Input("x")), dtype=dtype, seed=0)
    for value in (X32, X32.astype(np.float64), X32.astype(int)):
        graph.forward(x=value, training=True)
        assert dtypes(graph) == {np.dtype(dtype).name}


@pytest.mark.parametrize("dtype", [int, "uint8", bool, complex, "U3"])
def test_a_graph_does_not_compute_in_whole_numbers(dtype: Any) -> None:
    with pytest.raises(ArgumentError, match="dtype: expected float32 or float64, got"):
        cr.Graph(cr.Input("x"), dtype=dtype)


def test_indices_stay_whole() -> None:
    table, ids = cr.Input("table"), cr.Input("ids")
    graph = cr.Graph(cr.Sum()(cr.Take()(table, ids)))
    graph.forward(table=X32, ids=np.array([1, 1, 0], np.uint8))
    assert graph.values["ids"].dtype == np.uint8
    assert graph.values["take1"].dtype == np.float32
    np.testing.assert_array_equal(graph.backward()["table"], [[1, 1], [2, 2]])

    graph = cr.Graph(cr.Sum()(cr.Embedding(5, 3)(cr.Input("ids"))))
    big = np.array([4, 0, 4])
    graph.forward(ids=big)
    assert graph.values["ids"].dtype == big.dtype
    assert graph.values["embedding1"].dtype == np.float64
    np.testing.assert_array_equal(graph.backward()["W1"][:, 0], [1, 0, 0, 0, 2])

    graph = cr.Graph(cr.Take()(cr.Input("table"), [1, 0]))
    np.testing.assert_array_equal(graph.forward(table=X32), X32[[1, 0]])


def test_labels_stay_whole() -> None:
    graph = cr.Graph(cr.SoftmaxCrossEntropy()(cr.Input("x"), cr.Input("t")))
    graph.forward(x=X32, t=[0, 1])
    assert graph.values["t"].dtype.kind == "i"
    assert dtypes(graph) - {graph.values["t"].dtype.name} == {"float32"}
    graph.forward(x=X32, t=np.eye(2, dtype=np.float32))
    assert dtypes(graph) == {"float32"}


def test_an_index_that_is_also_data_is_computed_with_in_floats() -> None:
    ids = cr.Input("ids")
    rows = cr.Sum(axis=1)(cr.Embedding(5, 2, weights=cr.initializers.Ones())(ids))
    graph = cr.Graph(rows * cr.ReLU()(ids) + cr.Concatenate()(ids, ids)[:3])
    y = graph.forward(ids=np.array([1, 2, 4], np.uint8))
    np.testing.assert_array_equal(y, [3, 6, 12])
    assert {graph.values[name].dtype.name for name in graph.names if name != "ids"} == {"float64"}


class Above(cr.Layer):
    """Whether x is above 0: an answer that is no float."""

    def forward(self, x: Array) -> tuple[Array, None]:
        return x > 0, None

    def backward(self, dy: Array, saved: None) -> None:
        return None


class Wide(cr.Layer):
    """y = x, in float64 whatever x is."""

    def forward(self, x: Array) -> tuple[Array, None]:
        return x.astype(np.float64), None

    def backward(self, dy: Array, saved: None) -> Array:
        return dy.astype(np.float64)


def test_a_layer_that_answers_in_another_dtype() -> None:
    x = cr.Input("x")
    graph = cr.Graph(cr.Sum()(cr.Exp()(Above()(x)) * x))
    graph.forward(x=X32)
    assert graph.values["above1"].dtype == bool
    assert graph.values["exp1"].dtype == np.float32
    graph.backward()
    np.testing.assert_allclose(graph.gradients["x"], np.full((2, 2), np.e), rtol=1e-6)

    graph = cr.Graph(cr.Sum()(Wide()(x) * 2))
    graph.forward(x=X32)
    assert dtypes(graph) == {"float32"}


@pytest.mark.parametrize("wrong", ["text", ["a", "b"], None, 1j, object(), [[1.0, 2.0], [3.0]]], ids=printed)
def test_what_is_no_number_cannot_be_fed(wrong: Any) -> None:
    graph = cr.Graph(cr.Input("x") * 2)
    with pytest.raises(DataError, match="'x': expected a number or an array of numbers, got"):
        graph.forward(x=wrong)
