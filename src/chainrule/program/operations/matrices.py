"""Products of matrices: of two nodes sample by sample, or of a node and a matrix for all samples."""

from __future__ import annotations

import math
from functools import partial

from chainrule import layers
from chainrule.graph import Constant, Parameter
from chainrule.program.lowering import Walk
from chainrule.program.operations.arithmetic import gradient_of
from chainrule.program.operations.own import own_forward
from chainrule.program.operations.reductions import whole_numbers_of
from chainrule.program.table import Instruction, Operation

OF_A, OF_B = 1, 2  # which operand is read transposed


def _fits(each: Instruction) -> bool:
    numbers, (a, b, out) = whole_numbers_of(each, 3), each.operands
    if numbers is None or len(each.numbers) != 4 or each.numbers[3] not in (0, 1, 2, 3):
        return False
    assert a is not None
    assert b is not None
    assert out is not None
    T, K, S = numbers
    count = out.width // (T * S)
    fits = out.width == count * T * S and a.size == T * K * (count if a.is_batch else 1)
    return fits and b.size == K * S * (count if b.is_batch else 1)


def _fits_gradient(each: Instruction) -> bool:
    numbers, (a, dy, out) = whole_numbers_of(each, 1), each.operands
    if numbers is None or len(each.numbers) != 1 or a is None or dy is None or out is None:
        return False
    (S,), size = numbers, out.size
    if size == 0 or size % S:
        return False
    K = size // S
    return a.width % K == 0 and a.width // K * S == dy.width


def _product(name: str, printed: str, statement: object) -> Operation:
    return Operation(
        name,
        ("any", "any", "=B D"),
        printed,
        kernel="matrix_product",
        statement=statement,  # type: ignore[arg-type]
        is_product=True,
        fits=_fits,
    )


PRODUCT = _product("matrix_product", "{2} = matrix_product({0}, {1})", own_forward)
FIRST_GRADIENT = _product("first_factor_gradient", "{2} = matrix_product({0}, {1}ᵀ)", partial(gradient_of, 0))
SECOND_GRADIENT = _product(
    "second_factor_gradient",
    "{2} = matrix_product({0}ᵀ, {1})",
    lambda step, each, a, dy, out: gradient_of(1, step, each, dy, out),
)
WHOLE_GRADIENT = Operation(
    "matrix_gradient",
    ("B D", "B E", "=any"),
    "{2} = matrix_gradient({0}ᵀ, {1})",
    turn="gradients",
    kernel="matrix_gradient",
    statement=lambda step, each, a, dy, out: gradient_of(1, step, each, dy, out),
    is_product=True,
    fits=_fits_gradient,
)


class MatMulRule:
    """a @ b, for a of the batch, and b of the batch with the same leading axes, or a matrix or vector for all."""

    def takes(self, walk: Walk, i: int) -> bool:
        if type(walk.layer(i)) is not layers.MatMul or i not in walk.shapes:
            return False
        a, b = walk.sources(i)
        if a not in walk.shapes or math.prod(walk.shapes[i]) == 0 or math.prod(walk.shapes[a]) == 0:
            return False
        if b in walk.shapes:
            one, other = walk.shapes[a], walk.shapes[b]
            return len(one) == len(other) >= 2 and one[:-2] == other[:-2]
        node = walk.graph.nodes[b]
        if isinstance(node, Constant):
            return node.value.dtype.kind in "buif" and node.value.ndim in (1, 2) and len(walk.shapes[a]) > 0
        return isinstance(node, Parameter) and len(walk.value(b).shape) in (1, 2) and len(walk.shapes[a]) > 0

    def forward(self, walk: Walk, i: int) -> None:
        a, b = walk.sources(i)
        numbers = (*self._lengths(walk, i), 0)
        walk.emit(PRODUCT, walk.value(a), walk.operand(b), walk.value(i), numbers=numbers, layer=i)

    def backward(self, walk: Walk, i: int) -> None:
        a, b = walk.sources(i)
        dy, (T, K, S) = walk.gradient(i), self._lengths(walk, i)
        if walk.needed[a]:
            into = walk.destination(a)
            walk.emit(FIRST_GRADIENT, dy, walk.operand(b), into, numbers=(T, S, K, OF_B), layer=i)
            walk.arrived(a, into)
        if walk.needed[b]:
            into = walk.destination(b)
            if into.is_batch:
                walk.emit(SECOND_GRADIENT, walk.value(a), dy, into, numbers=(K, T, S, OF_A), layer=i)
            else:
                walk.emit(WHOLE_GRADIENT, walk.value(a), dy, into, numbers=(S,), layer=i)
            walk.arrived(b, into)

    def _lengths(self, walk: Walk, i: int) -> tuple[int, int, int]:
        """T, K and S of (T, K) @ (K, S)."""
        a, b = walk.sources(i)
        row = walk.shapes[a]
        T = row[-2] if b in walk.shapes else math.prod(row[:-1])
        shape = walk.shapes[b] if b in walk.shapes else walk.operand(b).shape
        return T, row[-1], 1 if len(shape) == 1 else shape[-1]
