"""The NumPy statements of operations that are one layer: its own forward and backward."""

from __future__ import annotations

from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.table import Instruction


def own_forward(step: Step, each: Instruction, *operands: Array) -> None:
    """The layer's output, for all operands but the last, into the last."""
    operands[-1][...] = step.forward(each.layer, *operands[:-1])


def own_backward(step: Step, each: Instruction, dy: Array, *operands: Array) -> None:
    """The gradient of a layer's one input into the last operand."""
    operands[-1][...] = step.backward(each.layer, dy)
