"""Losses, written as in notes and homework: forward(x, t) is a number, backward(dout=1) the gradient of x."""

# mypy: ignore-errors

import numpy as np


class SoftmaxWithLoss:
    """Labels as (N,), (N, 1) or one-hot."""

    def forward(self, x, t):
        if t.size == x.size:
            t = t.argmax(axis=1)
        self.t = t.reshape(-1)
        self.rows = np.arange(len(x))
        z = x - x.max(axis=1, keepdims=True)
        e = np.exp(z)
        self.y = e / e.sum(axis=1, keepdims=True)
        log_y = z - np.log(e.sum(axis=1, keepdims=True))
        return -log_y[self.rows, self.t].sum() / len(x)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[self.rows, self.t] -= 1
        dx /= len(dx)
        return dx * dout


class OneHotCrossEntropy:
    """For one-hot t or any other distribution."""

    def forward(self, x, t):
        if t.shape != x.shape:
            raise ValueError(f"one row of {x.shape[1]} probabilities is needed for every row of x")
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        s = e.sum(axis=1, keepdims=True)
        self.y = e / s
        log_y = x - x.max(axis=1, keepdims=True) - np.log(s)
        return -(t * log_y).sum() / len(x)

    def backward(self, dout=1):
        dx = dout * (self.y - self.t) / len(self.t)
        return dx


class SigmoidWithLoss:
    """For t of 0 and 1, one for every x; written so that it never overflows."""

    def forward(self, x, t):
        self.t = t
        self.y = 1 / (1 + np.exp(-x))
        losses = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
        return losses.sum() / len(x)

    def backward(self, dout=1):
        dx = dout * (self.y - self.t) / len(self.t)
        return dx


class MSE:
    """The mean over everything; the target is given no gradient."""

    def forward(self, x, t):
        self.difference = x - t
        return (self.difference**2).mean()

    def backward(self, dout=1):
        return dout * 2 * self.difference / self.difference.size


class Distance:
    """Half the squared distance; both inputs are given a gradient."""

    def forward(self, x, t):
        self.difference = x - t
        return 0.5 * (self.difference**2).sum()

    def backward(self, dout=1):
        dx = dout * self.difference
        dt = -dout * self.difference
        return dx, dt
