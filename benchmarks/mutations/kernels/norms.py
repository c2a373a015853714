"""Norms: rows are read in blocks, statistics are float32, weights' gradients are added up over blocks of rows."""

# mypy: ignore-errors

import torch
from torch.autograd import Function

from mutations.kernels.blocks import inside, padded, tiles


class RMSNorm(Function):
    @staticmethod
    def forward(ctx, x, w, eps):
        n = x.shape[-1]
        rows = x.float()
        squares = sum(rows[..., t].square().sum(-1, keepdim=True) for t in tiles(n))
        r = torch.rsqrt(squares / n + eps)
        y = torch.zeros_like(rows)
        for t in tiles(n):
            y[..., t] = rows[..., t] * r * w[t].float()
        ctx.save_for_backward(x, w, r)
        ctx.eps = eps
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, w, r = ctx.saved_tensors
        n = x.shape[-1]
        xhat = x.float() * r
        g = dy.float() * w.float()
        dot = sum((g * xhat)[..., t].sum(-1, keepdim=True) for t in tiles(n)) / n
        dx = r * (g - xhat * dot)
        products = (dy.float() * xhat).reshape(-1, n)
        dw = torch.zeros(n)
        for t in tiles(len(products)):
            dw += products[t].sum(0)
        return dx.to(x.dtype), dw.to(w.dtype), None


def rms_norm(x, w, eps):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * w


class LayerNorm(Function):
    @staticmethod
    def forward(ctx, x, w, b, eps):
        n = x.shape[-1]
        block = padded(x.float())
        mean = block.sum(-1, keepdim=True) / n
        centred = torch.where(inside(block, n), block - mean, 0.0)
        rstd = 1 / torch.sqrt((centred * centred).sum(-1, keepdim=True) / n + eps)
        y = (centred * rstd)[..., :n] * w.float() + b.float()
        ctx.save_for_backward(x, w, mean, rstd)
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, w, mean, rstd = ctx.saved_tensors
        n = x.shape[-1]
        xhat = (x.float() - mean) * rstd
        g = padded(dy.float() * w.float())
        c1 = (g[..., :n] * xhat).sum(-1, keepdim=True) / n
        c2 = g.sum(-1, keepdim=True) / n
        dx = rstd * (g[..., :n] - xhat * c1 - c2)
        upstream = dy.float().reshape(-1, n)
        products = upstream * xhat.reshape(-1, n)
        dw, db = torch.zeros(n), torch.zeros(n)
        for t in tiles(len(upstream)):
            dw += products[t].sum(0)
            db += upstream[t].sum(0)
        return dx.to(x.dtype), dw.to(w.dtype), db.to(w.dtype), None


def layer_norm(x, w, b, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps) * w + b


class GroupNorm(Function):
    """x of (N, C, L), its channels in groups; as many groups as channels make it an instance norm."""

    @staticmethod
    def forward(x, w, b, groups, eps):
        rows = x.float().reshape(len(x), groups, -1)
        mean = rows.mean(-1, keepdim=True)
        rstd = torch.rsqrt(rows.var(-1, keepdim=True, correction=0) + eps)
        xhat = ((rows - mean) * rstd).reshape(x.shape)
        return (xhat * w.float()[:, None] + b.float()[:, None]).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, w, _, ctx.groups, ctx.eps = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        rows = x.float().reshape(len(x), ctx.groups, -1)
        mean, variance = rows.mean(-1, keepdim=True), rows.var(-1, keepdim=True, correction=0)
        rstd = 1 / torch.sqrt(variance + ctx.eps)
        xhat = (rows - mean) * rstd
        g = (dy.float() * w.float()[:, None]).reshape(rows.shape)
        dx = dw = db = None
        if ctx.needs_input_grad[0]:
            c1 = (g * xhat).mean(-1, keepdim=True)
            c2 = g.mean(-1, keepdim=True)
            dx = (rstd * (g - xhat * c1 - c2)).reshape(x.shape).to(x.dtype)
        if ctx.needs_input_grad[1]:
            dw = (dy.float() * xhat.reshape(x.shape)).sum((0, 2)).to(w.dtype)
        if ctx.needs_input_grad[2]:
            db = dy.float().sum((0, 2)).to(w.dtype)
        return dx, dw, db, None, None


def group_norm(x, w, b, groups, eps):
    rows = x.reshape(len(x), groups, -1)
    centred = rows - rows.mean(-1, keepdim=True)
    xhat = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)
    return xhat.reshape(x.shape) * w[:, None] + b[:, None]
