"""A graph or a network: every node checked by itself, at the values that flow through it, and the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike, is_float
from chainrule.checking.examine import examine
from chainrule.checking.report import Finding, LookedAt, Row
from chainrule.checking.targets.inputs import as_data
from chainrule.checking.targets.layers import LayerTarget
from chainrule.checking.targets.target import Calls, Returned, Target
from chainrule.errors import ArgumentError, NotComputedError
from chainrule.graph import Constant, Graph, Parameter
from chainrule.graph.values import Pass, copied
from chainrule.incoming import as_numbers
from chainrule.layers import Loss

WHOLE = "the whole graph"

#: A call of a layer takes as long as reading and writing this many numbers.
OF_A_NODE = 3000


def float64_graph(graph: Graph) -> tuple[Graph, dict[str, Array]]:
    """The same graph with values, parameters and running statistics in float64; feeds of its parameters."""
    wide = Graph(graph.output, seed=graph.seed, dtype=np.float64)
    parameters = {}
    for name in graph.parameters:
        try:
            parameters[name] = np.array(graph.parameter_value(name), np.float64)
        except NotComputedError:  # its shape follows from the run to come, which makes it
            continue
    wide.state = {name: np.array(value, np.float64) for name, value in graph.state.items()}
    return wide, parameters


def check_graph(
    graph: Graph, feeds: Mapping[str, ArrayLike], seed: int, dtype: str, training: bool
) -> tuple[list[Finding], list[Row], list[str], LookedAt]:
    """Every node of the graph by itself, with its own inputs, and the gradient of the whole."""
    if not feeds:
        feeds = {name: graph.values[name] for name in graph.inputs if name in graph.values}
    if not feeds and any(not node.optional for node in graph.inputs.values()):
        raise _no_values(graph)
    wide, parameters = float64_graph(graph)
    given = {name: _as_fed(wide, name, value) for name, value in feeds.items()}
    pass_ = wide.run({**parameters, **given}, len(wide.nodes) - 1, training, 0)
    findings: list[Finding] = []
    rows: list[Row] = []
    remarks: list[str] = []
    for i, node in enumerate(wide.nodes):
        if node.layer is None or pass_.values[i] is None:
            continue
        target = _node_target(wide, i, pass_, seed, training)
        fed = [pass_.values[k] for k in wide.source_positions(i) if not isinstance(wide.nodes[k], Parameter)]
        if not all(value is None or np.isfinite(value).all() for value in fed):
            continue  # the node that made it so is the one to name
        examined = examine(target, seed, dtype)
        findings += examined.findings
        rows += examined.rows
        remarks += examined.remarks
    whole = _whole(wide, pass_)
    if whole is not None and np.isfinite(np.asarray(pass_.values[-1])).all():
        examined = examine(whole, seed, dtype)
        rows += examined.rows
        if not any(finding.severity == "error" for finding in findings):
            findings += [finding for finding in examined.findings if finding.severity == "error"]
    return findings, rows, remarks, LookedAt(wide, copied(pass_, None)[0])


def _as_fed(graph: Graph, name: str, value: ArrayLike) -> Array:
    array = as_numbers(value, repr(name), copy=True)
    if name in graph and not isinstance(graph[name], Parameter) and array.dtype.kind != "f":
        return array
    return as_data(value, name, whole=False)


def _node_target(graph: Graph, i: int, pass_: Pass, seed: int, training: bool) -> LayerTarget:
    layer = graph.nodes[i].layer
    assert layer is not None
    values: dict[str, Array] = {}
    constants = set()
    names = layer.signature.inputs
    for k, source in enumerate(graph.source_positions(i)):
        value = pass_.values[source]
        if value is None:
            continue
        name = names[k] if k < len(names) else f"{graph.name_of(source)}"
        while name in values:
            name += "'"
        keep_whole = name in layer.index_inputs or (value.dtype.kind != "f" and k > 0)
        values[name] = value.copy() if keep_whole else np.array(value, np.float64)
        if isinstance(graph.nodes[source], Constant) or (isinstance(layer, Loss) and k > 0):
            constants.add(name)
    return LayerTarget(
        graph.name_of(i),
        repr(layer),
        values,
        without_gradient=frozenset(constants) | layer.index_inputs,
        layer=layer,
        training=training,
        state={
            short: graph.state[full]
            for short, full in graph.state_names(layer).items()
            if full in graph.state
        }
        if layer.state()
        else None,
        seed=seed,
    )


@dataclass
class _WholeTarget(Target):
    graph: Graph | None = None
    fed: Mapping[str, Array] | None = None
    training: bool = True
    handwritten: bool = False

    def start(self, dtype: str = "float64") -> Calls:
        assert self.graph is not None
        return _WholeCalls(self.graph, self.fed or {}, self.training)


class _WholeCalls(Calls):
    def __init__(self, graph: Graph, fed: Mapping[str, Array], training: bool) -> None:
        self._graph, self._fed, self._training = graph, fed, training
        self._pass: Pass | None = None
        self._names: list[str] = []

    def forward(self, values: Mapping[str, Array]) -> Any:
        self._names = list(values)
        last = len(self._graph.nodes) - 1
        self._pass = self._graph.run({**self._fed, **values}, last, self._training, 0)
        return self._pass.values[last]

    def backward(self, dy: Any) -> Returned:
        assert self._pass is not None
        gradients = self._graph.run_backward(self._pass, np.asarray(dy, np.float64))
        return {name: gradients[self._graph.position(name)] for name in self._names}


def _whole(graph: Graph, pass_: Pass) -> Target | None:
    """The graph as one function of its parameters and of its inputs that hold floats."""
    values, fed = {}, {}
    answers = _answers(graph)
    for name in [*graph.inputs, *graph.parameters]:
        value = pass_.values[graph.position(name)]
        if value is None:
            continue
        if is_float(value) and name not in answers:
            values[name] = np.array(value, np.float64)
        else:
            fed[name] = value
    if not values or len(graph.nodes) - len(graph.inputs) - len(graph.parameters) < 2:
        return None
    work = sum(OF_A_NODE + value.size for value in pass_.values if value is not None)
    what = f"{len(graph.nodes)} nodes"
    return _WholeTarget(
        WHOLE,
        what,
        values,
        work=work,
        graph=graph,
        fed=fed,
        training=pass_.training,
    )


def _answers(graph: Graph) -> set[str]:
    """The inputs that are the answers of a loss: they have no gradient to check."""
    found = set()
    for i, node in enumerate(graph.nodes):
        if isinstance(node.layer, Loss):
            found |= {graph.name_of(source) for source in graph.source_positions(i)[1:]}
    return found & set(graph.inputs)


def _no_values(graph: Graph) -> ArgumentError:
    """The error for a graph that is checked without values for its inputs."""
    names = ", ".join(f"{name}=..." for name in graph.inputs)
    return ArgumentError(f"check: the graph has inputs, so give it values: cr.check(graph, {names})")
