"""Valid models of several kinds, what spoils them below their checksums, and how they are read."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas

import chainrule as cr
from chainrule.arrays import Array
from chainrule.errors import ChainruleError
from chainrule.saving.container import pieces_of, read_container
from fuzz.spoiling import ANYTHING, EXTREME, Spoiler, spoiled
from fuzz.text_files import Rng, one

MOST_IN_A_ROW = 100_000
"""Numbers in the values of one row of a network that is tried out."""


def read_model(path: Path, rng: Rng) -> None:
    """`cr.load`, a prediction for two rows where that is no large work, and now and then `cr.save`."""
    net = cr.load(path, allow_nan=bool(rng.random() < 0.5))
    if _numbers_in_a_row(net) > MOST_IN_A_ROW:
        return
    rows = {name: np.zeros((2, *shape), int) for name, shape in net.input_shapes.items()}
    predicted = net.predict(rows)
    assert predicted.shape == (2, *net.output_shape)
    if rng.random() < 0.1:
        net.summary()
        cr.save(net, path, allow_nan=True)
        again = cr.load(path, allow_nan=True).predict(rows)
        np.testing.assert_array_equal(again, predicted)


def _numbers_in_a_row(net: cr.Network) -> int:
    """Found on no rows; where a layer needs some, loading has tried it on two."""
    nothing = {name: np.zeros((0, *shape), int) for name, shape in net.input_shapes.items()}
    try:
        run = net.graph.run(nothing, net.graph.position(net.output), training=False, step=0, keep_saved=False)
    except ChainruleError:
        return 0
    return sum(prod(length or 1 for length in value.shape) for value in run.values if value is not None)


def model(rng: Rng) -> bytes:
    """The file of one of the kinds."""
    return _files()[int(rng.integers(len(KINDS)))]


@cache
def _files() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [cr.save(kind(), Path(folder) / "net").read_bytes() for kind in KINDS]


DATA = np.random.default_rng(0)
X, IDS, T = DATA.normal(size=(12, 4)), DATA.integers(5, size=(12, 3)), DATA.integers(3, size=12)


def _dense() -> cr.Network:
    net = cr.Network(
        cr.Affine(5), cr.ReLU(), cr.Dropout(0.1), cr.Affine(3), input_shape=4, loss="cross_entropy", seed=0
    )
    net.fit(X, np.array(["no", "yes", "perhaps"])[T], epochs=1, batch_size=5, progress=False)
    net.metadata["note"] = {"of": ["mine", 1, None, 0.5]}
    return net


def _normalized() -> cr.Network:
    layers = cr.Standardize.of(X), cr.Affine(4), cr.BatchNorm(), cr.GELU(), cr.LayerNorm(), cr.Affine(2)
    return cr.Network(
        *layers, cr.Standardize.of(X[:, :2], invert=True), input_shape=4, loss=cr.Huber(0.5), seed=0
    )


def _graph() -> cr.Network:
    words, x = cr.Input("words", shape=(3,)), cr.Input("x", shape=(4,))
    shared = cr.Affine(4, weights=cr.initializers.Orthogonal())
    h = shared(cr.Tanh()(shared(x * np.arange(1.0, 5.0)))) @ cr.Parameter("W", DATA.normal(size=(4, 4)))
    joined = cr.Concatenate(axis=1)(
        h, cr.Mean(axis=1)(cr.Embedding(5, 4)(words)), x[:, 1:3], x ** np.array(2)
    )
    output = cr.Affine(3)(cr.Take(axis=1)(joined, np.array([0, 5, 2, 12])))
    return cr.Network(output=output, loss=cr.SoftmaxCrossEntropy(0.1, [1, 2, 3]), seed=8)


def _images() -> cr.Network:
    layers = cr.Transpose((0, 2, 1)), cr.Reshape((-1, 15)), cr.Index((..., slice(2, None, 3))), cr.Affine(3)
    return cr.Network(*layers, input_shape=(3, 5), loss="cross_entropy", dtype="float64", seed=0)


def _tied() -> cr.Network:
    x, W = cr.Input("x", shape=(4,)), cr.Parameter("W", DATA.normal(size=(4, 2)), decay=False)
    centred = x - cr.Mean(axis=0)(x)
    return cr.Network(output=cr.Softplus()(centred @ W) @ cr.Transpose()(W), loss="mse", seed=1)


def _prepared() -> cr.Network:
    frame = pandas.DataFrame(
        {"size": X[:, 0], "kind": np.array(["a", "b", "c"])[T], "day": pandas.Timestamp("2020-1-1")}
    )
    frame.loc[3, "size"] = np.nan
    table = cr.datasets.load_table(frame.assign(price=X[:, 1]), "price")
    net = cr.Network(cr.Affine(3), cr.Tanh(), cr.Affine(1), input_shape=table.x.shape[1], loss="mse", seed=0)
    net.preparation = table.preparation
    return net


KINDS: tuple[Callable[[], cr.Network], ...] = (_dense, _normalized, _graph, _images, _tied, _prepared)


Change = Callable[[Any, dict[str, Array], Rng], str | None]
"""Changes an architecture, or arrays, in place; or returns another text for the architecture."""


def below_checksums(change: Change, key: str = "chainrule") -> Spoiler:
    """What changes the JSON of a file, or its arrays, and makes its checksums right again."""

    def spoil(content: bytes, rng: Rng) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            try:
                metadata, arrays = read_container(file.name)
                values = json.loads(metadata[key])
                text = change(values, arrays, rng) or json.dumps(values)
                del metadata["checksums"]
                pieces = pieces_of(arrays, {**metadata, key: text})
            except Exception:  # a model that is spoilt already
                return content
        return b"".join(pieces)

    return spoil


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All places in JSON values: what holds each, and under which key."""
    found = []
    stack = [value]
    while stack:
        holder = stack.pop()
        keys = (
            list(holder)
            if isinstance(holder, dict)
            else range(len(holder))
            if isinstance(holder, list)
            else []
        )
        found += [(holder, key) for key in keys]
        stack += [holder[key] for key in keys]
    return found


