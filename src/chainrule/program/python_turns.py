"""The turns that Python does: layers without a kernel, and optimizers' own rules.

Layers are held to the layer contract by the graph, and get what the graph would hand them: `training`, random
numbers, running statistics, and which gradients are needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.graph import Constant, Graph
from chainrule.graph.values import Pass
from chainrule.layers import Layer
from chainrule.program.calls import Call, Step
from chainrule.program.memory import Memory
from chainrule.program.operations.gather import RESULT_OF_PYTHON, TAKE
from chainrule.program.operations.python import LAYER_BACKWARD
from chainrule.program.operations.updates import UPDATE
from chainrule.program.table import Instruction, Place, Turn


class PythonTurns:
    """Does the instructions of a table that have no kernel."""

    def __init__(self, graph: Graph, memory: Memory) -> None:
        self.graph, self.memory = graph, memory
        self.layers: dict[int, Layer] = {
            i: node.layer for i, node in enumerate(graph) if node.layer is not None
        }
        self._wanted = graph.leading_to({graph.position(name) for name in graph.parameters})

    def begin(self, call: Call, number: int) -> Step:
        """A step that nothing is computed of yet."""
        nothing: list[Any] = [None] * len(self.graph)
        pass_ = Pass(self.memory.dtype, call.training, call.iteration + number, nothing.copy(), nothing)
        return Step(call, number, self.layers, pass_)

    def end(self, step: Step) -> None:
        """Keep the running statistics of a step that was done to its end."""
        if step.call.training and step.pass_.state:
            self.graph.keep_statistics(step.pass_.state)

    def do(self, turn: Turn, step: Step) -> None:
        """One turn, of one instruction."""
        (each,) = turn.instructions
        first, last = each.operands[0], each.operands[-1]
        assert first is not None
        assert last is not None
        if each.operation is TAKE:
            array = step.call.data.get(first.source)
            step.values[last] = None if array is None else array[step.rows]
        elif each.operation is RESULT_OF_PYTHON:
            assert step.call.result is not None
            step.call.result[step.rows] = self._value(-1, first, step)
        elif each.operation is UPDATE:
            assert each.operation.statement is not None
            each.operation.statement(step, each, self.memory.params.flat, self.memory.gradient)
        elif each.operation is LAYER_BACKWARD:
            self._backward(each, step)
        else:
            self._forward(each, last, step)

    def _forward(self, each: Instruction, out: Place, step: Step) -> None:
        i, pass_ = each.layer, step.pass_
        for source, place in zip(self.graph.source_positions(i), each.operands[:-1], strict=True):
            pass_.values[source] = self._value(source, place, step)
        pass_.saved[i] = self.graph.compute(i, pass_)
        value = pass_.values[i]
        if out.space == "python":
            step.values[out] = value
        else:
            self._rows(out, step)[...] = value
        if i == len(self.graph) - 1 and value is not None and value.ndim == 0:
            step.loss = float(value)

    def _backward(self, each: Instruction, step: Step) -> None:
        dy = self._value(-1, each.operands[0], step)
        if each.layer == len(self.graph) - 1:
            dy = np.ones_like(step.pass_.values[each.layer])
        parts: list[Array | None] = [None] * len(each.wanted)
        if dy is not None:  # else no gradient flows into the node, nor through it
            parts = self.graph.local_gradients(each.layer, dy, step.pass_, self._wanted)
        into = each.operands[len(each.operands) - len(each.fresh) :]
        contributions = (part for part, want in zip(parts, each.wanted, strict=True) if want)
        for place, part, first in zip(into, contributions, each.fresh, strict=True):
            assert place is not None
            if place.space == "python":
                held = None if first else step.values.get(place)
                step.values[place] = _total(held, part)
                continue
            array = self._rows(place, step)
            if first:
                array[...] = 0 if part is None else part
            elif part is not None:
                array += part
            if place.space == "gradient" and not np.isfinite(array).all():
                step.loss = np.nan if np.isfinite(step.loss) else step.loss

    def _value(self, source: int, place: Place | None, step: Step) -> Any:
        assert place is not None
        if place.space != "python":
            return self._rows(place, step)
        if source >= 0 and isinstance(self.graph.nodes[source], Constant):
            return self.graph.constant_value(source, self.memory.dtype)
        return step.values.get(place)

    def _rows(self, place: Place, step: Step) -> Array:
        return self.memory.rows(place, step.call.length_of(step.number))


def _total(one: Array | None, other: Array | None) -> Array | None:
    """The sum of two contributions to a gradient that has no place of its own."""
    if one is None or other is None:
        return one if other is None else other
    return np.asarray(one + other)
