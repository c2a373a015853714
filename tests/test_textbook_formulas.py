"""TwoLayerNet against the textbook's formulas, stated in plain NumPy, over 500 iterations."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule.loop import Batches

RATE = 0.1


def relu(a):
    return np.where(a > 0, a, 0)


def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def step(w, x, t):
    """One step of gradient descent. Returns the loss before it. t is one-hot."""
    N = len(x)
    a1 = x @ w["W1"] + w["b1"]
    z1 = relu(a1)
    y = softmax(z1 @ w["W2"] + w["b2"])
    loss = -np.sum(t * np.log(y)) / N
    da2 = (y - t) / N
    gradients = {"W2": z1.T @ da2, "b2": da2.sum(axis=0)}
    da1 = (da2 @ w["W2"].T) * (a1 > 0)
    gradients |= {"W1": x.T @ da1, "b1": da1.sum(axis=0)}
    for name, gradient in gradients.items():
        w[name] = w[name] - RATE * gradient
    return loss


def digits():
    (x, t), (x_test, t_test) = cr.datasets.load_digits(one_hot_label=True)
    return x.astype(np.float64), t.astype(np.float64), x_test.astype(np.float64), t_test


def test_500_iterations_agree_with_the_formulas():
    x, t, x_test, t_test = digits()
    net = cr.TwoLayerNet(64, 50, 10, weight_init_std=0.1, seed=5)
    w = {name: value.copy() for name, value in net.params.items()}
    batches = Batches(len(x), 100, "replacement", seed=9)
    drawn = [rows for epoch in range(40) for rows in batches.of_epoch(epoch)]
    expected = [step(w, x[rows], t[rows]) for rows in drawn[:500]]
    history = net.fit(
        x, t, optimizer=cr.SGD(RATE), iterations=500, batch_size=100, sampling="replacement", seed=9
    )
    assert len(history.loss) == len(expected) == 500
    assert np.abs(np.array(history.loss) - expected).max() < 1e-10
    for name, value in w.items():
        np.testing.assert_allclose(net.params[name], value, rtol=0, atol=1e-10)
    assert expected[-1] < expected[0] / 4  # it learned, so that there was something to agree on
    scores = relu(x_test @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    assert net.accuracy(x_test, t_test) == np.mean(scores.argmax(axis=1) == t_test.argmax(axis=1)) > 0.85


def test_the_interface_of_the_textbook_trains_the_same():
    x, t, _, _ = digits()
    net = cr.TwoLayerNet(input_size=64, hidden_size=20, output_size=10, seed=1)
    w = {name: value.copy() for name, value in net.params.items()}
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.choice(len(x), 100)
        before = net.loss(x[rows], t[rows])
        grads = net.gradient(x[rows], t[rows])
        for name in ("W1", "b1", "W2", "b2"):
            net.params[name] -= RATE * grads[name]
        assert abs(before - step(w, x[rows], t[rows])) < 1e-10
    for name, value in w.items():
        np.testing.assert_allclose(net.params[name], value, rtol=0, atol=1e-10)


def test_two_layer_net_starts_as_the_textbook_says():
    net = cr.TwoLayerNet(784, 50, 10, seed=0)
    assert {name: value.shape for name, value in net.params.items()} == {
        "W1": (784, 50),
        "b1": (50,),
        "W2": (50, 10),
        "b2": (10,),
    }
    assert net.dtype == np.float64
    assert not net.params["b1"].any()
    assert not net.params["b2"].any()
    assert abs(net.params["W1"].std() - 0.01) < 2e-4
    assert abs(net.params["W1"].mean()) < 2e-4
    wide = cr.TwoLayerNet(784, 50, 10, weight_init_std=0.5, seed=0)
    np.testing.assert_allclose(wide.params["W1"], 50 * net.params["W1"])
