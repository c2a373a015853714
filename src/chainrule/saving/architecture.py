"""A network's architecture as JSON values, and back. No code is stored, and none is run from a file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from chainrule import initializers, layers
from chainrule.arguments import checked_dtype
from chainrule.arrays import Array
from chainrule.configured import Configured, constructor_of
from chainrule.datasets.tables import Preparation
from chainrule.errors import ArgumentError, FileError, did_you_mean
from chainrule.graph import Constant, Input, LayerParameter, Node, Parameter
from chainrule.initializers import Initializer
from chainrule.layers import Layer, Loss
from chainrule.network import Network, Progress
from chainrule.network.making import Values
from chainrule.network.progress import counted_in_file
from chainrule.saving.sizes import rows_to_try

#: The formats that are read. The last is written: it has checksums.
FORMATS = ("chainrule model 1", "chainrule model 2")
#: Bytes of an array among the arguments of a layer.
MOST_ARRAY = 2**26
Classes = Mapping[str, type[Configured]]


def describe(network: Network) -> dict[str, Any]:
    """All of a network but its numbers: nodes, layers, loss, dtype, seed, metadata, names of classes."""
    graph = network.graph
    used: dict[int, Layer] = {}  # by identity, in the order of their first use
    numbers: dict[int, int] = {}
    nodes = []
    for i in graph.ancestors(graph.position(network.output)):
        node = graph.nodes[i]
        entry: dict[str, Any] = {"name": graph.name_of(i)}
        if isinstance(node, LayerParameter):
            continue
        if isinstance(node, Input):
            entry |= {"kind": "input", "shape": node.shape, "optional": node.optional}
        elif isinstance(node, Parameter):
            shape = network.params[graph.name_of(i)].shape
            entry |= {"kind": "parameter", "shape": shape, "decay": node.decay}
        elif isinstance(node, Constant):
            entry |= {"kind": "constant", "shape": node.value.shape}
        elif node.layer is not None:
            used[id(node.layer)] = node.layer
            entry |= {
                "kind": "layer",
                "layer": numbers.setdefault(id(node.layer), len(numbers)),
                "inputs": [graph.name_of(each) for each in node.inputs],
            }
        nodes.append(entry)
    return {
        "format": FORMATS[-1],
        "nodes": nodes,
        "layers": [encode(layer) for layer in used.values()],
        "output": graph.name_of(network.output),
        "loss": encode(network.loss_layer),
        "dtype": str(network.dtype),
        "seed": network.seed,
        "iterations": network.iterations,
        "progress": network.progress.to_dict(),
        "metadata": network.metadata,
        "classes": network.classes,
        "preparation": None if network.preparation is None else network.preparation.to_dict(),
    }


def constants_of(network: Network) -> dict[str, Array]:
    """The values of the constants in a network's graph, by name."""
    return {network.graph.name_of(node): node.value for node in network.graph if isinstance(node, Constant)}


def rebuild(
    description: Mapping[str, Any],
    params: Mapping[str, Array],
    state: Mapping[str, Array],
    constants: Mapping[str, Array],
    classes: Classes,
) -> Network:
    """The network that `describe` described, with these numbers. One that would be too large is refused."""
    used = [decode(entry, classes) for entry in description["layers"]]
    made: dict[str, Node] = {}
    for entry in description["nodes"]:
        name, kind = entry["name"], entry["kind"]
        if kind == "input":
            made[name] = Input(name, entry["shape"], optional=entry["optional"])
        elif kind == "parameter":
            made[name] = Parameter(name, _of_shape(params, entry), decay=entry["decay"])
        elif kind == "constant":
            made[name] = Constant(_of_shape(constants, entry), name)
        elif kind == "layer":
            made[name] = used[entry["layer"]](*(made[source] for source in entry["inputs"]), name=name)
        else:
            raise FileError(f"the model has a node of an unknown kind, {kind!r}")
    dtype = checked_dtype(description["dtype"])
    for name, value in params.items():
        if value.dtype != dtype:
            raise FileError(f"{name!r} is {value.dtype}, and its architecture says {dtype}")
    output, loss = made[description["output"]], decode(description["loss"], classes)
    rows = rows_to_try(output, params, state, dtype)
    network = Network.with_values(output, loss, description["seed"], dtype, Values(params, state, rows))
    if odd := sorted(constants_of(network).keys() ^ constants.keys()):
        raise FileError(f"its constants do not fit its architecture ({', '.join(odd[:5])})")
    network.iterations = counted_in_file("iterations", description["iterations"])
    if "progress" in description:  # not in files of 0.3 and before
        network.progress = Progress.from_dict(description["progress"])
    network.metadata = dict(description["metadata"])
    network.classes = description.get("classes")  # not in older files
    if description.get("preparation") is not None:
        network.preparation = Preparation.from_dict(description["preparation"])
    return network


