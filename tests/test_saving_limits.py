"""Model files that would take much memory or time are refused before they do; others take little of both."""

from __future__ import annotations

import json
import time
import tracemalloc

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError, FileError
from chainrule.saving.container import pieces_of
from chainrule.saving.sizes import most_numbers
from layer_cases import all_cases


def written(path, nodes, layers, output, arrays=None, **more):
    """A model file with this architecture, whose checksums are right."""
    description = {
        "format": "chainrule model 2",
        "nodes": nodes,
        "layers": layers,
        "output": output,
        "loss": None,
        "dtype": "float32",
        "seed": 0,
        "iterations": 0,
        "progress": {"place": [0, 0], "batches": None},
        "metadata": {},
        "classes": None,
        "preparation": None,
        **more,
    }
    path.write_bytes(b"".join(pieces_of(arrays or {}, {"chainrule": json.dumps(description)})))
    return path


def x(*shape):
    return {"name": "x", "kind": "input", "shape": shape, "optional": False}


def constant(name, *shape):
    return {"name": name, "kind": "constant", "shape": shape}


def node(name, layer, *inputs):
    return {"name": name, "kind": "layer", "layer": layer, "inputs": inputs}


def made(cls, **arguments):
    return {"$class": cls, "arguments": arguments}


def zeros(*shape):
    return np.zeros(shape, np.float32)


def chain(first, count, *, inputs=1):
    """Nodes n0, n1, ... of layer 0, each of the one before it, so many times."""
    names = [first, *(f"n{k}" for k in range(count))]
    return [node(names[k + 1], 0, *[names[k]] * inputs) for k in range(count)]


