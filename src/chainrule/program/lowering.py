"""Lowering: from a graph to the operations of a program."""

from __future__ import annotations

import keyword
import re
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.arrays import Array, Shape
from chainrule.graph import Constant, Graph, Node, Parameter
from chainrule.kernels import (
    LOSSES,
    Activation,
    activation_of,
    activations,
    blas,
    constants,
    loops,
    losses,
    updates,
)
from chainrule.layers import Layer
from chainrule.program.operations import Buffer, Listing, Operation, Phase

#: Names that the generated code uses for itself. "t" and "loss" are the network's own and mean the same there.
RESERVED = frozenset(
    {"B", "np", "math", "njit", "types", "run", "rows", "step", "rates", "done", "parameters", "gradient"}
    | {"decay", "scaling", "arena", "losses", "targets", "forward", "backward", "backward_of_node", "block"}
    | {"value", "parts", "put", "put_more", "total", "gathered", "compiled", "summing", "entry", "FLOAT"}
    | {"watch", "product_in_tiles"}
    | {name for module in (activations, blas, loops, losses, updates) for name in vars(module)}
    | set(constants.NUMBERS)
    | {"task", "turn", "part", "own", "box", "sums", "helping", "share", "next_task", "OPEN", "DONE", "PARTS"}
    | {"load", "store", "swap", "rest", "right", "measuring"}
)
#: How the names of the loops begin and end that are made for one activation.
MADE = (
    ("bias_", "each_", "mean_", "data_", "saved", "running"),
    ("_more", "_in_place", "_and_bias", "_gradient"),
)