def _of_shape(arrays: Mapping[str, Array], entry: Mapping[str, Any]) -> Array:
    array = arrays[entry["name"]]
    if array.shape != tuple(entry["shape"]):
        raise FileError(
            f"{entry['name']!r} has shape {array.shape}, not {tuple(entry['shape'])} as it should"
        )
    return array


def known_classes(own: Iterable[type[Configured]] = ()) -> dict[str, type[Configured]]:
    """The layers and initializers that a file may name: ours, and those of the caller's own."""
    if not isinstance(own, Iterable):
        raise ArgumentError(f"layers: expected a list of classes, [MyLayer], got {own!r}")
    found: dict[str, type[Configured]] = {}
    for module in (layers, initializers):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, (Layer, Initializer)):
                found[value.__name__] = value
    found = {
        name: cls for name, cls in found.items() if name[0] != "_" and cls not in (Layer, Loss, Initializer)
    }
    for cls in own:
        if not (isinstance(cls, type) and issubclass(cls, (Layer, Initializer))):
            raise ArgumentError(f"layers: expected classes of layers or initializers, [MyLayer], got {cls!r}")
        found[cls.__name__] = cls
    return found


def encode(value: Any) -> Any:
    """A constructor's argument as a JSON value; what JSON lacks is an object with one key that starts with $."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Configured):
        arguments = {name: encode(argument) for name, argument in value.arguments.items()}
        return {"$class": type(value).__name__, "arguments": arguments}
    if isinstance(value, np.ndarray):
        return {"$array": encode(value.tolist()), "dtype": str(value.dtype)}
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, tuple):
        return {"$tuple": [encode(each) for each in value]}
    if isinstance(value, list):
        return [encode(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"$dict": {key: encode(each) for key, each in value.items()}}
    if isinstance(value, slice):
        return {"$slice": [encode(value.start), encode(value.stop), encode(value.step)]}
    if value is Ellipsis:
        return {"$ellipsis": True}
    raise ArgumentError(
        f"a {type(value).__name__} among the arguments of a layer cannot be saved; "
        f"layers are made from numbers, text, lists, arrays and initializers"
    )


def decode(value: Any, classes: Classes) -> Any:
    """What `encode` encoded. Only the named classes are made."""
    if isinstance(value, list):
        return [decode(each, classes) for each in value]
    if not isinstance(value, dict):
        return value
    if "$class" in value:
        name = value["$class"]
        if name not in classes:
            raise FileError(
                f"the model uses a layer {name!r} that is not one of chainrule's: pass its class, "
                f"cr.load(path, layers=[{name}]); {did_you_mean(str(name), classes)}"
            )
        return _make(classes[name], {key: decode(each, classes) for key, each in value["arguments"].items()})
    if "$array" in value:
        return _array(decode(value["$array"], classes), np.dtype(value["dtype"]))
    if "$float" in value:
        return float(value["$float"])
    if "$tuple" in value:
        return tuple(decode(each, classes) for each in value["$tuple"])
    if "$dict" in value:
        return {key: decode(each, classes) for key, each in value["$dict"].items()}
    if "$slice" in value:
        return slice(*(decode(each, classes) for each in value["$slice"]))
    if "$ellipsis" in value:
        return Ellipsis
    raise FileError(f"the model holds a value of an unknown kind: {sorted(value)}")


def _array(values: Any, dtype: np.dtype[Any]) -> Array:
    """An array of numbers, booleans or text; of what size is known before it is made."""
    elements = np.array(values, object)
    if dtype.kind not in "biufU" or elements.size * dtype.itemsize > MOST_ARRAY:
        raise FileError(
            f"the model holds an array of {elements.size:,} elements of the kind {str(dtype)[:80]}: numbers, "
            f"booleans and text are saved, up to {MOST_ARRAY:,} bytes"
        )
    return elements.astype(dtype)


def _make(cls: type[Configured], arguments: dict[str, Any]) -> Configured:
    """The object, from its arguments by name; what *args took follows what stands before it."""
    takes = list(constructor_of(cls).parameters.values())
    for k, parameter in enumerate(takes):
        if parameter.kind is parameter.VAR_POSITIONAL and parameter.name in arguments:
            before = [arguments.pop(each.name) for each in takes[:k]]
            return cls(*before, *arguments.pop(parameter.name), **arguments)
    return cls(**arguments)
