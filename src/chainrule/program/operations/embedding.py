"""Embedding: rows of a table, looked up by the whole numbers of an input."""

from __future__ import annotations

from typing import cast

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Input, Parameter
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.table import Instruction, Operation, Place


def _embedding(step: Step, each: Instruction, W: Array, ids: Array, y: Array) -> None:
    """The layer's own forward."""
    y[...] = step.forward(each.layer, ids, W)


def _embedding_gradient(step: Step, each: Instruction, dy: Array, ids: Array, dW: Array) -> None:
    """The layer's own backward."""
    dW[...] = step.backward(each.layer, dy)[1]


def _looks_up(rows: Place | None, ids: Place | None, W: Place | None) -> bool:
    """Whether there is a row of W for each of the ids, and they are no larger than W is long."""
    assert rows is not None
    assert ids is not None
    assert W is not None
    return ids.below <= (W.length or 0) and rows.width == ids.width * W.width


EMBEDDING = Operation(
    "embedding",
    ("V D", "B labels T", "=B Y"),
    "{2} = embedding({0}, {1})",
    kernel="embedding",
    statement=_embedding,
    fits=lambda each: _looks_up(each.operands[2], each.operands[1], each.operands[0]),
)
EMBEDDING_GRADIENT = Operation(
    "embedding_gradient",
    ("B Y", "B labels T", "=V D"),
    "{2} = embedding_gradient({0}, {1})",
    turn="gradients",
    kernel="embedding_gradient",
    statement=_embedding_gradient,
    fits=lambda each: _looks_up(*each.operands),
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
        into = walk.destination(W)
        walk.emit(EMBEDDING_GRADIENT, walk.gradient(i), walk.value(ids), into, layer=i)
        walk.arrived(W, into)

    def _looks_up(self, walk: Walk, i: int) -> bool:
        """Whether the node is an Embedding of an input, with a table of its own."""
        if type(walk.layer(i)) is not layers.Embedding or 0 in walk.shapes.get(i, (0,)):
            return False
        ids, W = walk.sources(i)
        nodes = walk.graph.nodes
        return isinstance(nodes[ids], Input) and ids != W and isinstance(nodes[W], Parameter)

    def _place(self, walk: Walk, i: int) -> Place:
        """Where the numbers of a batch are gathered to. They are held to the smallest table."""
        ids = walk.sources(i)[0]
        users = [cast(layers.Embedding, walk.layer(user)) for user in walk.users[ids]]
        smallest = min(users, key=lambda layer: layer.vocabulary)
        return Place(
            walk.graph.name_of(ids),
            "labels",
            walk.shapes[i][:-1],
            below=smallest.vocabulary,
            is_input=True,
            looked_up_by=repr(smallest),
        )
