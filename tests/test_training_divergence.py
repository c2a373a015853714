"""A training that diverges says when and where first, and leaves the weights as they were before."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError, DivergedError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4))
T = RNG.integers(3, size=20)


class Keep(cr.Callback):
    """Copies of everything after each iteration."""

    def __init__(self, net):
        self.net, self.kept, self.ended = net, [self.copy(net)], ""

    @staticmethod
    def copy(net):
        return net.params.flat.copy(), {name: value.copy() for name, value in net.state.items()}

    def on_iteration(self, run):
        self.kept.append(self.copy(self.net))

    def on_end(self, run):
        self.ended = run.history.stopped


def diverge(net, x=X, t=T, **arguments):
    """The error, and a check of all that must hold whatever went wrong."""
    keep = Keep(net)
    with pytest.raises(DivergedError) as caught:
        net.fit(x, t, callbacks=[keep], **({"epochs": 3, "batch_size": 5} | arguments))
    error = caught.value
    assert isinstance(error, ChainruleError)
    assert error.iteration == len(keep.kept)
    assert f"iteration {error.iteration}: " in str(error)
    assert repr(error.node) in str(error)
    assert "smaller learning rate" in str(error)
    assert len(error.history.loss) == len(keep.kept) - 1 == net.iterations
    assert np.isfinite(error.history.loss).all()
    assert error.history.stopped == f"diverged: {error}"
    assert error.history.settings["batch_size"] == 5
    assert keep.ended == error.history.stopped
    flat, statistics = keep.kept[-1]
    np.testing.assert_array_equal(net.params.flat, flat)
    for name, value in statistics.items():
        np.testing.assert_array_equal(net.state[name], value)
    assert np.isfinite(net.params.flat).all()
    return error


def network(*layers, dtype="float32", loss=None):
    loss = cr.SoftmaxCrossEntropy() if loss is None else loss
    return cr.Network(*layers, input_shape=(4,), loss=loss, seed=0, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_learning_rate_too_high(dtype):
    net = network(
        cr.Affine(5), cr.ReLU(), cr.Affine(5), cr.Affine(1), loss=cr.MeanSquaredError(), dtype=dtype
    )
    error = diverge(net, t=X[:, :1], optimizer=cr.SGD(1e4), epochs=50)
    assert error.iteration > 1
    assert error.node in {"affine1", "affine2", "affine3", "relu1", "loss"}
    assert "the first node whose value went bad" in str(error)


def test_the_first_bad_node_is_named():
    class Spoil(cr.Layer):
        def forward(self, x):
            return np.where(x > 2.5, np.nan, x), None

        def backward(self, dy, saved):
            return dy

    x = np.clip(X, -2, 2)
    x[13, 1] = 3.0  # one row in the data makes a NaN
    net = network(Spoil(), cr.Tanh(), cr.Affine(3))
    error = diverge(net, x=x)
    assert error.node == "spoil1"
    assert "the loss became nan" in str(error)


def test_running_statistics_are_as_before_the_step():
    class Spoil(cr.Layer):
        def forward(self, x, *, training):
            return (x * 2e38 if x.max() > 2.5 else x), None  # overflows in float32

        def backward(self, dy, saved):
            return dy

    x = np.clip(X, -2, 2)
    x[13, 1] = 3.0
    net = network(Spoil(), cr.BatchNorm(), cr.Affine(3))
    error = diverge(net, x=x)
    assert error.node == "spoil1"
    assert np.isfinite(net.state["running_var1"]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_gradient_with_a_finite_loss(bad):
    class Spoil(cr.Layer):
        def forward(self, x):
            return x.copy(), x.max() > 2.5

        def backward(self, dy, spoilt):
            return np.full_like(dy, bad) if spoilt else dy

    x = np.clip(X, -2, 2)
    x[13, 1] = 3.0
    copied = cr.Parameter("copied", np.ones(4))
    data = cr.Input("x", shape=(4,))
    net = cr.Network(
        output=cr.Affine(3)(Spoil()(data * copied)), loss=cr.SoftmaxCrossEntropy(), seed=0, dtype="float64"
    )
    error = diverge(net, x=x)
    assert "a gradient became NaN or infinite" in str(error)
    assert "going backward, is that of 'multiply1'" in str(error)
    assert error.node == "multiply1"


def test_large_gradients_whose_squares_overflow_are_no_divergence():
    net = network(cr.Affine(1, weights=cr.initializers.Zeros()), loss=cr.MeanAbsoluteError())
    with pytest.warns(cr.errors.ChainruleWarning, match="on a scale"):
        history = net.fit(
            X * 1e25, np.ones((20, 1)), optimizer=cr.SGD(1e-30, clip_norm=None), epochs=1, batch_size=5
        )
    assert len(history.loss) == 4


def test_a_last_update_that_ruins_the_weights_is_not_passed_over():
    net = network(cr.Affine(3), dtype="float64")
    with (
        pytest.warns(cr.errors.ChainruleWarning, match="on a scale"),
        pytest.raises(DivergedError, match=r"iteration 1: its update made the loss .* nan.*'W1'") as caught,
    ):
        net.fit(X * 1e200, T, optimizer=cr.SGD(1e200), iterations=1, batch_size=5)
    assert caught.value.iteration == 1
    assert caught.value.node == "W1"
    assert len(caught.value.history.loss) == 1


def test_early_stopping_puts_back_the_best_weights_also_after_a_divergence():
    class Spoil(cr.Layer):
        def forward(self, x, *, rng, training):
            return x * (np.nan if training and rng.random() < 0.05 else 1), None

        def backward(self, dy, saved):
            return dy

    net = network(Spoil(), cr.Affine(3))
    stopping = cr.EarlyStopping("train_loss")
    with pytest.raises(DivergedError) as caught:
        net.fit(X, T, epochs=99, batch_size=20, callbacks=[stopping])
    history = caught.value.history
    assert len(history.train_loss) >= 1
    assert net.loss(X, T) == min(history.train_loss) == stopping.best


def test_training_goes_on_after_a_divergence():
    net = network(cr.Affine(5), cr.ReLU(), cr.Affine(1), loss=cr.MeanSquaredError())
    fresh = network(cr.Affine(5), cr.ReLU(), cr.Affine(1), loss=cr.MeanSquaredError())
    with pytest.warns(cr.errors.ChainruleWarning, match="on a scale"), pytest.raises(DivergedError):
        net.fit(X * 1e30, X[:, :1], iterations=5, batch_size=5)
    assert net.iterations == 0
    assert (
        net.fit(X, X[:, :1], epochs=2, batch_size=5).loss
        == fresh.fit(X, X[:, :1], epochs=2, batch_size=5).loss
    )


def test_a_layer_that_fails_leaves_the_steps_before_it_counted():
    class Fails(cr.Layer):
        calls = 0

        def forward(self, x, *, training):
            Fails.calls += training
            if Fails.calls == 8:
                raise RuntimeError("the eighth")
            return x, None

        def backward(self, dy, saved):
            return dy

    net, twin = (network(layer, cr.Affine(3)) for layer in (Fails(), cr.Flatten()))
    with pytest.raises(RuntimeError, match="the eighth"):
        net.fit(X, T, iterations=20, batch_size=5)
    assert net.iterations == 7
    twin.fit(X, T, iterations=7, batch_size=5)
    np.testing.assert_array_equal(net.params.flat, twin.params.flat)
