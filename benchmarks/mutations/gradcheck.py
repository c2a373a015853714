"""The same mutants given to PyTorch's gradient checker, through an autograd function that calls NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from mutations.calling import Callee, callee_of
from mutations.correct import Correct
from mutations.measuring import Advance
from mutations.mutating import Mutant
from mutations.targets import Target
from mutations.traces import upstream

#: What is written where a mutant passes.
PASSED = ""


@dataclass
class Said:
    """What it said: the first line, or nothing when it passed."""

    name: str
    said: str

    @property
    def detected(self) -> bool:
        """Whether it objected."""
        return self.said != PASSED


def available() -> bool:
    """Whether PyTorch is there."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def fits(made: Target) -> bool:
    """No graph or network of chainrule, which no autograd function calls, and no empty array, which it refuses."""
    if isinstance(made.target, (cr.Graph, cr.Network)):
        return False
    return all(np.size(value) for value in callee_of(made).values)


def run_gradcheck(mutants: Iterable[Mutant], advance: Advance = lambda name: None) -> list[Said]:
    """Give each to `torch.autograd.gradcheck`, all options left as they are."""
    results = []
    for mutant in mutants:
        made = mutant.make_target()
        if fits(made):
            results.append(Said(mutant.name, _check(made, _differentiable(mutant.make_correct()))))
        advance(mutant.name)
    return results


def run_gradcheck_correct(corrects: Iterable[Correct]) -> tuple[int, list[Said]]:
    """The same for what is right, each once: how many could be given to it, and those to which it objected."""
    objections, given = [], 0
    for correct in corrects:
        made = correct.make_target(0, np.float64)
        if fits(made):
            given += 1
            said = Said(correct.name, _check(made, _differentiable(correct.make_target(0, np.float64))))
            if said.detected:
                objections.append(said)
    return given, objections


def _differentiable(made: Target) -> list[int]:
    """The positions of the values that are given a gradient where all is right: not labels, nor what has none."""
    callee = callee_of(made)
    try:
        with np.errstate(all="ignore"):
            dy = upstream(callee.forward([np.copy(value) for value in callee.values]))
            gradients = callee.backward(dy)
    except ValueError:  # labels of a form that the correct class refuses
        return [0]
    return [i for i in callee.positions if gradients[i] is not None and np.isfinite(gradients[i]).all()]


def _check(made: Target, differentiable: list[int]) -> str:
    import torch

    callee = callee_of(made)
    tensors = [
        torch.from_numpy(np.array(value)).requires_grad_(i in differentiable)
        for i, value in enumerate(callee.values)
    ]
    function = _function(callee)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            torch.autograd.gradcheck(function.apply, tensors)
        except Exception as error:
            lines = str(error).strip().splitlines()
            return lines[0] if lines else type(error).__name__
    return PASSED


def _function(callee: Callee) -> Any:
    """An autograd function as one writes it around a layer that keeps its state on self.

    Backward runs the forward again first, since other forwards have come between.
    """
    import torch

    class Wrapped(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.tensors = [tensor.detach() for tensor in tensors]
            return _tensor(callee.forward([tensor.numpy() for tensor in ctx.tensors]))

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            values = [tensor.numpy() for tensor in ctx.tensors]
            y = callee.forward(values)
            upstream = dy.detach().numpy()
            gradients = callee.backward(upstream if y.ndim else upstream[()])
            return tuple(
                _tensor(g) if g is not None and needed else None
                for g, needed in zip(gradients, ctx.needs_input_grad, strict=False)
            )

    def _tensor(array: Any) -> Any:
        return torch.from_numpy(np.array(array))

    return Wrapped
