"""Layers with weights, written as in notes and homework: W on self, its gradient beside it as dW."""

# mypy: ignore-errors

import numpy as np


class Affine:
    def __init__(self, W, b):
        self.W = W
        self.b = b
        self.dW = np.zeros_like(W)

    def forward(self, x):
        self.x = x
        out = x @ self.W + self.b
        return out

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        dx = dout @ self.W.T
        return dx


class AffineLists:
    """Parameters and gradients in two lists."""

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b

    def backward(self, dout):
        W = self.params[0]
        self.grads[0] = self.x.T @ dout
        self.grads[1] = dout.sum(axis=0)
        return dout @ W.T


class AffineDicts:
    """Parameters and gradients in two dicts."""

    def __init__(self, W, b):
        self.params = {"W": W, "b": b}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.sum(axis=0)
        return dout @ self.params["W"].T


class Embedding:
    """A row of W for every index."""

    def __init__(self, W):
        self.W = W
        self.dW = np.zeros_like(W)

    def forward(self, ids):
        self.ids = ids
        return self.W[ids]

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        np.add.at(self.dW, self.ids, dout)


class Residual:
    """x + tanh(x W)."""

    def __init__(self, W):
        self.W = W

    def forward(self, x):
        self.x = x
        self.t = np.tanh(x @ self.W)
        return x + self.t

    def backward(self, dout):
        dz = dout * (1 - self.t**2)
        self.dW = self.x.T @ dz
        dx = dout.copy()
        dx += dz @ self.W.T
        return dx


class RNNCell:
    """One step: h_next = tanh(x Wx + h Wh + b)."""

    def __init__(self, Wx, Wh, b):
        self.Wx, self.Wh, self.b = Wx, Wh, b

    def forward(self, x, h):
        self.x, self.h = x, h
        self.h_next = np.tanh(x @ self.Wx + h @ self.Wh + self.b)
        return self.h_next

    def backward(self, dh_next):
        dz = dh_next * (1 - self.h_next**2)
        self.db = dz.sum(axis=0)
        self.dWx = self.x.T @ dz
        self.dWh = self.h.T @ dz
        dx = dz @ self.Wx.T
        dh = dz @ self.Wh.T
        return dx, dh


class BatchNorm:
    """Over the samples, with running averages for later."""

    def __init__(self, gamma, beta, epsilon=1e-5):
        self.gamma, self.beta, self.epsilon = gamma, beta, epsilon
        self.running_mean = np.zeros_like(gamma)
        self.running_var = np.ones_like(gamma)

    def forward(self, x):
        mu = x.mean(axis=0)
        self.xc = x - mu
        var = (self.xc**2).mean(axis=0)
        self.std = np.sqrt(var + self.epsilon)
        self.xhat = self.xc / self.std
        self.running_mean = 0.9 * self.running_mean + 0.1 * mu
        self.running_var = 0.9 * self.running_var + 0.1 * var
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        n = len(dout)
        self.dbeta = dout.sum(axis=0)
        self.dgamma = (dout * self.xhat).sum(axis=0)
        dxhat = dout * self.gamma
        dxc = dxhat / self.std
        dstd = -(dxhat * self.xc).sum(axis=0) / self.std**2
        dxc += dstd * self.xc / (self.std * n)
        dmu = -dxc.sum(axis=0)
        return dxc + dmu / n


class LayerNorm:
    """Over the features of every sample."""

    def __init__(self, gamma, beta, epsilon=1e-5):
        self.gamma, self.beta, self.epsilon = gamma, beta, epsilon

    def forward(self, x):
        mu = x.mean(axis=1, keepdims=True)
        var = x.var(axis=1, keepdims=True)
        self.inverse = 1 / np.sqrt(var + self.epsilon)
        self.xhat = (x - mu) * self.inverse
        return self.gamma * self.xhat + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = (dout * self.xhat).sum(axis=0)
        d = dout * self.gamma
        through_mean = d.mean(axis=1, keepdims=True)
        through_var = self.xhat * (d * self.xhat).mean(axis=1, keepdims=True)
        return self.inverse * (d - through_mean - through_var)
