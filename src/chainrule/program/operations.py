"""What a program is made of: arrays that are allocated once, and the calls that fill them, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from chainrule.arrays import Shape

Phase = Literal["forward", "backward"]


@dataclass(frozen=True)
class Buffer:
    """An array with a row for each sample of the batch, kept in the program's arena."""

    name: str
    row: Shape  # the shape of one row

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        size = 1
        for length in self.row:
            size *= length
        return size


@dataclass(frozen=True)
class Operation:
    """One call: a kernel, what it reads and writes, and a note for the reader of the listing.

    `kernel` is the name of a function in `chainrule.kernels`, or "layer" and "layer_backward" for a layer that
    runs its own forward and backward. `details` holds what the forms need beside the names of the arrays.
    """

    phase: Phase
    kernel: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ", ".join(self.reads)
        return f"{', '.join(self.writes)} = {self.kernel}({inside})"


@dataclass
class Listing:
    """The operations of a program in order, its buffers, and what was left out, and why."""

    operations: list[Operation] = field(default_factory=list)
    buffers: dict[str, Buffer] = field(default_factory=dict)
    #: Second arrays for the gradient of a parameter that is used twice, with the parameter's name.
    spares: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    output: str = ""

    def forward(self) -> list[Operation]:
        """The operations of the run forward."""
        return [each for each in self.operations if each.phase == "forward"]

    def backward(self) -> list[Operation]:
        """The operations of the run backward."""
        return [each for each in self.operations if each.phase == "backward"]


def plan_memory(listing: Listing, inputs: set[str], results: set[str]) -> tuple[dict[str, int], int]:
    """Where each buffer lies in the arena, in numbers per sample, and how long the arena is.

    A buffer's place is free again after the last operation that touches it, for buffers written later. Inputs
    are written before the first operation, and results read after the last. Each buffer is put into the lowest
    gap that holds it.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for number, operation in enumerate(listing.operations):
        for name in (*operation.reads, *operation.writes):
            if name in listing.buffers:
                first.setdefault(name, number)
                last[name] = number
    for name in inputs & set(first):
        first[name] = -1
    for name in results & set(first):
        last[name] = len(listing.operations)
    places: dict[str, int] = {}
    for name in sorted(first, key=lambda each: (first[each], -listing.buffers[each].width)):
        taken = sorted(
            (places[other], places[other] + listing.buffers[other].width)
            for other in places
            if first[other] <= last[name] and last[other] >= first[name]
        )
        start = 0
        for low, high in taken:
            if start + listing.buffers[name].width <= low:
                break
            start = max(start, high)
        places[name] = start
    size = max((places[name] + listing.buffers[name].width for name in places), default=0)
    return places, size


def places_apart(listing: Listing, names: Iterable[str]) -> tuple[dict[str, int], int]:
    """The same with a place of its own for each of the buffers, so that rows of one are never another's."""
    places, size = {}, 0
    for name in names:
        places[name] = size
        size += listing.buffers[name].width
    return places, size