def put_value(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A value is something else."""
    holder, key = one(rng, _places(architecture))
    holder[key] = copy.deepcopy(one(rng, VALUES))


def put_number(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A number is an extreme one."""
    numbers = [(holder, key) for holder, key in _places(architecture) if type(holder[key]) in (int, float)]
    if numbers:
        holder, key = one(rng, numbers)
        holder[key] = one(rng, NUMBERS)


def exchange(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A value stands in the place of another; a node is an input of itself, a layer that of another node."""
    places = _places(architecture)
    (holder, key), (other, name) = one(rng, places), one(rng, places)
    holder[key] = copy.deepcopy(other[name])


def remove_value(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A value is missing."""
    holder, key = one(rng, _places(architecture))
    del holder[key]


def repeat_value(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """An element of a list is there several times."""
    lists = [holder for holder, _ in _places(architecture) if isinstance(holder, list)]
    if lists:
        chosen = one(rng, lists)
        k = int(rng.integers(len(chosen)))
        chosen[k:k] = [copy.deepcopy(chosen[k])] * one(rng, (1, 2, 100))


def rename_node(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A node has another name, here or everywhere."""
    nodes = architecture["nodes"]
    node, name = one(rng, nodes), one(rng, (*(each["name"] for each in nodes), *NAMES))
    node["name"] = name


def grow(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A layer is used again and again, on its own output, once or twice."""
    nodes = architecture["nodes"]
    node = one(rng, [each for each in nodes if each["kind"] == "layer"])
    name = node["name"]
    for k in range(one(rng, (1, 10, 50, 300))):
        inputs = [name] * one(rng, (1, len(node["inputs"]), 2))
        name = f"{node['name']} {k}"
        nodes.append({**node, "name": name, "inputs": inputs})
    architecture["output"] = name


def put_layer(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """A layer is of another class, with other arguments."""
    layers = architecture["layers"]
    layers[int(rng.integers(len(layers)))] = copy.deepcopy(one(rng, LAYERS))


def change_array(architecture: Any, arrays: dict[str, Array], rng: Rng) -> None:
    """An array has another shape, dtype, name or content, or is missing."""
    if not arrays:
        return
    name = one(rng, list(arrays))
    array = arrays.pop(name)
    kind = rng.integers(6)
    if kind == 0:
        arrays[name] = array.astype(one(rng, ("f2", "f4", "f8", "i8", "u1", "?")))
    elif kind == 1:
        arrays[name] = array.reshape(-1)
    elif kind == 2:
        arrays[name] = np.broadcast_to(array, (2, *array.shape)).copy()
    elif kind == 3:
        arrays[one(rng, (*NAMES, "state/x", "constant/x", "training/x", "W9"))] = array
    elif kind == 4:
        arrays[name] = np.full(array.shape, one(rng, (np.nan, np.inf, 1e38, -7, 0))).astype(array.dtype)


def change_text(architecture: Any, arrays: dict[str, Array], rng: Rng) -> str:
    """The text of the architecture is spoilt as any other."""
    text = spoiled(json.dumps(architecture).encode(), ANYTHING, rng)
    return text.decode("utf-8", errors="surrogateescape" if rng.random() < 0.2 else "replace")


def without_checksums(content: bytes, rng: Rng) -> bytes:
    """A file of the first format, in which nothing is checked, with a number of its header changed."""
    try:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        del header["__metadata__"]["checksums"]
        text = header["__metadata__"]["chainrule"]
        header["__metadata__"]["chainrule"] = text.replace("chainrule model 2", "chainrule model 1")
        put_number(header, {}, rng)
        changed = json.dumps(header).encode()
    except Exception:  # a model that is spoilt already
        return content
    return len(changed).to_bytes(8, "little") + changed + content[8 + size :]


NAMES = ("", " ", "x", "t", "loss", "W1", "b1", "state/a", "a" * 10_000, "\0", "\ud800", "größe", "0")
NUMBERS = (*EXTREME, -1, 3, 7, 1_000, 10**6, 50_000_000, 10**30, 10**400, 0.5, -0.0, 1e308, 5e-324)
LAYERS = (
    *(
        {"$class": name, "arguments": {}}
        for name in ("Sum", "Max", "Softmax", "Flatten", "Exp", "Log", "MatMul", "Add")
    ),
    *(
        {"$class": name, "arguments": {"axis": 0}}
        for name in ("Sum", "Mean", "Max", "Concatenate", "Take", "BatchNorm")
    ),
    {"$class": "Affine", "arguments": {"units": 50_000_000}},
    {
        "$class": "Affine",
        "arguments": {"units": 1, "bias": False, "weights": {"$class": "Zeros", "arguments": {}}},
    },
    {"$class": "Embedding", "arguments": {"vocabulary": 10**9, "dimension": 10**9}},
    {"$class": "Embedding", "arguments": {"vocabulary": 5, "dimension": 4}},
    {"$class": "Reshape", "arguments": {"shape": {"$tuple": [-1, 10**12]}}},
    {"$class": "Reshape", "arguments": {"shape": {"$tuple": [0, 10**9]}}},
    {"$class": "Index", "arguments": {"key": {"$array": [0] * 500, "dtype": "int64"}}},
    {"$class": "Index", "arguments": {"key": {"$tuple": [None] * 70}}},
    {"$class": "Index", "arguments": {"key": {"$tuple": [{"$slice": [None, None, 0]}]}}},
    {"$class": "Transpose", "arguments": {"axes": {"$tuple": [1, 0]}}},
    {"$class": "Concatenate", "arguments": {"axis": 1}},
    {"$class": "Power", "arguments": {}},
    {"$class": "Standardize", "arguments": {"mean": 0, "std": [1] * 1_000}},
    {"$class": "SoftmaxCrossEntropy", "arguments": {"class_weights": [1e308] * 3}},
    {"$class": "Dropout", "arguments": {"rate": 1}},
)
VALUES: tuple[Any, ...] = (
    *NUMBERS,
    *NAMES,
    *LAYERS,
    None,
    True,
    False,
    [],
    {},
    [[]] * 1_000,
    [0] * 1_000,
    {"$float": "nan"},
    {"$float": "x"},
    {"$tuple": [10**6] * 3},
    {"$array": [[1], [2, 3]], "dtype": "float64"},
    {"$array": [1], "dtype": "U99999999"},
    {"$array": [[]] * 64, "dtype": "bool"},
    {"$slice": [10**30, 0.5, "x"]},
    {"$ellipsis": 0},
    {"$dict": {"a": {"$class": "Affine", "arguments": {"units": 3}}}},
    json.loads("[" * 200 + "]" * 200),
    "chainrule model 1",
    "float16",
)
#: What changes any JSON, and arrays.
ANY_CHANGE: tuple[Change, ...] = (
    *(put_value, put_number, put_number, exchange, remove_value, repeat_value, change_array, change_text),
)
CHANGES: tuple[Change, ...] = (*ANY_CHANGE, rename_node, grow, put_layer, put_layer)
MODELS: tuple[Spoiler, ...] = (*(below_checksums(change) for change in CHANGES * 3), *[without_checksums] * 3)
