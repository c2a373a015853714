"""NumPy's own BLAS for compiled code: its matrix products, called directly.

Numba's `np.dot` goes to SciPy's BLAS, a second library with threads of its own, and is slower on small products
(152 against 122 microseconds for the five products of a 784-50-10 network, batch 100, two threads). NumPy's
library is found among the loaded ones, and its function is made known to the compiler under a name of ours, so
that machine code on disk stays valid. Where it is not found, `np.dot` does the same.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

from chainrule.arrays import Array
from chainrule.kernels.constants import ONE, ZERO

#: The letter of a dtype in the names of BLAS.
LETTERS = {"float32": "s", "float64": "d"}
# In the calls below, by the names of CBLAS: 101 is row-major order, 111 no transposition, 112 transposition.

gemm: Any = None  # in a compiled program, the function of BLAS stands here


def matmul(a: Array, b: Array, out: Array) -> None:
    """out (M, N) = a (M, K) b (K, N), by BLAS."""
    M, K, N = a.shape[0], a.shape[1], b.shape[1]
    gemm(101, 111, 111, M, N, K, ONE, a.ctypes.data, K, b.ctypes.data, N, ZERO, out.ctypes.data, N)


def matmul_transposed_a(a: Array, b: Array, out: Array) -> None:
    """out (M, N) = aᵀ b, for a (K, M), some columns of an array, and b (K, N), by BLAS."""
    M, K, N, row = a.shape[1], a.shape[0], b.shape[1], a.strides[0] // a.itemsize
    gemm(101, 112, 111, M, N, K, ONE, a.ctypes.data, row, b.ctypes.data, N, ZERO, out.ctypes.data, N)


def matmul_transposed_b(a: Array, b: Array, out: Array) -> None:
    """out (M, N) = a bᵀ, for a (M, K) and b (N, K), by BLAS."""
    M, K, N = a.shape[0], a.shape[1], b.shape[0]
    gemm(101, 111, 112, M, N, K, ONE, a.ctypes.data, K, b.ctypes.data, K, ZERO, out.ctypes.data, N)


def declaration(dtype: str) -> str | None:
    """The line of source that declares `gemm` for a dtype, once its address is registered; None without it."""
    found = _find(LETTERS[dtype])
    if found is None:
        return None
    address, integer = found
    from llvmlite import binding

    name = f"chainrule_{LETTERS[dtype]}gemm"
    binding.add_symbol(name, address)
    i, n, f, p = "types.int32", f"types.{integer}", f"types.{dtype}", "types.uintp"
    arguments = ", ".join([i, i, i, n, n, n, f, p, n, p, n, f, p, n])
    return f'gemm = types.ExternalFunction("{name}", types.void({arguments}))'


@cache
def _find(letter: str) -> tuple[int, str] | None:
    """The address of NumPy's gemm, and the type of its integers."""
    from numba import config
    from threadpoolctl import threadpool_info

    if getattr(config, "DISABLE_JIT", False):
        return None
    for library in threadpool_info():
        path = library.get("filepath", "")
        if library.get("internal_api") != "openblas" or "numpy" not in os.path.dirname(path):
            continue
        loaded = ctypes.CDLL(path)
        for name, integer in (
            (f"scipy_cblas_{letter}gemm64_", "int64"),
            (f"cblas_{letter}gemm64_", "int64"),
            (f"scipy_cblas_{letter}gemm", "int32"),
            (f"cblas_{letter}gemm", "int32"),
        ):
            function = getattr(loaded, name, None)
            if function is not None:
                address = ctypes.cast(function, ctypes.c_void_p).value
                return None if address is None else (address, integer)
    return None
