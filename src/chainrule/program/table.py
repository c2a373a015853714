"""The table of a program: instructions, the places they read and write, and the turns they are done in."""

from __future__ import annotations

import sys
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import prod
from typing import Literal

import numpy as np

from chainrule.arrays import Array, Shape

Space = Literal[
    "arena", "labels", "parameters", "gradient", "spares", "constants", "indices", "state", "statistics", "data",
    "python",
]  # fmt: skip
TurnKind = Literal["rows", "columns", "gradients", "update", "python"]
#: The spaces of arrays that are known only in a call.
GIVEN: frozenset[Space] = frozenset({"data", "state", "statistics"})
MOST_PARTS = 64
PART = 1_000_000  # multiply-adds, or what takes as long, that a part of a turn is made of
LEAST_ROWS = 16  # of a part
LARGE = 62_500  # numbers of a matrix that BLAS had better copy once, not for each part: it is cut by columns
SPARSE_COLUMNS = (
    8  # of a gradient by sparse data, for each part: it looks its rows up in every row of the data
)
LEAST_OF_LARGE = {"gradients": 90, "columns": 128}  # rows, or columns, of a part of one
PER_ELEMENT = 40  # multiply-adds that take as long as one element of an elementwise operation


@dataclass(eq=False)
class Place:
    """Where an array lies: in which space, from which number on, and how long its rows are.

    In "arena" (numbers) and "labels" (whole numbers) an array has a row for each sample of the batch, and `start`
    counts numbers per sample. In the other spaces it has `length` rows. "spares" are values that do not grow with
    the batch; "constants" and "indices" are numbers, and whole numbers, that never change. Known only in a call are
    "data", from which batches are taken, "state", which an optimizer keeps, and "statistics", which layers keep.
    "python" is a value that only Python's layers read and write.
    """

    name: str
    space: Space
    row: Shape = ()
    length: int | None = None
    start: int = 0
    shape: Shape = ()
    """Of what does not grow with the batch."""
    below: int = 0
    """What labels are smaller than."""
    looked_up_by: str = ""
    """Of labels that are no targets: the layer that takes them as ids."""
    is_input: bool = False
    source: str = ""
    """Of data: the name of the input that they are for."""
    part: str = ""
    """Of sparse data: which of the arrays that they consist of, a field of `SparseRows`."""

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return prod(self.row)

    @property
    def size(self) -> int:
        """How many numbers it has: per sample, or in all."""
        return self.width * (1 if self.length is None else self.length)

    @property
    def is_batch(self) -> bool:
        """Whether it has a row for each sample."""
        return self.length is None

    @property
    def end(self) -> int:
        """Behind its last number: per sample, or in the flat vector."""
        return self.start + self.size


def whole_place(name: str, space: Space, shape: Shape, start: int = 0) -> Place:
    """The place of an array of this shape that does not grow with the batch."""
    return Place(name, space, shape[-1:] or (1,), prod(shape[:-1]), start, shape)


def sparse_places(name: str, row: Shape) -> tuple[Place, ...]:
    """The places of the parts of an input's sparse data, in the order in which operations take them."""
    parts = ("indptr", "indices", "values")
    return tuple(Place(f"data[{name!r}]", "data", row, 0, source=name, part=part) for part in parts)


@dataclass(frozen=True)
class Operation:
    """One kind of instruction.

    `operands` says what it takes: "B K" is an array with K numbers for each sample, "K N" a matrix, "N" a vector,
    "B labels N" are N whole numbers below K for each sample, "indices" whole numbers that never change. "indptr K",
    "indices K" and "values K" are the parts of sparse data with K columns. "any" is in the arena or does not grow
    with the batch, as "whole" does not: behind them, a letter stands for the size. Behind "=" it is written, behind
    "~" changed, behind "?" it may be missing.
    `kernel` is the name of the function in the machine; None for what Python does. `statement` is the same in
    NumPy. `printed` is how an instruction is shown, with the names of its operands.

    `turn` says how the work is cut. In "rows", each part does its own rows of the batch. In the other kinds every
    part may read all rows, and writes some of the columns, or elements, of what does not grow with the batch:
    "columns" where the rows of a batch meet, "gradients" for those of parameters, which come last.
    """

    name: str
    operands: tuple[str, ...]
    printed: str
    turn: TurnKind = "rows"
    kernel: str | None = None
    statement: Callable[..., None] | None = field(default=None, repr=False)
    gathers: bool = False
    """Whether it fills an input, to which nothing else may write."""
    is_product: bool = False
    """Whether it is a product with a matrix."""
    fits: Callable[[Instruction, Mapping[str, int]], bool] | None = field(default=None, repr=False)
    """What else an instruction must satisfy, whose letters stand for these widths."""
    indices_fit: Callable[[Instruction, Array], bool] | None = field(default=None, repr=False)
    """What the whole numbers that never change must satisfy, of which it takes one array."""


