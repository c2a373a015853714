"""One way to call every target: values in, output out; upstream gradient in, one gradient for each value out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from mutations.targets import Array, Target

WEIGHTS = ("W", "b", "Wx", "Wh", "gamma", "beta")


class Callee:
    """A target together with its values: the inputs first, then what it holds as weights.

    Random numbers come out the same in every `forward`. It knows the styles of this suite and nothing else; the
    suite is held against finite differences, and given to other checkers, through it.
    """

    names: list[str]
    values: list[Any]

    def forward(self, values: list[Any]) -> Array:
        raise NotImplementedError

    def backward(self, dy: Any) -> list[Any]:
        raise NotImplementedError

    @property
    def positions(self) -> list[int]:
        """Which of the values are quantities, not indices."""
        return [i for i, value in enumerate(self.values) if np.asarray(value).dtype.kind == "f"]


def callee_of(made: Target) -> Callee:
    """The way to call it."""
    if isinstance(made.target, cr.Layer):
        return OfLayer(made)
    if inspect.isfunction(made.target):
        return OfPair(made)
    return OfObject(made)


def _as_list(gradients: Any) -> list[Any]:
    return list(gradients) if isinstance(gradients, tuple) else [gradients]


class OfObject(Callee):
    """State on self: W and dW, or lists, or dicts."""

    def __init__(self, made: Target) -> None:
        self.object = made.target
        self.inputs = len(made.inputs)
        self.names = [f"input {i + 1}" for i in range(self.inputs)]
        self.values = list(made.inputs)
        holder = getattr(self.object, "params", None)
        if isinstance(holder, dict):
            self.keys: list[Any] = list(holder)
        elif isinstance(holder, list):
            self.keys = list(range(len(holder)))
        else:
            self.keys = [name for name in WEIGHTS if hasattr(self.object, name)]
        self.names += [str(key) for key in self.keys]
        self.values += [holder[key] if holder is not None else getattr(self.object, key) for key in self.keys]

    def forward(self, values: list[Any]) -> Array:
        np.random.seed(0)  # noqa: NPY002
        if hasattr(self.object, "rng"):
            self.object.rng = np.random.default_rng(0)
        for key, value in zip(self.keys, values[self.inputs :], strict=True):
            if hasattr(self.object, "params"):
                self.object.params[key] = value
            else:
                setattr(self.object, key, value)
        return np.asarray(self.object.forward(*values[: self.inputs]))

    def backward(self, dy: Any) -> list[Any]:
        gradients = _as_list(self.object.backward(dy))
        gradients += [None] * (self.inputs - len(gradients))
        for key in self.keys:
            if not hasattr(self.object, "grads"):
                gradients.append(getattr(self.object, "d" + key, None))
            elif isinstance(self.object.grads, dict):
                gradients.append(self.object.grads.get(key))
            else:
                gradients.append(self.object.grads[key])
        return gradients


class OfPair(Callee):
    """backward(dy, *inputs), or backward(dout, cache)."""

    def __init__(self, made: Target) -> None:
        self.forwards: Callable[..., Any] = made.target
        self.backwards: Callable[..., Any] = made.options["backward"]
        self.names = list(inspect.signature(self.forwards).parameters)
        self.values = list(made.inputs)

    def forward(self, values: list[Any]) -> Array:
        answer = self.forwards(*values)
        y, *self.kept = answer if isinstance(answer, tuple) else (answer, *values)
        return np.asarray(y)

    def backward(self, dy: Any) -> list[Any]:
        gradients = _as_list(self.backwards(dy, *self.kept))
        return gradients + [None] * (len(self.values) - len(gradients))


class OfLayer(Callee):
    """A layer of chainrule. Its parameters are drawn here, and its running statistics are a half."""

    def __init__(self, made: Target) -> None:
        self.layer: cr.Layer = made.target
        self.training = made.options.get("training", True)
        shapes = tuple(np.shape(value) for value in made.inputs)
        rng = np.random.default_rng(1)
        drawn = {
            name: rng.normal(size=spec.shape_for(*shapes)).astype(made.options.get("dtype", "float64"))
            for name, spec in self.layer.parameters().items()
        }
        self.names = [f"input {i + 1}" for i in range(len(made.inputs))] + list(drawn)
        self.values = [*made.inputs, *drawn.values()]
        self.state = {
            name: np.full(spec.shape_for(*shapes), 0.5) for name, spec in self.layer.state().items()
        }

    def forward(self, values: list[Any]) -> Array:
        asks = self.layer.signature.forward_asks
        offers = {"training": self.training, "rng": np.random.default_rng(7), "state": self.state}
        answer = self.layer.forward(*values, **{name: offers[name] for name in asks})
        self.saved = answer[1]
        return np.asarray(answer[0])

    def backward(self, dy: Any) -> list[Any]:
        if "needs" in self.layer.signature.backward_asks:
            gradients = self.layer.backward(dy, self.saved, needs=(True,) * len(self.values))
        else:
            gradients = self.layer.backward(dy, self.saved)
        found = _as_list(gradients)
        return found + [None] * (len(self.values) - len(found))
