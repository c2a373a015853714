"""The textbook's program in plain NumPy: a class a layer, float64 parameters, new arrays every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from peers.base import Peer
from peers.task import Array


class Relu:
    """y = max(x, 0); the gradient passes where x was above zero."""

    mask: Array

    def forward(self, x: Array) -> Array:
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: Array) -> Array:
        dout[self.mask] = 0
        return dout


class Affine:
    """y = x W + b."""

    x: Array

    def __init__(self, w: Array, b: Array) -> None:
        self.w, self.b = w, b

    def forward(self, x: Array) -> Array:
        self.x = x
        out: Array = np.dot(x, self.w) + self.b
        return out

    def backward(self, dout: Array) -> Array:
        dx: Array = np.dot(dout, self.w.T)
        self.dw = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


class SoftmaxWithLoss:
    """The mean of -log softmax(x)[t], for one-hot t."""

    def forward(self, x: Array, t: Array) -> float:
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        labels = t.argmax(axis=1)
        return float(-np.sum(np.log(self.y[np.arange(len(x)), labels] + 1e-7)) / len(x))

    def backward(self) -> Array:
        dx: Array = (self.y - self.t) / len(self.t)
        return dx


class Sgd:
    """w <- w - r g."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def update(self, params: list[Array], grads: list[Array]) -> None:
        for w, g in zip(params, grads, strict=True):
            w -= self.rate * g


class Adam:
    """Kingma and Ba's algorithm 1, array by array."""

    def __init__(self, rate: float) -> None:
        self.rate, self.t = rate, 0
        self.m: list[Array] = []
        self.v: list[Array] = []

    def update(self, params: list[Array], grads: list[Array]) -> None:
        if not self.t:
            self.m = [np.zeros_like(w) for w in params]
            self.v = [np.zeros_like(w) for w in params]
        self.t += 1
        for w, g, m, v in zip(params, grads, self.m, self.v, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            w -= self.rate * (m / (1 - 0.9**self.t)) / (np.sqrt(v / (1 - 0.999**self.t)) + 1e-8)


class Textbook(Peer):
    """Two variants: the loss that is recorded comes from the gradient's own forward pass, or, as the book
    prints it, from a second one after the update.
    """

    drawn = False

    def prepare(self) -> None:
        classes = np.eye(self.task.sizes[-1], dtype=np.float32)
        self.t, self.t_test = classes[self.data.t], classes[self.data.t_test]

    def reset(self, weights: list[Array]) -> None:
        self.params = [w.astype(np.float64) for w in weights]
        self.layers: list[Any] = []
        for w, b in zip(self.params[::2], self.params[1::2], strict=True):
            self.layers += [Affine(w, b), Relu()]
        self.layers.pop()
        self.loss_layer = SoftmaxWithLoss()
        rate = self.task.learning_rate
        self.optimizer = Sgd(rate) if self.task.optimizer == "sgd" else Adam(rate)

    def predict(self, x: Array) -> Array:
        """The logits."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def gradient(self, x: Array, t: Array) -> tuple[float, list[Array]]:
        """The loss, and the gradients in the order of the parameters."""
        loss = self.loss_layer.forward(self.predict(x), t)
        dout = self.loss_layer.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        affine = [layer for layer in self.layers if isinstance(layer, Affine)]
        return loss, [g for layer in affine for g in (layer.dw, layer.db)]

    def train(self, start: int, stop: int) -> list[float]:
        losses = []
        twice = self.variant == "as printed"
        for rows in self.rows[start:stop]:
            x_batch, t_batch = self.data.x[rows], self.t[rows]
            loss, grads = self.gradient(x_batch, t_batch)
            self.optimizer.update(self.params, grads)
            if twice:
                self.loss_layer.forward(self.predict(x_batch), t_batch)
            losses.append(loss)  # that of before the update in both, to be compared with the others'
        return losses

    def accuracy(self, x: Array, t: Array) -> float:
        return float(np.sum(self.predict(x).argmax(axis=1) == t.argmax(axis=1)) / len(x))

    def halves(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (self.data.x, self.t), (self.data.x_test, self.t_test)

    def predictor(self, rows: int) -> Callable[[], Array]:
        x = self.data.x_test[:rows]
        return lambda: self.predict(x)


PEER = Textbook
