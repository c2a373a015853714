"""How far a kernel is off: its output and its gradients beside those of the reference, by autograd in float64."""

# mypy: ignore-errors

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

import torch

from mutations.kernels.cases import Case
from mutations.targets import Target


@dataclass(frozen=True)
class Off:
    """Relative errors, |difference| / |what it should be| in the Euclidean norm; infinite where nothing came."""

    output: float
    gradients: dict[str, float]

    @property
    def largest(self) -> float:
        """The largest of all."""
        return max(self.output, *self.gradients.values())


def off(case: Case, target: Target, seed: int = 0) -> Off:
    """Of the kernel in `target`, or of a mutant of it, with a random upstream gradient."""
    names = input_names(target.target)[: len(target.inputs)]
    right = _run(case.reference, target.inputs, torch.float64, seed)
    try:
        tried = _run(target.target.apply, target.inputs, None, seed)
    except RuntimeError:  # autograd refuses a gradient of another shape
        return Off(math.inf, dict.fromkeys(names, math.inf))
    gradients = {
        name: _distance(tried[1][i], exact)
        for i, (name, exact) in enumerate(zip(names, right[1], strict=True))
        if exact is not None and name not in case.straight_through
    }
    return Off(max(map(_distance, tried[0], right[0])), gradients)


def input_names(function: Any) -> list[str]:
    """Of an autograd function's forward, without the context."""
    return [name for name in inspect.signature(function.forward).parameters if name != "ctx"]


def _run(function: Any, inputs: tuple[Any, ...], dtype: Any, seed: int) -> tuple[list[Any], list[Any]]:
    """Outputs, and a gradient for each input that is a tensor of floats, None for the others."""
    given = [_leaf(value, dtype) for value in inputs]
    leaves = [value for value in given if _is_leaf(value)]
    found = function(*given)
    outputs = list(found) if isinstance(found, tuple) else [found]
    generator = torch.Generator().manual_seed(seed)
    upstream = [torch.randn(y.shape, generator=generator).bfloat16().to(y.dtype) for y in outputs]
    gradients = iter(torch.autograd.grad(outputs, leaves, upstream, allow_unused=True))
    return [y.detach() for y in outputs], [next(gradients) if _is_leaf(value) else None for value in given]


def _leaf(value: Any, dtype: Any) -> Any:
    if not (torch.is_tensor(value) and value.is_floating_point()):
        return value
    return value.detach().to(dtype or value.dtype, copy=True).requires_grad_()


def _is_leaf(value: Any) -> bool:
    return torch.is_tensor(value) and value.requires_grad


def _distance(tried: Any, right: Any) -> float:
    if tried is None:
        return math.inf
    size = right.norm().item()
    distance = (tried.double() - right).norm().item()
    if not math.isfinite(distance):
        return math.inf
    return distance / size if size > 0 else distance
