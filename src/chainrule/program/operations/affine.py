"""Affine: y = x W + b, as products and a bias, of which the activation behind it may take the bias over."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from chainrule import layers
from chainrule.arrays import Array
from chainrule.program.calls import Step
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.activations import (
    ACTIVATIONS,
    ActivationRule,
    activation_of,
    has_biased_rows,
)
from chainrule.program.operations.sparse import SPARSE_MATMUL, SPARSE_TRANSPOSED_MATMUL
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


def _has_rows(X: int, Y: int, K: int, N: int) -> bool:
    """Whether a row of x holds one row of K numbers, or several, and a row of y as many of N, for W (K, N)."""
    lines = X // K if K else Y // N if N else 0
    return lines * K == X and lines * N == Y


MATMUL = operation("matmul", "B X, K N, =B Y", _matmul, is_product=True, fits=_has_rows)
MATMUL_BY_TRANSPOSED = operation(
    "matmul_by_transposed",
    "B Y, K N, =B X",
    _matmul_by_transposed,
    printed="{2} = matmul({0}, {1}ᵀ)",
    is_product=True,
    fits=_has_rows,
)
#: The same for a large matrix: each part computes some columns for all rows, so that BLAS copies the matrix once.
OF_LARGE = {
    each: replace(each, turn="columns", kernel=f"{each.kernel}_of_large")
    for each in (MATMUL, MATMUL_BY_TRANSPOSED)
}
TRANSPOSED_MATMUL = operation(
    "transposed_matmul",
    "B X, B Y, =K N",
    _transposed_matmul,
    printed="{2} = matmul({0}ᵀ, {1})",
    turn="gradients",
    is_product=True,
    fits=_has_rows,
)
ADD_BIAS = operation("add_bias", "~B D, N", _add_bias, fits=has_biased_rows)
BIAS_GRADIENT = operation("bias_gradient", "B D, =N", _bias_gradient, turn="gradients", fits=has_biased_rows)


class AffineRule:
    """Affine along the last axis, with parameters of its own."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) is not layers.Affine or not walk.shapes.get(i):
            return False
        x, *parameters = walk.sources(i)
        return bool(walk.shapes.get(x)) and walk.are_parameters(*parameters)

    def forward(self, walk: Walk, i: int) -> None:
        x, W, *bias = walk.sources(i)
        users = walk.users.get(i, [])
        if bias and len(users) == 1 and i != walk.output and self._is_activated(walk, users[0]):
            walk.fused[i] = bias[0]  # the activation behind it adds the bias
            if not walk.training or activation_of(walk.layer(users[0])).keeps == "output":
                walk.put_value(i, walk.value(users[0]))  # nobody needs the affine's own value again
        if x in walk.sparse:
            walk.emit(SPARSE_MATMUL, *walk.sparse[x], walk.value(W), walk.value(i))
        else:
            walk.emit(self._cut(walk, MATMUL, W), walk.value(x), walk.value(W), walk.value(i))
        if bias and i not in walk.fused:
            walk.emit(ADD_BIAS, walk.value(i), walk.value(bias[0]))

    def _cut(self, walk: Walk, product: Operation, W: int) -> Operation:
        """The product, cut by columns where the matrix is large. Predictions are not cut."""
        return OF_LARGE[product] if walk.training and is_large(walk.value(W)) else product

    def backward(self, walk: Walk, i: int) -> None:
        x, W, *bias = walk.sources(i)
        dz = walk.gradient(walk.users[i][0] if i in walk.fused else i)
        if x in walk.sparse:
            walk.emit_gradients(SPARSE_TRANSPOSED_MATMUL, *walk.sparse[x], dz, of=(W,))
        else:
            walk.emit_gradients(TRANSPOSED_MATMUL, walk.value(x), dz, of=(W,))
        walk.emit_gradients(BIAS_GRADIENT, dz, of=bias)
        walk.emit_gradients(self._cut(walk, MATMUL_BY_TRANSPOSED, W), dz, walk.value(W), of=(x,))

    def _is_activated(self, walk: Walk, user: int) -> bool:
        """Whether a node is an activation. Other rules are asked later, when all sources have places."""
        return type(walk.layer(user)) in ACTIVATIONS and isinstance(walk.rule(user), ActivationRule)
