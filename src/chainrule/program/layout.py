"""What native/machine.h lays out, in ctypes; the library's functions, declared; its variants and kernels."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_int64, c_void_p
from functools import cache

from chainrule.errors import ChainruleError
from chainrule.native import library

OPERANDS, NUMBERS = 8, 6  # of an instruction
KINDS = {"f4": 0, "f8": 1, "i1": 2, "i2": 3, "i4": 4, "i8": 5, "u1": 6, "u2": 7, "u4": 8, "u8": 9, "b1": 6}
FINISHED, IN_PYTHON, NOT_FINITE, _, LABEL_OUT_OF_RANGE, NOTHING_TO_AVERAGE = range(6)  # why a call came back
ADDRESS, WIDTH, LENGTH, STRIDE, KIND, HOME = range(6)  # of an array in the machine
BOX = 64  # numbers in what passes between threads
NOTHING_LEFT = 127  # a ticket, where the last part of a turn is taken
LINE = 8  # numbers in a line of the cache, by which the sums of two parts lie apart


class CallStructure(Structure):
    """`call` in native/machine.h."""

    _fields_ = (
        ("code", c_void_p), ("turns", c_void_p), ("turn_count", c_int64),
        ("gemm", c_void_p), ("gemv", c_void_p), ("blas_bits", c_int64),
        ("rows", c_void_p), ("steps", c_int64), ("batch", c_int64), ("total", c_int64),
        ("rates", c_void_p), ("done", c_int64), ("training", c_int64), ("iteration", c_int64),
        ("losses", c_void_p), ("right", c_void_p), ("result", c_void_p),
        ("parts", c_int64), ("box", c_void_p), ("sums", c_void_p), ("squares", c_void_p),
        ("next", c_int64), ("doubtful", c_int64), ("failed", c_int64),
        ("failed_array", c_int64), ("failed_value", c_int64), ("failed_row", c_int64),
    )  # fmt: skip


class WorkerStructure(Structure):
    """`worker` in native/machine.h."""

    _fields_ = (
        ("call", c_void_p), ("arrays", c_void_p), ("kernels", c_void_p), ("task", c_int64),
        ("step", c_int64), ("turn", c_int64), ("part", c_int64), ("parts", c_int64),
        ("first", c_int64), ("rows", c_int64), ("low", c_int64), ("high", c_int64), ("sum", c_void_p),
    )  # fmt: skip


@cache
def machine() -> ctypes.CDLL | None:
    """The library, with its functions declared; None without it."""
    loaded = library()
    if loaded is None:
        return None
    for name in ("chainrule_train", "chainrule_predict", "chainrule_predict_again"):
        function = getattr(loaded, name)
        function.argtypes, function.restype = [POINTER(CallStructure), POINTER(WorkerStructure)], c_int64
    loaded.chainrule_help.argtypes = [POINTER(c_int64), POINTER(CallStructure), POINTER(WorkerStructure)]
    loaded.chainrule_close.argtypes = [POINTER(c_int64)]
    loaded.chainrule_help.restype = loaded.chainrule_close.restype = None
    loaded.chainrule_best_variant.argtypes, loaded.chainrule_best_variant.restype = [], c_int64
    loaded.chainrule_variant_name.argtypes, loaded.chainrule_variant_name.restype = [c_int64], c_char_p
    loaded.chainrule_kernels.argtypes, loaded.chainrule_kernels.restype = [c_int64, c_int64], c_void_p
    loaded.chainrule_kernel_name.argtypes, loaded.chainrule_kernel_name.restype = (
        [c_void_p, c_int64],
        c_char_p,
    )
    loaded.chainrule_size.argtypes, loaded.chainrule_size.restype = [c_char_p], c_int64
    sizes = {
        b"call": ctypes.sizeof(CallStructure),
        b"worker": ctypes.sizeof(WorkerStructure),
        b"array": 48,
        b"turn": 32,
    }
    sizes[b"instruction"] = 8 * (1 + OPERANDS + NUMBERS)
    for name_, size in sizes.items():
        if loaded.chainrule_size(name_) != size:
            raise ChainruleError(
                f"the library lays {name_.decode()} out otherwise than Python does: rebuild it"
            )
    return loaded


def variants() -> list[str]:
    """The names of the variants that this processor can run, the best last."""
    loaded = machine()
    if loaded is None:
        return []
    return [loaded.chainrule_variant_name(k).decode() for k in range(loaded.chainrule_best_variant() + 1)]


def variant_name() -> str:
    """The name of the variant that runs: 'v3'."""
    return variants()[-1]


@cache
def kernels(variant: int, bits: int) -> tuple[int, dict[str, int]]:
    """The address of the table of kernels, and the number of each by name."""
    loaded = machine()
    assert loaded is not None
    address = loaded.chainrule_kernels(variant, bits)
    names: dict[str, int] = {}
    while (name := loaded.chainrule_kernel_name(address, len(names))) is not None:
        names[name.decode()] = len(names)
    return address, names
