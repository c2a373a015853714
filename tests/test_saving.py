"""cr.save and cr.load: what was saved comes back, to the bit, and goes on training as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import chainrule as cr
from chainrule.errors import ArgumentError, FileError
from chainrule.initializers import Constant, He, LeCun, Normal, Ones, Orthogonal, Uniform, Xavier, Zeros

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 5))
IDS = RNG.integers(6, size=(24, 3))
T = RNG.integers(3, size=24)


def sequential(*layers, loss=None, dtype="float32", input_shape=(5,), seed=3):
    loss = cr.SoftmaxCrossEntropy() if loss is None else loss
    return cr.Network(*layers, input_shape=input_shape, loss=loss, dtype=dtype, seed=seed)


def statistics():
    return sequential(
        cr.Affine(6), cr.BatchNorm(momentum=0.8), cr.ReLU(), cr.Dropout(0.4), cr.LayerNorm(), cr.Affine(3)
    ), X


def initialized():
    layers = [
        cr.Affine(4, weights=weights, biases=Uniform(0.2))
        for weights in (Orthogonal(1.2), He("uniform"), Xavier(), LeCun(), Normal(0.3), Uniform(0.4))
    ]
    return sequential(*layers, cr.Affine(3, biases=Constant(0.5), weights=Ones()), dtype="float64"), X


def graph():
    words, x = cr.Input("words", shape=(3,)), cr.Input("x", shape=(5,))
    W = cr.Parameter("W", RNG.normal(size=(5, 4)), decay=False)
    factor = cr.Parameter("factor", 1.5)
    shared = cr.Affine(4, weights=Orthogonal())
    h = cr.Tanh()(x @ W * factor + np.arange(4.0))
    h = (shared(h) + shared(cr.Sigmoid()(h)) - 0.25) / np.float32(2)
    means = cr.Mean(axis=1)(cr.Embedding(6, 4)(words)).named("means")
    joined = cr.Concatenate(axis=1)(h, means, x[:, 1:4], x ** np.array(2))
    output = cr.Dropout(0.2)(cr.Affine(3)(cr.Take(axis=1)(joined, np.array([0, 5, 2, 12]))))
    return cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(0.1, [1, 2, 3]), seed=8), {
        "x": X,
        "words": IDS,
    }


def images():
    layers = cr.Transpose((0, 2, 1)), cr.Reshape((-1, 15)), cr.Index((..., slice(2, None, 3))), cr.Affine(3)
    return sequential(*layers, input_shape=(3, 5)), RNG.normal(size=(24, 3, 5))


def tied():
    x, W = cr.Input("x", shape=(5,)), cr.Parameter("W", RNG.normal(size=(5, 2)))
    return cr.Network(output=cr.Softplus()(x @ W) @ cr.Transpose()(W), dtype="float64", seed=1), X


MAKERS = [statistics, initialized, graph, images, tied]


@pytest.mark.parametrize("make", MAKERS)
def test_round_trip(make, tmp_path):
    net, data = make()
    if net.loss_layer is not None:
        net.fit(data, T, iterations=4, batch_size=7)
    net.metadata = {"classes": ["a", "b"], "nested": {"n": [1, 2.5, None, True]}, "text": "grün \u2028 \0"}
    path = cr.save(net, tmp_path / "net.safetensors")
    again = cr.load(path)
    assert again.predict(data).tobytes() == net.predict(data).tobytes()
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
    assert again.params.shapes == net.params.shapes
    assert list(again.params) == list(net.params)
    np.testing.assert_array_equal(again.decays, net.decays)
    assert again.metadata == net.metadata
    assert (again.seed, again.iterations, again.dtype) == (net.seed, net.iterations, net.dtype)
    assert again.graph.names == net.graph.names
    assert again.summary() == net.summary()
    assert repr(again.loss_layer) == repr(net.loss_layer)
    assert set(again.state) == set(net.state)
    for name, value in net.state.items():
        assert again.state[name].tobytes() == value.tobytes()
    other = cr.save(again, tmp_path / "again.safetensors")
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("make", [statistics, initialized, graph, images])
def test_training_goes_on_identically(make, tmp_path):
    net, data = make()
    net.fit(data, T, iterations=4, batch_size=7)
    again = cr.load(cr.save(net, tmp_path / "net"))
    first, second = (
        each.fit(data, T, optimizer=cr.Adam(0.01), iterations=6, batch_size=7) for each in (net, again)
    )
    assert first.loss == second.loss
    assert net.params.flat.tobytes() == again.params.flat.tobytes()
    assert net.predict(data).tobytes() == again.predict(data).tobytes()
    gradients = [each.gradient(data, T, training=True, step=99) for each in (net, again)]
    for name, gradient in gradients[0].items():
        assert gradient.tobytes() == gradients[1][name].tobytes()


def test_a_fresh_network_and_one_without_a_loss(tmp_path):
    net = cr.Network(cr.Affine(2), input_shape=(5,), seed=0)
    again = cr.load(cr.save(net, str(tmp_path / "net")))
    assert again.loss_layer is None
    assert again.predict(X).tobytes() == net.predict(X).tobytes()


def test_any_reader_of_safetensors_finds_the_weights(tmp_path):
    net, _ = statistics()
    path = cr.save(net, tmp_path / "net")
    with safe_open(path, framework="numpy") as file:
        assert set(file.keys()) == {*net.params, "state/running_mean1", "state/running_var1"}
        np.testing.assert_array_equal(file.get_tensor("W1"), net.params["W1"])
        assert json.loads(file.metadata()["chainrule"])["format"] == "chainrule model 2"


def test_special_numbers_survive(tmp_path):
    net = cr.Network(cr.Affine(4, bias=False), input_shape=(1,), dtype="float64")
    net.params["W1"][:] = [[-0.0, 5e-324, np.inf, np.nan]]
    again = cr.load(cr.save(net, tmp_path / "net", allow_nan=True), allow_nan=True)
    assert again.params.flat.tobytes() == net.params.flat.tobytes()


def test_parameters_and_constants_without_axes_keep_their_shape(tmp_path):
    x = cr.Input("x", shape=(5,))
    net = cr.Network(output=x * cr.Parameter("scale", 2.0) + 1, dtype="float64")
    again = cr.load(cr.save(net, tmp_path / "net"))
    assert again.params["scale"].shape == ()
    assert again.graph["constant1"].value.shape == ()


def test_strange_names_of_nodes(tmp_path):
    x = cr.Input("the x, of 5", shape=(5,))
    net = cr.Network(output=cr.Affine(2)(x * cr.Parameter("größe/1", 2.0)).named("W9"), seed=0)
    again = cr.load(cr.save(net, tmp_path / "net"))
    assert again.graph.names == net.graph.names
    for name in ("state/a", "constant/a", "training/a"):
        net = cr.Network(output=cr.Input("x", shape=(5,)) * cr.Parameter(name, 2.0))
        with pytest.raises(ArgumentError, match=f"a parameter named '{name}' cannot be saved.*another name"):
            cr.save(net, tmp_path / "net")


# Layers, losses and initializers of one's own


class Mine(cr.Layer):
    """A layer of the user's with a parameter, statistics, and arguments of all kinds."""

    def __init__(self, *sizes, limit=np.inf, table=None, flags=(True, None), names=None, start=None):
        self.limit = limit
        self.start = Zeros() if start is None else start

    def parameters(self):
        return {"g": cr.ParameterSpec((1,), self.start)}

    def state(self):
        return {"count": cr.ParameterSpec((), Zeros())}

    def forward(self, x, g, *, training, state):
        return x * g, (x, g), {"count": np.asarray(state["count"] + training)}

    def backward(self, dy, saved):
        x, g = saved
        return dy * g, dy * x


