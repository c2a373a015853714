"""The table of a network's layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from chainrule.text import aligned, counted, memory

if TYPE_CHECKING:
    from chainrule.network.network import Network


class Summary(str):
    """Text that a Python prompt and a notebook show as it is, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def output_shapes(network: Network) -> dict[int, tuple[int | str, ...]]:
    """The shapes of the inputs and of the layers' outputs by position; "N" is the number of rows."""
    graph = network.graph
    zeros = {name: np.zeros((2, *shape), dtype=int) for name, shape in network.input_shapes.items()}
    output = graph.position(network.output)
    with np.errstate(all="ignore"):
        computed = graph.run(zeros, output, training=False, step=0, keep_saved=False).values
    depends = graph.leading_to({graph.position(name) for name in network.input_shapes})
    found: dict[int, tuple[int | str, ...]] = {}
    for i in graph.ancestors(output):
        value = computed[i]
        if value is not None and (
            graph.nodes[i].layer is not None or graph.name_of(i) in network.input_shapes
        ):
            # else it is the same for every batch, as a transposed weight
            found[i] = ("N", *value.shape[1:]) if depends[i] else value.shape
    return found


def summarize(network: Network, batch_size: int) -> Summary:
    """Each layer's name, kind, output shape, parameters, and the memory of parameters and values."""
    graph, itemsize = network.graph, network.dtype.itemsize
    seen: set[str] = set()
    rows: list[tuple[str, ...]] = [("layer", "kind", "output shape", "parameters", "memory")]
    total_values = 0
    for i, shape in output_shapes(network).items():
        node, name = graph.nodes[i], graph.name_of(i)
        own = [graph.name_of(source) for source in graph.sources(node)]
        own = [each for each in own if each in network.params and each not in seen]
        seen.update(own)
        size = sum(network.params[each].size for each in own)
        values = math.prod(batch_size if length == "N" else int(length) for length in shape)
        total_values += values
        text = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
        kind = repr(node.layer) if node.layer is not None else "Input"
        rows.append((name, kind, text, f"{size:,}" if size else "", memory(itemsize * (values + size))))
    size = network.params.flat.size
    lines = aligned(rows, numbers_from=3)
    lines.append(
        f"{size:,} parameters, {memory(size * itemsize)} in {network.dtype}; as much again for the gradient"
    )
    samples = counted(batch_size, "sample")
    lines.append(f"values of {samples}: {memory(total_values * itemsize)}")
    if network.loss_layer is not None:
        arrays = memory(network.program(batch_size).memory)
        lines.append(
            f"training on {samples}: {arrays} for values and gradients, in arrays used again where they can be"
        )
        lines.append(f"loss: {network.loss_layer!r}")
    return Summary("\n".join(lines))
