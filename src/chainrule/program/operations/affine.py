"""Affine: y = x W + b, as products and a bias, of which the activation behind it may take the bias over."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.graph import Parameter
from chainrule.program.calls import Step
from chainrule.program.lowering import Walk
from chainrule.program.operations.activations import (
    ActivationRule,
    activation_of,
    has_biased_rows,
    is_activation,
)
from chainrule.program.table import Instruction, Operation, is_large


def _lines(x: Array) -> Array:
    """The same numbers as a matrix, with a row for each along the last axis."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _matmul(step: Step, each: Instruction, x: Array, W: Array, y: Array) -> None:
    np.dot(_lines(x), W, out=_lines(y))  # np.matmul avoids BLAS with a batch of one


def _matmul_by_transposed(step: Step, each: Instruction, dy: Array, W: Array, dx: Array) -> None:
    np.dot(_lines(dy), W.T, out=_lines(dx))


def _transposed_matmul(step: Step, each: Instruction, x: Array, dy: Array, dW: Array) -> None:
    np.dot(_lines(x).T, _lines(dy), out=dW)


def _add_bias(step: Step, each: Instruction, y: Array, b: Array) -> None:
    y += b


def _bias_gradient(step: Step, each: Instruction, dy: Array, db: Array) -> None:
    np.sum(_lines(dy), axis=0, out=db)


def _has_rows_of(x: int, W: int, y: int) -> Callable[[Instruction], bool]:
    """Whether a row of x holds one row of K numbers, or several, and a row of y as many of N, for W (K, N).

    The operands are given by their numbers.
    """

    def fits(each: Instruction) -> bool:
        a, matrix, b = (each.operands[k] for k in (x, W, y))
        assert a is not None
        assert matrix is not None
        assert b is not None
        K, N = matrix.length or 0, matrix.width
        lines = a.width // K if K else b.width // N if N else 0
        return a.width == lines * K and b.width == lines * N

    return fits


MATMUL = Operation(
    "matmul",
    ("B X", "K N", "=B Y"),
    "{2} = matmul({0}, {1})",
    kernel="matmul",
    statement=_matmul,
    is_product=True,
    fits=_has_rows_of(0, 1, 2),
)
MATMUL_BY_TRANSPOSED = Operation(
    "matmul_by_transposed",
    ("B Y", "K N", "=B X"),
    "{2} = matmul({0}, {1}ᵀ)",
    kernel="matmul_by_transposed",
    statement=_matmul_by_transposed,
    is_product=True,
    fits=_has_rows_of(2, 1, 0),
)
#: The same for a large matrix: each part computes some columns for all rows, so that BLAS copies the matrix once.
OF_LARGE = {
    each: replace(each, turn="columns", kernel=f"{each.kernel}_of_large")
    for each in (MATMUL, MATMUL_BY_TRANSPOSED)
}
TRANSPOSED_MATMUL = Operation(
    "transposed_matmul",
    ("B X", "B Y", "=K N"),
    "{2} = matmul({0}ᵀ, {1})",
    turn="gradients",
    kernel="transposed_matmul",
    statement=_transposed_matmul,
    is_product=True,
    fits=_has_rows_of(0, 2, 1),
)
ADD_BIAS = Operation(
    "add_bias",
    ("~B Y", "N"),
    "{0} = add_bias({0}, {1})",
    kernel="add_bias",
    statement=_add_bias,
    fits=has_biased_rows,
)
BIAS_GRADIENT = Operation(
    "bias_gradient",
    ("B Y", "=N"),
    "{1} = bias_gradient({0})",
    turn="gradients",
    kernel="bias_gradient",
    statement=_bias_gradient,
    fits=has_biased_rows,
)


class AffineRule:
    """Affine along the last axis, with parameters of its own."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) is not layers.Affine or not walk.shapes.get(i):
            return False
        x, *parameters = walk.sources(i)
        return bool(walk.shapes.get(x)) and all(
            isinstance(walk.graph.nodes[source], Parameter) for source in parameters
        )

    def forward(self, walk: Walk, i: int) -> None:
        x, W, *bias = walk.sources(i)
        users = walk.users.get(i, [])
        if bias and len(users) == 1 and i != walk.output and self._is_activated(walk, users[0]):
            walk.fused[i] = bias[0]  # the activation behind it adds the bias
            if not walk.training or activation_of(walk.layer(users[0])).keeps == "output":
                walk.put_value(i, walk.value(users[0]))  # nobody needs the affine's own value again
        walk.emit(self._cut(walk, MATMUL, W), walk.value(x), walk.value(W), walk.value(i))
        if bias and i not in walk.fused:
            walk.emit(ADD_BIAS, walk.value(i), walk.value(bias[0]))

    def _cut(self, walk: Walk, product: Operation, W: int) -> Operation:
        """The product, cut by columns where the matrix is large. Predictions are not cut."""
        return OF_LARGE[product] if walk.training and is_large(walk.value(W)) else product

    def backward(self, walk: Walk, i: int) -> None:
        x, W, *bias = walk.sources(i)
        dz = walk.gradient(walk.users[i][0] if i in walk.fused else i)
        into = walk.destination(W)
        walk.emit(TRANSPOSED_MATMUL, walk.value(x), dz, into)
        walk.arrived(W, into)
        if bias:
            into = walk.destination(bias[0])
            walk.emit(BIAS_GRADIENT, dz, into)
            walk.arrived(bias[0], into)
        if walk.needed[x]:
            into = walk.destination(x)
            walk.emit(self._cut(walk, MATMUL_BY_TRANSPOSED, W), dz, walk.value(W), into)
            walk.arrived(x, into)

    def _is_activated(self, walk: Walk, user: int) -> bool:
        """Whether a node is an activation. Other rules are asked later, when all sources have places."""
        return is_activation(walk.layer(user)) and isinstance(walk.rule(user), ActivationRule)