class Lowering:
    """Takes each node of a graph to operations: of kernels where there are, else of the layer itself.

    An array has the name of its node, its gradient that name with a `d` before it. The gradient of a parameter
    lies in the flat gradient vector. What leads to no parameter gets no gradient.

    `shapes` holds the shape of one row of every node that has a row of floats for each sample. `target` is an
    example of the targets; without one there is no loss and no run backward.
    """

    def __init__(
        self, graph: Graph, output: Node, shapes: dict[int, Shape], target: Array | None, weighted: bool
    ) -> None:
        self.graph, self.shapes, self.target, self.weighted = graph, shapes, target, weighted
        self.output = graph.position(output)
        self.names, self.gradient_names = identifiers(graph)
        self.listing = Listing(output=self.names[self.output])
        self.needed = graph.leading_to({graph.position(name) for name in graph.parameters})
        self.users = self._users()
        self.fused: dict[int, int] = {}  # the affine whose bias an activation adds -> that bias
        self.started: set[str] = set()  # gradients that hold a first contribution

    def lower(self) -> Listing:
        """The whole listing, forward and backward."""
        graph = self.graph
        wanted = graph.ancestors(self.output if self.target is None else len(graph) - 1)
        computed = [i for i in wanted if graph.nodes[i].layer is not None]
        for i in wanted:
            self._declare(i)
        for i in computed:
            getattr(self, f"_forward_{self.kind(i)}")(i)
        if self.target is not None:
            for i in reversed(computed):
                if self.needed[i]:
                    getattr(self, f"_backward_{self.kind(i)}")(i)
            for i in wanted:
                if i in self.shapes and graph.nodes[i].layer is None and not self.needed[i]:
                    self.listing.skipped.append(
                        f"the gradient of {self.names[i]}: it is data, nothing needs it"
                    )
        return self.listing

    # Facts ---------------------------------------------------------------------------------------------

    def _users(self) -> dict[int, list[int]]:
        """The nodes that take each node's value."""
        found: dict[int, list[int]] = {}
        for i in range(len(self.graph)):
            for source in self.graph.source_positions(i):
                found.setdefault(source, []).append(i)
        return found

    def layer(self, i: int) -> Layer | None:
        """The layer of the node at `i`."""
        return self.graph.nodes[i].layer

    def sources(self, i: int) -> tuple[int, ...]:
        """The nodes whose values the node at `i` takes."""
        return self.graph.source_positions(i)

    def kind(self, i: int) -> str:
        """Which kernels stand for the node: the part of the names of the two methods below."""
        sources = self.sources(i)
        if self._is_kernel_loss(i):
            return "loss"
        if i not in self.shapes:
            return "layer"
        rows = [source in self.shapes for source in sources]
        if type(self.layer(i)) is layers.Affine and len(self.shapes[i]) == 1 and rows[0]:
            parameters = all(isinstance(self.graph.nodes[source], Parameter) for source in sources[1:])
            return "affine" if parameters else "layer"
        if activation_of(self.layer(i)) is not None and rows[0]:
            return "activation"
        if type(self.layer(i)) in (layers.Flatten, layers.Reshape) and rows[0]:
            return "view"
        if type(self.layer(i)) is layers.Add and all(rows):
            same = all(self.shapes[source] == self.shapes[i] for source in sources)
            return "add" if same else "layer"
        return "scaling" if self._is_scaling(i) else "layer"

    def _activation(self, i: int) -> Activation:
        kernels = activation_of(self.layer(i))
        assert kernels is not None
        return kernels

    def _declare(self, i: int) -> None:
        if i in self.shapes:
            self._buffer(self.names[i], self.shapes[i])
            if self.target is not None and self.needed[i]:
                self._buffer(self.gradient_names[i], self.shapes[i])

    def _buffer(self, name: str, row: Shape) -> None:
        self.listing.buffers[name] = Buffer(name, row)

    def _emit(
        self, phase: Phase, kernel: str, reads: list[str], writes: list[str], note: str = "", **details: Any
    ) -> None:
        self.listing.operations.append(Operation(phase, kernel, tuple(reads), tuple(writes), note, details))

    # Affine --------------------------------------------------------------------------------------------

    def _forward_affine(self, i: int) -> None:
        x, W, *bias = self.sources(i)
        out = self.names[i]
        users = self.users.get(i, [])
        if bias and len(users) == 1 and i != self.output and self.kind(users[0]) == "activation":
            self.fused[i] = bias[0]  # the activation behind it adds the bias
            self.listing.buffers.pop(
                self.gradient_names[i], None
            )  # which is made in place of the activation's
            if self._activation(users[0]).keeps == "output":  # nobody needs the affine's own value again
                self.listing.buffers.pop(out)
                out = self.names[users[0]]
        self._emit("forward", "matmul", [self.names[x], self.names[W]], [out])
        if bias and i not in self.fused:
            self._emit("forward", "add_bias", [out, self.names[bias[0]]], [out])

    def _backward_affine(self, i: int) -> None:
        x, W, *bias = self.sources(i)
        dz = self.gradient_names[self.users[i][0] if i in self.fused else i]
        into = self._destination(W)
        self._emit("backward", "matmul", [self.names[x], dz], [into], transposed=0)
        self._arrived(W, into)
        if bias and i not in self.fused:
            into = self._destination(bias[0])
            self._emit("backward", "bias_gradient", [dz], [into])
            self._arrived(bias[0], into)
        if self.needed[x]:
            into = self._destination(x)
            self._emit("backward", "matmul", [dz, self.names[W]], [into], transposed=1)
            self._arrived(x, into)

    # Activations ---------------------------------------------------------------------------------------

    def _forward_activation(self, i: int) -> None:
        (source,) = self.sources(i)
        x, y = self.names[source], self.names[i]
        if source not in self.fused:
            self._emit("forward", "activation", [x], [y], layer=i)
            return
        b, note = self.names[self.fused[source]], "fused: bias and activation"
        if self._activation(i).keeps == "output":
            self._emit("forward", "bias_activation_in_place", [y, b], [y], note, layer=i)
        else:
            self._emit("forward", "bias_activation", [x, b], [x, y], note, layer=i)

    def _backward_activation(self, i: int) -> None:
        (source,) = self.sources(i)
        dy = self.gradient_names[i]
        kept = self.names[i if self._activation(i).keeps == "output" else source]
        if source in self.fused:
            b = self.fused[source]
            into = self._destination(b)
            note = "fused: the activation's and the bias's gradient"
            self._emit("backward", "activation_bias_gradient", [dy, kept], [dy, into], note, layer=i)
            self._arrived(b, into)
        elif self.needed[source]:
            self._emit("backward", "activation_gradient", [dy, kept], [dy], layer=i)
            self._pass_on(dy, source)

    # Elementwise with no parameters --------------------------------------------------------------------

    def _forward_add(self, i: int) -> None:
        self._emit("forward", "add", [self.names[source] for source in self.sources(i)], [self.names[i]])

    def _backward_add(self, i: int) -> None:
        for source in self.sources(i):
            self._pass_on(self.gradient_names[i], source)

    def _forward_view(self, i: int) -> None:
        note = "the same numbers in another shape"
        self._emit("forward", "copy", [self.names[self.sources(i)[0]]], [self.names[i]], note)

    def _backward_view(self, i: int) -> None:
        self._pass_on(self.gradient_names[i], self.sources(i)[0])

    def _is_scaling(self, i: int) -> bool:
        """x + c, x - c, x * c, x / c or c * x, for a constant with one number for each column, or for all."""
        if type(self.layer(i)) not in (layers.Add, layers.Subtract, layers.Multiply, layers.Divide):
            return False
        x, c = self._scaled(i)
        constant = self.graph.nodes[c]
        if x not in self.shapes or len(self.shapes[x]) != 1 or not isinstance(constant, Constant):
            return False
        return constant.value.shape in ((), self.shapes[x])

    def _scaled(self, i: int) -> tuple[int, int]:
        """What is scaled, and the constant it is scaled with."""
        x, c = self.sources(i)
        swap = type(self.layer(i)) is layers.Multiply and isinstance(self.graph.nodes[x], Constant)
        return (c, x) if swap else (x, c)

    def _scale(self, i: int) -> tuple[Array, Array]:
        """The factor and the shift for each column."""
        constant = self.graph.nodes[self._scaled(i)[1]]
        assert isinstance(constant, Constant)
        value = np.broadcast_to(constant.value.astype(np.float64), self.shapes[i])
        one, zero = np.ones_like(value), np.zeros_like(value)
        if type(self.layer(i)) is layers.Add:
            return one, value
        if type(self.layer(i)) is layers.Subtract:
            return one, -value
        return (value if type(self.layer(i)) is layers.Multiply else 1 / value), zero

    def _forward_scaling(self, i: int) -> None:
        factor, shift = self._scale(i)
        x = self.names[self._scaled(i)[0]]
        self._emit("forward", "scale_columns", [x], [self.names[i]], "constant", factor=factor, shift=shift)

    def _backward_scaling(self, i: int) -> None:
        x = self._scaled(i)[0]
        factor, _ = self._scale(i)
        into = self._destination(x)
        dy, none = self.gradient_names[i], np.zeros_like(factor)
        self._emit("backward", "scale_columns", [dy], [into], "constant", factor=factor, shift=none)
        self._arrived(x, into)

    # Losses --------------------------------------------------------------------------------------------

    def _is_kernel_loss(self, i: int) -> bool:
        if self.target is None or self.weighted or i != len(self.graph) - 1:
            return False
        x = self.sources(i)[0]
        plain = x in self.shapes and len(self.shapes[x]) == 1 and self.users[x] == [i] and self.needed[x]
        return plain and has_loss_kernel(self.layer(i), self.target)

    def _forward_loss(self, i: int) -> None:
        x = self.sources(i)[0]
        softmax = type(self.layer(i)) is layers.SoftmaxCrossEntropy
        kernel = "softmax_cross_entropy" if softmax else "mean_loss"
        dx = self.gradient_names[x]
        self._emit(
            "forward", kernel, [self.names[x], "t"], ["loss", dx], "fused: loss and its gradient", layer=i
        )
        self.started.add(dx)

    def _backward_loss(self, i: int) -> None:
        """Its gradient is there already."""

    # Layers without kernels ----------------------------------------------------------------------------

    def _forward_layer(self, i: int) -> None:
        reads = [self.names[source] for source in self.sources(i)]
        self._emit("forward", "layer", reads, [self.names[i]], "its own forward", layer=i)

    def _backward_layer(self, i: int) -> None:
        sources = self.sources(i)
        wanted = tuple(self.needed[source] for source in sources)
        into = [self.gradient_names[source] for source, want in zip(sources, wanted, strict=True) if want]
        fresh = [name not in self.started and name not in into[:k] for k, name in enumerate(into)]
        self.started.update(into)
        reads = [self.gradient_names[i], *(self.names[source] for source in sources)]
        note = "its own backward"
        self._emit("backward", "layer_backward", reads, into, note, layer=i, wanted=wanted, fresh=fresh)

    # Where gradients go --------------------------------------------------------------------------------

    def _pass_on(self, dy: str, source: int) -> None:
        """The gradient of `source` is dy itself, or that is one part of it."""
        into = self.gradient_names[source]
        if self.needed[source]:
            self._emit("backward", "accumulate" if into in self.started else "copy", [dy], [into])
            self.started.add(into)

    def _destination(self, i: int) -> str:
        """Where to write a gradient: its own array, or a second one when that holds another path's already."""
        own = self.gradient_names[i]
        if own not in self.started:
            return own
        second = f"{own}_more"
        if i in self.shapes:
            self._buffer(second, self.shapes[i])
        else:
            self.listing.spares[second] = self.names[i]
        return second

    def _arrived(self, i: int, into: str) -> None:
        own = self.gradient_names[i]
        if into != own:
            self._emit("backward", "accumulate", [into], [own], "paths meet: gradients add up")
        self.started.add(own)


