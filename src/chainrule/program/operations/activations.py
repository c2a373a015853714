"""Activations: layers that act on each element by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chainrule import layers
from chainrule.arrays import Array
from chainrule.layers import Layer
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_forward, own_gradient
from chainrule.program.table import Instruction, Operation


@dataclass(frozen=True)
class Activation:
    """The kernels of an activation: their name, what its gradient is computed from, and its own number."""

    kernel: str
    keeps: Literal["input", "output"]
    number: str = ""

    def numbers(self, layer: Layer | None) -> tuple[float, ...]:
        """Those of its instructions."""
        return (getattr(layer, self.number),) if self.number else ()


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


def _bias_activation(step: Step, each: Instruction, x: Array, b: Array, *y: Array) -> None:
    x += b
    (*y, x)[0][...] = step.forward(each.layer, x if y else x.copy())


def has_biased_rows(D: int, N: int) -> bool:
    """Whether a row of y is one row, or several, as long as b."""
    return D % N == 0 if N else D == 0


def _operations(kernel: str) -> dict[str, Operation]:
    biased, in_place = "bias_activation", "bias_activation_in_place"
    return {
        "plain": operation("activation", "B D, =B D", own_forward, kernel=kernel),
        "biased": operation(
            in_place, "~B D, N", _bias_activation, kernel=f"bias_{kernel}", fits=has_biased_rows
        ),
        "kept": operation(
            biased, "~B D, N, =B D", _bias_activation, kernel=f"bias_{kernel}_kept", fits=has_biased_rows
        ),
        "gradient": operation(
            "activation_gradient", "~B D, B D", own_gradient(0), kernel=f"{kernel}_gradient"
        ),
    }


OPERATIONS = {each.kernel: _operations(each.kernel) for each in (*ACTIVATIONS.values(), _GELU_TANH)}


class ActivationRule:
    """An activation; behind an affine of its own it adds that one's bias in the same pass."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) not in ACTIVATIONS:
            return False
        (source,) = walk.sources(i)
        if i in walk.shapes:
            return source in walk.shapes
        return walk.may_be_whole(i) and walk.is_whole(source)

    def forward(self, walk: Walk, i: int) -> None:
        (source,), layer = walk.sources(i), walk.layer(i)
        if walk.is_whole(source):
            walk.put_whole(i, walk.value(source).shape)
        activation, x, y = activation_of(layer), walk.value(source), walk.value(i)
        kinds, numbers = OPERATIONS[activation.kernel], activation.numbers(layer)
        if source not in walk.fused:
            walk.emit(kinds["plain"], x, y, numbers=numbers, layer=i)
            return
        kind, more = (kinds["biased"], ()) if x is y else (kinds["kept"], (y,))
        b, note = walk.value(walk.fused[source]), "fused: bias and activation"
        walk.emit(kind, x, b, *more, numbers=numbers, layer=i, note=note)

    def backward(self, walk: Walk, i: int) -> None:
        (source,), layer = walk.sources(i), walk.layer(i)
        activation = activation_of(layer)
        dy, kept = walk.gradient(i), walk.value(i if activation.keeps == "output" else source)
        kind = OPERATIONS[activation.kernel]["gradient"]
        walk.emit(kind, dy, kept, numbers=activation.numbers(layer), layer=i)
        if source not in walk.fused:  # else dy is now the gradient of the affine, which reads it there
            walk.pass_on(dy, source)
