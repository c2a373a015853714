"""Pairs of functions: backward(dy, *inputs), or forward that returns (out, cache) and backward(dout, cache)."""

# mypy: ignore-errors

import numpy as np


def affine_forward(x, W, b):
    return x @ W + b


def affine_backward(dy, x, W, b):
    dx = dy @ W.T
    dW = x.T @ dy
    db = dy.sum(axis=0)
    return dx, dW, db


def tanh_forward(x):
    return np.tanh(x)


def tanh_backward(dy, x):
    y = np.tanh(x)
    return dy * (1 - y**2)


def product_forward(a, b):
    return a * b


def product_backward(dy, a, b):
    return dy * b, dy * a


def scale_forward(x, g):
    return x * g


def scale_backward(dy, x, g):
    dx = dy * g
    dg = (dy * x).sum(axis=0)
    return dx, dg


def add_forward(a, b):
    return a + b


def add_backward(dy, a, b):
    return dy.copy(), dy.copy()


def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_backward(dy, x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    mean = (dy * y).sum(axis=1, keepdims=True)
    return y * (dy - mean)


def logistic_forward(x):
    out = 1 / (1 + np.exp(-x))
    return out, out


def logistic_backward(dout, cache):
    out = cache
    return dout * out * (1 - out)


def rectify_forward(x):
    out = np.maximum(x, 0)
    return out, x


def rectify_backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx


def linear_forward(x, w, b):
    """x may have any shape behind its first axis; it is laid flat."""
    out = x.reshape(len(x), -1) @ w + b
    return out, (x, w, b)


def linear_backward(dout, cache):
    x, w, _ = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def whiten_forward(x, gamma, beta):
    """Batch normalization."""
    mean, var = x.mean(axis=0), x.var(axis=0)
    inverse = 1 / np.sqrt(var + 1e-5)
    xhat = (x - mean) * inverse
    return gamma * xhat + beta, (xhat, inverse, gamma)


def whiten_backward(dout, cache):
    xhat, inverse, gamma = cache
    n = len(dout)
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dx = gamma * inverse / n * (n * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta
