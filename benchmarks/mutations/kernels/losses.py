"""Cross-entropy over blocks of classes, and one that makes its logits itself, a block of samples at a time."""

# mypy: ignore-errors

import math

import torch
from torch.autograd import Function

from mutations.kernels.blocks import tiles


class CrossEntropy(Function):
    """The mean over samples whose label is not -100, with label smoothing, a z-loss and a cap on the logits."""

    @staticmethod
    def forward(ctx, logits, labels, smoothing, z_weight, softcap):
        n = logits.shape[1]
        x = logits.float()
        if softcap is not None:
            x = softcap * torch.tanh(x / softcap)
        top, total = torch.full((len(x), 1), -math.inf), torch.zeros(len(x), 1)
        for t in tiles(n):
            new = torch.maximum(top, x[:, t].amax(1, keepdim=True))
            total = total * torch.exp(top - new) + torch.exp(x[:, t] - new).sum(1, keepdim=True)
            top = new
        lse = top + torch.log(total)
        kept = (labels != -100)[:, None]
        picked = x.gather(1, labels.clamp(min=0)[:, None])
        loss = lse - (1 - smoothing) * picked - smoothing * x.mean(1, keepdim=True) + z_weight * lse**2
        ctx.save_for_backward(logits, labels, lse)
        ctx.smoothing, ctx.z_weight, ctx.softcap = smoothing, z_weight, softcap
        return torch.where(kept, loss, 0.0).sum() / kept.sum()

    @staticmethod
    def backward(ctx, dloss):
        logits, labels, lse = ctx.saved_tensors
        n = logits.shape[1]
        x = logits.float()
        if ctx.softcap is not None:
            x = ctx.softcap * torch.tanh(x / ctx.softcap)
        valid = (labels != -100)[:, None]
        index = labels.clamp(min=0)[:, None]
        dx = torch.zeros_like(x)
        for t in tiles(n):
            p = torch.exp(x[:, t] - lse)
            hot = torch.arange(t.start, t.stop) == index
            d = p * (1 + 2 * ctx.z_weight * lse)
            d = d - (1 - ctx.smoothing) * hot.float() - ctx.smoothing / n
            if ctx.softcap is not None:
                d = d * (1 - (x[:, t] / ctx.softcap) ** 2)
            dx[:, t] = torch.where(valid, d, 0.0) / valid.sum()
        return (dloss * dx).to(logits.dtype), None, None, None, None


def cross_entropy(logits, labels, smoothing, z_weight, softcap):
    x = logits if softcap is None else softcap * torch.tanh(logits / softcap)
    kept = labels != -100
    x, labels = x[kept], labels[kept]
    lse = torch.logsumexp(x, 1)
    return (
        torch.nn.functional.cross_entropy(x, labels, label_smoothing=smoothing) + z_weight * (lse**2).mean()
    )


class LinearCrossEntropy(Function):
    """cross_entropy(x @ W.T + b, labels): forward makes the gradients, a block of samples at a time."""

    @staticmethod
    def forward(ctx, x, W, b, labels):
        weights, count = W.float(), (labels != -100).sum()
        dx, dW, db = torch.zeros(x.shape), torch.zeros(W.shape), torch.zeros(b.shape)
        loss = torch.zeros(())
        for t in tiles(len(x)):
            rows, labels_t = x[t].float(), labels[t]
            logits = rows @ weights.T + b.float()
            lse = torch.logsumexp(logits, 1, keepdim=True)
            kept = (labels_t != -100)[:, None]
            index = labels_t.clamp(min=0)[:, None]
            loss += torch.where(kept, lse - logits.gather(1, index), 0.0).sum() / count
            hot = torch.zeros_like(logits).scatter(1, index, 1.0)
            dlogits = torch.where(kept, torch.exp(logits - lse) - hot, 0.0) / count
            dx[t] = dlogits @ weights
            dW += dlogits.T @ rows
            db += dlogits.sum(0)
        ctx.save_for_backward(dx.to(x.dtype), dW.to(W.dtype), db.to(b.dtype))
        return loss

    @staticmethod
    def backward(ctx, dloss):
        dx, dW, db = ctx.saved_tensors
        return dloss * dx, dloss * dW, dloss * db, None


def linear_cross_entropy(x, W, b, labels):
    return torch.nn.functional.cross_entropy(x @ W.T + b, labels, ignore_index=-100)
