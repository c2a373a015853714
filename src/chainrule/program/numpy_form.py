"""The step-by-step form: each operation as a line of NumPy that writes into arrays allocated once."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.layers import ReLU
from chainrule.program.operations import Operation


def lines_of(operation: Operation, layers: dict[int, Any], arrays: set[str]) -> list[str]:
    """Python statements that do the operation. `arrays` are the names that stand for arrays of the program."""
    reads, writes, details = operation.reads, operation.writes, operation.details
    kernel = operation.kernel
    i = details.get("layer")
    relu = i is not None and type(layers.get(i)) is ReLU
    if kernel == "matmul":
        a, b = (f"{name}.T" if details.get("transposed") == k else name for k, name in enumerate(reads))
        return [f"np.dot({a}, {b}, out={writes[0]})"]  # np.matmul avoids BLAS with a batch of one
    if kernel == "add_bias":
        return [f"np.add({reads[0]}, {reads[1]}, out={writes[0]})"]
    if kernel == "bias_activation_in_place":
        first = f"np.add({reads[0]}, {reads[1]}, out={writes[0]})"
        if relu:
            return [first, f"np.maximum({writes[0]}, 0, out={writes[0]})"]
        return [first, *_own_forward(i, [writes[0]], writes[0], arrays)]
    if kernel == "bias_activation":
        return [
            f"np.add({reads[0]}, {reads[1]}, out={writes[0]})",
            *_own_forward(i, [writes[0]], writes[1], arrays),
        ]
    if kernel == "activation":
        if relu:
            return [f"np.maximum({reads[0]}, 0, out={writes[0]})"]
        return _own_forward(i, [reads[0]], writes[0], arrays)
    if kernel in ("activation_gradient", "activation_bias_gradient"):
        dy, kept = reads
        lines = [f"block({dy}, {kept})"] if relu else [f"np.copyto({dy}, backward({i}, {dy}, saved{i}))"]
        if kernel == "activation_bias_gradient":
            lines.append(f"np.sum({dy}, axis=0, out={writes[1]})")
        return lines
    if kernel == "bias_gradient":
        return [f"np.sum({reads[0]}, axis=0, out={writes[0]})"]
    if kernel == "add":
        return [f"np.add({reads[0]}, {reads[1]}, out={writes[0]})"]
    if kernel == "copy":
        return [f"np.copyto({writes[0]}, {reads[0]}.reshape({writes[0]}.shape))"]
    if kernel == "accumulate":
        return [f"np.add({writes[0]}, {reads[0]}.reshape({writes[0]}.shape), out={writes[0]})"]
    if kernel == "scale_columns":
        lines = [f"np.multiply({reads[0]}, {details['factor_name']}, out={writes[0]})"]
        if np.any(details["shift"]):
            lines.append(f"np.add({writes[0]}, {details['shift_name']}, out={writes[0]})")
        return lines
    if kernel == "softmax_cross_entropy":
        return [f"loss = softmax_cross_entropy({reads[0]}, t, {writes[1]})"]
    if kernel == "mean_loss":
        return [
            f"loss, saved{i} = forward({i}, {reads[0]}, t)",
            f"np.copyto({writes[1]}, backward({i}, np.ones_like(loss), saved{i})[0])",
        ]
    if kernel == "layer":
        return _own_forward(i, list(reads), writes[0], arrays)
    if kernel == "layer_backward":
        return _own_backward(operation, arrays)
    raise AssertionError(f"no NumPy form of {kernel}")


def _own_forward(i: int | None, reads: list[str], out: str, arrays: set[str]) -> list[str]:
    call = f"forward({i}, {', '.join(reads)})"
    if out in arrays:
        return [f"value, saved{i} = {call}", f"np.copyto({out}, value)"]
    return [f"{out}, saved{i} = {call}"]


def _own_backward(operation: Operation, arrays: set[str]) -> list[str]:
    details = operation.details
    dy, *inputs = operation.reads
    lines = [
        f"parts = backward_of_node({details['layer']}, {dy}, saved{details['layer']}, ({', '.join(inputs)},))"
    ]
    targets = iter(zip(operation.writes, details["fresh"], strict=True))
    for k, want in enumerate(details["wanted"]):
        if not want:
            continue
        into, fresh = next(targets)
        if into in arrays:
            lines.append(f"{'put' if fresh else 'put_more'}({into}, parts[{k}])")
        else:
            lines.append(f"{into} = parts[{k}]" if fresh else f"{into} = total({into}, parts[{k}])")
    return lines


def put(into: Array, part: Array | None) -> None:
    """A first contribution to a gradient; None is none."""
    np.copyto(into, 0 if part is None else part)


def put_more(into: Array, part: Array | None) -> None:
    """A further contribution."""
    if part is not None:
        np.add(into, part, out=into)


def total(one: Array | None, other: Array | None) -> Array | None:
    """The sum of two contributions, for a gradient that has no array of its own."""
    if one is None or other is None:
        return one if other is None else other
    return np.asarray(one + other)


class Scratch:
    """Small arrays that the NumPy form of a few kernels needs, for one size of batch."""

    def __init__(self, rows: int, widest: int, classes: int, dtype: Any) -> None:
        self.mask = np.empty(rows * widest, dtype=bool)
        self.column = np.empty((rows, 1), dtype)
        self.picked = np.empty(rows, dtype)
        self.starts = np.arange(rows) * classes
        self.places = np.empty_like(self.starts)

    def block(self, dy: Array, y: Array) -> None:
        """The gradient of ReLU, in place: dy is 0 where y is not above 0."""
        mask = self.mask[: dy.size].reshape(dy.shape)
        np.greater(y, 0, out=mask)
        np.logical_not(mask, out=mask)
        np.copyto(dy, 0, where=mask)

    def softmax_cross_entropy(self, z: Array, t: Array, dz: Array) -> float:
        """The mean of -log softmax(z)[t] over the batch, and dz its gradient."""
        rows = len(z)
        flat = dz.reshape(-1)
        np.add(self.starts, t, out=self.places, casting="unsafe")  # checked labels, of any whole dtype
        np.max(z, axis=1, keepdims=True, out=self.column)
        np.subtract(z, self.column, out=dz)
        np.take(flat, self.places, out=self.picked, mode="clip")
        right = self.picked.sum()
        np.exp(dz, out=dz)
        np.sum(dz, axis=1, keepdims=True, out=self.column)
        np.divide(dz, self.column, out=dz)
        np.multiply(dz, 1 / rows, out=dz)
        np.log(self.column, out=self.column)
        loss = (self.column.sum() - right) / rows
        np.take(flat, self.places, out=self.picked, mode="clip")
        self.picked -= 1 / rows
        flat[self.places] = self.picked
        return float(loss)
