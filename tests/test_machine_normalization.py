"""Affine on rows of any shape, normalization, softmax, and embedding: programs against the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
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


def data(shape: Any, rows: int) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    shape = (shape,) if isinstance(shape, int) else shape
    return {"x": 2 * rng.standard_normal((rows, *shape)) + 0.5, "t": rng.integers(0, 3, rows)}


NETWORKS: dict[str, tuple[Any, Any]] = {
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
    "many channels": (600, lambda: (cr.BatchNorm(), cr.Affine(1100), cr.BatchNorm())),
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
    for kind in ("machine", "NumPy"):
        for rows, parts in BATCHES:
            nets = [spoilt(network(shape, *layers(), dtype=dtype)) for _ in range(2)]
            with pytest.MonkeyPatch.context() as patch:
                if parts > 1:
                    cut_small(patch)
                program = nets[0].program(16)
            assert not program.trains_in_python
            assert not program.predicting.in_python
            assert program.training is not None
            assert parts == 1 or program.training.parts > 1
            executor = program.make_executor(program.training, kind)
            program._free[id(program.training)] = [executor]
            feeds = data(shape, rows)
            loss, flat = program.loss_and_gradient(feeds, training=training, threads=parts)
            expected = float(nets[1].graph.forward(feeds, training=training))
            gradients = nets[1].graph.backward(wrt=nets[1].params)
            assert loss == pytest.approx(expected, rel=1e-4 if dtype == "float32" else 1e-10)
            for key, gradient in nets[0].params.like(flat).items():
                assert_close(gradient, gradients[key], key, float(np.abs(flat).max()))
            for key, value in nets[0].graph.state.items():
                assert_close(value, nets[1].graph.state[key], key)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("executor")
def test_a_prediction_with_it_equals_the_graph(name: str, dtype: str) -> None:
    shape, layers = NETWORKS[name]
    net = spoilt(network(shape, *layers(), dtype=dtype))
    for rows in (1, 1, 13, 700):
        x = data(shape, rows)["x"].astype(dtype)
        assert_close(net.predict(x), net.graph.evaluate({"x": x}, net.output))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("many_parts")
def test_training_with_it_is_the_same_for_any_number_of_threads(name: str) -> None:
    shape, layers = NETWORKS[name]
    feeds = data(shape, 40)
    found = []
    for threads in (1, 2, 5):
        net = network(shape, *layers())
        net.fit(
            feeds["x"], feeds["t"], epochs=3, batch_size=16, seed=1, optimizer=cr.Adam(0.01), threads=threads
        )
        found.append([net.params.flat.tobytes(), *(value.tobytes() for value in net.graph.state.values())])
    assert found[0] == found[1] == found[2]
