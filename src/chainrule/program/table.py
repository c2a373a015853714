"""The table of a program: instructions, the places they read and write, and the turns they are done in."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np

from chainrule.arrays import Array, Shape

Space = Literal[
    "arena", "labels", "parameters", "gradient", "spares", "constants", "indices", "state", "statistics", "data",
    "python",
]  # fmt: skip
TurnKind = Literal["rows", "columns", "gradients", "update", "python"]
MOST_PARTS = 64
PART = 1_000_000  # multiply-adds, or what takes as long, that a part of a turn is made of
LEAST_ROWS = 16  # of a part
LARGE = (
    62_500  # numbers of a matrix that BLAS had better copy once, and not for each part: it is cut by columns
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


def whole_place(name: str, space: Space, shape: Shape, start: int) -> Place:
    """The place of an array of this shape that does not grow with the batch."""
    return Place(name, space, shape[-1:] or (1,), prod(shape[:-1]), start, shape)


@dataclass(frozen=True)
class Operation:
    """One kind of instruction.

    `operands` says what it takes: "B K" is an array with K numbers for each sample, "K N" a matrix, "N" a vector,
    "any" any of them; "B labels N" are N whole numbers below K for each sample, "indices" whole numbers that never
    change. Behind "=" it is written, behind "~" changed, behind "?" it may be missing.
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
    fits: Callable[[Instruction], bool] | None = field(default=None, repr=False)
    """What else the numbers and operands of an instruction must satisfy, beside their widths."""
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
        if self.operation.name == "layer":
            return f"{names[-1]} = layer({', '.join(names[:-1])})"
        if self.operation.name == "layer_backward":
            inputs = len(names) - len(self.fresh)
            return f"{', '.join(names[inputs:])} = layer_backward({', '.join(names[:inputs])})"
        text = self.operation.printed.format(*names, more="".join(f", {name}" for name in names[2:] if name))
        return (
            text.replace("(, ", "(").replace(", , ", ", ").replace(", )", ")")
        )  # of operands that are missing


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
        operands = (
            p for turn in self.turns_of(measured) for each in turn.instructions for p in each.operands
        )
        return unique(place for place in operands if place is not None and place.space == "data")

    @property
    def instructions(self) -> list[Instruction]:
        """Those of all turns, in order."""
        return [each for turn in self.turns for each in turn.instructions]

    @property
    def places(self) -> list[Place]:
        """Every place that an instruction names, in the order of first use."""
        return unique(place for each in self.instructions for place in each.operands if place is not None)

    @property
    def parts(self) -> int:
        """Into how many the turn is cut that is cut into most."""
        return max((turn.parts for turn in self.turns), default=1)

    @property
    def in_python(self) -> bool:
        """Whether a part of it is done by Python."""
        return any(turn.kind == "python" for turn in self.turns)


def unique(places: Iterable[Place]) -> list[Place]:
    """Each place once."""
    return list({id(place): place for place in places}.values())


def in_turns(instructions: Iterable[Instruction], capacity: int, *, cut: bool) -> list[Turn]:
    """Instructions one after another, in turns, each cut into parts as its work is worth.

    A new turn begins wherever the kind changes, for each instruction of Python, and in "columns" before one that
    touches what another of the turn has written, or writes what it has read: parts do not wait for each other.
    """
    turns: list[tuple[TurnKind, list[Instruction]]] = []
    for each in instructions:
        kind = each.operation.turn
        if not turns or turns[-1][0] != kind or kind == "python" or _meet(kind, turns[-1][1], each):
            turns.append((kind, []))
        turns[-1][1].append(each)
    return [Turn(kind, tuple(done), parts_of(kind, done, capacity) if cut else 1) for kind, done in turns]


