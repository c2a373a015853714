"""`cr.check` of functions that somebody wrote for PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import chainrule as cr

U = np.random.default_rng(0).normal(size=12) + np.array([2.0, -2.0] * 6)  # numbers of both signs


def test_a_function_of_torch() -> None:
    class Product(torch.autograd.Function):  # type: ignore[misc]
        sign = 1

        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return x * w.exp()

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, w = ctx.saved_tensors
            return dy * w.exp(), dy * x * w.exp()

    class Wrong(Product):
        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            dx, dw = Product.backward(ctx, dy)
            return dx, -dw

    class Dropout(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mask = torch.rand_like(x) < 0.5
            return x * ctx.mask

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.mask

    class NewStyle(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(x: Any) -> Any:
            return 2 * x

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return 3 * dy

    class Pair(Product):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return x * w, x + w

    x = U.reshape(3, 4)
    assert not cr.check(Product, x, x[::-1]).findings
    assert not cr.check(Product, x.T, x.T, dtype="float32").findings
    assert not cr.check(Product, torch.tensor(x), torch.tensor(x, requires_grad=True)).findings
    report = cr.check(Wrong, x, x)
    assert [(f.mistake, f.input) for f in report.findings] == [("sign", "w")]
    before = torch.get_rng_state()
    assert not cr.check(Dropout, x).findings
    assert torch.equal(torch.get_rng_state(), before)
    assert [(f.mistake, f.input) for f in cr.check(NewStyle, x).findings] == [("factor", "x")]
    assert cr.check(Pair, x, x).mistakes == ("raises",)