@dataclass(frozen=True, eq=False)
class Instruction:
    """An operation, its operands, its numbers, and for the reader a note."""

    operation: Operation
    operands: tuple[Place | None, ...]
    numbers: tuple[float, ...] = ()
    layer: int = -1
    """The position of the node it belongs to."""
    note: str = ""
    wanted: tuple[bool, ...] = ()
    """Of a layer's own backward: which inputs' gradients are wanted,"""
    fresh: tuple[bool, ...] = ()
    """and which of those are the first contribution to theirs."""

    def __str__(self) -> str:
        names = [place.name if place is not None else "" for place in self.operands]
        reads = len(names) - (len(self.fresh) or 1)  # of a layer in Python, which writes the others
        text = self.operation.printed.format(
            *names,
            more="".join(f", {name}" for name in names[2:] if name),
            reads=", ".join(names[:reads]),
            writes=", ".join(names[reads:]),
        )
        # Missing operands leave no commas behind.
        return text.replace("(, ", "(").replace(", , ", ", ").replace(", )", ")")


@dataclass(frozen=True)
class Turn:
    """Instructions between which the parts of a step need not wait for each other."""

    kind: TurnKind
    instructions: tuple[Instruction, ...]
    parts: int = 1
    """Into how many it is cut, which any threads may do."""


@dataclass
class Table:
    """All that is done in one step, in order.

    `capacity` is the largest number of rows. `constants` and `indices` are the numbers in the spaces of that name.
    """

    turns: list[Turn]
    capacity: int
    output: Place
    arena_width: int = 0
    labels_width: int = 0
    spares_size: int = 0
    constants: Array = field(default_factory=lambda: np.zeros(0))
    indices: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    skipped: list[str] = field(default_factory=list)
    measured: int = 0
    """How many turns at the end find the loss of a prediction, which are left out without targets."""

    def turns_of(self, measured: bool) -> list[Turn]:
        """The turns that a call does: all, or those before the loss of a prediction is found."""
        return self.turns if measured else self.turns[: len(self.turns) - self.measured]

    def data_places(self, measured: bool) -> list[Place]:
        """What a call takes rows from."""
        return [place for place in places_of(self.turns_of(measured)) if place.space == "data"]

    @property
    def instructions(self) -> list[Instruction]:
        """Those of all turns, in order."""
        return [each for turn in self.turns for each in turn.instructions]

    @property
    def places(self) -> list[Place]:
        """Every place that an instruction names, in the order of first use."""
        return places_of(self.turns)

    @property
    def parts(self) -> int:
        """Into how many the turn is cut that is cut into most."""
        return max((turn.parts for turn in self.turns), default=1)

    @property
    def in_python(self) -> bool:
        """Whether a part of it is done by Python."""
        return any(turn.kind == "python" for turn in self.turns)


def places_of(turns: Iterable[Turn]) -> list[Place]:
    """Every place that the instructions of these turns name, in the order of first use."""
    operands = (place for turn in turns for each in turn.instructions for place in each.operands)
    return list(dict.fromkeys(place for place in operands if place is not None))


def in_turns(instructions: Iterable[Instruction], capacity: int, *, cut: bool) -> list[Turn]:
    """Instructions one after another, in turns, each cut into parts as its work is worth.

    A new turn begins wherever the kind changes, for each instruction of Python, and in "columns" before one that
    meets another of the turn.
    """
    turns: list[tuple[TurnKind, list[Instruction]]] = []
    for each in instructions:
        kind = each.operation.turn
        joins = bool(turns) and turns[-1][0] == kind != "python"
        if not joins or (kind == "columns" and meeting(turns[-1][1], each)):
            turns.append((kind, []))
        turns[-1][1].append(each)
    return [Turn(kind, tuple(done), parts_of(kind, done, capacity) if cut else 1) for kind, done in turns]


def meeting(done: Iterable[Instruction], each: Instruction) -> list[Place]:
    """What an instruction uses that earlier ones have written, or writes that they use.

    The parts of a turn do not wait for each other, so in "columns" there may be no such place.
    """
    changed = {place for earlier in done for place in written(earlier)}
    used = {place for earlier in done for place in earlier.operands}
    return [p for p in each.operands if p is not None and p in changed] + [
        p for p in written(each) if p in used
    ]


