"""How long a check takes, beside PyTorch's `gradcheck` on the same network, in one run on one thread.

    python benchmarks/check_speed.py            # two minutes; without PyTorch, ours alone

The networks are 784-50-10 with a batch of 10 (39,760 parameters) and 784-900-300-10 (979,810). `cr.check` looks at
every node by itself and at the whole. `gradcheck` looks at the loss as a function of the parameters: in its fast
mode, along one random direction, and, for the small network, element by element. Beside these: a class of one's own
with 10,000 parameters, and with PyTorch a softmax as a `torch.autograd.Function`, on 1,000,000 numbers: `cr.check`
in float32, and `gradcheck` in float64, which is all that it takes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import chainrule as cr

ROUNDS = 5
BATCH = 10


def network(*hidden: int) -> cr.Network:
    """A network of affine layers with ReLU between them."""
    layers: list[cr.layers.Layer] = []
    for units in hidden:
        layers += [cr.Affine(units), cr.ReLU()]
    return cr.Network(
        *layers, cr.Affine(10), input_shape=784, loss=cr.SoftmaxCrossEntropy(), seed=0, dtype=np.float64
    )


def batch() -> tuple[Any, Any]:
    """Random images and labels."""
    rng = np.random.default_rng(0)
    return rng.random((BATCH, 784)), rng.integers(0, 10, BATCH)


class Dense:
    """y = x W + b, written by hand."""

    def __init__(self, weights: Any, bias: Any) -> None:
        self.W, self.b = weights, bias

    def forward(self, x: Any) -> Any:
        """The output."""
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: Any) -> Any:
        """The gradient of the input; those of the parameters are kept."""
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T


def dense() -> cr.CheckReport:
    """A check of 100 x 100 weights, on a batch of 16."""
    rng = np.random.default_rng(0)
    return cr.check(Dense(rng.normal(size=(100, 100)), rng.normal(size=100)), rng.normal(size=(16, 100)))


def softmax(*, ours: bool) -> Callable[[], object] | None:
    """A check of a softmax on 1,000,000 numbers, by us or by gradcheck; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None

    class Softmax(torch.autograd.Function):  # type: ignore[misc]  # of a type that is not known here
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = torch.softmax(x, -1)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            (y,) = ctx.saved_tensors
            return y * (dy - (dy * y).sum(-1, keepdim=True))

    x = torch.randn(1000, 1000)
    if ours:
        return lambda: cr.check(Softmax, x)
    wide = x.double().requires_grad_()
    return lambda: torch.autograd.gradcheck(Softmax.apply, (wide,), fast_mode=True)


def gradcheck(net: cr.Network, *, fast: bool) -> Callable[[], None] | None:
    """PyTorch's check of the same loss at the same parameters; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    x, t = (torch.from_numpy(part) for part in batch())
    parameters = [torch.from_numpy(np.array(value)).requires_grad_() for value in net.params.values()]

    def loss(*values: Any) -> Any:
        a = x
        for k in range(0, len(values), 2):
            a = a @ values[k] + values[k + 1]
            a = torch.relu(a) if k + 2 < len(values) else a
        return torch.nn.functional.cross_entropy(a, t)

    def run() -> None:
        assert torch.autograd.gradcheck(loss, tuple(parameters), fast_mode=fast)

    return run


def timed(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    """Measure in rounds, and print medians."""
    small, large = network(50), network(900, 300)
    x, t = batch()
    checks: dict[str, tuple[Callable[[], object] | None, int]] = {
        "cr.check, 39,760 parameters": (lambda: cr.check(small, x, t), ROUNDS),
        "gradcheck, fast mode": (gradcheck(small, fast=True), ROUNDS),
        "gradcheck, every element": (gradcheck(small, fast=False), 1),
        "cr.check, 979,810 parameters": (lambda: cr.check(large, x, t), ROUNDS),
        "gradcheck, fast mode ": (gradcheck(large, fast=True), ROUNDS),
        "cr.check, 10,000 in a class": (dense, ROUNDS),
        "cr.check, 1,000,000 in float32": (softmax(ours=True), ROUNDS),
        "gradcheck, fast mode, float64": (softmax(ours=False), ROUNDS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in checks}
    with threadpool_limits(1):
        for number in range(ROUNDS):
            for name, (run, rounds) in checks.items():
                if run is not None and number < rounds:
                    seconds[name].append(timed(run))
    for name, values in seconds.items():
        if values:
            spread = f"{min(values):.2f} to {max(values):.2f} s" if len(values) > 1 else "once"
            print(f"{name:<32}{statistics.median(values):8.2f} s   ({spread})")
        else:
            print(f"{name:<32}   PyTorch is missing: pip install torch")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
