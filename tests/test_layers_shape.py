"""Layers that move elements: exact values, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule.layers as layers
from chainrule.errors import ArgumentError, DataError, ShapeError
from layer_cases import run_backward

X = np.arange(6.0).reshape(2, 3)


def test_reshape() -> None:
    np.testing.assert_array_equal(layers.Reshape((3, -1)).forward(X)[0], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(layers.Reshape(6).forward(X)[0], np.arange(6))
    np.testing.assert_array_equal(layers.Reshape([1, 6]).forward(X)[0], [np.arange(6)])


def test_reshape_refuses() -> None:
    with pytest.raises(
        ShapeError, match=r"expected x of 8 elements, got \(2, 3\) with 6; let one length be -1"
    ):
        layers.Reshape((2, 4)).forward(X)
    with pytest.raises(ShapeError, match=r"expected x of 4 \* n elements"):
        layers.Reshape((-1, 4)).forward(X)
    with pytest.raises(ArgumentError, match="at most one -1"):
        layers.Reshape((-1, -1))
    with pytest.raises(ArgumentError, match="lengths of 0 or more"):
        layers.Reshape((3, -2))
    with pytest.raises(ArgumentError, match="a whole number or a tuple"):
        layers.Reshape((2.0, 3))


def test_flatten_keeps_the_batch() -> None:
    assert layers.Flatten().forward(np.ones((5, 2, 3)))[0].shape == (5, 6)
    assert layers.Flatten().forward(np.ones((0, 2, 3)))[0].shape == (0, 6)
    assert layers.Flatten().forward(np.ones(5))[0].shape == (5, 1)
    with pytest.raises(ShapeError, match="put a batch axis before it"):
        layers.Flatten().forward(np.array(1.0))


def test_transpose_refuses() -> None:
    for axes in ((0,), (0, 1, 2)):
        with pytest.raises(ShapeError, match="name each axis of x once"):
            layers.Transpose(axes).forward(X)
    with pytest.raises(ShapeError, match="name it once"):
        layers.Transpose((1, -1)).forward(X)


def test_concatenate() -> None:
    layer = layers.Concatenate(axis=0)
    y, saved = layer.forward(X, X[:1])
    np.testing.assert_array_equal(y, [[0, 1, 2], [3, 4, 5], [0, 1, 2]])
    first, second = layer.backward(10 * y, saved)
    np.testing.assert_array_equal(first, 10 * X)
    np.testing.assert_array_equal(second, 10 * X[:1])
    assert layer.signature.variadic


def test_concatenate_refuses() -> None:
    with pytest.raises(ShapeError, match="at least one input"):
        layers.Concatenate().forward()
    with pytest.raises(ShapeError, match=r"equal but along axis 1, got \(2, 3\), \(3, 3\); Reshape\(\) them"):
        layers.Concatenate().forward(X, np.ones((3, 3)))
    with pytest.raises(ShapeError, match="equal but along axis 1"):
        layers.Concatenate().forward(X, np.ones(2))


def test_index_adds_up_repeats() -> None:
    layer = layers.Index([0, 1, 0, 0])
    y, saved = layer.forward(np.array([10.0, 20.0]))
    np.testing.assert_array_equal(y, [10, 20, 10, 10])
    np.testing.assert_array_equal(layer.backward(np.array([1.0, 2.0, 3.0, 4.0]), saved), [8, 2])


def test_index_of_an_element_is_an_array() -> None:
    y, _ = layers.Index((1, 2)).forward(X)
    assert isinstance(y, np.ndarray)
    assert y == 5


def test_index_by_arrays() -> None:
    for key in (np.array(1), np.array([1])):
        layer = layers.Index(key)
        y, saved = layer.forward(X)
        np.testing.assert_array_equal(y, X[key])
        np.testing.assert_array_equal(layer.backward(np.ones_like(y), saved), [[0, 0, 0], [1, 1, 1]])


def test_index_keeps_its_own_copy_of_the_key() -> None:
    key = [0, 1]
    layer = layers.Index(key)
    key[0] = 1
    np.testing.assert_array_equal(layer.forward(X)[0], X)


def test_index_refuses() -> None:
    with pytest.raises(
        ShapeError, match=r"Index\(key=5\): x of shape \(2, 3\) has no such elements .*change the key"
    ):
        layers.Index(5).forward(X)
    for key in ("a", 1.5, [0.5], True, (0, "a")):
        with pytest.raises(ArgumentError, match=r"for indices that are data use Take\(\)"):
            layers.Index(key)


def test_take() -> None:
    layer = layers.Take(axis=1)
    y, saved = layer.forward(X, np.array([[2, 0], [2, 2]]))
    assert y.shape == (2, 2, 2)
    np.testing.assert_array_equal(y[1], [[5, 3], [5, 5]])
    dx, di = layer.backward(np.ones_like(y), saved)
    np.testing.assert_array_equal(dx, [[1, 0, 3], [1, 0, 3]])
    assert di is None


@pytest.mark.parametrize(
    ("layer", "name", "arrays"),
    [
        (layers.Take(), "indices", lambda ids: (np.ones((4, 2)), ids)),
        (layers.Embedding(4, 2), "ids", lambda ids: (ids, np.ones((4, 2)))),
    ],
)
def test_indices_that_are_refused(layer: layers.Layer, name: str, arrays) -> None:
    assert layer.index_inputs == {name}
    with pytest.raises(DataError, match=rf"expected {name} from 0 to 3, got 4 at \(1, 0\)"):
        layer.forward(*arrays(np.array([[0, 1], [4, 7]])))
    with pytest.raises(DataError, match=r"from 0 to 3, got -1 at 2; count from the front"):
        layer.forward(*arrays(np.array([0, 3, -1])))
    with pytest.raises(
        DataError, match=rf"whole numbers, got float64; convert them with {name}.astype\(int\)"
    ):
        layer.forward(*arrays(np.array([0.0, 1.0])))
    with pytest.raises(DataError, match="whole numbers, got bool"):
        layer.forward(*arrays(np.array([True])))


def test_embedding() -> None:
    W = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    layer = layers.Embedding(3, 2)
    y, saved = layer.forward(np.array([[2, 0], [2, 2]]), W)
    np.testing.assert_array_equal(y, [[[5, 6], [1, 2]], [[5, 6], [5, 6]]])
    none, dW = run_backward(layer, np.ones((2, 2, 2)), saved, (False, True))
    assert none is None
    np.testing.assert_array_equal(dW, [[1, 1], [0, 0], [3, 3]])
    spec = layer.parameters()["W"]
    assert spec.shape_for((7,)) == (3, 2)
    assert spec.decay


def test_embedding_adds_repeats_as_np_add_at_does() -> None:
    rng = np.random.default_rng(0)
    ids, dy = rng.integers(0, 50, 1000), rng.normal(size=(1000, 7))
    layer = layers.Embedding(60, 7)
    _, saved = layer.forward(ids, np.zeros((60, 7)))
    expected = np.zeros((60, 7))
    np.add.at(expected, ids, dy)
    np.testing.assert_allclose(run_backward(layer, dy, saved, (True, True))[1], expected, atol=1e-12)


def test_embedding_refuses() -> None:
    with pytest.raises(
        ArgumentError, match="Embedding: expected vocabulary to be a whole number of at least 1, got 0"
    ):
        layers.Embedding(0, 2)
    with pytest.raises(
        ArgumentError, match=r"expected dimension to be a whole number of at least 1, got 2.5"
    ):
        layers.Embedding(3, 2.5)
    with pytest.raises(
        ShapeError, match=r"expected W of shape \(3, 2\), got \(3, 4\); make the parameters anew"
    ):
        layers.Embedding(3, 2).forward(np.array([0]), np.ones((3, 4)))
