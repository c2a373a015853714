"""What native/machine.h lays out, in ctypes; the library's functions, declared; its variants and kernels."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_double, c_int64, c_void_p
from functools import cache

from chainrule.arrays import Array
from chainrule.errors import ChainruleError
from chainrule.native import library

OPERANDS, NUMBERS = 8, 7  # of an instruction
KINDS = {"f4": 0, "f8": 1, "i1": 2, "i2": 3, "i4": 4, "i8": 5, "u1": 6, "u2": 7, "u4": 8, "u8": 9, "b1": 6}
#: Why a call came back.
FINISHED, IN_PYTHON, NOT_FINITE, _, LABEL_OUT_OF_RANGE, NOTHING_TO_AVERAGE, NOT_SPARSE_ROWS = range(7)
BOX = 64  # numbers in what passes between threads
NOTHING_LEFT = 127  # a ticket, where the last part of a turn is taken
LINE = 8  # numbers in a line of the cache, by which the sums of two parts lie apart


def _fields(names: str) -> list[tuple[str, type[c_int64]]]:
    """All fields take 8 bytes: a whole number, or an address, 0 for none."""
    return [(name, c_int64) for name in names.split()]


class ArrayStructure(Structure):
    """`array` in native/machine.h."""

    _fields_ = _fields("address width length stride kind home")

    def lie_at(self, array: Array) -> None:
        """Have its rows lie where those of the caller's array do."""
        self.address, self.length, self.stride = array.ctypes.data, len(array), array.strides[0]
        self.kind = KINDS[array.dtype.str[1:]]


class InstructionStructure(Structure):
    """`instruction` in native/machine.h."""

    _fields_ = (("operation", c_int64), ("operand", c_int64 * OPERANDS), ("number", c_double * NUMBERS))


class TurnStructure(Structure):
    """`turn` in native/machine.h."""

    _fields_ = _fields("first end kind parts")


class CallStructure(Structure):
    """`call` in native/machine.h."""

    _fields_ = _fields(
        "code turns turn_count gemm gemv blas_bits rows starts steps batch total rates weights done training "
        "iteration losses right result parts box sums squares next doubtful "
        "failed failed_array failed_value failed_row"
    )


class WorkerStructure(Structure):
    """`worker` in native/machine.h."""

    _fields_ = _fields("call arrays kernels task step turn part parts first rows low high sum")


@cache
def machine() -> ctypes.CDLL | None:
    """The library, with its functions declared; None without it."""
    loaded = library()
    if loaded is None:
        return None
    call, worker, box = POINTER(CallStructure), POINTER(WorkerStructure), POINTER(c_int64)
    for name, result, *arguments in (
        ("train", c_int64, call, worker),
        ("predict", c_int64, call, worker),
        ("predict_again", c_int64, call, worker),
        ("help", None, box, call, worker),
        ("close", None, box),
        ("best_variant", c_int64),
        ("variant_name", c_char_p, c_int64),
        ("kernels", c_void_p, c_int64, c_int64),
        ("kernel_name", c_char_p, c_void_p, c_int64),
        ("size", c_int64, c_char_p),
    ):
        function = getattr(loaded, f"chainrule_{name}")
        function.argtypes, function.restype = arguments, result
    for structure in (ArrayStructure, InstructionStructure, TurnStructure, CallStructure, WorkerStructure):
        name = structure.__name__.removesuffix("Structure").lower()
        if loaded.chainrule_size(name.encode()) != ctypes.sizeof(structure):
            raise ChainruleError(f"the library lays {name} out otherwise than Python does: rebuild it")
    return loaded


def variants() -> list[str]:
    """The names of the variants that this processor can run, the best last."""
    loaded = machine()
    if loaded is None:
        return []
    return [loaded.chainrule_variant_name(k).decode() for k in range(loaded.chainrule_best_variant() + 1)]


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
