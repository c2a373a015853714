"""Network: its parameters, its predictions, its measures, its summary, and copies of it."""

from __future__ import annotations

import copy
import pickle
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 8))
T = RNG.integers(4, size=30)


def classifier(*, seed=0, dtype="float64", loss=None):
    return cr.Network(
        cr.Affine(6),
        cr.BatchNorm(),
        cr.ReLU(),
        cr.Dropout(0.2),
        cr.Affine(4),
        input_shape=(8,),
        loss=cr.SoftmaxCrossEntropy() if loss is None else loss,
        seed=seed,
        dtype=dtype,
    )


def trained(**arguments):
    net = classifier(**arguments)
    net.fit(X, T, iterations=5, batch_size=10)
    return net


def test_the_network_of_the_readme():
    net = cr.Network(
        cr.Affine(50),
        cr.ReLU(),
        cr.Affine(10),
        input_shape=(784,),
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
        dtype="float32",
    )
    assert {name: value.shape for name, value in net.params.items()} == {
        "W1": (784, 50),
        "b1": (50,),
        "W2": (50, 10),
        "b2": (10,),
    }
    assert net.params.flat.shape == (784 * 50 + 50 + 500 + 10,)
    assert net.dtype == net.predict(np.zeros((3, 784))).dtype == np.float32
    assert net.predict(np.zeros((3, 784))).shape == (3, 10)
    assert net.seed == 0
    assert net.input_shapes == {"x": (784,)}
    assert net.output_shape == (10,)
    assert repr(net) == "<Network: x (784,) -> (10,), 39760 float32 parameters>"


def test_params_are_writable_views_into_one_vector():
    net = classifier()
    for name, value in net.params.items():
        assert np.shares_memory(value, net.params.flat), name
    before = net.predict(X)
    net.params["W1"] -= 0.1
    assert (net.predict(X) != before).any()
    net.params["W1"] += 0.1
    np.testing.assert_allclose(net.predict(X), before, atol=1e-12)
    net.params.flat[:] = 0
    assert not net.params["gamma1"].any()
    assert not net.predict(X).any()


def test_by_hand_training_lowers_the_loss():
    net = cr.TwoLayerNet(8, 10, 4, weight_init_std=0.3, seed=1)
    before = net.loss(X, T)
    for _ in range(50):
        grads = net.gradient(X, T)
        for name in net.params:
            net.params[name] -= 0.5 * grads[name]
    assert net.loss(X, T) < 0.6 * before


def test_weight_decay_is_for_weights_only():
    net = classifier()
    decays = net.params.like(net.decays)
    assert {name: bool(value.all()) for name, value in decays.items()} == {
        "W1": True,
        "b1": False,
        "gamma1": False,
        "beta1": False,
        "W2": True,
        "b2": False,
    }


def test_the_seed_decides_the_weights():
    assert (classifier(seed=3).params.flat == classifier(seed=3).params.flat).all()
    assert (classifier(seed=3).params["W1"] != classifier(seed=4).params["W1"]).all()
    assert classifier(seed=None).seed != classifier(seed=None).seed
    single = classifier(seed=3, dtype="float32").params.flat
    np.testing.assert_array_equal(single, classifier(seed=3).params.flat.astype(np.float32))


def test_predicting_in_chunks_is_predicting_at_once():
    net = trained()
    x = RNG.normal(size=(2500, 8))
    at_once = net.graph.evaluate({"x": x}, net.output)
    np.testing.assert_allclose(net.predict(x), at_once, rtol=1e-12, atol=1e-14)
    row_by_row = np.concatenate([net.predict(x[i : i + 1]) for i in range(1000, 1050)])
    np.testing.assert_allclose(net.predict(x)[1000:1050], row_by_row, rtol=1e-12, atol=1e-14)
    assert net.predict(x[:0]).shape == (0, 4)


def test_predictions_are_the_callers_own():
    net = classifier()
    first = net.predict(X)
    kept = first.copy()
    net.predict(2 * X)
    first += 0
    np.testing.assert_array_equal(first, kept)


def test_probabilities_follow_from_the_loss():
    logits = trained().predict(X)
    shares = trained().predict_proba(X)
    np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    net = classifier(loss=cr.SigmoidCrossEntropy())
    np.testing.assert_allclose(net.predict_proba(X), 1 / (1 + np.exp(-net.predict(X))))
    with pytest.raises(ArgumentError, match="regression"):
        classifier(loss=cr.MeanSquaredError()).predict_proba(X)


def test_measures():
    net = trained()
    labels = net.predict(X).argmax(axis=1)
    right = np.where(np.arange(30) < 21, labels, (labels + 1) % 4)
    p = net.predict_proba(X)
    measures = net.evaluate(X, right)
    assert measures["accuracy"] == net.accuracy(X, right) == 0.7
    assert measures["loss"] == net.loss(X, right) == pytest.approx(-np.log(p[np.arange(30), right]).mean())
    assert net.accuracy(X, np.eye(4)[right]) == 0.7
    assert net.loss(X, np.eye(4)[right]) == pytest.approx(measures["loss"])
    regression = classifier(loss=cr.MeanSquaredError())
    assert set(regression.evaluate(X, X[:, :4])) == {"loss", "r2", "rmse", "mae"}
    with pytest.raises(ArgumentError, match="accuracy is for classifiers"):
        regression.accuracy(X, X[:, :4])


