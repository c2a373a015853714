"""Structure: which nodes an output needs, in which order, and what each is called."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from chainrule.errors import GraphError, did_you_mean
from chainrule.graph.nodes import Input, LayerParameter, Node, Parameter
from chainrule.layers import Affine, Layer


class Structure:
    """The nodes that an output needs, in the order in which they are computed, with their names.

    The parameters that layers declare are nodes too, made here, one set for each layer object: a layer used
    twice has one set. The order is that of a depth-first walk, inputs left to right: always the same.
    """

    def __init__(self, output: Node) -> None:
        if not isinstance(output, Node):
            raise GraphError(f"a graph takes the node whose value is wanted, got {type(output).__name__}")
        self.output = output
        self.nodes: list[Node] = []
        self._sources: list[tuple[int, ...]] = []
        self._position: dict[int, int] = {}
        self._owned: dict[int, dict[str, int]] = {}
        self._ancestors_of: dict[int, list[int]] = {}
        for node in in_order(output):
            sources = tuple(self._position[id(source)] for source in node.inputs)
            if node.layer is not None:
                sources += self._own_parameters(node.layer, len(node.inputs))
            self._append(node, sources)
        self._numbers = self._number_layers()
        self._names = _name_all(self.nodes, self._numbers)
        self._by_name = {name: i for i, name in enumerate(self._names)}

    def _append(self, node: Node, sources: tuple[int, ...]) -> int:
        self._position[id(node)] = len(self.nodes)
        self.nodes.append(node)
        self._sources.append(sources)
        return len(self.nodes) - 1

    def _own_parameters(self, layer: Layer, given: int) -> tuple[int, ...]:
        """The positions of the parameters a layer declares and was not given, made at its first use."""
        specs = layer.parameters()
        missing = [name for name in layer.signature.inputs[given:] if name in specs]
        owned = self._owned.setdefault(id(layer), {})
        for name in missing:
            if name not in owned:
                owned[name] = self._append(LayerParameter(name, layer, specs[name]), ())
        return tuple(owned[name] for name in missing)

    def _number_layers(self) -> dict[int, int]:
        """Number the layers that have parameters or state, so that W3 and b3 belong to the same layer."""
        used: dict[str, int] = defaultdict(int)
        taken: set[str] = set()
        numbers: dict[int, int] = {}
        for node in self.nodes:
            if node.layer is None or id(node.layer) in numbers:
                continue
            names = [*self._owned.get(id(node.layer), ()), *node.layer.state()]
            if names:
                number = 1 + max(used[name] for name in names)
                while not taken.isdisjoint(f"{name}{number}" for name in names):
                    number += 1  # a parameter "W1" of layer 1 and the "W" of layer 11 would both be W11
                numbers[id(node.layer)] = number
                used.update(dict.fromkeys(names, number))
                taken.update(f"{name}{number}" for name in names)
        return numbers

    def position(self, key: str | Node) -> int:
        """The place of a node in the order, by its name or the node itself."""
        if isinstance(key, Node):
            found = self._position.get(id(key))
            if found is None:
                raise GraphError(
                    f"{key!r} is not part of this graph; its nodes: {', '.join(self._names[:20])}"
                )
            return found
        if key not in self._by_name:
            raise GraphError(f"there is no node named {key!r}; {did_you_mean(str(key), self._names)}")
        return self._by_name[key]

    def name_of(self, node: Node | int) -> str:
        """The name of a node: the one it was given, or an automatic one such as 'affine1'."""
        return self._names[node if isinstance(node, int) else self.position(node)]

    def __getitem__(self, name: str) -> Node:
        return self.nodes[self.position(name)]

    def __contains__(self, key: object) -> bool:
        return id(key) in self._position if isinstance(key, Node) else key in self._by_name

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all nodes, in order."""
        return tuple(self._names)

    @property
    def inputs(self) -> dict[str, Input]:
        """The inputs, by name."""
        return {self._names[i]: node for i, node in enumerate(self.nodes) if isinstance(node, Input)}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters, by name: those given as nodes and those that layers declare."""
        return {self._names[i]: node for i, node in enumerate(self.nodes) if isinstance(node, Parameter)}

    def sources(self, node: str | Node) -> tuple[Node, ...]:
        """The nodes whose values a node's layer is handed, its own parameters included."""
        return tuple(self.nodes[i] for i in self._sources[self.position(node)])

    def source_positions(self, i: int) -> tuple[int, ...]:
        """The positions of the nodes whose values the layer of the node at `i` is handed."""
        return self._sources[i]

    def state_names(self, layer: Layer) -> dict[str, str]:
        """What this graph calls the running statistics that a layer declares: {'running_mean': 'running_mean1'}."""
        return {short: f"{short}{self._numbers[id(layer)]}" for short in layer.state()}

    def ancestors(self, last: int) -> list[int]:
        """The positions of the nodes that the node at `last` needs, itself included, in order."""
        if last not in self._ancestors_of:
            marked = {last}
            for i in range(last, -1, -1):
                if i in marked:
                    marked.update(self._sources[i])
            self._ancestors_of[last] = sorted(marked)
        return self._ancestors_of[last]

    def leading_to(self, wanted: set[int]) -> list[bool]:
        """For each node, whether a path backward from the output through it reaches a wanted one."""
        leads = [False] * len(self.nodes)
        for i, sources in enumerate(self._sources):
            leads[i] = i in wanted or any(leads[source] for source in sources)
        return leads

    def index_leaves(self) -> set[int]:
        """Nodes whose whole numbers stay whole: they feed an input that a layer declares as indices."""
        found: set[int] = set()
        for node, sources in zip(self.nodes, self._sources, strict=True):
            if node.layer is not None and node.layer.index_inputs:
                named = zip(node.layer.signature.inputs, sources, strict=False)
                found |= {source for name, source in named if name in node.layer.index_inputs}
        return found

    def readers_of_dense(self) -> dict[str, str]:
        """The inputs that cannot be sparse matrices, by name, each with a layer that needs a dense array.

        An Affine with parameters of its own does not.
        """
        found: dict[str, str] = {}
        for node, sources in zip(self.nodes, self._sources, strict=True):
            is_affine = type(node.layer) is Affine
            is_plain = is_affine and all(isinstance(self.nodes[i], Parameter) for i in sources[1:])
            for i in sources[1:] if is_plain else sources:
                if isinstance(self.nodes[i], Input):
                    found[self._names[i]] = f"{node.layer!r} ({self.name_of(node)})"
        return found


