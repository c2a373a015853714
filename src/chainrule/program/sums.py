"""Where gradients go: copied on, or added up where paths meet."""

from __future__ import annotations

from dataclasses import replace

from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.table import Instruction, Operation


def _copy(step: Step, each: Instruction, a: Array, out: Array) -> None:
    out[...] = a.reshape(out.shape)


def _accumulate(step: Step, each: Instruction, a: Array, out: Array) -> None:
    out += a.reshape(out.shape)


def are_whole(each: Instruction) -> bool:
    """Whether no operand grows with the batch, and all have as many numbers."""
    sizes = {-1 if place is None or place.is_batch else place.size for place in each.operands}
    return len(sizes) == 1 and -1 not in sizes


COPY = Operation("copy", ("B D", "=B D"), "{1} = copy({0})", kernel="copy", statement=_copy)
ACCUMULATE = Operation(
    "accumulate", ("B D", "~B D"), "{1} = accumulate({0})", kernel="accumulate", statement=_accumulate
)
COPY_WHOLE = replace(COPY, operands=("any", "=any"), turn="columns", fits=are_whole)
ACCUMULATE_WHOLE = replace(ACCUMULATE, operands=("any", "~any"), turn="columns", fits=are_whole)
ACCUMULATE_MATRIX, ACCUMULATE_VECTOR = (
    replace(ACCUMULATE, name=name, operands=operands, turn="gradients", kernel=name)
    for name, operands in (("accumulate_matrix", ("K N", "~K N")), ("accumulate_vector", ("N", "~N")))
)
