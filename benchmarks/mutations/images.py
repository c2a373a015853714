"""Pooling and convolution, written as in notes and homework. Images are (N, C, H, W)."""

# mypy: ignore-errors

import numpy as np


class MaxPool:
    """The largest of every 2 x 2 block."""

    def forward(self, x):
        N, C, H, W = x.shape
        self.shape = x.shape
        blocks = x.reshape(N, C, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5)
        blocks = blocks.reshape(N, C, H // 2, W // 2, 4)
        self.where = blocks.argmax(axis=4)
        return blocks.max(axis=4)

    def backward(self, dout):
        N, C, H, W = self.shape
        blocks = np.zeros((dout.size, 4), dout.dtype)
        blocks[np.arange(dout.size), self.where.reshape(-1)] = dout.reshape(-1)
        blocks = blocks.reshape(N, C, H // 2, W // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        return blocks.reshape(self.shape)


class Conv2d:
    """W is (F, C, R, S), b is (F,). No padding, stride 1."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        F, _, R, S = self.W.shape
        rows, columns = x.shape[2] - R + 1, x.shape[3] - S + 1
        out = np.zeros((len(x), F, rows, columns), x.dtype)
        for r in range(R):
            for s in range(S):
                patch = x[:, :, r : r + rows, s : s + columns]
                out += np.einsum("nchw,fc->nfhw", patch, self.W[:, :, r, s])
        return out + self.b[:, None, None]

    def backward(self, dout):
        R, S = self.W.shape[2:]
        rows, columns = dout.shape[2:]
        dx = np.zeros(self.x.shape, dout.dtype)
        self.dW = np.zeros_like(self.W)
        self.db = dout.sum(axis=(0, 2, 3))
        for r in range(R):
            for s in range(S):
                patch = self.x[:, :, r : r + rows, s : s + columns]
                self.dW[:, :, r, s] = np.einsum("nfhw,nchw->fc", dout, patch)
                spread = np.einsum("nfhw,fc->nchw", dout, self.W[:, :, r, s])
                dx[:, :, r : r + rows, s : s + columns] += spread
        return dx
