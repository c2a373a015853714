"""The names that options take, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from chainrule import layers, schedules
from chainrule.errors import ArgumentError, did_you_mean
from chainrule.layers import Layer
from chainrule.schedules import Schedule

T = TypeVar("T")

ACTIVATIONS: dict[str, Callable[[], Layer]] = {
    "relu": layers.ReLU,
    "leakyrelu": layers.LeakyReLU,
    "elu": layers.ELU,
    "gelu": layers.GELU,
    "silu": layers.SiLU,
    "softplus": layers.Softplus,
    "sigmoid": layers.Sigmoid,
    "tanh": layers.Tanh,
}

#: The learning rate that each optimizer starts from when none is given.
OPTIMIZERS: dict[str, float] = {
    "sgd": 0.1,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.01,
    "rmsprop": 0.001,
    "adam": 0.001,
    "adamw": 0.001,
}

SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "constant": schedules.Constant,
    "cosine": schedules.Cosine,
    "one-cycle": schedules.OneCycle,
}


def choose(option: str, name: str, known: Mapping[str, T]) -> T:
    """What a name stands for. Raises ArgumentError, with the nearest known one, for an unknown name."""
    found = known.get(name.strip().lower())
    if found is None:
        raise ArgumentError(f"{option}: there is no {name!r}; {did_you_mean(name, known)}")
    return found
