"""Sums, products and shapes, written as in notes and homework."""

# mypy: ignore-errors

import numpy as np


class Multiply:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        dx = dout * self.y
        dy = dout * self.x
        return dx, dy


class Add:
    def forward(self, x, y):
        return x + y

    def backward(self, dout):
        dx = dout * 1
        dy = dout * 1
        return dx, dy


class AddBias:
    """x of shape (N, D) and b of shape (D,)."""

    def forward(self, x, b):
        return x + b

    def backward(self, dout):
        dx = dout.copy()
        db = dout.sum(axis=0)
        return dx, db


class MatMul:
    def forward(self, x, W):
        self.x, self.W = x, W
        return x @ W

    def backward(self, dout):
        dx = dout @ self.W.T
        dW = self.x.T @ dout
        return dx, dW


class Flatten:
    def forward(self, x):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout):
        return dout.reshape(self.shape)


class Sum:
    """Over the features."""

    def forward(self, x):
        self.shape = x.shape
        return x.sum(axis=1)

    def backward(self, dout):
        return dout[:, None] * np.ones(self.shape, dout.dtype)


class Mean:
    """Over the samples."""

    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=0)

    def backward(self, dout):
        return np.ones(self.shape, dout.dtype) * dout / self.shape[0]


class Max:
    """The largest of every row."""

    def forward(self, x):
        self.shape = x.shape
        self.where = x.argmax(axis=1)
        return x.max(axis=1)

    def backward(self, dout):
        dx = np.zeros(self.shape, dout.dtype)
        dx[np.arange(len(dx)), self.where] = dout
        return dx


class Concat:
    """Features of two arrays side by side."""

    def forward(self, a, b):
        self.width = a.shape[1]
        return np.concatenate([a, b], axis=1)

    def backward(self, dout):
        da = dout[:, : self.width].copy()
        db = dout[:, self.width :].copy()
        return da, db


class Repeat:
    """Every row `times` times."""

    def __init__(self, times=3):
        self.times = times

    def forward(self, x):
        self.shape = x.shape
        return np.repeat(x, self.times, axis=0)

    def backward(self, dout):
        copies = dout.reshape(self.shape[0], self.times, *self.shape[1:])
        return copies.sum(axis=1)


class Normalize:
    """Every row divided by its length."""

    def forward(self, x):
        self.norm = np.sqrt((x**2).sum(axis=1, keepdims=True))
        self.out = x / self.norm
        return self.out

    def backward(self, dout):
        along = (dout * self.out).sum(axis=1, keepdims=True)
        return (dout - along * self.out) / self.norm
