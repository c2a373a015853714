"""Rotary embeddings, gated activations, and a linear layer on quantized inputs."""

# mypy: ignore-errors

import math

import torch
from torch.autograd import Function


def angles(length, pairs, offset, dtype=torch.float32):
    """The cosines and sines of (length, 1, pairs), from a position on."""
    speeds = 100.0 ** (-torch.arange(pairs, dtype=dtype) / pairs)
    turned = torch.outer(torch.arange(offset, offset + length, dtype=dtype), speeds)[:, None, :]
    return torch.cos(turned), torch.sin(turned)


class RotaryHalves(Function):
    """x of (B, T, H, D): the first half of the last axis is turned with the second."""

    @staticmethod
    def forward(ctx, x, offset):
        a, b = x.float().chunk(2, -1)
        cos, sin = angles(x.shape[1], a.shape[-1], offset)
        ctx.offset = offset
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        da, db = dy.float().chunk(2, -1)
        cos, sin = angles(dy.shape[1], da.shape[-1], ctx.offset)
        return torch.cat([da * cos + db * sin, db * cos - da * sin], -1).to(dy.dtype), None


def rotary_halves(x, offset):
    a, b = x.chunk(2, -1)
    cos, sin = angles(x.shape[1], a.shape[-1], offset, x.dtype)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class RotaryPairs(Function):
    """The same with neighbours: x[0] is turned with x[1]. The cosines and sines are handed in."""

    @staticmethod
    def forward(x, cos, sin):
        y = torch.empty_like(x, dtype=torch.float32)
        a, b = x[..., 0::2].float(), x[..., 1::2].float()
        y[..., 0::2] = a * cos - b * sin
        y[..., 1::2] = a * sin + b * cos
        return y.to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx, dy):
        cos, sin = ctx.saved_tensors
        da, db = dy[..., 0::2].float(), dy[..., 1::2].float()
        dx = torch.empty_like(dy, dtype=torch.float32)
        dx[..., 0::2] = da * cos + db * sin
        dx[..., 1::2] = db * cos - da * sin
        return dx.to(dy.dtype), None, None


def rotary_pairs(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class SwiGLU(Function):
    """silu(gate) * up."""

    @staticmethod
    def forward(gate, up):
        g = gate.float()
        return (g * torch.sigmoid(g) * up.float()).to(gate.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, dy):
        gate, up = ctx.saved_tensors
        g, u, dy = gate.float(), up.float(), dy.float()
        s = torch.sigmoid(g)
        dgate = dy * u * (s + g * s * (1 - s))
        dup = dy * (g * s)
        return dgate.to(gate.dtype), dup.to(up.dtype)


def swiglu(gate, up):
    return torch.nn.functional.silu(gate) * up


ROOT = math.sqrt(2 / math.pi)


class GeGLU(Function):
    """gelu(a) * b of the halves a and b of x, with the tanh form of gelu."""

    @staticmethod
    def forward(ctx, x):
        a, b = x.float().chunk(2, -1)
        ctx.save_for_backward(x)
        t = torch.tanh(ROOT * (a + 0.044715 * a**3))
        return (0.5 * a * (1 + t) * b).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        a, b = x.float().chunk(2, -1)
        dy = dy.float()
        th = torch.tanh(ROOT * (a + 0.044715 * a * a * a))
        slope = 0.5 * (1 + th) + 0.5 * a * (1 - th * th) * ROOT * (1 + 3 * 0.044715 * a * a)
        da = dy * b * slope
        db = dy * 0.5 * a * (1 + th)
        return torch.cat([da, db], -1).to(x.dtype)


def geglu(x):
    a, b = x.chunk(2, -1)
    return torch.nn.functional.gelu(a, approximate="tanh") * b


class ReGLU(Function):
    """relu(a) * b of the halves of x."""

    @staticmethod
    def forward(ctx, x):
        a, b = x.chunk(2, -1)
        ctx.save_for_backward(a, b)
        return a.clamp(min=0) * b

    @staticmethod
    def backward(ctx, dy):
        a, b = ctx.saved_tensors
        dx = dy.new_empty(*dy.shape[:-1], 2 * dy.shape[-1])
        dx[..., : dy.shape[-1]] = dy * b * (a > 0)
        dx[..., dy.shape[-1] :] = dy * a.clamp(min=0)
        return dx


def reglu(x):
    a, b = x.chunk(2, -1)
    return torch.relu(a) * b


class QuantizedLinear(Function):
    """y = q(x) @ W.T + b, where q rounds to eighths between -2 and 2; straight through for x between these."""

    @staticmethod
    def forward(ctx, x, W, b):
        whole = torch.round(x.float() * 8).clamp(-16, 16)
        ctx.save_for_backward(x, W)
        return (whole / 8 @ W.float().T + b.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, W = ctx.saved_tensors
        dy = dy.float()
        quantized = torch.round(x.float() * 8).clamp(-16, 16) / 8
        dx = (dy @ W.float()) * (x.abs() <= 2)
        dW = dy.T @ quantized
        db = dy.sum(0)
        return dx.to(x.dtype), dW.to(W.dtype), db.to(W.dtype)


def quantized_linear(x, W, b):
    return torch.round(x * 8).clamp(-16, 16) / 8 @ W.T + b
