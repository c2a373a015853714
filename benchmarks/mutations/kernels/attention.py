"""Softmaxes and attention: maxima and sums are kept up to date from block to block, backward computes p again."""

# mypy: ignore-errors

import math

import torch
from torch.autograd import Function

from mutations.kernels.blocks import later, tiles


class Softmax(Function):
    """softmax(scale * x) over the last axis, where the mask allows and, if causal, up to the row's own position."""

    @staticmethod
    def forward(ctx, x, mask, causal, scale):
        rows, n = x.shape[-2:]
        s = x.float() * scale
        if mask is not None:
            s = s.masked_fill(~mask, -math.inf)
        if causal:
            s = s.masked_fill(later(slice(0, rows), slice(0, n)), -math.inf)
        top, total = torch.full_like(s[..., :1], -math.inf), torch.zeros_like(s[..., :1])
        for t in tiles(n):
            new = torch.maximum(top, s[..., t].amax(-1, keepdim=True))
            total = total * torch.exp(top - new) + torch.exp(s[..., t] - new).sum(-1, keepdim=True)
            top = new
        lse = top + torch.log(total)
        ctx.save_for_backward(x, mask, lse)
        ctx.causal, ctx.scale = causal, scale
        return torch.exp(s - lse).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, mask, lse = ctx.saved_tensors
        rows, n = x.shape[-2:]
        p = torch.exp(x.float() * ctx.scale - lse)
        if mask is not None:
            p = torch.where(mask, p, 0.0)
        if ctx.causal:
            p = p.masked_fill(later(slice(0, rows), slice(0, n)), 0.0)
        dp = dy.float()
        delta = sum((dp * p)[..., t].sum(-1, keepdim=True) for t in tiles(n))
        ds = p * (dp - delta)
        return (ds * ctx.scale).to(x.dtype), None, None, None


def softmax(x, mask, causal, scale):
    allowed = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand(x.shape)
    if causal:
        allowed = allowed & torch.ones_like(allowed).tril()
    return torch.softmax((x * scale).masked_fill(~allowed, -math.inf), -1)


class LogSoftmax(Function):
    @staticmethod
    def forward(x):
        n = x.shape[-1]
        s = x.float()
        top = s.amax(-1, keepdim=True)
        total = sum(torch.exp(s[..., t] - top).sum(-1, keepdim=True) for t in tiles(n))
        return (s - top - torch.log(total)).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        n = y.shape[-1]
        dy = dy.float()
        whole = sum(dy[..., t].sum(-1, keepdim=True) for t in tiles(n))
        return (dy - torch.exp(y.float()) * whole).to(y.dtype)


def log_softmax(x):
    return torch.log_softmax(x, -1)


class FlashAttention(Function):
    """softmax(scale * q @ k.T) @ v, block by block; q of (B, H, T, D), k and v of (B, H, S, D)."""

    @staticmethod
    def forward(ctx, q, k, v, causal, scale):
        T, S = q.shape[-2], k.shape[-2]
        o, lse = torch.zeros(*q.shape[:-1], v.shape[-1]), torch.zeros(*q.shape[:-1], 1)
        for i in tiles(T):
            q_i = q[..., i, :].float()
            top = torch.full((*q_i.shape[:-1], 1), -math.inf)
            total, acc = torch.zeros_like(top), torch.zeros(*q_i.shape[:-1], v.shape[-1])
            for j in tiles(S):
                s = scale * q_i @ k[..., j, :].float().mT
                if causal:
                    s = s.masked_fill(later(i, j), -math.inf)
                new = torch.maximum(top, s.amax(-1, keepdim=True))
                p, shrink = torch.exp(s - new), torch.exp(top - new)
                total = total * shrink + p.sum(-1, keepdim=True)
                acc = acc * shrink + p @ v[..., j, :].float()
                top = new
            o[..., i, :] = acc / total
            lse[..., i, :] = top + torch.log(total)
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.causal, ctx.scale = causal, scale
        return o.to(q.dtype)

    @staticmethod
    def backward(ctx, do):
        q, k, v, o, lse = ctx.saved_tensors
        q, k, v, do = q.float(), k.float(), v.float(), do.float()
        T, S = q.shape[-2], k.shape[-2]
        delta = (do * o).sum(-1, keepdim=True)
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for j in tiles(S):
            for i in tiles(T):
                s = ctx.scale * q[..., i, :] @ k[..., j, :].mT
                p = torch.exp(s - lse[..., i, :])
                if ctx.causal:
                    p = p.masked_fill(later(i, j), 0.0)
                dv[..., j, :] += p.mT @ do[..., i, :]
                dp = do[..., i, :] @ v[..., j, :].mT
                ds = p * (dp - delta[..., i, :])
                dq[..., i, :] += ctx.scale * ds @ k[..., j, :]
                dk[..., j, :] += ctx.scale * ds.mT @ q[..., i, :]
        dtype = ctx.saved_tensors[0].dtype
        return dq.to(dtype), dk.to(dtype), dv.to(dtype), None, None


def attention(q, k, v, causal, scale):
    return softmax(q @ k.mT, None, causal, scale) @ v
