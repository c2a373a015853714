"""Products of matrices: of two nodes sample by sample, or of a node and a matrix for all samples."""

from __future__ import annotations

import math
from collections.abc import Callable

from chainrule import layers
from chainrule.program.declaring import operation
from chainrule.program.lowering import Walk
from chainrule.program.operations.own import own_forward, own_gradient
from chainrule.program.table import Operation, Place

OF_A, OF_B = 1, 2  # which operand is read transposed


def _fits(operands: tuple[Place, ...], D: int, T: int, K: int, S: int, transposed: float) -> bool:
    """Whether the operands hold matrices (T, K), (K, S) and (T, S): as many in a row, or one for all samples."""
    a, b, _ = operands
    count = D // (T * S)
    fits = count * T * S == D and a.size == T * K * (count if a.is_batch else 1)
    return fits and b.size == K * S * (count if b.is_batch else 1) and transposed in (0, 1, 2, 3)


def _fits_gradient(D: int, E: int, M: int, S: int) -> bool:
    """Whether rows of D numbers are matrices (T, K), those of E numbers (T, S), and M numbers one (K, S)."""
    K = M // S
    return K > 0 and K * S == M and D % K == 0 and D // K * S == E


def _product(name: str, statement: Callable[..., None], printed: str = "") -> Operation:
    return operation(
        name,
        "any, any, =B D",
        statement,
        printed=printed,
        kernel="matrix_product",
        is_product=True,
        numbers={"T": int, "K": int, "S": int, "transposed": float},
        fits=_fits,
    )


PRODUCT = _product("matrix_product", own_forward)
FIRST_GRADIENT = _product("first_factor_gradient", own_gradient(0), "{2} = matrix_product({0}, {1}ᵀ)")
SECOND_GRADIENT = _product("second_factor_gradient", own_gradient(1, dy=1), "{2} = matrix_product({0}ᵀ, {1})")
WHOLE_GRADIENT = operation(
    "matrix_gradient",
    "B D, B E, =whole M",
    own_gradient(1, dy=1),
    printed="{2} = matrix_gradient({0}ᵀ, {1})",
    turn="gradients",
    is_product=True,
    numbers={"S": int},
    fits=_fits_gradient,
)


class MatMulRule:
    """a @ b, for a of the batch, and b of the batch with the same leading axes, or a matrix or vector for all."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) is not layers.MatMul or i not in walk.shapes:
            return False
        a, b = walk.sources(i)
        row = walk.shapes.get(a, ())
        if not row or math.prod(walk.shapes[i]) == 0 or math.prod(row) == 0:
            return False
        if b in walk.shapes:
            other = walk.shapes[b]
            return len(row) == len(other) >= 2 and row[:-2] == other[:-2]
        return not walk.is_whole(b) and len(walk.fixed_shape(b) or ()) in (1, 2)

    def forward(self, walk: Walk, i: int) -> None:
        a, b = walk.sources(i)
        numbers = (*self._lengths(walk, i), 0)
        walk.emit(PRODUCT, walk.value(a), walk.operand(b), walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        a, b = walk.sources(i)
        dy, (T, K, S) = walk.gradient(i), self._lengths(walk, i)
        walk.emit_gradients(FIRST_GRADIENT, dy, walk.operand(b), of=(a,), numbers=(T, S, K, OF_B), layer=i)
        if b in walk.shapes:
            walk.emit_gradients(SECOND_GRADIENT, walk.value(a), dy, of=(b,), numbers=(K, T, S, OF_A), layer=i)
        else:
            walk.emit_gradients(WHOLE_GRADIENT, walk.value(a), dy, of=(b,), numbers=(S,), layer=i)

    def _lengths(self, walk: Walk, i: int) -> tuple[int, int, int]:
        """T, K and S of (T, K) @ (K, S)."""
        a, b = walk.sources(i)
        row = walk.shapes[a]
        T = row[-2] if b in walk.shapes else math.prod(row[:-1])
        shape = walk.shapes[b] if b in walk.shapes else walk.operand(b).shape
        return T, row[-1], 1 if len(shape) == 1 else shape[-1]