def identifiers(graph: Graph) -> tuple[list[str], list[str]]:
    """For every node a name, and one for its gradient, that Python takes as variables; all different."""
    used = set(keyword.kwlist) | RESERVED
    names = []
    for prefix in ("", "d"):
        for i in range(len(graph)):
            plain = prefix + re.sub(r"\W", "_", graph.name_of(i))
            plain = f"_{plain}" if plain[0].isdigit() else plain
            while plain in used or plain.startswith(MADE[0]) or plain.endswith(MADE[1]):
                plain = f"{plain}_" if not plain.startswith(MADE[0]) else f"_{plain}"
            used.add(plain)
            names.append(plain)
    return names[: len(graph)], names[len(graph) :]


def has_loss_kernel(layer: Layer | None, target: Array) -> bool:
    """Whether a loss has a kernel for targets such as these, without sample weights."""
    if isinstance(layer, layers.SoftmaxCrossEntropy) and type(layer) is layers.SoftmaxCrossEntropy:
        plain = layer.class_weights is None and not layer.label_smoothing
        return plain and target.ndim == 1 and target.dtype.kind in "iu"
    if type(layer) is layers.SigmoidCrossEntropy and layer.arguments.get("positive_weight") is not None:
        return False
    return type(layer) in LOSSES and target.ndim == 2


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
        if two is None or three is None or two.ndim == 0 or i in whole or two.dtype.kind != "f":
            continue
        if isinstance(graph.nodes[i], (Parameter, Constant)):
            continue
        if len(two) == 2 and three.shape == (3, *two.shape[1:]):
            found[i] = two.shape[1:]
    return found
