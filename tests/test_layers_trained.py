"""Layers with parameters, statistics or noise: Affine, BatchNorm, LayerNorm, Dropout."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule.layers as layers
from chainrule.arrays import Array
from chainrule.errors import ArgumentError, ShapeError
from chainrule.initializers import Constant, Ones, Xavier, Zeros
from layer_cases import run_backward

X = np.array([[0.2, -1.3, 2.1], [1.7, 0.4, -0.6], [-0.9, 0.8, 0.1], [3.0, -2.0, 0.5]])
DY = np.array([[0.3, -0.7, 1.1], [-0.4, 0.9, 0.2], [1.3, 0.5, -0.8], [-0.6, 0.1, 0.7]])
GAMMA, BETA = np.array([1.5, 0.5, -1.0]), np.array([0.1, -0.2, 0.3])


# Affine


def test_affine() -> None:
    x, W, b = np.array([[1.0, 2.0]]), np.array([[1.0, 0.0, 2.0], [3.0, 1.0, 0.0]]), np.array([0.5, 0.0, -1.0])
    y, saved = layers.Affine(3).forward(x, W, b)
    np.testing.assert_array_equal(y, [[7.5, 2, 1]])
    dx, dW, db = run_backward(layers.Affine(3), np.array([[1.0, 10.0, 100.0]]), saved, (True, True, True))
    np.testing.assert_array_equal(dx, [[201, 13]])
    np.testing.assert_array_equal(dW, [[1, 10, 100], [2, 20, 200]])
    np.testing.assert_array_equal(db, [1, 10, 100])


def test_affine_over_a_sequence_is_affine_over_its_steps() -> None:
    rng = np.random.default_rng(0)
    x, W, b = rng.normal(size=(2, 3, 5)), rng.normal(size=(5, 4)), rng.normal(size=4)
    layer, dy = layers.Affine(4), rng.normal(size=(2, 3, 4))
    y, saved = layer.forward(x, W, b)
    flat, saved_flat = layer.forward(x.reshape(6, 5), W, b)
    np.testing.assert_allclose(y.reshape(6, 4), flat)
    needs = (True, True, True)
    several, one = (
        run_backward(layer, dy, saved, needs),
        run_backward(layer, dy.reshape(6, 4), saved_flat, needs),
    )
    for mine, expected in zip(several, one, strict=True):
        np.testing.assert_allclose(mine, expected.reshape(mine.shape), atol=1e-14)


def test_affine_declares_its_parameters() -> None:
    layer = layers.Affine(10, weights=Xavier(), biases=Constant(0.1))
    W, b = layer.parameters()["W"], layer.parameters()["b"]
    assert W.shape_for((32, 784)) == (784, 10)
    assert W.shape_for((32, 5, 7)) == (7, 10)
    assert isinstance(W.initializer, Xavier)
    assert W.decay
    assert b.shape_for((32, 784)) == (10,)
    assert isinstance(b.initializer, Constant)
    assert not b.decay
    assert list(layers.Affine(10, bias=False).parameters()) == ["W"]
    assert repr(layers.Affine(10)) == "Affine(units=10)"
    assert pickle.loads(pickle.dumps(layer)).parameters()["W"].shape_for((1, 2)) == (2, 10)


def test_affine_says_what_to_do_about_a_wrong_shape() -> None:
    layer, W, b = layers.Affine(10), np.zeros((784, 10)), np.zeros(10)
    expected = r"^Affine\(784 -> 10\): expected x of shape \(N, 784\), got "
    for shape, remedy in (
        ((32, 28, 28), r"\(32, 28, 28\); put Flatten\(\) before it$"),
        ((28, 28), r"\(28, 28\); put a batch axis before it, as in x\[None, :\]$"),
        ((784, 32), r"\(784, 32\); put Transpose\(\) before it$"),
        ((32, 100), r"\(32, 100\); give it the 784 features that its weights were made for$"),
        ((), r"\(\); put a batch axis"),
    ):
        with pytest.raises(ShapeError, match=expected + remedy):
            layer.forward(np.zeros(shape), W, b)
    with pytest.raises(ShapeError, match=r"expected W of shape \(D, 10\), got \(784, 11\)"):
        layer.forward(np.zeros((2, 784)), np.zeros((784, 11)), b)
    with pytest.raises(ShapeError, match=r"expected b of shape \(10,\), got \(1,\)"):
        layer.forward(np.zeros((2, 784)), W, np.zeros(1))
    with pytest.raises(ShapeError, match=r"Affine\(D -> 10\): .* got \(\); put a batch axis"):
        layer.parameters()["W"].shape_for(())


@pytest.mark.parametrize("units", [0, -3, 2.5, "10", True, None])
def test_affine_refuses(units) -> None:
    with pytest.raises(ArgumentError, match="Affine: expected units to be a whole number of at least 1, got"):
        layers.Affine(units)


# BatchNorm


def batch_norm(
    layer: layers.BatchNorm, x: Array, gamma: Array, beta: Array, state: dict[str, Array], training: bool
):
    return layer.forward(x, gamma, beta, training=training, state=state)


def fresh(c: int = 3, dtype: type = np.float64) -> dict[str, Array]:
    state = {"running_mean": np.zeros(c, dtype), "running_var": np.ones(c, dtype)}
    for value in state.values():
        value.flags.writeable = False
    return state


def test_batch_norm_trains_as_pytorch_does() -> None:
    """Numbers from PyTorch 2.13, BatchNorm1d in float64; its momentum of 0.1 is 0.9 here."""
    layer = layers.BatchNorm()
    y, saved, state = batch_norm(layer, X, GAMMA, BETA, fresh(), True)
    np.testing.assert_allclose(
        y,
        [
            [-0.711810252102847, -0.533892334547221, -1.289462350949699],
            [0.810333970589991, 0.198516657362812, 1.435330250678356],
            [-1.828049348744263, 0.370848184871055, 0.728902539145157],
            [2.129525630257119, -0.835472507686647, 0.325229561126186],
        ],
        rtol=1e-12,
    )
    dx, dgamma, dbeta = layer.backward(DY, saved)
    np.testing.assert_allclose(
        dx,
        [
            [-0.236969718342307, -0.270613347196905, -0.066751053824865],
            [-0.217583425285565, 0.16177675963053, -0.428078114218884],
            [0.242664903445314, -0.071010298043722, 0.910257620701023],
            [0.211888240182558, 0.179846885610097, -0.415428452657274],
        ],
        rtol=1e-11,
    )
    np.testing.assert_allclose(dgamma, [-2.834570796925775, 1.628532934952898, 1.846803874436793])
    np.testing.assert_allclose(dbeta, [0.6, 0.8, 1.2])
    np.testing.assert_allclose(state["running_mean"], [0.1, -0.0525, 0.0525])
    np.testing.assert_allclose(
        state["running_var"], [1.191333333333333, 1.079583333333333, 1.030916666666667]
    )
    _, _, state = batch_norm(layer, X, GAMMA, BETA, state, True)
    np.testing.assert_allclose(state["running_mean"], [0.19, -0.09975, 0.09975])
    np.testing.assert_allclose(
        state["running_var"], [1.363533333333333, 1.151208333333333, 1.058741666666667]
    )


def test_batch_norm_predicts_as_pytorch_does() -> None:
    layer = layers.BatchNorm()
    state = fresh()
    for _ in range(2):
        _, _, state = batch_norm(layer, X, GAMMA, BETA, state, True)
    y, saved, after = batch_norm(layer, X, GAMMA, BETA, state, False)
    np.testing.assert_allclose(
        y,
        [
            [0.112845670766242, -0.759323247276351, -1.643959557691002],
            [2.039696285702481, 0.032886309374178, 0.980057843016762],
            [-1.300178113520334, 0.219288557997831, 0.29975703542586],
            [3.709633485313887, -1.085527182367746, -0.088986283197512],
        ],
        rtol=1e-12,
    )
    dx, dgamma, _ = layer.backward(DY, saved)
    np.testing.assert_allclose(dx[0], [0.385370122987248, -0.326203935091394, -1.069044126214274], rtol=1e-12)
    np.testing.assert_allclose(dgamma, [-3.172024301210591, 1.444431024584694, 2.274439971435696], rtol=1e-12)
    for name in state:
        np.testing.assert_array_equal(after[name], state[name])


def test_batch_norm_of_images_as_pytorch_does() -> None:
    x = (np.arange(16.0) ** 1.5).reshape(2, 2, 2, 2)
    _, _, state = batch_norm(layers.BatchNorm(), x, np.ones(2), np.zeros(2), fresh(2), True)
    np.testing.assert_allclose(state["running_mean"], [1.584470573012694, 3.141460963653519])
    np.testing.assert_allclose(state["running_var"], [23.750891465792286, 42.285405872469774])


def test_batch_norm_returns_new_statistics() -> None:
    state = fresh()
    _, _, new = batch_norm(layers.BatchNorm(), X, GAMMA, BETA, state, True)
    assert new is not state
    for name in state:
        assert not np.shares_memory(new[name], state[name])
    np.testing.assert_array_equal(state["running_mean"], np.zeros(3))


def test_batch_norm_of_one_sample_uses_its_variance_of_zero() -> None:
    y, saved, new = batch_norm(layers.BatchNorm(), X[:1], GAMMA, BETA, fresh(), True)
    np.testing.assert_allclose(y, [BETA])
    np.testing.assert_allclose(new["running_var"], [0.9, 0.9, 0.9])
    np.testing.assert_allclose(layers.BatchNorm().backward(DY[:1], saved)[0], np.zeros((1, 3)), atol=1e-12)


def test_batch_norm_keeps_float32() -> None:
    x, gamma, beta = (each.astype(np.float32) for each in (X, GAMMA, BETA))
    for training in (True, False):
        y, saved, new = batch_norm(layers.BatchNorm(), x, gamma, beta, fresh(), training)
        assert y.dtype == np.float32
        assert all(gradient.dtype == np.float32 for gradient in layers.BatchNorm().backward(y, saved))
        assert new["running_mean"].dtype == np.float64, "the statistics keep the dtype they were kept in"


def test_batch_norm_declares() -> None:
    layer = layers.BatchNorm(axis=-1)
    for name, spec in {**layer.parameters(), **layer.state()}.items():
        assert spec.shape_for((4, 5, 6)) == (6,)
        assert not spec.decay
        assert type(spec.initializer) is (Ones if name in ("gamma", "running_var") else Zeros)


def test_batch_norm_refuses() -> None:
    with pytest.raises(ShapeError, match=r"expected x with 3 channels at axis 1, got \(4, 2\)"):
        batch_norm(layers.BatchNorm(), X[:, :2], GAMMA, BETA, fresh(), True)
    with pytest.raises(ShapeError, match=r"at least one sample while training.*leave empty batches out"):
        batch_norm(layers.BatchNorm(), X[:0], GAMMA, BETA, fresh(), True)
    with pytest.raises(ShapeError, match="axis 1, got one with 1 axes"):
        batch_norm(layers.BatchNorm(), X[0], GAMMA, BETA, fresh(), True)
    for momentum in (-0.1, 1.1, math.nan):
        with pytest.raises(ArgumentError, match=r"expected momentum to be a number in \[0, 1\]"):
            layers.BatchNorm(momentum=momentum)
    with pytest.raises(ArgumentError, match=r"expected epsilon to be a number in \(0, inf\), got 0"):
        layers.BatchNorm(epsilon=0)
    assert layers.BatchNorm(momentum=1).momentum == 1


# LayerNorm


def test_layer_norm_as_pytorch_does() -> None:
    layer = layers.LayerNorm()
    y, saved = layer.forward(X, GAMMA, BETA)
    np.testing.assert_allclose(
        y,
        [
            [-0.043756024199332, -0.787003765480607, -0.969844880427436],
            [2.011568499101711, -0.253099124975048, 1.468180749451046],
            [-1.835144972874058, 0.37337628825898, 0.156655927935255],
            [1.937115102550583, -0.812371700850194, 0.3],
        ],
        rtol=1e-12,
    )
    dx, dgamma, dbeta = layer.backward(DY, saved)
    np.testing.assert_allclose(
        dx,
        [
            [0.539415307026996, -0.30143640199972, -0.237978905027276],
            [-0.252190518251427, 0.580031664452703, -0.327841146201276],
            [0.058444399045952, 0.083429935575857, -0.141874334621809],
            [0.044906699580697, 0.044907816543998, -0.089814516124695],
        ],
        rtol=1e-11,
    )
    np.testing.assert_allclose(dgamma, [-2.950474488778073, 1.177128794806706, 1.048517960928175])
    np.testing.assert_allclose(dbeta, [0.6, 0.8, 1.2])


def test_layer_norm_declares() -> None:
    layer = layers.LayerNorm(axis=(-1, 1))
    for spec in layer.parameters().values():
        assert spec.shape_for((4, 5, 6)) == (5, 6)
        assert not spec.decay


def test_layer_norm_refuses() -> None:
    with pytest.raises(ShapeError, match=r"expected x of lengths \(3,\) along axes \(1,\), got \(4, 2\)"):
        layers.LayerNorm().forward(X[:, :2], GAMMA, BETA)
    with pytest.raises(ShapeError, match="at least one"):
        layers.LayerNorm().forward(np.ones((2, 0)), np.ones(0), np.ones(0))
    with pytest.raises(ShapeError, match="name it once"):
        layers.LayerNorm(axis=(1, -1)).forward(X, GAMMA, BETA)
    with pytest.raises(ArgumentError, match=r"LayerNorm: expected epsilon to be a number in \(0, inf\)"):
        layers.LayerNorm(epsilon=-1e-5)


# Dropout


def dropped(seed: int, x: Array, rate: float = 0.5) -> Array:
    y, _ = layers.Dropout(rate).forward(x, training=True, rng=np.random.default_rng(seed))
    return y


def test_dropout_is_decided_by_its_generator() -> None:
    x = np.ones((50, 40))
    np.testing.assert_array_equal(dropped(1, x), dropped(1, x))
    assert (dropped(1, x) != dropped(2, x)).any()
    np.testing.assert_array_equal(dropped(1, x), dropped(1, x.astype(np.float32)))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(rate: float) -> None:
    y = dropped(0, np.ones((400, 500)), rate)
    assert set(np.unique(y)) == {0.0, 1 / (1 - rate)}
    assert np.mean(y == 0) == pytest.approx(rate, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.02)


def test_dropout_drops_the_gradients_of_what_it_dropped() -> None:
    x = np.ones((30, 4))
    y, saved = layers.Dropout(0.25).forward(x, training=True, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(layers.Dropout(0.25).backward(x, saved), y)


def test_dropout_drops_infinities_too() -> None:
    y = dropped(0, np.full(100, np.inf))
    assert set(y) == {0.0, np.inf}


def test_dropout_does_nothing_when_predicting() -> None:
    rng = np.random.default_rng(0)
    for layer, training in ((layers.Dropout(), False), (layers.Dropout(0.0), True)):
        y, saved = layer.forward(X, training=training, rng=rng)
        np.testing.assert_array_equal(y, X)
        np.testing.assert_array_equal(layer.backward(DY, saved), DY)
    assert rng.random() == np.random.default_rng(0).random(), "no random numbers were drawn"


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, math.nan, "half"])
def test_dropout_refuses(rate) -> None:
    with pytest.raises(ArgumentError, match=r"Dropout: expected rate to be a number in \[0, 1\), got"):
        layers.Dropout(rate)


# Whole numbers, lists, and initializers that are none


def test_affine_does_not_wrap_round() -> None:
    x, W = np.array([[200]], np.uint8), np.array([[2]], np.uint8)
    y, saved = layers.Affine(1, bias=False).forward(x, W)
    assert y.dtype == np.float64
    assert y.tolist() == [[400]]
    dx, dW = layers.Affine(1, bias=False).backward(np.ones((1, 1)), saved)
    assert (dx.tolist(), dW.tolist()) == ([[2]], [[200]])
    y, _ = layers.Affine(1).forward(x, W, np.array([250], np.uint8))
    assert y.tolist() == [[650]]
    y, _ = layers.Affine(1).forward(x, W.astype(np.float32), np.array([0.5]))
    assert y.dtype == np.float32
    assert y.tolist() == [[400.5]]


def test_affine_takes_lists() -> None:
    y, saved = layers.Affine(2).forward([[1, 2]], [[1, 0], [3, 1]], [0.5, 0])
    assert y.tolist() == [[7.5, 2]]
    layers.Affine(2).backward(np.ones((1, 2)), saved)


@pytest.mark.parametrize("wrong", ["he", np.ones((3, 3)), Xavier, None, 0.01], ids=str)
def test_weights_are_an_initializer(wrong: Any) -> None:
    makers: tuple[Callable[[], layers.Layer], ...] = (
        lambda: layers.Affine(3, weights=wrong),
        lambda: layers.Embedding(3, 2, wrong),
    )
    for make in makers:
        with pytest.raises(
            ArgumentError,
            match=r'to be .* cr\.initializers\.He\(\), .*set net\.params\["W1"\] = array afterwards',
        ):
            make()
    with pytest.raises(ArgumentError, match=r"expected biases to be .* cr\.initializers\.Zeros\(\)"):
        layers.Affine(3, biases=wrong)
