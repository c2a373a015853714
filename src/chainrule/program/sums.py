"""Where gradients go: copied on, or added up where paths meet."""

from __future__ import annotations

from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.table import Instruction, Operation, TurnKind


def _copy(step: Step, each: Instruction, a: Array, out: Array) -> None:
    out[...] = a.reshape(out.shape)


def _accumulate(step: Step, each: Instruction, a: Array, out: Array) -> None:
    out += a.reshape(out.shape)


def _accumulating(operands: str, turn: TurnKind = "rows", kernel: str = "accumulate") -> Operation:
    printed = "{1} = accumulate({0})"
    return operation("accumulate", operands, _accumulate, turn=turn, kernel=kernel, printed=printed)


COPY = operation("copy", "B D, =B D", _copy)
ACCUMULATE = _accumulating("B D, ~B D")
ACCUMULATE_MATRIX = _accumulating("K N, ~K N", "gradients", "accumulate_matrix")
ACCUMULATE_VECTOR = _accumulating("N, ~N", "gradients", "accumulate_vector")
