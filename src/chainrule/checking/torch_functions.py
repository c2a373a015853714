"""A `torch.autograd.Function`, checked like all else. PyTorch is imported by whoever wrote it, never by us."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.arrays import Array, is_float
from chainrule.checking.subjects import Returned, Session, Subject, source_of


@dataclass
class TorchSubject(Subject):
    """A subclass of `torch.autograd.Function`, by its `apply`."""

    function: Any = None
    handwritten: bool = True

    def start(self) -> Session:
        return _TorchSession(self.function, self.differentiable)

    @property
    def source(self) -> str | None:
        return source_of(self.function.backward)


class _TorchSession(Session):
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
        with torch.enable_grad():
            self._y = self._function.apply(*self._tensors.values())
        if not isinstance(self._y, torch.Tensor):
            return self._y
        return self._y.detach().numpy()

    def backward(self, dy: Any) -> Returned:
        torch = self._torch
        wanted = [self._tensors[name] for name in self._differentiable]
        upstream = torch.from_numpy(np.array(dy)).reshape(self._y.shape).to(self._y.dtype)
        gradients = torch.autograd.grad(self._y, wanted, upstream, retain_graph=True, allow_unused=True)
        found = dict(zip(self._differentiable, gradients, strict=True))
        return {name: None if g is None else g.detach().numpy() for name, g in found.items()}
