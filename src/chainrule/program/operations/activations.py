"""Activations: layers that act on each element by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chainrule import layers
from chainrule.arrays import Array
from chainrule.layers import Layer
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_forward
from chainrule.program.sums import are_whole
from chainrule.program.table import Instruction, Operation


@dataclass(frozen=True)
class Activation:
    """The kernels of an activation: their name, what its gradient is computed from, and its own number."""

    kernel: str
    keeps: Literal["input", "output"]
    number: str = ""


ACTIVATIONS: dict[type[Layer], Activation] = {
    layers.ReLU: Activation("relu", "output"),
    layers.LeakyReLU: Activation("leaky_relu", "input", "slope"),
    layers.ELU: Activation("elu", "input", "alpha"),
    layers.GELU: Activation("gelu", "input"),
    layers.SiLU: Activation("silu", "input"),
    layers.Softplus: Activation("softplus", "input"),
    layers.Sigmoid: Activation("sigmoid", "output"),
    layers.Tanh: Activation("tanh", "output"),
    layers.Negative: Activation("negative", "output"),
    layers.Exp: Activation("exp", "output"),
    layers.Log: Activation("log", "input"),
    layers.Sqrt: Activation("sqrt", "output"),
}
_GELU_TANH = Activation("gelu_tanh", "input")


def activation_of(layer: Layer | None) -> Activation:
    """The kernels of an activation. Raises KeyError for another layer, a subclass too: it may be something else."""
    if type(layer) is layers.GELU and layer.approximate:
        return _GELU_TANH
    return ACTIVATIONS[type(layer)]  # type: ignore[index]  # None is no key


def is_activation(layer: Layer | None) -> bool:
    """Whether there are kernels for the layer."""
    return type(layer) in ACTIVATIONS


# In NumPy: the layer's own forward and backward -------------------------------------------------------------


def _bias_activation(step: Step, each: Instruction, y: Array, b: Array) -> None:
    y += b
    y[...] = step.forward(each.layer, y.copy())


def _bias_activation_kept(step: Step, each: Instruction, x: Array, b: Array, y: Array) -> None:
    x += b
    y[...] = step.forward(each.layer, x)


def _activation_gradient(step: Step, each: Instruction, dy: Array, kept: Array) -> None:
    dy[...] = step.backward(each.layer, dy)


def has_biased_rows(each: Instruction) -> bool:
    """Whether a row of the first operand is one row, or several, as long as the bias at the second."""
    y, b = each.operands[:2]
    assert y is not None
    assert b is not None
    return y.width % b.width == 0 if b.width else y.width == 0


def _operations(kernel: str) -> dict[str, Operation]:
    return {
        "plain": Operation(
            "activation", ("B D", "=B D"), "{1} = activation({0})", kernel=kernel, statement=own_forward
        ),
        "biased": Operation(
            "bias_activation_in_place",
            ("~B D", "N"),
            "{0} = bias_activation_in_place({0}, {1})",
            kernel=f"bias_{kernel}",
            statement=_bias_activation,
            fits=has_biased_rows,
        ),
        "kept": Operation(
            "bias_activation",
            ("~B D", "N", "=B D"),
            "{0}, {2} = bias_activation({0}, {1})",
            kernel=f"bias_{kernel}_kept",
            statement=_bias_activation_kept,
            fits=has_biased_rows,
        ),
        "gradient": Operation(
            "activation_gradient",
            ("~B D", "B D"),
            "{0} = activation_gradient({0}, {1})",
            kernel=f"{kernel}_gradient",
            statement=_activation_gradient,
        ),
        "whole": Operation(
            "activation",
            ("any", "=any"),
            "{1} = activation({0})",
            turn="columns",
            kernel=kernel,
            statement=own_forward,
            fits=are_whole,
        ),
        "whole_gradient": Operation(
            "activation_gradient",
            ("~any", "any"),
            "{0} = activation_gradient({0}, {1})",
            turn="columns",
            kernel=f"{kernel}_gradient",
            statement=_activation_gradient,
            fits=are_whole,
        ),
    }


OPERATIONS = {each.kernel: _operations(each.kernel) for each in (*ACTIVATIONS.values(), _GELU_TANH)}


class ActivationRule:
    """An activation; behind an affine of its own it adds that one's bias in the same pass."""

    def takes(self, walk: Walk, i: int) -> bool:
        if not is_activation(walk.layer(i)):
            return False
        (source,) = walk.sources(i)
        if i in walk.shapes:
            return source in walk.shapes
        return walk.may_be_whole(i) and walk.is_whole(source)

    def forward(self, walk: Walk, i: int) -> None:
        (source,) = walk.sources(i)
        activation = activation_of(walk.layer(i))
        if walk.is_whole(source):
            walk.put_whole(i, walk.value(source).shape)
        kinds, x, y = OPERATIONS[activation.kernel], walk.value(source), walk.value(i)
        numbers = (getattr(walk.layer(i), activation.number),) if activation.number else ()
        if source not in walk.fused:
            walk.emit(kinds["plain" if y.is_batch else "whole"], x, y, numbers=numbers, layer=i)
            return
        b, note = walk.value(walk.fused[source]), "fused: bias and activation"
        if x is y:
            walk.emit(kinds["biased"], y, b, numbers=numbers, layer=i, note=note)
        else:
            walk.emit(kinds["kept"], x, b, y, numbers=numbers, layer=i, note=note)

    def backward(self, walk: Walk, i: int) -> None:
        (source,) = walk.sources(i)
        activation = activation_of(walk.layer(i))
        if not walk.needed[source]:
            return
        numbers = (getattr(walk.layer(i), activation.number),) if activation.number else ()
        dy, kept = walk.gradient(i), walk.value(i if activation.keeps == "output" else source)
        kind = "gradient" if dy.is_batch else "whole_gradient"
        walk.emit(OPERATIONS[activation.kernel][kind], dy, kept, numbers=numbers, layer=i)
        if source not in walk.fused:  # else dy is now the gradient of the affine, which reads it there
            walk.pass_on(dy, source)
