"""A fast form in float32, held against plain code in float64: a right one, and one that forgets its last block.

python examples/check_a_kernel.py
"""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule.arrays import Array

BLOCK = 16


def softmax(x: Array) -> Array:
    """The reference: plain, and in float64."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def fast_softmax(x: Array) -> Array:
    """The same in float32, block by block of the columns, with a running maximum and sum."""
    x = x.astype(np.float32)
    largest, total = np.full((len(x), 1), -np.inf, np.float32), np.zeros((len(x), 1), np.float32)
    for start in range(0, x.shape[1], BLOCK):
        block = x[:, start : start + BLOCK]
        new = np.maximum(largest, block.max(axis=1, keepdims=True))
        total = total * np.exp(largest - new) + np.exp(block - new).sum(axis=1, keepdims=True)
        largest = new
    return np.asarray(np.exp(x - largest) / total)


def backward(dy: Array, x: Array) -> Array:
    """dx = y (dy - sum(dy y))."""
    y = fast_softmax(x)
    return np.asarray(y * (dy - (dy * y).sum(axis=1, keepdims=True)))


def without_the_last_block(dy: Array, x: Array) -> Array:
    """The sum runs over whole blocks only. Right as long as there are no others."""
    y = fast_softmax(x)
    whole = x.shape[1] // BLOCK * BLOCK
    return np.asarray(y * (dy - (dy * y)[:, :whole].sum(axis=1, keepdims=True)))


def main() -> None:
    x = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    for wrong in (False, True):
        rule = without_the_last_block if wrong else backward
        report = cr.check(fast_softmax, x, backward=rule, reference=softmax)
        print(f"{rule.__name__}, 32 columns: {report.verdict}, sharp to {report.sharpness:.0e}")
        report = cr.check(fast_softmax, x, backward=rule, reference=softmax, sizes={32: [31, 37]})
        print(f"{rule.__name__}, 31 and 37 columns: {report.verdict}\n")
        assert report.passed != wrong
    print(report)
    print("\nThe right one passed, the other one was found.")


if __name__ == "__main__":
    main()
