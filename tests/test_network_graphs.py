"""Networks made from graphs: several inputs, branches, indices; layers and losses of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, GraphError, LayerError, ShapeError

RNG = np.random.default_rng(1)
X = RNG.normal(size=(24, 5))
IDS = RNG.integers(6, size=(24, 3))
T = RNG.integers(3, size=24)


def two_inputs(**arguments):
    words, x = cr.Input("words", shape=(3,)), cr.Input("x", shape=(5,))
    means = cr.Mean(axis=1)(cr.Embedding(6, 4)(words))
    output = cr.Affine(3)(cr.Concatenate(axis=1)(means, cr.Tanh()(cr.Affine(4)(x))))
    return cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), **({"seed": 0} | arguments))


def test_several_inputs_in_a_dict():
    net = two_inputs()
    data = {"x": X, "words": IDS}
    assert net.input_shapes == {"words": (3,), "x": (5,)}
    history = net.fit(
        data,
        T,
        optimizer=cr.Adam(0.05),
        epochs=40,
        batch_size=6,
        validation=({"words": IDS[:6], "x": X[:6]}, T[:6]),
    )
    assert history.train_loss[-1] < 0.3 * history.loss[0]
    assert len(history.test_accuracy) == 40
    assert net.predict(data).shape == (24, 3)
    assert net.accuracy(data, T) > 0.9


def test_a_graph_network_is_the_layer_network():
    layers = cr.Affine(4), cr.Tanh(), cr.Affine(3)
    x = cr.Input("x", shape=(5,))
    a = cr.Network(*layers, input_shape=(5,), loss=cr.SoftmaxCrossEntropy(), seed=7)
    b = cr.Network(output=layers[2](layers[1](layers[0](x))), loss=cr.SoftmaxCrossEntropy(), seed=7)
    assert a.fit(X, T, epochs=2, batch_size=5).loss == b.fit(X, T, epochs=2, batch_size=5).loss


def test_one_set_of_layers_in_two_networks_shares_nothing():
    layers = cr.Affine(4), cr.ReLU(), cr.Affine(3)
    a, b = (cr.Network(*layers, input_shape=(5,), loss=cr.SoftmaxCrossEntropy(), seed=0) for _ in range(2))
    a.fit(X, T, epochs=1, batch_size=8)
    assert (a.params.flat != b.params.flat).any()


def test_an_explicit_parameter_is_copied_into_the_network():
    scale = cr.Parameter("scale", np.array([2.0]))
    x = cr.Input("x", shape=(5,))
    net = cr.Network(output=x * scale, loss=cr.MeanSquaredError(), dtype="float64")
    net.fit(X, 3 * X, optimizer=cr.SGD(0.1), epochs=60, batch_size=24)
    assert net.params["scale"][0] == pytest.approx(3, abs=1e-3)
    assert scale.value[0] == 2


def test_sequences_and_images_flow_through():
    net = cr.Network(cr.Flatten(), cr.Affine(3), input_shape=(2, 4, 4), loss=cr.SoftmaxCrossEntropy(), seed=0)
    net.fit(RNG.normal(size=(10, 2, 4, 4)), T[:10], epochs=1, batch_size=5)
    steps = cr.Network(cr.Affine(3), input_shape=(7, 5), loss=cr.SoftmaxCrossEntropy(), seed=0)
    labels = RNG.integers(3, size=(10, 7))
    steps.fit(RNG.normal(size=(10, 7, 5)), labels, epochs=1, batch_size=5)
    assert steps.predict(np.zeros((2, 7, 5))).shape == (2, 7, 3)


class Sine(cr.Layer):
    """y = sin(frequency x), a layer of the user's."""

    def __init__(self, frequency=1.0):
        self.frequency = frequency

    def forward(self, x):
        return np.sin(self.frequency * x), x

    def backward(self, dy, x):
        return dy * self.frequency * np.cos(self.frequency * x)


class Cube(cr.Loss):
    """The mean of |x - t|^3, a loss of the user's: forward and backward, and nothing else."""

    def forward(self, x, t):
        r = x - t
        return np.mean(np.abs(r) ** 3), r

    def backward(self, dy, r):
        return dy * 3 * r * np.abs(r) / r.size, None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_layer_and_a_loss_of_ones_own(dtype):
    net = cr.Network(
        cr.Affine(16), Sine(1.5), cr.Affine(1), input_shape=(5,), loss=Cube(), seed=0, dtype=dtype
    )
    t = X[:, :1] * X[:, 1:2]
    history = net.fit(X, t, optimizer=cr.SGD(0.02), epochs=60, batch_size=8, validation=(X, t))
    assert history.train_loss[-1] < 0.3 * history.train_loss[0]
    assert history.test_accuracy == []
    analytic, numerical = net.gradient(X, t), net.numerical_gradient(X, t)
    tolerance = 1e-7 if dtype == "float64" else 1e-3
    for name, gradient in analytic.items():
        assert np.linalg.norm(gradient - numerical[name]) < tolerance * np.linalg.norm(gradient), name


