"""Lowering: the walk over a graph that writes the instructions of its program down.

Nothing of single layers stands here: what a layer becomes is said by its rule, in `operations`. The walk asks the
rules, in order, and knows where gradients go: to which place, and how those of several paths add up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.graph import Constant, Graph, Input, Node, Parameter
from chainrule.layers import Layer
from chainrule.program.declaring import whole
from chainrule.program.sums import ACCUMULATE, ACCUMULATE_MATRIX, ACCUMULATE_VECTOR, COPY
from chainrule.program.table import Instruction, Operation, Place, Space, sparse_places, whole_place, written


class Rule(Protocol):
    """How a kind of node is lowered: a first file for each family of layers, beside its kernels' names."""

    def takes(self, walk: Walk, i: int) -> bool:
        """Whether the node at `i` is lowered by this rule."""

    def forward(self, walk: Walk, i: int) -> None:
        """Write down what computes its value."""

    def backward(self, walk: Walk, i: int) -> None:
        """Write down what computes the gradients of its inputs."""


class Walk:
    """One walk over a graph: forward, and back when it is for training.

    `shapes` holds the shape of one row of every node that has a row of floats for each sample. `target` is an
    example of the targets; without one there is no loss and no run backward.
    """

    def __init__(
        self,
        graph: Graph,
        output: Node,
        shapes: dict[int, Shape],
        target: Array | None,
        weighted: bool,
        rules: Sequence[Rule],
        *,
        training: bool,
        sparse: Collection[str] = (),
    ) -> None:
        self.graph, self.shapes, self.target, self.weighted = graph, shapes, target, weighted
        self.rules, self.training = rules, training
        self.output = graph.position(output)
        self.needed = graph.leading_to({graph.position(name) for name in graph.parameters})
        self.instructions: list[Instruction] = []
        self.gradient_instructions: list[Instruction] = []
        self.update_instructions: list[Instruction] = []
        self.skipped: list[str] = []
        self.constants, self.indices = np.zeros(0), np.zeros(0, np.int64)
        self.spares_size = 0
        self.fused: dict[int, int] = {}
        """An affine whose bias the activation behind it adds, by position, and that bias."""
        self.kept: dict[int, Place] = {}
        """What the forward of a node keeps for its backward, beside its value, by position."""
        self.users = _users(graph)
        self.sparse = {
            i: sparse_places(name, shapes[i]) for i, name in enumerate(graph.names) if name in sparse
        }
        """The inputs whose data are sparse, by position, and the places of their parts. Affine layers read them."""
        self._started: set[Place] = set()
        self._constant_places: dict[int, Place] = {}
        self._rules: dict[int, Rule] = {}
        self._values, self._gradients = self._places()

    def run(self) -> None:
        """Write down all instructions."""
        last = len(self.graph) - 1 if self.target is not None else self.output
        wanted = self.graph.ancestors(last)
        computed = [i for i in wanted if self.graph.nodes[i].layer is not None]
        for i in computed:
            self.rule(i).forward(self, i)
        if not self.training or self.target is None:
            return
        for i in reversed(computed):
            if self.needed[i]:
                self.rule(i).backward(self, i)
        self._flush()
        for i in wanted:
            if i in self.shapes and self.graph.nodes[i].layer is None and not self.needed[i]:
                self.skipped.append(f"the gradient of {self.value(i).name}: it is data, nothing needs it")

    # Facts ---------------------------------------------------------------------------------------------

    def layer(self, i: int) -> Layer | None:
        """The layer of the node at `i`."""
        return self.graph.nodes[i].layer

    def sources(self, i: int) -> tuple[int, ...]:
        """The nodes whose values the node at `i` takes."""
        return self.graph.source_positions(i)

    def rule(self, i: int) -> Rule:
        """The first rule that takes the node."""
        if i not in self._rules:
            self._rules[i] = next(rule for rule in self.rules if rule.takes(self, i))
        return self._rules[i]

    def value(self, i: int) -> Place:
        """Where the value of the node at `i` is."""
        return self._values[i]

    def gradient(self, i: int) -> Place:
        """Where its gradient is."""
        return self._gradients[i]

    def are_parameters(self, *nodes: int) -> bool:
        """Whether all of these nodes are parameters."""
        return all(isinstance(self.graph.nodes[i], Parameter) for i in nodes)

    def put_value(self, i: int, place: Place) -> None:
        """Let the value of a node be computed in another's place."""
        self._values[i] = place

    def put_whole(self, i: int, shape: Shape) -> None:
        """Let the value of a node, and its gradient, be arrays of this shape, however many rows the batch has."""
        value, slope = self._values[i], self._gradients[i]
        self._values[i], self._gradients[i] = self.spare(value.name, shape), self.spare(slope.name, shape)

    def is_whole(self, i: int) -> bool:
        """Whether the value of a node is such an array: it is one only behind the `forward` that put it there."""
        return self._values[i].space == "spares"

    def may_be_whole(self, i: int) -> bool:
        """Whether the machine may compute such a value of a node.

        Only in training: a prediction does some rows at a time. The last node is the loss, which is kept elsewhere.
        """
        return self.training and i not in self.shapes and i != len(self.graph) - 1

    # Writing -------------------------------------------------------------------------------------------

    def emit(
        self,
        operation: Operation,
        *operands: Place | None,
        numbers: Sequence[float] = (),
        layer: int = -1,
        note: str = "",
        wanted: tuple[bool, ...] = (),
        fresh: tuple[bool, ...] = (),
    ) -> None:
        """Write an instruction down, in its form for what does not grow with the batch where that is its result.

        Gradients of parameters come after all rows, in a turn of their own; an update comes last, in steps of which
        nothing is infinite or NaN.
        """
        made = Instruction(operation, operands, tuple(map(float, numbers)), layer, note, wanted, fresh)
        if (
            self.spares_size
            and operation.turn == "rows"
            and not all(place.is_batch for place in written(made))
        ):
            made = replace(made, operation=whole(operation))
        if operation.turn == "gradients":
            self.gradient_instructions.append(made)
        elif operation.turn == "update":
            self.update_instructions.append(made)
        else:
            if operation.turn == "python" and "gradient" in {place.space for place in operands if place}:
                self._flush()  # Python adds to, or replaces, what they find
            self.instructions.append(made)

    def _flush(self) -> None:
        self.instructions += self.gradient_instructions
        self.gradient_instructions = []

    def operand(self, i: int) -> Place:
        """Where the value of a node is; of a constant, as a number or numbers of the network's dtype."""
        node = self.graph.nodes[i]
        if not isinstance(node, Constant):
            return self.value(i)
        if i not in self._constant_places:
            self._constant_places[i] = made = self.constant(self.graph.name_of(i), node.value)
            made.shape = node.value.shape
        return self._constant_places[i]

    def constant(self, name: str, value: Array) -> Place:
        """A place for numbers that never change."""
        made = whole_place(name, "constants", (value.size,), self.constants.size)
        self.constants = np.append(self.constants, value)
        return made

    def fixed_shape(self, i: int) -> Shape | None:
        """The shape of what does not grow with the batch; None where a node is of the batch, or has no place."""
        node = self.graph.nodes[i]
        if isinstance(node, Constant):
            return node.value.shape if node.value.dtype.kind in "buif" else None
        return self._values[i].shape if isinstance(node, Parameter) or self.is_whole(i) else None

    def whole_numbers(self, name: str, value: Array) -> Place:
        """A place for whole numbers that never change."""
        made = whole_place(name, "indices", (value.size,), self.indices.size)
        self.indices = np.append(self.indices, value)
        return made

    def spare(self, name: str, shape: Shape) -> Place:
        """A place for a value that does not grow with the batch."""
        made = whole_place(name, "spares", shape, self.spares_size)
        self.spares_size = made.end
        return made

    # Where gradients go --------------------------------------------------------------------------------

    def starts(self, place: Place) -> bool:
        """Whether what is written to a gradient now is the first contribution; from now on there is one."""
        first = place not in self._started
        self._started.add(place)
        return first

    def pass_on(self, dy: Place, source: int) -> None:
        """The gradient of `source` is dy itself, or that is one part of it."""
        if self.needed[source]:
            into = self.gradient(source)
            self.emit(COPY if self.starts(into) else ACCUMULATE, dy, into)

    def destination(self, i: int) -> Place:
        """Where to write a gradient: its own place, or a second one when that holds another path's already."""
        own = self.gradient(i)
        if own not in self._started:
            return own
        name = f"{own.name} (2)"
        return Place(name, "arena", own.row) if own.is_batch else self.spare(name, own.shape)

    def emit_gradients(
        self,
        operation: Operation,
        *reads: Place | None,
        of: Sequence[int],
        numbers: Sequence[float] = (),
        layer: int = -1,
    ) -> None:
        """Write down what computes the gradients of these nodes, its last operands, where any of them is needed."""
        into = [self.destination(source) if self.needed[source] else None for source in of]
        if any(into):
            self.emit(operation, *reads, *into, numbers=numbers, layer=layer)
        for source, place in zip(of, into, strict=True):
            if place is not None:
                self.arrived(source, place)

    def arrived(self, i: int, into: Place) -> None:
        """A gradient was written to what `destination` returned."""
        own = self.gradient(i)
        if not self.starts(own):
            operation = ACCUMULATE
            if own.space == "gradient":
                operation = ACCUMULATE_VECTOR if len(own.shape) == 1 else ACCUMULATE_MATRIX
            self.emit(operation, into, own, note="paths meet: gradients add up")

    # Places --------------------------------------------------------------------------------------------

    def _places(self) -> tuple[list[Place], list[Place]]:
        values, gradients, start = [], [], 0
        taken = set(self.graph.names)
        for i, node in enumerate(self.graph):
            name = self.graph.name_of(i)
            slope = f"d{name}"
            while slope in taken:
                slope = f"({slope})"
            taken.add(slope)
            if isinstance(node, Parameter):
                shape = self.graph.parameter_value(name).shape
                values.append(whole_place(name, "parameters", shape, start))
                gradients.append(whole_place(slope, "gradient", shape, start))
                start = values[-1].end
                continue
            space: Space = "arena" if i in self.shapes else "python"
            where = space, self.shapes.get(i, ()), None if i in self.shapes else 1
            values.append(Place(name, *where, is_input=isinstance(node, Input)))
            gradients.append(Place(slope, *where))
        return values, gradients


def _users(graph: Graph) -> dict[int, list[int]]:
    """The nodes that take each node's value."""
    found: dict[int, list[int]] = {}
    for i in range(len(graph)):
        for source in graph.source_positions(i):
            found.setdefault(source, []).append(i)
    return found


def row_shapes(graph: Graph, output: Node, inputs: dict[str, Shape]) -> dict[int, Shape]:
    """The shape of one row of every node with a row of floats for each sample: by runs on two and on three."""
    last = graph.position(output)
    whole = graph.index_leaves()

    def values_of(rows: int) -> list[Array | None]:
        zeros = {name: np.zeros((rows, *shape), dtype=int) for name, shape in inputs.items()}
        with np.errstate(all="ignore"):
            return graph.run(zeros, last, training=False, step=0).values

    found = {}
    for i, (two, three) in enumerate(zip(values_of(2), values_of(3), strict=True)):
        if two is None or three is None or i in whole or isinstance(graph.nodes[i], (Parameter, Constant)):
            continue
        if two.dtype.kind == "f" and two.shape[:1] == (2,) and three.shape == (3, *two.shape[1:]):
            found[i] = two.shape[1:]
    return found