def parts_of(kind: TurnKind, instructions: Sequence[Instruction], capacity: int) -> int:
    """Into how many parts a turn is cut: by its work alone, so that results are the same for any threads.

    A power of two, so that two threads, or four, have as many each.
    """
    most = 1 if kind == "python" else MOST_PARTS
    matrices = [matrix for matrix in map(_matrix, instructions) if matrix is not None]
    if kind == "rows":
        most = min(most, capacity // LEAST_ROWS)
    elif kind == "columns" and matrices:
        widest = max(written(each)[0].row[-1] for each in instructions)
        most = min(most, widest // LEAST_OF_LARGE[kind])
    elif matrices:
        rows = max(matrix.length or 1 for matrix in matrices)
        most = min(most, rows // (LEAST_OF_LARGE[kind] if any(map(is_large, matrices)) else LEAST_ROWS))
        sparse = [each for each in instructions if any(place and place.part for place in each.operands)]
        most = min([most, *(written(each)[0].width // SPARSE_COLUMNS for each in sparse)])
    parts = max(1, min(sum(_work(each, capacity) for each in instructions) // PART, most))
    return 1 << (int(parts).bit_length() - 1)


def is_large(matrix: Place) -> bool:
    """Whether a product with it is cut by columns."""
    return matrix.size > LARGE


def _matrix(each: Instruction) -> Place | None:
    """What a product takes, or makes, that does not grow with the batch."""
    if not each.operation.is_product:
        return None
    places = (place for place in each.operands if place is not None and place.space != "data")
    return next((place for place in places if not place.is_batch), None)


def _work(each: Instruction, capacity: int) -> int:
    """About how many multiply-adds take as long."""
    places, matrix = [place for place in each.operands if place is not None], _matrix(each)
    if matrix is not None and not any(place.part for place in places):
        widest = max(place.width for place in places if place.is_batch)
        return capacity * widest * min(matrix.width, matrix.length or 1)
    return PER_ELEMENT * max((p.size * (capacity if p.is_batch else 1) for p in places), default=0)


def written(each: Instruction) -> list[Place]:
    """What an instruction of the machine writes to."""
    forms = zip(each.operands, each.operation.operands, strict=False)
    return [place for place, form in forms if place is not None and form[0] in "=~"]


def plan(table: Table, kept: Iterable[Place] = ()) -> None:
    """Give every array of the arena its place, and tell the table how wide the arena is.

    A place is free again after the last use of its array; one that is used in a turn of several parts is in use for
    the whole turn, since they do not wait for each other. What is `kept` is read after the last instruction. Each
    array is put into the lowest gap that holds it.
    """
    lives: dict[Place, list[int]] = {}  # the moments of first and last use
    moment = 0
    for turn in table.turns:
        for each in turn.instructions:
            for place in each.operands:
                if place is not None and place.space == "arena":
                    lives.setdefault(place, [moment, moment])[1] = moment
            moment += turn.parts == 1
        moment += turn.parts > 1
    for place in kept:
        if place in lives:
            lives[place][1] = moment
    table.arena_width = 0
    gaps = [(0, sys.maxsize)]  # start and end of what is free, in order
    in_use: list[tuple[int, int, int]] = []  # a heap: last use, start and end of the arrays placed
    for place in sorted(lives, key=lambda each: (lives[each][0], -each.width)):
        (first, last), width = lives[place], place.width
        while in_use and in_use[0][0] < first:
            _free(gaps, *heappop(in_use)[1:])
        chosen = next(k for k, (start, end) in enumerate(gaps) if start + width <= end)
        start, end = gaps[chosen]
        place.start = start if width else 0
        if width:
            gaps[chosen : chosen + 1] = [(start + width, end)] if start + width < end else []
            heappush(in_use, (last, place.start, place.end))
        table.arena_width = max(table.arena_width, place.end)
    start = 0
    for place in table.places:
        if place.space == "labels":
            place.start, start = start, start + place.width
    table.labels_width = start


def _free(gaps: list[tuple[int, int]], start: int, end: int) -> None:
    """Add what is free again to the gaps, as one with those that it touches."""
    k = bisect(gaps, (start, end))
    if k < len(gaps) and gaps[k][0] == end:
        end = gaps.pop(k)[1]
    if k and gaps[k - 1][1] == start:
        k -= 1
        start = gaps.pop(k)[0]
    gaps.insert(k, (start, end))
