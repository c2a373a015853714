"""The numbers and functions that kernels name. A compiled program defines them anew, in its own dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Turns a number into the dtype of the arrays.
FLOAT: Any = float
ZERO: Any = 0.0
HALF: Any = 0.5
ONE: Any = 1.0
TWO: Any = 2.0
THREE: Any = 3.0
SQRT_HALF: Any = math.sqrt(0.5)
INVERSE_SQRT_2PI: Any = 1 / math.sqrt(2 * math.pi)
GELU_SCALE: Any = math.sqrt(2 / math.pi)
GELU_CUBIC: Any = 0.044715
#: The smallest normal number. What is smaller is denormal: it has fewer digits, and processors are slow with it.
TINY: Any = float(np.finfo(np.float64).tiny)
#: exp(-FAR) is still normal; behind it, a kernel takes 0 for the exponential.
FAR: Any = 708.0

#: What a program writes down in its own dtype, by name.
NUMBERS: dict[str, float] = {
    name: value for name, value in globals().items() if name.isupper() and isinstance(value, float)
}


def numbers_of(dtype: str) -> dict[str, float]:
    """The same for a dtype, on which the smallest numbers depend."""
    tiny = float(np.finfo(dtype).tiny)
    return NUMBERS | {"TINY": tiny, "FAR": float(math.floor(-math.log(tiny)))}
