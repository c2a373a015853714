"""Affine on rows of any shape, normalization, softmax, and embedding: programs against the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError
from chainrule.layers import Layer
from conftest import cut_small

RNG = np.random.default_rng(0)
#: The rows of a batch, and how many parts its turns are cut into at least.
BATCHES = [(1, 1), (2, 1), (13, 1), (13, 2), (16, 2)]


def network(shape: Any, *layers: Layer, dtype: str = "float64") -> cr.Network:
    end = (cr.Flatten(), cr.Affine(3))
    return cr.Network(*layers, *end, input_shape=shape, loss=cr.SoftmaxCrossEntropy(), seed=5, dtype=dtype)


def spoilt(net: cr.Network) -> cr.Network:
    """The same with parameters and statistics that are neither 0 nor 1."""
    rng = np.random.default_rng(1)
    net.params.flat[:] += 0.3 * rng.standard_normal(net.params.flat.shape)
    for value in net.graph.state.values():
        value[...] = rng.uniform(0.5, 2, value.shape)
    return net


def data(shape: Any, rows: int, whole: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    shape = (shape,) if isinstance(shape, int) else shape
    t = rng.integers(0, 3, rows)
    if whole:
        return {"x": rng.integers(0, 7, (rows, *shape)), "t": t}
    return {"x": 2 * rng.standard_normal((rows, *shape)) + 0.5, "t": t}


NETWORKS: dict[str, tuple[Any, Any]] = {
    "embedding": (5, lambda: (cr.Embedding(7, 4), cr.LayerNorm(), cr.Affine(3), cr.ReLU())),
    "embedding of tables": ((2, 3), lambda: (cr.Embedding(7, 1),)),
    "embedding of single numbers": ((), lambda: (cr.Embedding(7, 33), cr.Tanh())),
    "embedding of a large table": (
        4,
        lambda: (cr.Embedding(500, 16), cr.Flatten(), cr.BatchNorm(), cr.ReLU()),
    ),
    "softmax": (6, lambda: (cr.Softmax(), cr.Affine(17), cr.LogSoftmax(), cr.Affine(1), cr.Softmax(1))),
    "softmax on two axes": ((3, 5), lambda: (cr.Affine(4), cr.Softmax(1), cr.Affine(3), cr.LogSoftmax(-2))),
    "softmax on three axes": (
        (3, 2, 5),
        lambda: (cr.Softmax(2), cr.BatchNorm(), cr.LogSoftmax(1), cr.Softmax(3)),
    ),
    "batchnorm": (
        6,
        lambda: (cr.BatchNorm(), cr.Affine(17), cr.BatchNorm(momentum=0.7, epsilon=1e-3), cr.ReLU()),
    ),
    "batchnorm of images": (
        (3, 5, 4),
        lambda: (cr.ReLU(), cr.BatchNorm(), cr.Sigmoid(), cr.BatchNorm(axis=-1)),
    ),
    "batchnorm in the middle": ((3, 5, 7), lambda: (cr.Affine(4), cr.BatchNorm(axis=2), cr.Tanh())),
    "batchnorm of long channels": ((2, 40), lambda: (cr.BatchNorm(), cr.Affine(3), cr.BatchNorm(2))),
    "one channel": ((1, 19), lambda: (cr.BatchNorm(), cr.Tanh())),
    "many channels": (1100, lambda: (cr.BatchNorm(), cr.Tanh(), cr.BatchNorm())),
    "layernorm": (6, lambda: (cr.LayerNorm(), cr.Affine(70), cr.LayerNorm(epsilon=1e-3), cr.Tanh())),
    "layernorm on two axes": (
        (3, 35),
        lambda: (cr.LayerNorm(), cr.Affine(5), cr.LayerNorm((1, 2)), cr.ReLU()),
    ),
    "layernorm on three axes": ((3, 2, 5), lambda: (cr.LayerNorm((-1, -2)), cr.LayerNorm((1, 2, 3)))),
    "layernorm of one number": ((2, 1), lambda: (cr.LayerNorm(), cr.Affine(3), cr.LayerNorm())),
    "affine on two axes": ((4, 5), lambda: (cr.Affine(6), cr.Tanh(), cr.Affine(7), cr.SiLU())),
    "affine on three axes": (
        (2, 3, 5),
        lambda: (cr.Affine(16), cr.ReLU(), cr.Affine(1), cr.Affine(4, bias=False)),
    ),
    "one line of one number": ((1, 1), lambda: (cr.Affine(1), cr.GELU(), cr.Affine(2))),
}


def assert_close(got: np.ndarray, expected: np.ndarray, name: str = "", largest: float = 0.0) -> None:
    """Up to rounding, measured by the largest number. A batch of two, normalized, magnifies it a good deal."""
    close = 5e-3 if got.dtype == np.float32 else 1e-9
    largest = max(largest, float(np.abs(expected).max()))
    np.testing.assert_allclose(got, expected, rtol=0, atol=close * max(largest, 1e-3), err_msg=name)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_with_it_equals_the_graph(name: str, dtype: str, training: bool, monkeypatch: Any) -> None:
    """On the machine and by NumPy, in one part and in several; alone and by several threads."""
    shape, layers = NETWORKS[name]
    for rows, parts in BATCHES:
        feeds, graph = data(shape, rows, "embedding" in name), spoilt(network(shape, *layers(), dtype=dtype))
        expected = float(graph.graph.forward(feeds, training=training))
        gradients = graph.graph.backward(wrt=graph.params)
        for kind in ("machine", "NumPy"):
            net = spoilt(network(shape, *layers(), dtype=dtype))
            with pytest.MonkeyPatch.context() as patch:
                if parts > 1:
                    cut_small(patch)
                program = net.program(16)
            assert not program.trains_in_python
            assert not program.predicting.in_python
            assert program.training is not None
            assert parts == 1 or program.training.parts > 1
            program._free[id(program.training)] = [program.make_executor(program.training, kind)]
            loss, flat = program.loss_and_gradient(feeds, training=training, threads=parts)
            assert loss == pytest.approx(expected, rel=1e-4 if dtype == "float32" else 1e-10)
            for key, gradient in net.params.like(flat).items():
                assert_close(gradient, gradients[key], key, float(np.abs(flat).max()))
            for key, value in net.graph.state.items():
                assert_close(value, graph.graph.state[key], key)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("executor")
def test_a_prediction_with_it_equals_the_graph(name: str, dtype: str) -> None:
    shape, layers = NETWORKS[name]
    net = spoilt(network(shape, *layers(), dtype=dtype))
    for rows in (1, 1, 13, 700):
        x = data(shape, rows, "embedding" in name)["x"]
        x = x if x.dtype.kind == "i" else x.astype(dtype)
        assert_close(net.predict(x), net.graph.evaluate({"x": x}, net.output))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("many_parts")
def test_training_with_it_is_the_same_for_any_number_of_threads(name: str) -> None:
    shape, layers = NETWORKS[name]
    feeds = data(shape, 40, "embedding" in name)
    found = []
    for threads in (1, 2, 5):
        net = network(shape, *layers())
        net.fit(
            feeds["x"], feeds["t"], epochs=3, batch_size=16, seed=1, optimizer=cr.Adam(0.01), threads=threads
        )
        found.append([net.params.flat.tobytes(), *(value.tobytes() for value in net.graph.state.values())])
    assert found[0] == found[1] == found[2]


# Embedding --------------------------------------------------------------------------------------------------


def looking_up(*layers: Layer, loss: Any = None) -> cr.Network:
    return cr.Network(
        *layers, cr.Flatten(), cr.Affine(3), input_shape=(4,), loss=loss or cr.SoftmaxCrossEntropy(), seed=0
    )


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "uint64", ">i4"])
def test_ids_may_be_of_any_kind_of_whole_numbers(kind: str) -> None:
    ids = RNG.integers(0, 7, (30, 4))
    t = RNG.integers(0, 3, 30)
    nets = [looking_up(cr.Embedding(7, 3)) for _ in range(2)]
    for net, given in zip(nets, (ids, ids.astype(kind)), strict=True):
        net.fit(given, t, epochs=2, batch_size=8, seed=1)
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)
    np.testing.assert_array_equal(nets[0].predict(ids), nets[1].predict(ids.astype(kind)))


@pytest.mark.usefixtures("executor")
def test_wrong_ids_are_named_by_the_layer() -> None:
    net = looking_up(cr.Embedding(7, 3))
    ids, t = RNG.integers(0, 7, (30, 4)), np.zeros(30, int)
    before = net.params.flat.copy()
    for wrong, remedy in ((7, "correct it, or make room for it"), (-1, "count from the front")):
        bad = ids.copy()
        bad[20, 2] = wrong
        text = rf"dimension=3\): expected ids from 0 to 6, got {wrong} in row 20 of x; {remedy}"
        for use in (net.predict, lambda x: net.gradient(x, t), lambda x: net.evaluate(x, t)):
            with pytest.raises(DataError, match=text):
                use(bad)
        with pytest.raises(DataError, match="expected ids from 0 to 6"):
            net.fit(bad, t, epochs=1, batch_size=30)
    for kind in ("float32", "bool"):
        with pytest.raises(DataError, match=f"expected ids to be whole numbers, got {kind}"):
            net.predict(ids.astype(kind))
    np.testing.assert_array_equal(net.params.flat, before)


@pytest.mark.usefixtures("executor")
def test_ids_that_several_tables_look_up_are_held_to_the_smallest() -> None:
    ids = cr.Input("ids", shape=(4,))
    shared = cr.Embedding(9, 3)
    made = shared(ids) + cr.Embedding(6, 3)(ids) + shared(ids)
    net = cr.Network(
        output=cr.Affine(3)(cr.Flatten()(made)), loss=cr.SoftmaxCrossEntropy(), seed=0, dtype="float64"
    )
    x, t = RNG.integers(0, 6, (10, 4)), RNG.integers(0, 3, 10)
    assert not net.program(16).trains_in_python
    gradient = net.gradient(x, t)
    net.graph.forward({"ids": x, "t": t})
    expected = net.graph.backward(wrt=net.params)
    for key, value in gradient.items():
        assert_close(value, expected[key], key)
    x[3, 1] = 6
    with pytest.raises(
        DataError, match=r"Embedding\(vocabulary=6, dimension=3\): expected ids from 0 to 5, got 6"
    ):
        net.predict(x)


def test_ids_that_others_read_too_stay_in_python() -> None:
    ids = cr.Input("ids", shape=(3,))
    net = cr.Network(
        output=cr.Affine(3)(cr.Flatten()(cr.Embedding(6, 3)(ids)) + cr.Affine(9)(ids)),
        loss=cr.SoftmaxCrossEntropy(),
        seed=0,
    )
    assert net.program(16).trains_in_python


# What stays in Python, and what is shared -------------------------------------------------------------------


class OwnNorm(cr.LayerNorm):
    """A class of one's own may be something else."""


