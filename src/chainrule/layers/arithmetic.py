"""Arithmetic. The binary layers broadcast; the graph sums their gradients back to each input's shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ShapeError
from chainrule.incoming import as_numbers
from chainrule.layers.base import Layer

Pair = tuple[Array, Array]
MaybePair = tuple[Array | None, Array | None]


class Add(Layer):
    """y = a + b,    dL/da = dL/dy,    dL/db = dL/dy.

    Shapes: a, b that broadcast -> y of the broadcast shape; both gradients have y's shape.
    Raises: ShapeError when the shapes don't broadcast.
    """

    symbol = "+"

    def forward(self, a: Array, b: Array) -> tuple[Array, None]:
        return _together(self, np.add, a, b), None

    def backward(self, dy: Array, saved: None) -> Pair:
        return dy, dy


class Subtract(Layer):
    """y = a - b,    dL/da = dL/dy,    dL/db = -dL/dy.

    Shapes: a, b that broadcast -> y of the broadcast shape; both gradients have y's shape.
    Raises: ShapeError when the shapes don't broadcast.
    """

    symbol = "−"

    def forward(self, a: Array, b: Array) -> tuple[Array, None]:
        return _together(self, np.subtract, a, b), None

    def backward(self, dy: Array, saved: None) -> Pair:
        return dy, -dy


class Multiply(Layer):
    """y = a * b,    dL/da = dL/dy * b,    dL/db = dL/dy * a.

    Shapes: a, b that broadcast -> y of the broadcast shape; both gradients have y's shape.
    Raises: ShapeError when the shapes don't broadcast.
    """

    symbol = "×"

    def forward(self, a: Array, b: Array) -> tuple[Array, Pair]:
        a, b = floats(a, b)
        return _together(self, np.multiply, a, b), (a, b)

    def backward(self, dy: Array, saved: Pair, *, needs: tuple[bool, ...] = (True, True)) -> MaybePair:
        a, b = saved
        return dy * b if needs[0] else None, dy * a if needs[1] else None


class Divide(Layer):
    """y = a / b,    dL/da = dL/dy / b,    dL/db = -dL/dy * y / b.

    Division by zero gives an infinity or NaN without a warning.

    Shapes: a, b that broadcast -> y of the broadcast shape; both gradients have y's shape.
    Raises: ShapeError when the shapes don't broadcast.
    """

    symbol = "/"

    @np.errstate(all="ignore")
    def forward(self, a: Array, b: Array) -> tuple[Array, Pair]:
        a, b = floats(a, b)
        y = _together(self, np.divide, a, b)
        return y, (y, b)

    @np.errstate(all="ignore")
    def backward(self, dy: Array, saved: Pair, *, needs: tuple[bool, ...] = (True, True)) -> MaybePair:
        y, b = saved
        da = dy / b
        return da if needs[0] else None, -da * y if needs[1] else None


class Negative(Layer):
    """y = -x,    dL/dx = -dL/dy.

    Shapes: x any -> y the same.
    """

    symbol = "−x"

    def forward(self, x: Array) -> tuple[Array, None]:
        return -floats(x)[0], None

    def backward(self, dy: Array, saved: None) -> Array:
        return -dy


class Power(Layer):
    """y = x ** p,    dL/dx = dL/dy * p * x ** (p - 1),    dL/dp = dL/dy * y * log(x).

    The gradient to x is 0 where p is 0. The gradient to p is 0 where x is 0 and p isn't negative, and NaN
    where x is negative, since x ** p is real there for whole p only. Infinities and NaN come without a
    warning.

    Shapes: x, p that broadcast -> y of the broadcast shape; both gradients have y's shape.
    Raises: ShapeError when the shapes don't broadcast.
    """

    symbol = "^"

    @np.errstate(all="ignore")
    def forward(self, x: Array, p: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        x, p = floats(x, p)
        y = _together(self, np.power, x, p)
        return y, (x, p, y)

    @np.errstate(all="ignore")
    def backward(
        self, dy: Array, saved: tuple[Array, Array, Array], *, needs: tuple[bool, ...] = (True, True)
    ) -> MaybePair:
        x, p, y = saved
        dx = dp = None
        if needs[0]:
            dx = dy * p * x ** np.where(p == 0, 1, p - 1)  # the 1: 0 * 0 ** -1 would be NaN
        if needs[1]:
            dp = dy * np.where((x == 0) & (p >= 0), 0, y * np.log(x))
        return dx, dp


class MatMul(Layer):
    """y = a @ b,    dL/da = dL/dy @ b^T,    dL/db = a^T @ dL/dy.

    Shapes: a (..., N, K), b (..., K, M) -> y (..., N, M), the leading axes broadcast; an operand with one
    axis is a row on the left and a column on the right, and that axis is missing from y. The gradients'
    leading axes may still be broadcast.
    Raises: ShapeError when the inner axes differ, the leading ones don't broadcast, or an operand has no
    axes.
    """

    symbol = "dot"
    matrix_input = "b"

    def forward(self, a: Array, b: Array) -> tuple[Array, Pair]:
        a, b = floats(a, b)
        try:
            return np.asarray(np.matmul(a, b)), (a, b)
        except ValueError:
            remedy = "use Multiply() for numbers" if 0 in (a.ndim, b.ndim) else "Transpose() or Reshape() one"
            raise ShapeError(
                f"MatMul: expected a of shape (..., N, K) and b of shape (..., K, M), "
                f"got {a.shape} and {b.shape}; {remedy}"
            ) from None

    def backward(self, dy: Array, saved: Pair, *, needs: tuple[bool, ...] = (True, True)) -> MaybePair:
        a, b = saved
        row, column = a.ndim == 1, b.ndim == 1
        a2 = a[None, :] if row else a  # (..., N, K)
        b2 = b[:, None] if column else b  # (..., K, M)
        if column:
            dy = dy[..., None]
        if row:
            dy = dy[..., None, :]  # (..., N, M)
        da = db = None
        if needs[0]:
            da = dy @ b2.swapaxes(-1, -2)  # (..., N, K)
            da = da[..., 0, :] if row else da
        if needs[1]:
            if b2.ndim == 2 and a2.ndim > 2:  # one product instead of a stack of them that is summed later
                rows = math.prod(a2.shape[:-1])
                db = a2.reshape(rows, a2.shape[-1]).T @ dy.reshape(rows, dy.shape[-1])  # (K, M)
            else:
                db = a2.swapaxes(-1, -2) @ dy  # (..., K, M)
            db = db[..., 0] if column else db
        return da, db


class Exp(Layer):
    """y = exp(x),    dL/dx = dL/dy * y.

    Too large an x gives infinity without a warning.

    Shapes: x any -> y the same.
    """

    symbol = "exp"

    @np.errstate(all="ignore")
    def forward(self, x: Array) -> tuple[Array, Array]:
        y = np.exp(floats(x)[0])
        return y, y

    @np.errstate(all="ignore")
    def backward(self, dy: Array, y: Array) -> Array:
        return dy * y


class Log(Layer):
    """y = log(x),    dL/dx = dL/dy / x.

    Zero gives -infinity and a negative number NaN, without a warning.

    Shapes: x any -> y the same.
    """

    symbol = "log"

    @np.errstate(all="ignore")
    def forward(self, x: Array) -> tuple[Array, Array]:
        (x,) = floats(x)
        return np.log(x), x

    @np.errstate(all="ignore")
    def backward(self, dy: Array, x: Array) -> Array:
        return dy / x


class Sqrt(Layer):
    """y = sqrt(x),    dL/dx = dL/dy / (2 * y).

    A negative number gives NaN, and zero an infinite gradient, without a warning.

    Shapes: x any -> y the same.
    """

    symbol = "√"

    @np.errstate(all="ignore")
    def forward(self, x: Array) -> tuple[Array, Array]:
        y = np.sqrt(floats(x)[0])
        return y, y

    @np.errstate(all="ignore")
    def backward(self, dy: Array, y: Array) -> Array:
        dx: Array = dy / (2 * y)
        return dx


def floats(*values: Any) -> tuple[Array, ...]:
    """The values as arrays, those of integers as floats: uint8 wraps at 255, and 2 ** -1 is an error in integers.

    Arrays of floats are handed on as they are. Numbers and lists become arrays.
    """
    if all(isinstance(value, np.ndarray) and value.dtype.kind == "f" for value in values):
        return values
    arrays = [as_numbers(value, "an input of a layer") for value in values]
    kinds = [array.dtype for array in arrays if array.dtype.kind == "f"]
    dtype = np.result_type(*kinds) if kinds else np.dtype(np.float64)
    return tuple(array if array.dtype.kind == "f" else array.astype(dtype) for array in arrays)


def _together(layer: Layer, operation: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
    a, b = floats(a, b)
    try:
        return operation(a, b)
    except ValueError:
        raise ShapeError(
            f"{type(layer).__name__}: expected two shapes that broadcast, got {a.shape} and {b.shape}; "
            f"Reshape() one of them so that each axis, counted from the last, is equal or 1"
        ) from None