class Half(cr.initializers.Initializer):
    """An initializer of the user's."""

    def __call__(self, shape, rng, dtype):
        return np.full(shape, 0.5, dtype)


class Cube(cr.Loss):
    """A loss of the user's."""

    def __init__(self, power=3):
        self.power = power

    def forward(self, x, t):
        r = x - t
        return np.mean(np.abs(r) ** self.power), r

    def backward(self, dy, r):
        return dy * self.power * np.sign(r) * np.abs(r) ** (self.power - 1) / r.size, None


def test_what_is_ones_own_is_trained_saved_and_loaded(tmp_path):
    table = np.array([[1.5, -np.inf], [0, 3]], np.float32)
    mine = Mine(
        4, (2, [3]), table=table, flags=(np.True_, np.float32(0.1)), names={"a": slice(1, None)}, start=Half()
    )
    net = sequential(cr.Affine(4), mine, cr.Tanh(), cr.Affine(3), loss=Cube(2.5))
    before = net.loss(X, X[:, :3])
    net.fit(X, X[:, :3], epochs=9, batch_size=6)
    assert net.loss(X, X[:, :3]) < before
    path = cr.save(net, tmp_path / "net")
    again = cr.load(path, layers=[Mine, Half, Cube])
    assert again.predict(X).tobytes() == net.predict(X).tobytes()
    assert again.loss(X, X[:, :3]) == net.loss(X, X[:, :3])
    assert again.state["count1"] == 36
    found = again.graph["mine1"].layer.arguments
    assert found.keys() == mine.arguments.keys()
    assert found["sizes"] == (4, (2, [3]))
    assert found["flags"] == (True, float(np.float32(0.1)))
    assert found["names"] == {"a": slice(1, None)}
    assert found["table"].dtype == np.float32
    np.testing.assert_array_equal(found["table"], table)
    for left_out in ("Mine", "Half", "Cube"):
        known = [each for each in (Mine, Half, Cube) if each.__name__ != left_out]
        with pytest.raises(FileError, match=rf"'{left_out}'.*cr.load\(path, layers=\[{left_out}\]\)"):
            cr.load(path, layers=known)