ONE = [x(4), node("a", 0, "x")]
FORTY = 40
HOSTILE = {
    "units": (ONE, [made("Affine", units=50_000_000)], "a", {"W1": zeros(4, 3), "b1": zeros(3)}),
    "units without arrays": (ONE, [made("Affine", units=50_000_000)], "a", {}),
    "vocabulary": (ONE, [made("Embedding", vocabulary=10**9, dimension=4)], "a", {"W1": zeros(4, 4)}),
    "ids": (
        [x(10**6), node("a", 0, "x"), node("b", 1, "a")],
        [made("Embedding", vocabulary=1, dimension=1_000), made("Mean", axis=1)],
        "b",
        {"W1": zeros(1, 1_000)},
    ),
    "input": ([x(10**9), node("a", 0, "x")], [made("Mean", axis=1)], "a", {}),
    "input over the batch": (
        [x(10**8), node("a", 0, "x"), node("b", 1, "x", "a")],
        [made("Max", axis=0), made("Subtract")],
        "b",
        {},
    ),
    "input whose size overflows": ([x(2**40, 2**40), node("a", 0, "x")], [made("Mean", axis=1)], "a", {}),
    "axes of the input": ([x(*[1] * 100_000), node("a", 0, "x")], [made("Mean", axis=1)], "a", {}),
    "outer sum": (
        [
            x(4),
            constant("c", 10**5, 1),
            constant("d", 1, 10**5),
            node("m", 0, "c", "d"),
            node("s", 1, "m"),
            node("o", 2, "x", "s"),
        ],
        [made("Add"), made("Sum"), made("Multiply")],
        "o",
        {"constant/c": zeros(10**5, 1), "constant/d": zeros(1, 10**5)},
    ),
    "outer product": (
        [
            x(4),
            constant("c", 10**5, 1),
            constant("d", 1, 10**5),
            node("m", 0, "c", "d"),
            node("s", 1, "m"),
            node("o", 2, "x", "s"),
        ],
        [made("MatMul"), made("Sum"), made("Multiply")],
        "o",
        {"constant/c": zeros(10**5, 1), "constant/d": zeros(1, 10**5)},
    ),
    "doubled": ([x(4), *chain("x", FORTY, inputs=2)], [made("Concatenate", axis=1)], f"n{FORTY - 1}", {}),
    "constants doubled": (
        [
            x(4),
            constant("c", 4),
            *chain("c", FORTY, inputs=2),
            node("s", 1, f"n{FORTY - 1}"),
            node("o", 2, "x", "s"),
        ],
        [made("Concatenate", axis=0), made("Sum", axis=0), made("Add")],
        "o",
        {"constant/c": zeros(4)},
    ),
    "indices": (
        [x(4), constant("c", 1_000), *chain("c", 3), node("s", 1, "n2"), node("o", 2, "x", "s")],
        [
            made(
                "Index",
                key={"$tuple": [{"$ellipsis": True}, None, {"$array": [[0] * 999] * 9, "dtype": "int64"}]},
            ),
            made("Sum"),
            made("Add"),
        ],
        "o",
        {"constant/c": zeros(1_000)},
    ),
    "taken": (
        [
            x(4),
            constant("c", 1_000, 1),
            constant("i", 1_000),
            node("t1", 0, "c", "i"),
            node("t2", 0, "t1", "i"),
            node("s", 1, "t2"),
            node("o", 2, "x", "s"),
        ],
        [made("Take", axis=1), made("Sum"), made("Add")],
        "o",
        {"constant/c": zeros(1_000, 1), "constant/i": np.zeros(1_000, np.int64)},
    ),
    "summed over the batch": (
        [x(10**7), node("s", 1, "x"), node("o", 0, "x", "s")],
        [made("Add"), made("Sum", axis=0)],
        "o",
        {},
    ),
    "reshaped": (ONE, [made("Reshape", shape={"$tuple": [-1, 10**18]})], "a", {}),
    **{
        f"array of {dtype}": (ONE, [made("Index", key={"$array": [1, 2], "dtype": dtype})], "a", {})
        for dtype in ("S100000000", "U100000000", "(10000,10000)f4", "O", "i4,i4", "M8[s]", 3)
    },
    "array in arrays": (ONE, [made("Index", key={"$array": [[[[1]]]] * 3 + [2], "dtype": "i8"})], "a", {}),
    "a node of itself": ([x(4), node("a", 0, "a")], [made("ReLU")], "a", {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_too_large_is_refused_at_once(tmp_path, name):
    path = written(tmp_path / "net", *HOSTILE[name])
    begin = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            cr.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * path.stat().st_size + 50_000_000
    assert time.process_time() - begin < 2
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    "more",
    [
        {"classes": list(range(100_000)), "loss": made("SoftmaxCrossEntropy")},
        {"classes": ["a"] * 100_000, "loss": made("SoftmaxCrossEntropy")},
        {"iterations": 10**100},
        {"progress": {"place": [2**64, 0], "batches": None}},
        {
            "preparation": {
                "encodings": [[]] * 100_000,
                "left_out": [],
                "rows": 0,
                "target": None,
                "missing": [],
            }
        },
        {"metadata": [[]] * 100_000},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_stands_beside_the_nodes_is_refused_at_once(tmp_path, more):
    path = written(tmp_path / "net", ONE, [made("ReLU")], "a", **more)
    begin = time.process_time()
    with pytest.raises(FileError) as caught:
        cr.load(path)
    assert time.process_time() - begin < 2
    assert len(str(caught.value)) < 2_000


def test_values_that_are_large_only_in_use_are_not_computed(tmp_path):
    """A network of large rows loads in little memory, and predicts."""
    image = cr.Input("x", shape=(3_000, 1_000))
    net = cr.Network(output=cr.Affine(2)(cr.Mean(axis=2)(cr.ReLU()(image))), seed=0)
    path = cr.save(net, tmp_path / "net")
    tracemalloc.start()
    try:
        again = cr.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    row = np.ones((1, 3_000, 1_000), np.float32)
    assert again.predict(row).tobytes() == net.predict(row).tobytes()


class Large(cr.Layer):
    """A layer of the user's that needs rows, and puts out many numbers."""

    def forward(self, x):
        return np.zeros((len(x), 3_000_000), np.float32) + x.max(), x.shape

    def backward(self, dy, shape):
        return np.zeros(shape, dy.dtype)


def test_layers_of_ones_own_are_tried_on_rows(tmp_path):
    net = cr.Network(Large(), input_shape=2, seed=0)
    again = cr.load(cr.save(net, tmp_path / "net"), layers=[Large])
    assert again.output_shape == (3_000_000,)


def test_layers_that_need_rows_load_as_before(tmp_path):
    x = cr.Input("x", shape=(5,))
    net = cr.Network(output=cr.Affine(2)(x - cr.Mean(axis=0)(x)), seed=0)
    again = cr.load(cr.save(net, tmp_path / "net"))
    data = np.arange(10.0).reshape(2, 5)
    assert again.predict(data).tobytes() == net.predict(data).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loading_takes_three_times_the_file_and_little_more(tmp_path, dtype):
    layers = cr.Affine(1_000), cr.BatchNorm(), cr.ReLU(), cr.Affine(800), cr.Affine(10)
    path = cr.save(cr.Network(*layers, input_shape=784, seed=0, dtype=dtype), tmp_path / "net")
    cr.load(path)
    tracemalloc.start()
    try:
        cr.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * path.stat().st_size + 1_000_000


def test_loading_draws_no_initial_values(tmp_path, monkeypatch):
    net = cr.Network(cr.Affine(3), cr.BatchNorm(), input_shape=4, seed=0)
    path = cr.save(net, tmp_path / "net")
    drawn = []
    monkeypatch.setattr(cr.initializers.He, "__call__", lambda *a: drawn.append(a))
    monkeypatch.setattr(cr.initializers.Zeros, "__call__", lambda *a: drawn.append(a))
    assert cr.load(path).params.flat.tobytes() == net.params.flat.tobytes()
    assert not drawn


@pytest.mark.parametrize("case", all_cases(), ids=str)
def test_no_layer_puts_out_more_than_its_formula_says(case):
    layer = case.make()
    inputs = case.inputs(np.random.default_rng(0), np.float64)
    output = np.asarray(case.forward(layer, inputs)[0])
    assert output.size <= most_numbers(layer, [each.shape for each in inputs])
    none = [(0, *each.shape[1:]) for each in inputs]
    assert most_numbers(layer, none) >= 0


def network():
    """A small network with a parameter, statistics and a constant."""
    x = cr.Input("x", shape=(2,))
    return cr.Network(output=cr.Affine(1)(cr.BatchNorm()(x * np.arange(2.0))), loss="mse", seed=0)


def test_a_damaged_bit_is_refused_or_means_nothing(tmp_path):
    """Every third bit: that is each byte, and each of its eight bits somewhere."""
    path = cr.save(network(), tmp_path / "net")
    content, net = path.read_bytes(), cr.load(path)
    row, loaded = np.array([[1.0, 2.0]]), 0
    for place in range(0, 8 * len(content), 3):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            again = cr.load(path)
        except FileError:
            continue
        loaded += 1
        assert again.params.flat.tobytes() == net.params.flat.tobytes()
        assert again.predict(row).tobytes() == net.predict(row).tobytes()
    assert loaded < 10


def test_the_damaged_array_is_named(tmp_path):
    path = cr.save(network(), tmp_path / "net")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"net is damaged: the content of 'state/running_var1' is not what"):
        cr.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["W1", "state", "constant"])
def test_what_is_not_finite_is_saved_and_loaded_only_when_asked_for(tmp_path, where, value):
    x = cr.Input("x", shape=(2,))
    factor = np.array([1.0, value if where == "constant" else 2.0])
    net = cr.Network(output=cr.Affine(1)(cr.BatchNorm()(x * factor)), seed=0)
    if where == "W1":
        net.params["W1"][1, 0] = value
    if where == "state":
        net.state["running_mean1"][1] = value
    path = tmp_path / "net"
    if where == "constant" and value == np.inf:  # as in a mask
        assert cr.load(cr.save(net, path)).graph["constant1"].value[1] == np.inf
        return
    with pytest.raises(DataError, match=r"allow_nan=True"):
        cr.save(net, path)
    assert not path.exists()
    cr.save(net, path, allow_nan=True)
    with pytest.raises(DataError, match=r"allow_nan=True"):
        cr.load(path)
    again = cr.load(path, allow_nan=True)
    assert again.params.flat.tobytes() == net.params.flat.tobytes()
