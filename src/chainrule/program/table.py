"""The table of a program: instructions, the places they read and write, and the turns they are done in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np

from chainrule.arrays import Array, Shape

Space = Literal["arena", "labels", "parameters", "gradient", "spares", "constants", "state", "data", "python"]
TurnKind = Literal["rows", "gradients", "update", "python"]


@dataclass(eq=False)
class Place:
    """Where an array lies: in which space, from which number on, and how long its rows are.

    In "arena" (numbers) and "labels" (whole numbers) an array has a row for each sample of the batch, and `start`
    counts numbers per sample. In the other spaces it has `length` rows. "data" is what batches are taken from,
    known only in a call; "python" is a value that only Python's layers read and write.
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
    is_input: bool = False
    source: str = ""
    """Of data: the name of the input that they are for."""

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return prod(self.row)

    @property
    def is_batch(self) -> bool:
        """Whether it has a row for each sample."""
        return self.length is None

    @property
    def end(self) -> int:
        """Behind its last number: per sample, or in the flat vector."""
        return self.start + self.width * (1 if self.length is None else self.length)


@dataclass(frozen=True)
class Operation:
    """One kind of instruction.

    `operands` says what it takes: "B K" is an array with K numbers for each sample, "K N" a matrix, "N" a vector.
    Behind "=" it is written, behind "~" changed, behind "?" it may be missing; "labels" are whole numbers below K.
    `kernel` is the name of the function in the machine; None for what Python does. `statement` is the same in
    NumPy. `printed` is how an instruction is shown, with the names of its operands.
    """

    name: str
    operands: tuple[str, ...]
    printed: str
    turn: TurnKind = "rows"
    kernel: str | None = None
    statement: Callable[..., None] | None = field(default=None, repr=False)
    gathers: bool = False
    """Whether it fills an input, to which nothing else may write."""


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
        return self.operation.printed.format(*names, more="".join(f", {name}" for name in names[2:] if name))


@dataclass(frozen=True)
class Turn:
    """Instructions between which the parts of a step need not wait for each other."""

    kind: TurnKind
    instructions: tuple[Instruction, ...]


@dataclass
class Table:
    """All that is done in one step, in order.

    `capacity` is the largest number of rows, `parts` into how many parts each turn is cut. `constants` are the
    numbers in the space of that name.
    """

    turns: list[Turn]
    capacity: int
    parts: int
    output: Place
    arena_width: int = 0
    labels_width: int = 0
    spares_size: int = 0
    constants: Array = field(default_factory=lambda: np.zeros(0))
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
    def in_python(self) -> bool:
        """Whether a part of it is done by Python."""
        return any(turn.kind == "python" for turn in self.turns)


def unique(places: Iterable[Place]) -> list[Place]:
    """Each place once."""
    return list({id(place): place for place in places}.values())


def in_turns(instructions: Iterable[Instruction]) -> list[Turn]:
    """Instructions one after another, cut into turns: a new one wherever the kind changes."""
    turns: list[tuple[TurnKind, list[Instruction]]] = []
    for each in instructions:
        kind = each.operation.turn
        if not turns or turns[-1][0] != kind or kind == "python":
            turns.append((kind, []))
        turns[-1][1].append(each)
    return [Turn(kind, tuple(done)) for kind, done in turns]


def plan(table: Table, *, by_turn: bool, kept: Iterable[Place] = ()) -> None:
    """Give every array of the arena its place, and tell the table how wide the arena is.

    A place is free again after the last use of its array. With `by_turn`, one that is used in a turn is in use for
    the whole turn, since the parts of a turn do not wait for each other. What is `kept` is read after the last
    instruction. Each array is put into the lowest gap that holds it.
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
            moment += not by_turn
        moment += by_turn
    last.update({id(place): moment for place in kept if id(place) in first})
    placed: list[Place] = []
    for place in sorted(arrays, key=lambda each: (first[id(each)], -each.width)):
        start = 0
        in_use = [
            each
            for each in placed
            if first[id(each)] <= last[id(place)] and last[id(each)] >= first[id(place)]
        ]
        for other in sorted(in_use, key=lambda each: each.start):
            if start + place.width <= other.start:
                break
            start = max(start, other.end)
        place.start = start
        placed.append(place)
    table.arena_width = max((place.end for place in placed), default=0)
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
        lines.append(
            "  the loss, where there are targets:" if of_loss else f"  {_title(turn.kind, table.parts)}"
        )
        for each in turn.instructions:
            layer = layers.get(each.layer)
            note = ", ".join(part for part in (repr(layer) if layer is not None else "", each.note) if part)
            lines.append(f"    {each!s:<56}{'  # ' + note if note else ''}".rstrip())
    return lines


def _title(kind: TurnKind, parts: int) -> str:
    what = {
        "rows": "the rows of the batch",
        "gradients": "the gradients of the parameters",
        "update": "the update",
        "python": "Python",
    }[kind]
    return f"{what}{', in two parts' if parts == 2 and kind != 'python' else ''}:"