@pytest.mark.parametrize("layers", [Mine, [Mine(1)], ["Mine"], [int], [cr.SGD], 3], ids=repr)
def test_layers_are_given_as_classes(layers, tmp_path):
    path = cr.save(statistics()[0], tmp_path / "net")
    with pytest.raises(ArgumentError, match=r"layers: expected .*classes"):
        cr.load(path, layers=layers)


@pytest.mark.parametrize("value", [lambda: 1, object(), {1: 2}, {3}, 1j, np.array([object()])])
def test_arguments_that_cannot_be_saved(value, tmp_path):
    net = sequential(Mine(value), cr.Affine(3))
    with pytest.raises(ArgumentError, match=r"among the arguments of a layer cannot be saved"):
        cr.save(net, tmp_path / "net")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.int64(1), float("nan"), {1, 2}, b"bytes", cr.SGD(0.1)])
def test_metadata_that_cannot_be_saved(value, tmp_path):
    net = statistics()[0]
    net.metadata = {"note": value}
    with pytest.raises(ArgumentError, match=r"metadata must be JSON values"):
        cr.save(net, tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_what_else_cannot_be_saved(tmp_path):
    with pytest.raises(ArgumentError, match=r"cr.save\(net, path\)"):
        cr.save(tmp_path / "net", statistics()[0])
    if np.longdouble(0).itemsize > 8:
        net = cr.Network(output=cr.Input("x", shape=(5,)) * np.longdouble(2))
        with pytest.raises(
            ArgumentError,
            match=r"constant/constant1 is .*, which a safetensors file cannot hold; make it flo",
        ):
            cr.save(net, tmp_path / "net")


def test_models_of_earlier_versions_load_bit_for_bit():
    """A file that version 0.1 wrote: weights, running statistics, layers and notes."""
    folder = Path(__file__).parent / "models"
    net, kept = cr.load(folder / "version-0.1.safetensors"), np.load(folder / "version-0.1.npz")
    np.testing.assert_array_equal(net.params.flat, kept["flat"])
    for name, value in net.state.items():
        np.testing.assert_array_equal(value, kept[name])
    assert set(net.state) == set(kept.files) - {"flat"}
    assert net.metadata == {"classes": ["a", "b", "c", "d"]}
    assert [type(node.layer).__name__ for node in net.graph if node.layer is not None] == [
        "Affine",
        "BatchNorm",
        "ReLU",
        "Dropout",
        "Affine",
        "SoftmaxCrossEntropy",
    ]
    assert net.predict(np.zeros((1, 6))).shape == (1, 4)


@pytest.mark.parametrize("number", [1, 2])
def test_files_of_every_format_predict_as_when_they_were_written(number):
    """One network, trained and saved by version 0.6.0 in the first format and by 0.7.0 in the second."""
    path = Path(__file__).parent / "models" / f"format-{number}.safetensors"
    net, kept = cr.load(path), np.load(path.with_suffix(".npz"))
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["chainrule"])["format"] == f"chainrule model {number}"
    np.testing.assert_array_equal(net.params.flat, kept["flat"])
    predicted = net.predict({"x": kept["x"], "words": kept["words"]})
    np.testing.assert_allclose(predicted, kept["predicted"], rtol=1e-5, atol=1e-6)
    assert net.classes == ["a", "b", "c"]
    assert net.iterations == 12
    assert net.metadata["note"] == "grün"
