"""Embedding: rows of a table, looked up by the whole numbers of an input."""

from __future__ import annotations

from typing import cast

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Input
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_gradient
from chainrule.program.table import Instruction, Place


def _embedding(step: Step, each: Instruction, W: Array, ids: Array, y: Array) -> None:
    """The layer's own forward."""
    y[...] = step.forward(each.layer, ids, W)


def _looks_up(operands: tuple[Place, ...], V: int, D: int, T: int, Y: int) -> bool:
    """Whether y has a row of W (V, D) for each of the T ids, and they are below V."""
    return operands[1].below <= V and Y == T * D


EMBEDDING = operation("embedding", "V D, B labels T, =B Y", _embedding, fits=_looks_up)
EMBEDDING_GRADIENT = operation(
    "embedding_gradient", "B Y, B labels T, =V D", own_gradient(1), turn="gradients", fits=_looks_up
)


class EmbeddingRule:
    """Embedding with a table of its own, of an input that nothing but such layers reads."""

    def takes(self, walk: Walk, i: int) -> bool:
        if not self._looks_up(walk, i):
            return False
        return all(self._looks_up(walk, user) for user in walk.users[walk.sources(i)[0]])

    def forward(self, walk: Walk, i: int) -> None:
        ids, W = walk.sources(i)
        if walk.value(ids).space == "python":
            walk.put_value(ids, self._place(walk, i))
        walk.emit(EMBEDDING, walk.value(W), walk.value(ids), walk.value(i), layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        ids, W = walk.sources(i)
        walk.emit_gradients(EMBEDDING_GRADIENT, walk.gradient(i), walk.value(ids), of=(W,), layer=i)

    def _looks_up(self, walk: Walk, i: int) -> bool:
        """Whether the node is an Embedding of an input, with a table of its own."""
        if type(walk.layer(i)) is not layers.Embedding or 0 in walk.shapes.get(i, (0,)):
            return False
        ids, W = walk.sources(i)
        return isinstance(walk.graph.nodes[ids], Input) and ids != W and walk.are_parameters(W)

    def _place(self, walk: Walk, i: int) -> Place:
        """Where the numbers of a batch are gathered to. They are held to the smallest table."""
        ids = walk.sources(i)[0]
        users = [cast(layers.Embedding, walk.layer(user)) for user in walk.users[ids]]
        smallest = min(users, key=lambda layer: layer.vocabulary)
        name, row = walk.graph.name_of(ids), walk.shapes[i][:-1]
        below, by = smallest.vocabulary, repr(smallest)
        return Place(name, "labels", row, below=below, is_input=True, looked_up_by=by)
