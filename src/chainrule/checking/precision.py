"""The floating-point dtypes of kernels: how finely each one rounds, and numbers that it holds exactly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from chainrule.arguments import one_of
from chainrule.arrays import Array, ArrayLike

#: By dtype: the distance from 1 to the next larger number.
EPSILONS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def epsilon(dtype: str) -> float:
    """The machine epsilon of a dtype: the distance from 1 to the next larger number."""
    return EPSILONS[one_of("dtype", dtype, EPSILONS)]


def rounded(array: ArrayLike, dtype: str) -> Array:
    """The nearest numbers that a dtype holds, as float64: ties to even, and too large ones are infinite."""
    wide = np.asarray(array, np.float64)
    with np.errstate(over="ignore"):
        if dtype == "bfloat16":
            return _as_bfloat16(wide.astype(np.float32)).astype(np.float64)
        return wide.astype(one_of("dtype", dtype, EPSILONS)).astype(np.float64)


def _as_bfloat16(single: Array) -> Array:
    """float32 with the lower half of its bits rounded away. NumPy has no bfloat16."""
    bits = np.ascontiguousarray(single).reshape(single.shape).view(np.uint32).astype(np.uint64)
    to_even = 0x7FFF + ((bits >> 16) & 1)
    upper = ((bits + to_even) & 0xFFFF0000).astype(np.uint32)
    return np.where(np.isnan(single), single, upper.view(np.float32))


def lowest(dtypes: Iterable[str]) -> str:
    """The dtype that rounds most coarsely; float64 where there is none."""
    return max(dtypes, key=epsilon, default="float64")
