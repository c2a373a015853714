"""Losses: layers whose output is one number, to be made small."""

from typing import Any

from chainrule.elsewhere import called_here
from chainrule.errors import ArgumentError, did_you_mean
from chainrule.layers.loss.base import Loss
from chainrule.layers.loss.classification import SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.layers.loss.regression import (
    HalfPoissonDeviance,
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Quantile,
)

__all__ = [
    "NAMES",
    "HalfPoissonDeviance",
    "HalfSquaredError",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Quantile",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "get",
]

#: The losses by the names that `Network(loss="cross_entropy")` takes.
NAMES: dict[str, type[Loss]] = {
    "cross_entropy": SoftmaxCrossEntropy,
    "binary_cross_entropy": SigmoidCrossEntropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "half_squared_error": HalfSquaredError,
    "huber": Huber,
    "quantile": Quantile,
    "half_poisson_deviance": HalfPoissonDeviance,
}


def get(name: str, **arguments: Any) -> Loss:
    """The loss of that name, in any case, made with the arguments.

    Raises: ArgumentError for an unknown name or argument, or a value out of range.

    >>> get("huber", delta=2.0)
    Huber(delta=2.0)
    """
    kind = NAMES.get(name.lower())
    if kind is None:
        cls = (called_here(name) or name).lower()
        meant = next((short for short, each in NAMES.items() if each.__name__.lower() == cls), name)
        raise ArgumentError(f"unknown loss {name!r}; {did_you_mean(meant, NAMES)}")
    return kind(**arguments)
