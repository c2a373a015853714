"""Where gradients go: copied on, or added up where paths meet."""

from __future__ import annotations

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
ACCUMULATE_MATRIX = Operation(
    "accumulate_matrix",
    ("K N", "~K N"),
    "{1} = accumulate({0})",
    turn="gradients",
    kernel="accumulate_matrix",
    statement=_accumulate,
)
ACCUMULATE_VECTOR = Operation(
    "accumulate_vector",
    ("N", "~N"),
    "{1} = accumulate({0})",
    turn="gradients",
    kernel="accumulate_vector",
    statement=_accumulate,
)
COPY_WHOLE = Operation(
    "copy",
    ("any", "=any"),
    "{1} = copy({0})",
    turn="columns",
    kernel="copy",
    statement=_copy,
    fits=are_whole,
)
ACCUMULATE_WHOLE = Operation(
    "accumulate",
    ("any", "~any"),
    "{1} = accumulate({0})",
    turn="columns",
    kernel="accumulate",
    statement=_accumulate,
    fits=are_whole,
)
