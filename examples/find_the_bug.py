"""A network that learns badly and says nothing: `cr.check` finds the wrong gradient, and explains it.

python examples/find_the_bug.py

The network is written by hand, in plain classes that know nothing of chainrule.
"""

from __future__ import annotations

import math

import numpy as np

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport


class Affine:
    """y = x W + b. One of its gradients is wrong, in its right shape."""

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: Array) -> Array:
        self.dW = self.x.T @ dy
        self.db = dy.mean(axis=0)
        return dy @ self.W.T


class FixedAffine(Affine):
    """y = x W + b, with the gradient of b that the check asks for."""

    def backward(self, dy: Array) -> Array:
        dx = super().backward(dy)
        self.db = dy.sum(axis=0)
        return dx


class Tanh:
    """y = tanh x."""

    def forward(self, x: Array) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * (1 - self.y**2)
        return dx


class MeanSquare:
    """L = mean of (y - t)^2."""

    def forward(self, y: Array, t: Array) -> float:
        self.difference = y - t
        return float((self.difference**2).mean())

    def backward(self, dy: float = 1.0) -> Array:
        dx: Array = dy * 2 * self.difference / self.difference.size
        return dx


def train(affine: type[Affine], x: Array, t: Array) -> list[float]:
    """The losses while a network of 1 -> 20 -> 1 units learns t from x by gradient descent."""
    rng = np.random.default_rng(0)
    first = affine(rng.normal(size=(1, 20)), np.zeros(20))
    second = affine(rng.normal(size=(20, 1)) / math.sqrt(20), np.zeros(1))
    tanh, loss = Tanh(), MeanSquare()
    losses = []
    for _ in range(3000):
        losses.append(loss.forward(second.forward(tanh.forward(first.forward(x))), t))
        first.backward(tanh.backward(second.backward(loss.backward())))
        for layer in (first, second):
            layer.W -= 0.1 * layer.dW
            layer.b -= 0.1 * layer.db
    return losses


def check(affine: type[Affine]) -> list[CheckReport]:
    """Each layer by itself, on a few random numbers."""
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    W, b = rng.normal(size=(3, 5)), rng.normal(size=5)
    return [cr.check(affine(W, b), x), cr.check(Tanh(), x), cr.check(MeanSquare(), x, t)]


def main() -> None:
    x = np.linspace(-3, 3, 100).reshape(-1, 1)
    t = np.cos(2 * x)

    print(f"Learning cos(2x). Always to guess its mean comes to a loss of {t.var():.3f}.")
    before = train(Affine, x, t)
    print(f"    from {before[0]:.3f} to {before[-1]:.3f}, without an error or a warning")
    assert before[-1] > 0.2

    print("\nEach layer checked. Expected: Affine fails, for the gradient of b")
    wrong, *others = check(Affine)
    for report in others:
        print(f"    {report.summary()}")
        assert report.passed
    print("\n" + "\n".join(f"    {line}".rstrip() for line in str(wrong).splitlines()))
    assert [(finding.mistake, finding.input) for finding in wrong.findings] == [("axis", "b")]

    print("\nWith db = dy.sum(axis=0). Expected: passed, and a loss below 0.01")
    fixed = check(FixedAffine)[0]
    print(f"    {fixed.summary()}")
    assert fixed.passed
    after = train(FixedAffine, x, t)
    print(f"    from {after[0]:.3f} to {after[-1]:.5f}")
    assert after[-1] < 0.01


if __name__ == "__main__":
    main()
