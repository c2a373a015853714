"""Updates: the optimizer's rule on the flat vectors."""

from __future__ import annotations

import numpy as np

from chainrule.arrays import Array
from chainrule.optimizers import Optimizer, OptimizerState
from chainrule.program.calls import Step, Update
from chainrule.program.declaring import operation
from chainrule.program.table import Instruction, Operation, Place, whole_place


def _stop_unless_finite(step: Step, each: Instruction, gradient: Array) -> None:
    step.call.losses[step.number] = step.loss
    if not (np.isfinite(step.loss) and np.isfinite(gradient).all()):
        step.stopped = True


def _update(step: Step, each: Instruction, w: Array, g: Array, *running: Array) -> None:
    """The optimizer's own rule."""
    update = step.call.update
    assert update is not None
    rate = float(step.call.rates[step.number])
    more = {"rows": step.weight} if update.optimizer.penalized else {}
    update.optimizer.step(w, g, update.state, learning_rate=rate, **more)


def _penalty(step: Step, each: Instruction, w: Array, decay: Array) -> None:
    (times,) = each.numbers
    step.loss += times / 2 * float(np.sum(np.square(w, dtype=np.float64) * decay)) / step.weight


def _gradient_norm(step: Step, each: Instruction, gradient: Array) -> None:
    """The optimizer's own step finds it."""


STOP_UNLESS_FINITE = operation(
    "stop_unless_finite",
    "P",
    _stop_unless_finite,
    turn="update",
    printed="stop_unless_finite(loss, {0})",
)
GRADIENT_NORM = operation("gradient_norm", "P", _gradient_norm, turn="columns", printed="gradient_norm({0})")
PENALTY = operation(
    "penalty",
    "P, P",
    _penalty,
    turn="columns",
    printed="loss += penalty({0}, {1})",
    numbers={"times": float},
)


def _operation(kernel: str, running: int) -> Operation:
    operands, printed = "~P, P, ?P" + ", ~P" * running, f"{{0}} = {kernel}({{0}}, {{1}}{{more}})"
    return operation(kernel, operands, _update, turn="update", printed=printed)


#: The kernel of each optimizer, by the name of its class: parameters, gradient, weight decay, running arrays. The
#: numbers are the rule's own, and behind them whether the weight decay bypasses the gradient; clip_norm and
#: clip_value, which are 0 where nothing is clipped; and how often the loss holds the penalty of a sum.
UPDATES = {
    "SGD": _operation("sgd", 0),
    "Momentum": _operation("momentum", 1),
    "Nesterov": _operation("nesterov", 1),
    "AdaGrad": _operation("adagrad", 1),
    "RMSProp": _operation("rmsprop", 1),
    "Adam": _operation("adam", 2),
    "AdamHat": _operation("adam_hat", 2),
    "AdamW": _operation("adam", 2),
}
UPDATE = Operation(
    "update", ("~P", "~P"), "{0} = update({0}, {1})", turn="python", statement=_update
)  # by the optimizer's own rule
DECOUPLED, CLIP_NORM, PENALIZED = 3, 4, 6  # the numbers that say so


def update_of(
    optimizer: Optimizer, state: OptimizerState, dtype: np.dtype[np.generic]
) -> tuple[Instruction, Update]:
    """The instruction of an optimizer, and the arrays that it names.

    One that is a class of its own does its step in Python.
    """
    size = state.size
    parameters, gradient = whole_place("parameters", "parameters", (size,)), gradient_place(size)
    native = vars(type(optimizer)).get("native")
    if not native:
        note = f"{optimizer!r}, its own rule"
        return Instruction(UPDATE, (parameters, gradient), note=note), Update(optimizer, state, {})
    arrays = {name: state.arrays[name] for name in optimizer.running}
    decay = None
    if optimizer.weight_decay:
        arrays["decay"] = np.array(np.broadcast_to(np.asarray(state.decay, dtype), size), order="C")
        decay = whole_place("decay", "state", (size,))
    running = [whole_place(name, "state", (size,)) for name in optimizer.running]
    numbers = [float(getattr(optimizer, name)) for name in native[1:]]
    numbers += [0.0] * (DECOUPLED - len(numbers)) + [float(optimizer.decoupled)]
    numbers += [optimizer.clip_norm or 0.0, optimizer.clip_value or 0.0, optimizer.penalized]
    operands = (parameters, gradient, decay, *running)
    made = Instruction(UPDATES[native[0]], operands, tuple(numbers), note=repr(optimizer))
    return made, Update(optimizer, state, arrays)


def before_update(update: Instruction) -> list[Instruction]:
    """What must be known before the update: the norm of the gradient that is clipped by it, and the penalty."""
    if update.operation.kernel is None:
        return []
    parameters, gradient, decay, *_ = update.operands
    clips, penalized = update.numbers[CLIP_NORM] > 0, update.numbers[PENALIZED]
    found = [Instruction(GRADIENT_NORM, (gradient,))] if clips else []
    if penalized and decay is not None:
        found.append(Instruction(PENALTY, (parameters, decay), (penalized,)))
    return found


def gradient_place(size: int) -> Place:
    """The whole flat gradient."""
    return whole_place("gradient", "gradient", (size,))
