"""PyTorch: eager, and compiled by torch.compile: a whole step, or all of it but a fused optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from peers.base import Peer
from peers.task import Array


class PyTorch(Peer):
    """Variants: "eager", "compiled step" and "compiled gradient"; for prediction "eager" and "compiled".

    Data and row numbers are tensors that share NumPy's memory.
    """

    def set_threads(self) -> None:
        torch.set_num_threads(self.threads)

    def prepare(self) -> None:
        data = self.data
        self.x, self.t = torch.from_numpy(data.x), torch.from_numpy(data.t)
        self.x_test, self.t_test = torch.from_numpy(data.x_test), torch.from_numpy(data.t_test)
        self.batches = list(torch.from_numpy(self.rows).unbind())
        modules = []
        for inputs, outputs in zip(self.task.sizes, self.task.sizes[1:], strict=False):
            modules += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.params = list(self.model.parameters())
        # No dynamic shapes: every compiled function sees one size only, and is at its best for it.
        self.forward = self.model
        if self.variant == "compiled":
            self.forward = torch.compile(self.model, dynamic=False)
        elif self.variant == "compiled step":
            self.step = torch.compile(self._step, dynamic=False)
        elif self.variant == "compiled gradient":
            self.gradient = torch.compile(_gradient, dynamic=False)

    def reset(self, weights: list[Array]) -> None:
        with torch.no_grad():
            for param, value in zip(self.params, weights, strict=True):
                param.copy_(torch.from_numpy(np.ascontiguousarray(value.T)))
        kind = torch.optim.SGD if self.task.optimizer == "sgd" else torch.optim.Adam
        self.optimizer = kind(self.params, lr=self.task.learning_rate, fused=True)
        self.leaves = [param.detach() for param in self.params]  # the same memory, without autograd
        self.first = [torch.zeros_like(leaf) for leaf in self.leaves]
        self.second = [torch.zeros_like(leaf) for leaf in self.leaves]
        self.count = torch.zeros(())

    def train(self, start: int, stop: int) -> list[float]:
        batches = self.batches[start:stop]
        if self.variant == "eager":
            return _floats(self._eager_losses(batches))
        with torch.no_grad():
            if self.variant == "compiled step":
                state = (self.leaves, self.first, self.second, self.count, self.x, self.t)
                return _floats([self.step(*state, rows) for rows in batches])
            return _floats(self._compiled_losses(batches))

    def _eager_losses(self, batches: list[Any]) -> list[Any]:
        losses = []
        model, optimizer, x, t = self.model, self.optimizer, self.x, self.t
        for rows in batches:
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(model(x.index_select(0, rows)), t.index_select(0, rows))
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return losses

    def _compiled_losses(self, batches: list[Any]) -> list[Any]:
        losses = []
        for rows in batches:
            grads, loss = self.gradient(self.leaves, self.x, self.t, rows)
            for param, grad in zip(self.params, grads, strict=True):
                param.grad = grad
            self.optimizer.step()
            losses.append(loss)
        return losses

    def _step(self, params: Any, first: Any, second: Any, count: Any, x: Any, t: Any, rows: Any) -> Any:
        """Batch, forward, backward and update in one function, for the compiler to see all of it."""
        grads, loss = _gradient(params, x, t, rows)
        rate = self.task.learning_rate
        if self.task.optimizer == "sgd":
            for w, g in zip(params, grads, strict=True):
                w.sub_(g, alpha=rate)
            return loss
        count.add_(1)
        # In float32 1 - 0.999^t would lose half of its digits.
        bias1, bias2 = (-torch.expm1(count * math.log(beta)) for beta in (0.9, 0.999))
        for w, g, m, v in zip(params, grads, first, second, strict=True):
            m.lerp_(g, 0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            w.sub_(rate * (m / bias1) / ((v / bias2).sqrt() + 1e-8))
        return loss

    def accuracy(self, x: Any, t: Any) -> float:
        with torch.inference_mode():
            return float((self.model(x).argmax(dim=1) == t).float().mean().item())

    def halves(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (self.x, self.t), (self.x_test, self.t_test)

    def predictor(self, rows: int) -> Callable[[], Any]:
        x, model = self.x_test[:rows], self.forward

        def predict() -> Any:
            with torch.inference_mode():
                return model(x)

        return predict


def _loss(params: Any, x: Any, t: Any) -> Any:
    for number in range(0, len(params), 2):
        x = functional.linear(x, params[number], params[number + 1])
        if number + 2 < len(params):
            x = functional.relu(x)
    return functional.cross_entropy(x, t)


def _gradient(params: Any, x: Any, t: Any, rows: Any) -> Any:
    return torch.func.grad_and_value(_loss)(params, x.index_select(0, rows), t.index_select(0, rows))


def _floats(losses: list[Any]) -> list[float]:
    """Read once at the end: `.item()` in every step would wait each time."""
    return list(torch.stack(losses).tolist())


PEER = PyTorch
