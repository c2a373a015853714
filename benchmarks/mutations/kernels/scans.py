"""Scans along an axis of (B, T, D), with what is carried from block to block."""

# mypy: ignore-errors

import torch
from torch.autograd import Function

from mutations.kernels.blocks import tiles


class CumulativeSum(Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.zeros(x.shape)
        carry = torch.zeros_like(y[:, :1])
        for t in tiles(x.shape[1]):
            y[:, t] = carry + x[:, t].float().cumsum(1)
            carry = y[:, t][:, -1:]
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        dx = torch.zeros(dy.shape)
        carried = torch.zeros_like(dx[:, :1])
        for t in reversed(tiles(dy.shape[1])):
            dx[:, t] = carried + dy[:, t].float().flip(1).cumsum(1).flip(1)
            carried = dx[:, t][:, :1]
        return dx.to(dy.dtype)


def cumulative_sum(x):
    return x.cumsum(1)


class CumulativeProduct(Function):
    """For x without zeros."""

    @staticmethod
    def forward(x):
        return x.float().cumprod(1).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        y = x.float().cumprod(1)
        later = (dy.float() * y).flip(1).cumsum(1).flip(1)
        return (later / x.float()).to(x.dtype)


def cumulative_product(x):
    return x.cumprod(1)


class LinearRecurrence(Function):
    """h[t] = a[t] * h[t-1] + x[t], from h0 on; all h and the last one are returned."""

    @staticmethod
    def forward(ctx, a, x, h0):
        h, states = h0.float(), []
        for t in range(x.shape[1]):
            h = a[:, t].float() * h + x[:, t].float()
            states.append(h)
        all_h = torch.stack(states, 1)
        ctx.save_for_backward(a, h0, all_h)
        return all_h.to(x.dtype), h.to(x.dtype)

    @staticmethod
    def backward(ctx, dh, dlast):
        a, h0, all_h = ctx.saved_tensors
        da, dx = torch.zeros(a.shape), torch.zeros(a.shape)
        g = dlast.float()
        for t in reversed(range(a.shape[1])):
            g = g + dh[:, t].float()
            before = all_h[:, t - 1] if t > 0 else h0.float()
            dx[:, t] = g
            da[:, t] = g * before
            g = g * a[:, t].float()
        return da.to(a.dtype), dx.to(a.dtype), g.to(h0.dtype)


def linear_recurrence(a, x, h0):
    h, states = h0, []
    for t in range(x.shape[1]):
        h = a[:, t] * h + x[:, t]
        states.append(h)
    return torch.stack(states, 1), h


class MovingAverage(Function):
    """m[t] = decay * m[t-1] + (1 - decay) * x[t] from 0 on, with one decay for each feature."""

    @staticmethod
    def forward(ctx, x, decay):
        d, m, means = decay.float(), torch.zeros(len(x), x.shape[2]), []
        for t in range(x.shape[1]):
            m = d * m + (1 - d) * x[:, t].float()
            means.append(m)
        ctx.save_for_backward(x, decay, torch.stack(means, 1))
        return torch.stack(means, 1).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, decay, means = ctx.saved_tensors
        rate = decay.float()
        dx, ddecay = torch.zeros(x.shape), torch.zeros(decay.shape)
        g = torch.zeros_like(means[:, 0])
        for t in reversed(range(x.shape[1])):
            g = dy[:, t].float() + rate * g
            before = means[:, t - 1] if t else torch.zeros_like(g)
            dx[:, t] = (1 - rate) * g
            ddecay += (g * (before - x[:, t].float())).sum(0)
        return dx.to(x.dtype), ddecay.to(decay.dtype)


def moving_average(x, decay):
    m, means = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        m = decay * m + (1 - decay) * x[:, t]
        means.append(m)
    return torch.stack(means, 1)