def test_targets_reach_an_own_loss_alike_in_fit_and_in_evaluate():
    seen = []

    class Spy(Cube):
        def forward(self, x, t):
            seen.append((x.dtype, t.dtype))
            return super().forward(x, t)

    net = cr.Network(cr.Affine(1), input_shape=(5,), loss=Spy(), seed=0)
    labels = T[:, np.newaxis].astype(np.uint8)
    net.fit(X, labels, iterations=1, batch_size=24)
    net.loss(X, labels)
    net.gradient(X, labels)
    assert set(seen) == {(np.dtype("float32"), np.dtype("float32"))}


def test_an_own_loss_that_takes_indices():
    class Margin(cr.Loss):
        index_inputs = frozenset({"t"})

        def forward(self, x, t):
            rows = np.arange(len(t))
            return -np.mean(x[rows, t]), (x.shape, rows, t)

        def backward(self, dy, saved):
            shape, rows, t = saved
            dx = np.zeros(shape)
            dx[rows, t] = -dy / len(t)
            return dx, None

    net = cr.Network(cr.Affine(3), input_shape=(5,), loss=Margin(), seed=0)
    history = net.fit(X, T, epochs=3, batch_size=6)
    assert history.train_loss[2] < history.train_loss[0]


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (cr.SoftmaxCrossEntropy(), T),
        (cr.SoftmaxCrossEntropy(label_smoothing=0.1, class_weights=[1, 2, 3]), np.eye(3)[T]),
        (cr.SigmoidCrossEntropy(), np.eye(3, dtype=bool)[T]),
        (cr.MeanSquaredError(), X[:, :3]),
        (cr.MeanAbsoluteError(), X[:, :3]),
        (cr.Huber(), X[:, :3]),
        (Cube(), X[:, :3]),
    ],
    ids=lambda value: repr(value) if isinstance(value, cr.Loss) else "",
)
def test_every_loss_through_fit(loss, t):
    net = cr.Network(cr.Affine(12), cr.Tanh(), cr.Affine(3), input_shape=(5,), loss=loss, seed=0)
    weighted = "sample_weight" in loss.signature.inputs
    before = net.loss(X, t)
    history = net.fit(X, t, optimizer=cr.Adam(0.03), epochs=20, batch_size=7, validation=(X, t))
    assert history.train_loss[-1] == history.test_loss[-1] == net.loss(X, t) < 0.8 * before
    if weighted:
        weights = np.arange(24.0)
        history = net.fit(X, t, epochs=1, batch_size=7, sample_weight=weights)
        assert history.train_loss[-1] == net.loss(X, t, weights) != net.loss(X, t)


def test_what_a_loss_must_be():
    class Whole(cr.Loss):
        def forward(self, x, t):
            return (x - t) ** 2, x - t

        def backward(self, dy, r):
            return 2 * dy * r, None

    net = cr.Network(cr.Affine(3), input_shape=(5,), loss=Whole(), seed=0)
    for call in (net.loss, net.gradient, net.numerical_gradient, lambda x, t: net.fit(x, t, epochs=1)):
        with pytest.raises(LayerError, match=r"a loss is one number.*\(\d+, 3\)"):
            call(np.tile(X, (5, 1)), np.tile(X[:, :3], (5, 1)))

    class Learned(Cube):
        def parameters(self):
            return {"t": cr.ParameterSpec((1,), cr.initializers.Zeros())}

    with pytest.raises(ArgumentError, match=r"has parameters"):
        cr.Network(cr.Affine(3), input_shape=(5,), loss=Learned())
    with pytest.raises(ArgumentError, match=r"sample_weight.*takes none"):
        cr.Network(cr.Affine(3), input_shape=(5,), loss=Cube()).loss(X, X[:, :3], np.ones(24))


def test_a_layer_without_a_gradient_is_named():
    class Blocked(cr.Layer):
        def forward(self, x):
            return np.sign(x), None

        def backward(self, dy, saved):
            return None

    net = cr.Network(cr.Affine(3), Blocked(), input_shape=(5,), loss=cr.SoftmaxCrossEntropy())
    with pytest.raises(LayerError, match=r"no gradient reaches the parameter 'W1'"):
        net.fit(X, T, epochs=1, batch_size=6)


def test_graphs_that_make_no_network():
    x = cr.Input("x", shape=(5,))
    with pytest.raises(ArgumentError, match=r"'x' has no shape.*cr.Input\('x', shape="):
        cr.Network(output=cr.Exp()(cr.Input("x")))
    with pytest.raises(ShapeError, match=r"one row for each sample"):
        cr.Network(output=cr.Sum()(x))
    with pytest.raises(GraphError, match=r"depends on no cr.Input"):
        cr.Network(output=cr.Exp()(cr.Parameter("p", np.ones((2, 3)))))
    with pytest.raises(ArgumentError, match=r"either layers with input_shape=, or output="):
        cr.Network(cr.Affine(3), output=cr.Exp()(x))
    with pytest.raises(ArgumentError, match=r"expected a node of a graph, got Affine"):
        cr.Network(output=cr.Affine(3))
