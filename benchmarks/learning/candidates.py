"""Defaults that were compared: the optimizer, its rate and clipping, and the weights at the start."""

from __future__ import annotations

from typing import Any

import chainrule as cr
from chainrule.initializers import He, Initializer, LeCun, Normal
from chainrule.schedules import InverseSquareRoot

#: Of the hidden layers, and of the last.
Weights = tuple[Initializer, Initializer] | None


def adam(rate: float | cr.schedules.Schedule, clip_norm: float | None = 1.0) -> dict[str, Any]:
    """The options of `fit` for Adam of this rate."""
    return {"optimizer": cr.Adam(rate, clip_norm=clip_norm)}


HE, LECUN, HALF = He(), LeCun(), He(gain=0.5)
CANDIDATES: dict[str, tuple[dict[str, Any], Weights]] = {
    "today's": ({}, None),
    "SGD 0.1, He": ({"optimizer": cr.SGD(0.1)}, (HE, HE)),
    "Adam 0.001, He": (adam(0.001, None), (HE, HE)),
    "Adam 0.01, He": (adam(0.01, None), (HE, HE)),
    "Adam 0.01, half of He's": (adam(0.01, None), (HALF, HALF)),
    "Adam 0.01, clipped, He": (adam(0.01), (HE, HE)),
    "Adam 0.01, clipped, half of He's": (adam(0.01), (HALF, HALF)),
    "Adam 0.005, clipped, half of He's": (adam(0.005), (HALF, HALF)),
    "Adam falling from 0.01, clipped, He": (adam(InverseSquareRoot(0.01)), (HE, HE)),
    "Adam falling from 0.01, clipped, LeCun": (adam(InverseSquareRoot(0.01)), (LECUN, LECUN)),
    "Adam falling from 0.01, clipped, He, last layer 0.01": (
        adam(InverseSquareRoot(0.01)),
        (HE, Normal(0.01)),
    ),
    "Adam falling from 0.007, clipped, half of He's": (adam(InverseSquareRoot(0.007)), (HALF, HALF)),
    "Adam falling from 0.02, clipped, half of He's": (adam(InverseSquareRoot(0.02)), (HALF, HALF)),
    "Adam falling from 0.01, not clipped, half of He's": (
        adam(InverseSquareRoot(0.01), None),
        (HALF, HALF),
    ),
}
