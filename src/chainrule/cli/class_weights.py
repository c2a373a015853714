"""What `--class-weights` stands for: how much each class counts in the loss."""

from __future__ import annotations

import math

import numpy as np

from chainrule.cli.data import Dataset
from chainrule.errors import ArgumentError, did_you_mean

BALANCED = "balanced"


def class_weights(text: str, data: Dataset) -> list[float]:
    """The weight of each class, as the text says: "balanced", or "no=1,yes=5".

    Balanced is n / (K n_k): every class counts as much in all. A class that a list does not name weighs 1.
    """
    if data.classes is None:
        raise ArgumentError("--class-weights: expected a classification, got a regression; leave it out")
    if text.strip().lower() == BALANCED:
        counts = np.bincount(data.t, minlength=len(data.classes))
        balanced: list[float] = (len(data.t) / (len(counts) * np.maximum(counts, 1))).tolist()
        return balanced
    weights = [1.0] * len(data.classes)
    seen: set[str] = set()
    for part in text.split(","):
        name, equals, number = (each.strip() for each in part.rpartition("="))
        if not equals:
            raise ArgumentError(
                f"--class-weights: expected {BALANCED}, or a weight by the name of a class such as "
                f"{data.classes[0]}=5, got {part!r}"
            )
        if name not in data.classes:
            raise ArgumentError(
                f"--class-weights: there is no class {name!r}; {did_you_mean(name, data.classes)}"
            )
        if name in seen:
            raise ArgumentError(f"--class-weights: expected each class once, got {name!r} twice")
        seen.add(name)
        weights[data.classes.index(name)] = _weight(name, number)
    if not any(weights[k] for k in set(data.t.tolist())):
        raise ArgumentError(f"--class-weights: expected one weight above 0, got {text!r}")
    return weights


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 1e30:  # whose sum over the samples no dtype takes for infinity
        raise ArgumentError(
            f"--class-weights: expected a number of at least 0, such as {name}=5, got {name}={text}"
        )
    return weight