def test_measuring_changes_nothing():
    net = trained()
    state = {name: value.copy() for name, value in net.state.items()}
    flat = net.params.flat.copy()
    net.evaluate(X + 5, T)
    net.predict_proba(X + 5)
    net.summary()
    assert net.iterations == 5
    np.testing.assert_array_equal(net.params.flat, flat)
    for name, value in state.items():
        np.testing.assert_array_equal(net.state[name], value)


def test_without_a_loss_a_network_predicts_only():
    net = cr.Network(cr.Affine(2), input_shape=8, seed=0)
    assert net.predict(X).shape == (30, 2)
    for call in (net.loss, net.gradient, net.accuracy, lambda x, t: net.fit(x, t, epochs=1)):
        with pytest.raises(ArgumentError, match=r"no loss: make it with loss="):
            call(X, T)


def test_summary():
    text = str(classifier(dtype="float32").summary(batch_size=100))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["layer", "kind", "output", "shape", "parameters", "memory"]
    row = next(line for line in lines if line[0] == "affine1")
    assert row == ["affine1", "Affine(units=6)", "(N,", "6)", "54", "2.6", "kB"]
    assert next(line for line in lines if line[0] == "batchnorm1")[-3] == "12"
    assert "94 parameters, 376 B in float32" in text
    assert "values of 100 samples: 14.4 kB" in text
    assert "loss: SoftmaxCrossEntropy()" in text
    assert repr(classifier().summary()) == str(classifier().summary())


def test_summary_counts_shared_and_tied_weights_once():
    x = cr.Input("x", shape=(4,))
    W = cr.Parameter("W", np.ones((4, 2)))
    shared = cr.Affine(2)
    text = cr.Network(output=shared(shared(x @ W)) @ cr.Transpose()(W), seed=0).summary()
    assert "14 parameters" in text
    sizes = [line.split()[-3] for line in text.splitlines() if line.startswith(("affine", "matmul1"))]
    assert sizes == ["8", "6", "2)"]  # the second use of the shared layer has no parameters of its own
    assert "(2, 4)" in next(line for line in text.splitlines() if line.startswith("transpose1"))


def test_summary_of_a_deep_network_runs_each_layer_once():
    runs = 0

    class Counted(cr.Layer):
        """y = x,    dL/dx = dL/dy."""

        def forward(self, x):
            nonlocal runs
            runs += 1
            return x, None

        def backward(self, dy, saved):
            return dy

    net = cr.Network(*(Counted() for _ in range(2_000)), input_shape=3, seed=0)
    before = runs
    text = str(net.summary())
    assert runs == before + 2_000
    assert text.count("Counted()") == 2_000


def test_summary_of_a_deep_network_with_a_program_is_quick():
    """Quadratic work took five seconds for 2,000 layers, and a hundred before that."""
    layers = [cr.Affine(4) if k % 2 == 0 else cr.Tanh() for k in range(2_000)]
    net = cr.Network(*layers, input_shape=4, loss=cr.MeanSquaredError(), seed=0)
    start = time.process_time()
    net.summary()
    assert time.process_time() - start < 4


def test_astype_is_a_copy_in_another_dtype():
    net = trained(dtype="float32")
    net.metadata = {"classes": ["a", "b", "c", "d"]}
    twin = net.astype("float64")
    assert (twin.dtype, twin.seed, twin.iterations) == (np.float64, net.seed, 5)
    assert all(value.dtype == np.float64 for value in [*twin.params.values(), *twin.state.values()])
    np.testing.assert_array_equal(twin.params.flat, net.params.flat)
    np.testing.assert_array_equal(twin.state["running_var1"], net.state["running_var1"])
    np.testing.assert_allclose(twin.predict(X), net.predict(X), rtol=1e-5, atol=1e-6)
    twin.params["W1"] += 1
    twin.metadata["classes"].append("e")
    twin.state["running_var1"][:] = 9
    assert net.params.flat[0] != twin.params.flat[0]
    assert len(net.metadata["classes"]) == 4
    assert (net.state["running_var1"] != 9).all()


class Named(cr.TwoLayerNet):
    """A network of the user's, with an attribute."""

    note = ""


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_and_pickles_stand_alone(copied):
    net = trained()
    net.metadata = {"columns": ["a"]}
    twin = copied(net)
    assert type(twin) is cr.Network
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    flat = net.params.flat.copy()
    assert twin.fit(X, T, iterations=3, batch_size=10).loss == net.fit(X, T, iterations=3, batch_size=10).loss
    np.testing.assert_array_equal(twin.params.flat, net.params.flat)
    assert (twin.params.flat != flat).any()
    twin.params["W1"] += 1
    twin.metadata["columns"].append("b")
    assert (twin.predict(X) != net.predict(X)).any()
    assert net.metadata == {"columns": ["a"]}
    named = Named(8, 3, 4, seed=0)
    named.note = "mine"
    again = copied(named)
    assert (type(again), again.note) == (Named, "mine")


def test_a_deep_network_can_be_made_copied_and_trained():
    layers = [cr.Affine(3) if k % 2 == 0 else cr.Tanh() for k in range(801)]
    net = cr.Network(*layers, input_shape=(8,), loss=cr.MeanSquaredError(), seed=0)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    assert twin.fit(X, X[:, :3], iterations=1, batch_size=10).loss
    np.testing.assert_array_equal(copy.deepcopy(net).predict(X), net.predict(X))