@pytest.mark.parametrize("layer", [OwnNorm(), cr.LayerNorm(axis=1)], ids=repr)
def test_what_has_no_kernel_is_left_to_python(layer: Layer) -> None:
    assert network((3, 4), layer).program(4).trains_in_python


def test_a_batchnorm_at_two_nodes_is_left_to_python() -> None:
    x, norm = cr.Input("x", shape=(5,)), cr.BatchNorm()
    net = cr.Network(output=cr.Affine(3)(norm(x) + norm(x * 2)), loss=cr.SoftmaxCrossEntropy(), seed=0)
    assert net.program(4).trains_in_python


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("axis", [-1, (1, 2)])
def test_a_layernorm_at_two_nodes_adds_its_gradients_up(axis: Any, threads: int, many_parts: None) -> None:
    x, norm = cr.Input("x", shape=(3, 7)), cr.LayerNorm(axis)
    output = cr.Affine(3)(cr.Flatten()(norm(cr.Affine(7)(norm(x) + x))))
    net = spoilt(cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype="float64"))
    feeds = data((3, 7), 16)
    _, flat = net.program(16).loss_and_gradient(feeds, threads=threads)
    net.graph.forward(feeds)
    expected = net.graph.backward(wrt=net.params)
    for key, gradient in net.params.like(flat).items():
        assert_close(gradient, expected[key], key)


