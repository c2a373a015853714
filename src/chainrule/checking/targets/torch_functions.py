"""A `torch.autograd.Function`, checked like all else. PyTorch is imported by whoever wrote it, never by us."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.targets.target import Calls, Returned, Target, input_names, source_of


@dataclass
class TorchTarget(Target):
    """A subclass of `torch.autograd.Function`, by its `apply`."""

    function: Any = None

    def start(self, dtype: str = "float64") -> Calls:
        return _TorchCalls(self.function, self.differentiable)

    @property
    def source(self) -> str | None:
        return source_of(self.function.backward)


def torch_input_names(function: Any, count: int) -> list[str]:
    """The names of the inputs of its forward, without the context where it takes one."""
    forward = inspect.getattr_static(function, "forward")
    plain = getattr(forward, "__func__", forward)
    with_context = input_names(plain, count + 1, None)
    return with_context[1:] if with_context[0] == "ctx" else input_names(plain, count, None)


class _TorchCalls(Calls):
    def __init__(self, function: Any, differentiable: list[str]) -> None:
        self._torch: Any = sys.modules["torch"]
        self._function, self._differentiable = function, differentiable
        self._tensors: dict[str, Any] = {}
        self._y: Any = None

    def forward(self, values: Mapping[str, Array]) -> Any:
        torch = self._torch
        self._tensors = {}
        for name, value in values.items():
            tensor = torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape))
            self._tensors[name] = tensor.requires_grad_() if is_float(value) else tensor
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._y = self._function.apply(*self._tensors.values())
        if isinstance(self._y, tuple):
            return tuple(each.detach().numpy() for each in self._y)
        return self._y.detach().numpy() if isinstance(self._y, torch.Tensor) else self._y

    def backward(self, dy: Any) -> Returned:
        torch = self._torch
        wanted = [self._tensors[name] for name in self._differentiable]
        upstream = torch.from_numpy(np.asarray(dy)).reshape(self._y.shape).to(self._y.dtype)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            gradients = torch.autograd.grad(self._y, wanted, upstream, retain_graph=True, allow_unused=True)
        found = dict(zip(self._differentiable, gradients, strict=True))
        return {name: None if g is None else g.detach().numpy() for name, g in found.items()}