def parts_of(kind: TurnKind, instructions: Iterable[Instruction], capacity: int) -> int:
    """Into how many parts a turn is cut: by its work alone, so that results are the same for any threads.

    A power of two, so that two threads, or four, have as many each.
    """
    done = list(instructions)
    if kind == "python":
        return 1
    most = MOST_PARTS
    matrices = [matrix for each in done if each.operation.is_product for matrix in [_matrix(each)] if matrix]
    if kind == "rows":
        most = min(most, capacity // LEAST_ROWS)
    elif kind == "columns" and matrices:
        most = min(most, max(written(each)[0].row[-1] for each in done) // LEAST_OF_LARGE[kind])
    elif matrices:
        rows = max(matrix.length or 1 for matrix in matrices)
        most = min(most, rows // (LEAST_OF_LARGE[kind] if any(map(is_large, matrices)) else LEAST_ROWS))
    parts = max(1, min(sum(_work(each, capacity) for each in done) // PART, most))
    return 1 << (int(parts).bit_length() - 1)


def is_large(matrix: Place) -> bool:
    """Whether a product with it is cut by columns."""
    return matrix.width * (matrix.length or 1) > LARGE


def _matrix(each: Instruction) -> Place | None:
    """What a product takes, or makes, that does not grow with the batch."""
    return next((place for place in each.operands if place is not None and not place.is_batch), None)


def _work(each: Instruction, capacity: int) -> int:
    """About how many multiply-adds take as long."""
    matrix = _matrix(each) if each.operation.is_product else None
    if matrix is not None:
        widest = max(place.width for place in each.operands if place is not None and place.is_batch)
        return capacity * widest * min(matrix.width, matrix.length or 1)
    return PER_ELEMENT * max(
        (_size(place, capacity) for place in each.operands if place is not None), default=0
    )


def _size(place: Place, capacity: int) -> int:
    if place.space in ("data", "python", "indices"):
        return 0
    return place.width * (capacity if place.length is None else place.length)


def written(each: Instruction) -> list[Place]:
    """What an instruction of the machine writes to."""
    forms = zip(each.operands, each.operation.operands, strict=False)
    return [place for place, form in forms if place is not None and form[0] in "=~"]


def _meet(kind: TurnKind, done: list[Instruction], each: Instruction) -> bool:
    if kind != "columns":
        return False
    changed = {id(place) for earlier in done for place in written(earlier)}
    used = {id(place) for earlier in done for place in earlier.operands}
    return any(id(place) in changed for place in each.operands) or any(id(p) in used for p in written(each))


def plan(table: Table, kept: Iterable[Place] = ()) -> None:
    """Give every array of the arena its place, and tell the table how wide the arena is.

    A place is free again after the last use of its array; one that is used in a turn of several parts is in use for
    the whole turn, since they do not wait for each other. What is `kept` is read after the last instruction. Each
    array is put into the lowest gap that holds it.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    arrays: list[Place] = []
    moment = 0
    for turn in table.turns:
        for each in turn.instructions:
            for place in each.operands:
                if place is not None and place.space == "arena":
                    if id(place) not in first:
                        first[id(place)] = moment
                        arrays.append(place)
                    last[id(place)] = moment
            moment += turn.parts == 1
        moment += turn.parts > 1
    last.update({id(place): moment for place in kept if id(place) in first})
    table.arena_width = 0
    in_use: list[tuple[int, int, int]] = []  # start, end and last use of the arrays placed, in order
    for place in sorted(arrays, key=lambda each: (first[id(each)], -each.width)):
        in_use = [each for each in in_use if each[2] >= first[id(place)]]
        start, width = 0, place.width
        for other_start, other_end, _ in in_use:
            if start + width <= other_start:
                break
            if other_end > start:
                start = other_end
        place.start = start
        insort(in_use, (start, place.end, last[id(place)]))
        table.arena_width = max(table.arena_width, place.end)
    start = 0
    for place in table.places:
        if place.space == "labels":
            place.start, start = start, start + place.width
    table.labels_width = start


def described(table: Table, layers: dict[int, Any]) -> list[str]:
    """The instructions as text, one for one, turn by turn."""
    lines = []
    for k, turn in enumerate(table.turns):
        of_loss = k >= len(table.turns) - table.measured
        lines.append("  the loss, where there are targets:" if of_loss else f"  {_title(turn)}")
        for each in turn.instructions:
            layer = layers.get(each.layer)
            note = ", ".join(part for part in (repr(layer) if layer is not None else "", each.note) if part)
            lines.append(f"    {each!s:<56}{'  # ' + note if note else ''}".rstrip())
    return lines


def _title(turn: Turn) -> str:
    what = {
        "rows": "the rows of the batch",
        "columns": "where the rows of the batch meet",
        "gradients": "the gradients of the parameters",
        "update": "the update",
        "python": "Python",
    }[turn.kind]
    return f"{what}{f', in {turn.parts} parts' if turn.parts > 1 else ''}:"
