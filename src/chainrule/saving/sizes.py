"""What an architecture in a file would have computed and kept, found by arithmetic before anything of it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.arrays import Array, Shape
from chainrule.errors import FileError
from chainrule.graph import Constant, Graph, Node
from chainrule.layers import (
    Affine,
    BatchNorm,
    Concatenate,
    Embedding,
    Index,
    Layer,
    LayerNorm,
    MatMul,
    Sum,
    Take,
)
from chainrule.network.making import input_shapes, shape_of_output

#: Numbers that the values of all nodes may hold for one row: 1 GB in float64, far beyond what can be trained.
MOST_IN_A_ROW = 2**27
#: Numbers that may be computed while a file is loaded, beyond four times those in it: 32 MB in float64.
MOST_COMPUTED = 2**22


def rows_to_try(
    output: Node, params: Mapping[str, Array], state: Mapping[str, Array], dtype: np.dtype[Any]
) -> int:
    """The rows on which a network's shapes can be found in little memory: two, or none where its values are large.

    A pass on no rows finds the shapes, and computes what does not depend on the inputs. A layer that cannot do
    without rows, as a mean over the batch, is tried on two. Layers of the caller's own are trusted.

    Raises: FileError for a network that is too large; what layers raise that do not fit together.
    """
    graph = Graph(output, seed=0, dtype=dtype)
    graph.begin_with(params, state)
    constants = sum(node.value.size for node in graph if isinstance(node, Constant))
    held = constants + sum(array.size for array in (*params.values(), *state.values()))
    is_ours = all(
        node.layer is None or type(node.layer).__module__.startswith("chainrule.") for node in graph
    )
    if not is_ours:
        _Sizes(MOST_IN_A_ROW).try_on(2, graph)
        return 2
    sizes = _Sizes(MOST_COMPUTED + 4 * held)
    try:
        sizes.try_on(0, graph)
    except FileError:
        raise
    except Exception:  # for want of rows, or of something else that two rows lack as well
        _Sizes(sizes.most_computed).try_on(2, graph)
        return 2
    return 2 if 2 * sizes.in_a_row <= MOST_COMPUTED else 0


class _Sizes:
    """Adds up the sizes of values before they are computed, and raises FileError when they are too large."""

    def __init__(self, most_computed: int) -> None:
        self.most_computed = most_computed
        self.in_a_row = self.computed = 0

    def try_on(self, rows: int, graph: Graph) -> None:
        """One pass on as many rows of zeros."""
        inputs = input_shapes(graph, graph.output)
        for shape in inputs.values():
            self._add(math.prod(shape), rows * math.prod(shape))
        shape = shape_of_output(graph, graph.output, inputs, rows, self._before)
        self._add(math.prod(shape), 0)

    def _before(self, layer: Layer, shapes: list[Shape]) -> None:
        one_row = [tuple(length or 1 for length in shape) for shape in shapes]
        self._add(most_numbers(layer, one_row), most_numbers(layer, shapes))

    def _add(self, in_a_row: int, computed: int) -> None:
        self.in_a_row += in_a_row
        self.computed += computed
        for count, most, what in (
            (self.in_a_row, MOST_IN_A_ROW, "the values of one row"),
            (self.computed, self.most_computed, "what is computed of the arrays in the file"),
        ):
            if count > most:
                raise FileError(
                    f"the model is damaged, or hostile: {what} would take more than {most:,} numbers"
                )


def most_numbers(layer: Layer, shapes: list[Shape]) -> int:
    """At least as many numbers as one of our layers puts out for inputs of these shapes, from its formula."""
    sizes = [math.prod(shape) for shape in shapes]
    match layer:
        case Affine():
            return sizes[0] // shapes[0][-1] * layer.units if sizes[0] and shapes[0] else 0
        case Embedding():
            return sizes[0] * layer.dimension
        case Concatenate():
            return sum(sizes)
        case Take():
            return sizes[0] * sizes[1]
        case Index():
            parts = layer.key if isinstance(layer.key, tuple) else (layer.key,)
            return sizes[0] * math.prod(part.size for part in parts if isinstance(part, np.ndarray))
        case MatMul():
            (*a, rows, _), (*b, _, columns) = ((1, 1, *shape) for shape in shapes)
            return _together([a, b]) * rows * columns
        case BatchNorm() | LayerNorm():
            return sizes[0]
        case Sum():  # which is 0 where there is nothing to add up
            return math.prod(length or 1 for length in shapes[0])
        case _:
            return _together(shapes)


def _together(shapes: Sequence[Sequence[int]]) -> int:
    """The numbers of arrays of these shapes, broadcast against each other."""
    axes = max(map(len, shapes), default=0)
    filled = [(*[1] * (axes - len(shape)), *shape) for shape in shapes]
    return math.prod(max(lengths) if all(lengths) else 0 for lengths in zip(*filled, strict=True))
