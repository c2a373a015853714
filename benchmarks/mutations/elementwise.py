"""Functions of one array, written as in notes and homework: no types, what backward needs is kept on self."""

# mypy: ignore-errors

import numpy as np


class Relu:
    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


class LeakyRelu:
    def __init__(self, slope=0.1):
        self.slope = slope

    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dout):
        return np.where(self.x > 0, dout, self.slope * dout)


class Absolute:
    def forward(self, x):
        self.x = x
        return np.abs(x)

    def backward(self, dout):
        return dout * np.sign(self.x)


class Clip:
    def __init__(self, low=-0.8, high=0.8):
        self.low, self.high = low, high

    def forward(self, x):
        self.inside = (x > self.low) & (x < self.high)
        return np.clip(x, self.low, self.high)

    def backward(self, dout):
        return dout * self.inside


class Sigmoid:
    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * self.out * (1 - self.out)
        return dx


class Tanh:
    def forward(self, x):
        out = np.tanh(x)
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (1 - self.out**2)
        return dx


class Exp:
    def forward(self, x):
        self.out = np.exp(x)
        return self.out

    def backward(self, dout):
        return dout * self.out


class Log:
    def forward(self, x):
        self.x = x
        return np.log(x)

    def backward(self, dout):
        return dout / self.x


class Square:
    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, dout):
        return dout * 2 * self.x


class Reciprocal:
    def forward(self, x):
        self.out = 1 / x
        return self.out

    def backward(self, dout):
        return -dout * self.out**2


class Softplus:
    def forward(self, x):
        self.x = x
        return np.logaddexp(0, x)

    def backward(self, dout):
        return dout / (1 + np.exp(-self.x))


class Swish:
    def forward(self, x):
        self.x = x
        self.s = 1 / (1 + np.exp(-x))
        return x * self.s

    def backward(self, dout):
        direct = self.s
        through_s = self.x * self.s * (1 - self.s)
        return dout * (direct + through_s)


class Dropout:
    """Random numbers from NumPy's global generator, as is usual in scripts."""

    def __init__(self, ratio=0.4):
        self.ratio = ratio
        self.mask = None

    def forward(self, x, training=True):
        if not training:
            self.mask = np.ones(x.shape, dtype=bool)
            return x * 1.0
        self.mask = np.random.rand(*x.shape) > self.ratio  # noqa: NPY002
        return x * self.mask / (1 - self.ratio)

    def backward(self, dout):
        return dout * self.mask / (1 - self.ratio)


class OwnDropout:
    """Random numbers from a generator of its own, which moves on with every forward."""

    def __init__(self, ratio=0.4, seed=0):
        self.ratio = ratio
        self.rng = np.random.default_rng(seed)

    def forward(self, x):
        self.mask = (self.rng.random(x.shape) > self.ratio) / (1 - self.ratio)
        return x * self.mask.astype(x.dtype)

    def backward(self, dout):
        return dout * self.mask.astype(dout.dtype)


class Softmax:
    """Over the last axis, with the full Jacobian of every row."""

    def forward(self, x):
        z = x - x.max(axis=1, keepdims=True)
        e = np.exp(z)
        self.out = e / e.sum(axis=1, keepdims=True)
        return self.out

    def backward(self, dout):
        dx = np.zeros_like(dout)
        for i, y in enumerate(self.out):
            jacobian = np.diag(y) - np.outer(y, y)
            dx[i] = jacobian @ dout[i]
        return dx
