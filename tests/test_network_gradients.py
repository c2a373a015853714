"""Network.gradient against Network.numerical_gradient, on every parameter, in every kind of network."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 5))
LABELS = np.array([0, 2, 1, 1, 0, 2])
ONE_HOT = np.eye(3)[LABELS]
NUMBERS = RNG.normal(size=(6, 3))
WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 1.0])


def network(*layers, loss=None, input_shape=(5,), seed=1):
    loss = cr.SoftmaxCrossEntropy() if loss is None else loss
    return cr.Network(*layers, input_shape=input_shape, loss=loss, seed=seed, dtype="float64")


def errors(net, x, t, *args, **mode):
    """For each parameter, how far the two gradients are apart, relative to their size."""
    analytic, numerical = (f(x, t, *args, **mode) for f in (net.gradient, net.numerical_gradient))
    assert list(analytic) == list(numerical) == list(net.params)
    found = {}
    for name, gradient in analytic.items():
        assert gradient.shape == numerical[name].shape == net.params[name].shape
        size = np.linalg.norm(numerical[name])
        assert size > 1e-6, f"the gradient of {name} is about zero, so that nothing is compared"
        found[name] = np.linalg.norm(gradient - numerical[name]) / size
    return found


def assert_agree(*args, **mode):
    found = errors(*args, **mode)
    assert max(found.values()) < 1e-7, found


def test_two_layer_net():
    net = cr.TwoLayerNet(5, 8, 3, weight_init_std=0.5, seed=0)
    assert list(net.params) == ["W1", "b1", "W2", "b2"]
    assert_agree(net, X, LABELS)
    assert_agree(net, X, ONE_HOT)


@pytest.mark.parametrize(
    "activation",
    ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh"],
)
def test_every_activation(activation):
    make = getattr(cr, activation)
    assert_agree(network(cr.Affine(6), make(), cr.Affine(4), make(), cr.Affine(3)), X, LABELS)


@pytest.mark.parametrize("training", [True, False])
def test_batchnorm_and_dropout(training):
    net = network(
        cr.Affine(6, bias=False), cr.BatchNorm(), cr.Tanh(), cr.Dropout(0.4), cr.Affine(3), cr.Dropout(0.2)
    )
    net.fit(X, LABELS, iterations=3, batch_size=6)  # so that the running statistics are not 0 and 1
    for step in (0, 7):
        assert_agree(net, X, LABELS, training=training, step=step)


def test_dropout_draws_by_step_and_seed():
    net = network(cr.Affine(6), cr.Dropout(0.5), cr.Affine(3))
    first = net.gradient(X, LABELS, training=True, step=4)
    again = net.gradient(X, LABELS, training=True, step=4)
    other = net.gradient(X, LABELS, training=True, step=5)
    np.testing.assert_array_equal(first["W2"], again["W2"])
    assert (first["W2"] != other["W2"]).any()
    net.iterations = 4
    np.testing.assert_array_equal(first["W2"], net.gradient(X, LABELS, training=True)["W2"])


def test_training_must_be_said_where_it_matters():
    for layer in (cr.Dropout(0.3), cr.BatchNorm()):
        net = network(cr.Affine(4), layer, cr.Affine(3))
        for gradient in (net.gradient, net.numerical_gradient):
            with pytest.raises(ArgumentError, match=r"training=True or training=False"):
                gradient(X, LABELS)
    network(cr.Affine(3)).gradient(X, LABELS)


def test_a_gradient_without_training_leaves_no_trace():
    net = network(cr.Affine(4), cr.BatchNorm(), cr.Affine(3))
    before = {name: value.copy() for name, value in net.state.items()}
    net.gradient(X, LABELS, training=False)
    net.numerical_gradient(X, LABELS, training=True)
    for name, value in net.state.items():
        np.testing.assert_array_equal(value, before[name])


def test_layernorm_and_embedding():
    ids = RNG.integers(7, size=(6, 4))
    layers = (cr.Embedding(7, 3), cr.LayerNorm(), cr.Flatten(), cr.Affine(5), cr.LayerNorm(), cr.Affine(3))
    assert_agree(network(*layers, input_shape=(4,)), ids, LABELS)


def test_shared_layers_add_up():
    shared = cr.Affine(5)
    net = network(shared, cr.Tanh(), shared, cr.Tanh(), cr.Affine(3))
    assert list(net.params) == ["W1", "b1", "W2", "b2"]
    assert_agree(net, X, LABELS)


def test_graph_with_skips_branches_parameters_and_constants():
    x, side = cr.Input("x", shape=(5,)), cr.Input("side", shape=(2,))
    scale = cr.Parameter("scale", RNG.normal(size=(4,)))
    body = cr.Affine(4)
    left = cr.Tanh()(body(x) * scale)
    right = cr.Sigmoid()(body(x)) - 0.5
    joined = cr.Concatenate(axis=1)(left + right, side, left * left)
    output = cr.Affine(3)(joined) + cr.Affine(3, bias=False)(x)
    net = cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=2, dtype="float64")
    data = {"x": X, "side": RNG.normal(size=(6, 2))}
    assert set(net.params) == {"W1", "b1", "scale", "W2", "b2", "W3"}
    assert_agree(net, data, LABELS)


def test_tied_weights():
    x = cr.Input("x", shape=(5,))
    W = cr.Parameter("W", RNG.normal(size=(5, 3)))
    net = cr.Network(output=cr.Tanh()(x @ W) @ cr.Transpose()(W), loss=cr.MeanSquaredError(), dtype="float64")
    assert_agree(net, X, X)


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (cr.SoftmaxCrossEntropy(), LABELS),
        (cr.SoftmaxCrossEntropy(), LABELS.astype(np.uint8)),
        (cr.SoftmaxCrossEntropy(), 0.8 * ONE_HOT + 0.2 / 3),
        (cr.SoftmaxCrossEntropy(label_smoothing=0.1), LABELS),
        (cr.SoftmaxCrossEntropy(class_weights=[1.0, 0.2, 3.0]), LABELS),
        (cr.SoftmaxCrossEntropy(label_smoothing=0.2, class_weights=[1.0, 0.2, 3.0]), ONE_HOT),
        (cr.SigmoidCrossEntropy(), ONE_HOT),
        (cr.SigmoidCrossEntropy(positive_weight=[1.0, 5.0, 0.1]), ONE_HOT.astype(int)),
        (cr.MeanSquaredError(), NUMBERS),
        (cr.MeanAbsoluteError(), NUMBERS),
        (cr.Huber(0.7), NUMBERS),
    ],
    ids=lambda value: repr(value) if isinstance(value, cr.Loss) else "",
)
def test_every_loss_with_and_without_sample_weights(loss, t):
    net = network(cr.Affine(4), cr.Tanh(), cr.Affine(3), loss=loss)
    assert_agree(net, X, t)
    assert_agree(net, X, t, WEIGHTS)
    plain, weighted = net.gradient(X, t)["W1"], net.gradient(X, t, WEIGHTS)["W1"]
    assert np.linalg.norm(plain - weighted) > 1e-3


def test_a_weight_of_two_is_a_sample_twice():
    net = network(cr.Affine(4), cr.Tanh(), cr.Affine(3))
    twice = np.repeat(np.arange(6), [1, 2, 0, 1, 3, 1])
    whole = net.gradient(X, LABELS, [1, 2, 0, 1, 3, 1])
    for name, gradient in net.gradient(X[twice], LABELS[twice]).items():
        np.testing.assert_allclose(whole[name], gradient, rtol=1e-12, atol=1e-15)
    assert net.loss(X, LABELS, [1, 2, 0, 1, 3, 1]) == pytest.approx(net.loss(X[twice], LABELS[twice]))


def test_the_comparison_itself_finds_a_wrong_backward():
    class Wrong(cr.Layer):
        def forward(self, x):
            return np.sin(x), x

        def backward(self, dy, x):
            return 1.001 * dy * np.cos(x)

    found = errors(network(cr.Affine(4), Wrong(), cr.Affine(3)), X, LABELS)
    assert found["W1"] > 5e-4
    assert found["W2"] < 1e-7


def test_float32_gradients_are_float32_and_near():
    net = cr.TwoLayerNet(5, 8, 3, weight_init_std=0.5, seed=0, dtype="float32")
    analytic, numerical = net.gradient(X, LABELS), net.numerical_gradient(X, LABELS)
    for name, gradient in analytic.items():
        assert gradient.dtype == numerical[name].dtype == np.float32
        np.testing.assert_allclose(gradient, numerical[name], rtol=1e-4, atol=1e-6)


def test_gradients_are_the_callers_own():
    net = network(cr.Affine(3))
    first = net.gradient(X, LABELS)
    kept = first["W1"].copy()
    net.gradient(2 * X, LABELS)
    np.testing.assert_array_equal(first["W1"], kept)
    before = net.params.flat.copy()
    net.params["W1"] -= 0.1 * first["W1"]
    assert (net.params.flat[:15] == (before[:15] - 0.1 * kept.ravel())).all()
