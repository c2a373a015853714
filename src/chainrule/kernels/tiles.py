"""Products of small matrices, in tiles that stay in the processor's registers.

BLAS copies its matrices into an order of its own first. That pays from some thousands of numbers on; a hidden layer
of 16 to 64 units has fewer. Here a tile of the result, 6, 4 or 1 rows of two vectors, is kept in registers
while k runs, and each step of k reads two vectors of b and one number a row of a:

    out[i : i + rows, j : j + width] = sum over k of a[i : i + rows, k] b[k, j : j + width]

The tile is written in the compiler's own language, since Numba has no vectors. Uncompiled, NumPy does the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from chainrule.arrays import Array

BYTES = 32  # of a vector
VECTORS = 2  # that a tile is wide
LARGEST = 4_096  # numbers in b; with more, BLAS is as fast where a is transposed


def fits(length: int, width: int, itemsize: int) -> bool:
    """Whether a product with b (length, width) is faster in tiles: measured, not guessed."""
    return width % (VECTORS * BYTES // itemsize) == 0 and length * width <= LARGEST


def product_in_tiles(a: Array, b: Array, out: Array) -> None:
    """out (M, N) = a (M, K) b (K, N), where N is a multiple of a tile's width; rows of b and out are contiguous."""
    np.matmul(a, b, out=out)


def _tile(rows: int) -> Any:
    """Compiled code for one tile of so many rows."""

    @intrinsic
    def tile(typing: Any, a: Any, b: Any, out: Any, i: Any, j: Any) -> Any:
        return types.void(a, b, out, types.intp, types.intp), lambda *given: _code(rows, *given)

    return tile


def _code(rows: int, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    number = context.get_value_type(signature.args[0].dtype)
    size = signature.args[0].dtype.bitwidth // 8
    lanes = BYTES // size
    vector, place, byte = ir.VectorType(number, lanes), ir.IntType(64), ir.IntType(8)
    lane = ir.IntType(32)
    of_first_lane = ir.Constant(ir.VectorType(lane, lanes), [ir.Constant(lane, 0)] * lanes)
    zeros = ir.Constant(vector, [ir.Constant(number, 0.0)] * lanes)
    a, b, out = (
        context.make_array(kind)(context, builder, array)
        for kind, array in zip(signature.args[:3], arguments[:3], strict=True)
    )
    i, j = arguments[3:]

    def at(array: Any, kind: Any, row: Any, column: Any, vectors: int = 0) -> Any:
        """A pointer to array[row, column], or so many vectors behind it."""
        start = builder.bitcast(array.data, byte.as_pointer())
        strides = [builder.extract_value(array.strides, axis) for axis in (0, 1)]
        offset = builder.add(builder.mul(row, strides[0]), builder.mul(column, strides[1]))
        offset = builder.add(offset, ir.Constant(place, vectors * BYTES))
        return builder.bitcast(builder.gep(start, [offset]), kind.as_pointer())

    def row_of(r: int) -> Any:
        return builder.add(i, ir.Constant(place, r))

    def everywhere(value: Any) -> Any:
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(lane, 0))
        return builder.shuffle_vector(first, first, of_first_lane)

    before = builder.block
    head, body, end = (builder.append_basic_block(f"tile.{name}") for name in ("head", "body", "end"))
    builder.branch(head)

    builder.position_at_end(head)
    k = builder.phi(place)
    k.add_incoming(ir.Constant(place, 0), before)
    sums = [[builder.phi(vector) for _ in range(VECTORS)] for _ in range(rows)]
    for each in (phi for row in sums for phi in row):
        each.add_incoming(zeros, before)
    length = builder.extract_value(a.shape, 1)
    builder.cbranch(builder.icmp_signed("<", k, length), body, end)

    builder.position_at_end(body)
    of_b = [builder.load(at(b, vector, k, j, v), align=size) for v in range(VECTORS)]
    for r in range(rows):
        of_a = everywhere(builder.load(at(a, number, row_of(r), k)))
        for v in range(VECTORS):
            term = builder.fmul(of_a, of_b[v], flags=("contract",))
            sums[r][v].add_incoming(builder.fadd(term, sums[r][v], flags=("contract",)), body)
    k.add_incoming(builder.add(k, ir.Constant(place, 1)), body)
    builder.branch(head)

    builder.position_at_end(end)
    for r in range(rows):
        for v in range(VECTORS):
            builder.store(sums[r][v], at(out, vector, row_of(r), j, v), align=size)
    return context.get_dummy_value()


_six, _four, _one = _tile(6), _tile(4), _tile(1)


@overload(product_in_tiles)
def _product_in_tiles(a: Any, b: Any, out: Any) -> Any:
    width = VECTORS * BYTES * 8 // a.dtype.bitwidth

    def product(a: Any, b: Any, out: Any) -> None:
        rows, i = out.shape[0], 0
        while i < rows:
            left = rows - i
            if left > 8 or left == 6:
                for j in range(0, out.shape[1], width):
                    _six(a, b, out, i, j)
                i += 6
            elif left >= 4:
                for j in range(0, out.shape[1], width):
                    _four(a, b, out, i, j)
                i += 4
            else:
                for j in range(0, out.shape[1], width):
                    _one(a, b, out, i, j)
                i += 1

    return product
