"""The NumPy statements of operations that are one layer: its own forward and backward."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.table import Instruction


def own_forward(step: Step, each: Instruction, *operands: Array) -> None:
    """The layer's output, for the operands before the first that is written, into the last."""
    operands[-1][...] = step.forward(each.layer, *operands[: _first_written(each)])


def own_gradient(*which: int, dy: int = 0) -> Callable[..., None]:
    """The gradients of these inputs, by the layer's backward for operand `dy`, into the written operands."""

    def statement(step: Step, each: Instruction, *operands: Array) -> None:
        asks = step.layers[each.layer].signature.backward_asks
        needs = {"needs": (0 in which, 1 in which)} if "needs" in asks else {}
        found = step.backward(each.layer, operands[dy], **needs)
        gradients = found if isinstance(found, tuple) else (found,)
        for k, into in zip(which, operands[_first_written(each) :], strict=False):
            into[...] = gradients[k]

    return statement


def _first_written(each: Instruction) -> int:
    return [form[0] in "=~" for form in each.operation.operands].index(True)