def in_order(output: Node) -> list[Node]:
    """Every node the output needs, each after its inputs; depth first, inputs left to right, no recursion."""
    ordered: list[Node] = []
    done: set[int] = set()
    unfinished = {id(output)}
    stack: list[tuple[Node, Iterator[Node]]] = [(output, iter(output.inputs))]
    while stack:
        node, rest = stack[-1]
        for source in rest:
            if not isinstance(source, Node):
                raise GraphError(f"{node!r} has an input that is not a node: {type(source).__name__}")
            if id(source) in unfinished:
                raise GraphError(f"the graph has a cycle: {source!r} needs itself through {node!r}")
            if id(source) not in done:
                unfinished.add(id(source))
                stack.append((source, iter(source.inputs)))
                break
        else:
            stack.pop()
            unfinished.discard(id(node))
            done.add(id(node))
            ordered.append(node)
    return ordered


def _name_all(nodes: Sequence[Node], numbers: Mapping[int, int]) -> list[str]:
    """Each node's name: as given; W1, b1 for layers' parameters; relu1, relu2, ... for the rest."""
    given: dict[str, Node] = {}
    for node in nodes:
        if node.name is None or isinstance(node, LayerParameter):
            continue
        if node.name in given:
            raise GraphError(
                f"two nodes are named {node.name!r}: {given[node.name]!r} and {node!r}; give one another name"
            )
        given[node.name] = node
    counts: dict[str, int] = defaultdict(int)
    taken = given.keys() | {
        f"{node.name}{numbers[id(node.owner)]}" for node in nodes if isinstance(node, LayerParameter)
    }
    names = []
    for node in nodes:
        if isinstance(node, LayerParameter):
            name = f"{node.name}{numbers[id(node.owner)]}"
            if name in given:
                raise GraphError(
                    f"the name {name!r} is given to {given[name]!r} and is also that of a parameter of "
                    f"{node.owner!r}; give the node another name"
                )
        elif node.name is not None:
            name = node.name
        else:
            kind = re.sub(r"\W", "", type(node.layer or node).__name__).lower()
            counts[kind] += 1
            while f"{kind}{counts[kind]}" in taken:
                counts[kind] += 1
            name = f"{kind}{counts[kind]}"
        names.append(name)
    return names