# Statistics -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_that_diverges_leaves_the_statistics_as_they_were(bad: float) -> None:
    net = network(6, cr.BatchNorm(), cr.Affine(4), cr.BatchNorm())
    feeds = data(6, 8)
    net.params["W2"] *= bad
    before = {name: value.copy() for name, value in net.state.items()}
    with pytest.raises(cr.errors.DivergedError):
        net.fit(feeds["x"], feeds["t"], epochs=1, batch_size=8, seed=1)
    for name, value in before.items():
        np.testing.assert_array_equal(net.state[name], value)


@pytest.mark.usefixtures("executor")
def test_statistics_that_were_put_in_are_used_and_moved() -> None:
    """Arrays of another dtype, ones that cannot be written to, and new ones after a first prediction."""
    feeds = data(6, 8)
    nets = [network(6, cr.BatchNorm()) for _ in range(2)]
    mean, var = np.linspace(-1, 1, 6), np.linspace(1, 2, 6)
    nets[0].state["running_mean1"][...], nets[0].state["running_var1"][...] = mean, var
    nets[1].predict(feeds["x"][:1])
    nets[1].predict(feeds["x"][:1])
    frozen = var.copy()
    frozen.flags.writeable = False
    nets[1].state["running_mean1"], nets[1].state["running_var1"] = (
        mean.astype("float32").astype(float),
        frozen,
    )
    nets[0].state["running_mean1"][...] = mean.astype("float32")
    for rows in (1, 8):
        np.testing.assert_array_equal(*(net.predict(feeds["x"][:rows]) for net in nets))
    for net in nets:
        net.fit(feeds["x"], feeds["t"], epochs=2, batch_size=4, seed=1)
    np.testing.assert_array_equal(nets[0].params.flat, nets[1].params.flat)
    np.testing.assert_array_equal(frozen, var)
    for name, value in nets[0].state.items():
        np.testing.assert_array_equal(nets[1].state[name], value)
        assert not np.array_equal(value, mean)


def test_statistics_as_constants_bear_large_numbers() -> None:
    """What only training needs must not overflow where it is not wanted."""
    layers = cr.Affine(4), cr.BatchNorm(), cr.Affine(3)
    net = cr.Network(*layers, input_shape=5, loss=cr.SoftmaxCrossEntropy(), seed=0)
    x, t = np.full((6, 5), 1e22, "float32"), np.zeros(6, int)
    feeds = {"x": x, "t": t}
    with np.errstate(all="ignore"):
        net.graph.forward(feeds)
        expected = net.graph.backward(wrt=net.params)["W1"]
    found = net.gradient(x, t, training=False)["W1"]
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
