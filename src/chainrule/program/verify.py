"""A table is verified before it runs: a wrong one is an exception, never a wild pointer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from chainrule.errors import ArgumentError, ChainruleError, DataError, ShapeError
from chainrule.program.calls import Call
from chainrule.program.operations.gather import GATHER, GATHER_LABELS, RESULT
from chainrule.program.operations.updates import UPDATE
from chainrule.program.operations.updates import UPDATES as OF_OPTIMIZERS
from chainrule.program.table import MOST_PARTS, Instruction, Place, Space, Table, Turn, written


class TableError(ChainruleError, ValueError):
    """A table of instructions is wrong: a place outside its space, or widths that do not fit together."""


UPDATES = (*OF_OPTIMIZERS.values(), UPDATE)
#: Where instructions may write; an update also to the parameters.
WRITABLE: frozenset[Space] = frozenset(
    {"arena", "labels", "gradient", "spares", "state", "statistics", "python"}
)
#: Where numbers lie that do not grow with the batch.
WHOLE: tuple[Space, ...] = ("parameters", "gradient", "spares", "constants")


def verify(table: Table, sizes: Mapping[Space, int]) -> None:
    """Hold every place and every instruction of a table to the rules.

    `sizes` says how many numbers the flat spaces hold; arena and labels are as wide as the table says.

    Raises: TableError, which names the instruction.
    """
    if table.capacity < 0:
        raise TableError(f"expected a capacity of at least 0, got {table.capacity}")
    limits: dict[str, int] = {**sizes, "arena": table.arena_width, "labels": table.labels_width}  # type: ignore[dict-item]
    for place in table.places:
        _check_place(place, limits)
    _check_inputs(table)
    _check_apart(place for place in table.places if place.space == "labels")
    for turn in table.turns:
        for each in turn.instructions:
            if each.operation.turn != turn.kind:
                raise TableError(f"{each}: expected it in a turn of {each.operation.turn}, got {turn.kind}")
            if (each.operation.kernel is None) != (turn.kind == "python"):
                raise TableError(f"{each}: what has no kernel is for Python, and nothing else is")
            _check_instruction(each)
            _check_indices(each, table)
            _check_result(each, table)
        _check_parts(turn)


def _check_place(place: Place, limits: Mapping[str, int]) -> None:
    if place.space == "python":
        return
    if (
        place.width < 0
        or any(length < 0 for length in place.row)
        or (place.length or 0) < 0
        or place.start < 0
    ):
        raise TableError(f"{place.name}: expected no negative place or width, got {place}")
    if place.is_batch != (place.space in ("arena", "labels")):
        raise TableError(
            f"{place.name}: only the arena and the labels have a row for each sample, got {place}"
        )
    if place.space == "labels" and place.below < 1:
        raise TableError(f"{place.name}: expected labels below a number of at least 1, got {place}")
    if place.space in ("data", "state", "statistics"):
        return  # they are measured in each call
    if place.space not in limits:
        raise TableError(f"{place.name}: there is no space {place.space!r}")
    if place.end > limits[place.space]:
        raise TableError(
            f"{place.name}: expected it to end within the {limits[place.space]} numbers of {place.space}, "
            f"got {place.end}"
        )


def _check_instruction(each: Instruction) -> None:
    operation = each.operation
    if not operation.operands:  # a layer's own forward or backward takes any places
        for place in each.operands:
            if place is None or place.space in ("data", "state", "statistics", "indices"):
                raise TableError(
                    f"{operation.name}: a layer in Python takes no data and no state, got {place}"
                )
        return
    if len(each.operands) != len(operation.operands):
        raise TableError(
            f"{operation.name}: expected {len(operation.operands)} operands, got {len(each.operands)}"
        )
    if not all(math.isfinite(number) for number in each.numbers):
        raise TableError(f"{operation.name}: expected finite numbers, got {each.numbers}")
    widths: dict[str, int] = {}
    for place, form in zip(each.operands, operation.operands, strict=True):
        if place is None:
            if "?" not in form:
                raise TableError(f"{operation.name}: an operand is missing, expected {form!r}")
            continue
        _check_form(each, place, form.lstrip("=~?"), widths)
    _check_writes(each, written(each))
    if operation.fits is not None and not operation.fits(each, widths):
        raise TableError(f"{each}: its numbers {each.numbers} do not fit its operands {each.operands}")
    if operation == GATHER_LABELS:
        t = each.operands[1]
        assert t is not None
        if each.numbers[:1] != (t.below,):
            raise TableError(f"{each}: expected labels checked to be below {t.below}, got {each.numbers}")


def _check_indices(each: Instruction, table: Table) -> None:
    if each.operation.indices_fit is None:
        return
    for place in each.operands:
        if place is not None and place.space == "indices":
            numbers = table.indices[place.start : place.end]
            if len(numbers) != place.width or not each.operation.indices_fit(each, numbers):
                raise TableError(f"{each}: the whole numbers in {place.name} lead outside of its operands")


def _check_result(each: Instruction, table: Table) -> None:
    """A call makes room for rows of the table's output, and for no wider ones."""
    place = each.operands[0] if each.operation == RESULT else None
    if place is not None and place.width != table.output.width:
        raise TableError(f"{each}: expected rows of {table.output.width} numbers, got {place.width}")


def _check_form(each: Instruction, place: Place, form: str, widths: dict[str, int]) -> None:
    words = form.split()
    if words[0] == "*" or (words[0] == "data" and words[1] == "*"):
        fits = place.space in ("python", "data")
    elif words[0] == "data":
        words = words[1:]
        fits = place.space == "data" and _unified(widths, words[0], place.width)
    elif words[:2] == ["B", "labels"]:
        fits = place.space == "labels" and _unified(widths, words[2], place.width)
        fits = fits and place.below <= widths.get("K", place.below)
    elif words[0] == "any":
        fits = place.space in ("arena", *WHOLE)
        fits = fits and (len(words) == 1 or _unified(widths, words[1], place.size))
    elif words[0] == "whole":
        fits = place.space in WHOLE and _unified(widths, words[1], place.size)
    elif words[0] == "indices":
        fits = place.space == "indices"
    elif words[0] == "B":
        fits = place.space == "arena" and _unified(widths, words[1], place.width)
    elif len(words) == 2:
        fits = _unified(widths, words[0], place.length or 0) and _unified(widths, words[1], place.width)
        fits = fits and place.space in WHOLE
    else:
        fits = place.length == 1 and _unified(widths, words[0], place.width)
        fits = fits and place.space in (*WHOLE, "state", "statistics")
    if not fits:
        raise TableError(f"{each}: expected {place.name} to be {form!r}, widths {widths}, got {place}")


def _unified(widths: dict[str, int], letter: str, width: int) -> bool:
    """Whether a letter can stand for this width: it does for all operands of an instruction, or is a number."""
    if letter.isdigit():
        return int(letter) == width
    return widths.setdefault(letter, width) == width


def _check_writes(each: Instruction, places: list[Place]) -> None:
    for place in places:
        if place.space not in WRITABLE and not (place.space == "parameters" and each.operation in UPDATES):
            raise TableError(f"{each}: nothing may write to {place.space}, of which {place.name} is a part")
        if place.is_input and not each.operation.gathers:
            raise TableError(f"{each}: {place.name} is an input, which only a gathering may write to")
        for other in each.operands:
            if other is not None and other is not place and _overlap(place, other):
                raise TableError(f"{each}: {place.name} is written, and shares its place with {other.name}")
    if sum(other is place for place in places for other in each.operands) > len(places):
        raise TableError(f"{each}: a place that is written stands twice")


def _check_inputs(table: Table) -> None:
    """What is gathered may lie in the caller's data, so that nothing else may write to it, and Python not look."""
    gathered = [each for each in table.instructions if each.operation == GATHER and any(each.numbers)]
    if gathered and table.in_python:
        raise TableError(f"{gathered[0]}: data are used where they lie only where Python does no part")
    for each in gathered:
        place = each.operands[1]
        if place is None or not place.is_input:
            raise TableError(f"{each}: expected an input, to which nothing else writes, got {place}")


def _check_parts(turn: Turn) -> None:
    """The parts of a turn do not wait for each other: what one writes, no other may need within the turn."""
    if not 1 <= turn.parts <= MOST_PARTS or (turn.kind == "python" and turn.parts > 1):
        raise TableError(f"expected 1 to {MOST_PARTS} parts of a turn, got {turn.parts} of {turn.kind}")
    if turn.parts == 1:
        return
    _check_apart(place for each in turn.instructions for place in each.operands if place is not None)
    changed: set[int] = set()
    used: set[int] = set()
    for each in turn.instructions:
        places = [place for place in each.operands if place is not None]
        own = written(each)
        meets = [p for p in places if id(p) in changed] + [p for p in own if id(p) in used]
        if turn.kind == "columns" and meets:
            raise TableError(f"{each}: another part of the same turn writes or reads {meets[0].name}")
        for place in own:
            if turn.kind == "rows" and not place.is_batch:
                raise TableError(f"{each}: parts that are cut by rows would all write to {place.name}")
        changed.update(map(id, own))
        used.update(map(id, places))


def _check_apart(places: Iterable[Place]) -> None:
    """Arrays of one turn of several parts must not share their place; labels never: each has its limits."""
    arrays = sorted(
        {id(each): each for each in places if each.is_batch}.values(), key=lambda each: each.start
    )
    for space in ("arena", "labels"):
        own = [each for each in arrays if each.space == space and each.width]
        for one, other in pairwise(own):
            if one.end > other.start:
                raise TableError(
                    f"{one.name} and {other.name} share their place, which labels and the arrays of a turn of "
                    f"several parts must not"
                )


def _overlap(one: Place, other: Place) -> bool:
    return (
        one.space == other.space
        and one.space not in ("python", "data", "state", "statistics")
        and (one.start < other.end and other.start < one.end)
    )


def verify_call(table: Table, data: Iterable[Place], call: Call) -> None:
    """Hold what a call is given to what its table takes: names, widths, and numbers of rows and of steps.

    `data` are the places that it reads data from.

    Raises: ArgumentError, ShapeError.
    """
    if call.batch > table.capacity:
        raise ShapeError(f"expected at most {table.capacity} rows in a batch, got {call.batch}")
    for place in data:
        _check_data(place, call)
    rows = call.rows
    if rows is not None and (rows.shape != (call.steps, call.batch) or rows.dtype != np.int64):
        raise ShapeError(f"rows: expected shape {(call.steps, call.batch)}, got {rows.shape} of {rows.dtype}")
    for name, array in (("rates", call.rates if call.update else None), ("right", call.right)):
        if array is not None and len(array) < call.steps:
            raise ShapeError(f"{name}: expected one for each of the {call.steps} steps, got {len(array)}")
    if call.measured and len(call.losses) < call.steps:
        raise ShapeError(f"losses: expected room for {call.steps}, got {len(call.losses)}")
    result = call.result
    if result is not None and table.output.space == "arena":
        expected = (call.total, *table.output.row)
        if result.shape != expected or not (result.flags.c_contiguous and result.flags.writeable):
            raise ShapeError(
                f"result: expected shape {expected}, writable and in C order, got {result.shape}"
            )


def _check_data(place: Place, call: Call) -> None:
    array = call.data.get(place.source)
    if array is None:
        if place.below or place.row:
            raise ArgumentError(f"the program needs data for {place.source!r} too")
        return  # an optional input of a layer in Python
    if call.rows is None and len(array) < call.total:
        raise ShapeError(f"{place.source}: expected {call.total} rows, got {len(array)}")
    if (place.below or place.row) and (array.ndim == 0 or math.prod(array.shape[1:]) != place.width):
        raise ShapeError(f"{place.source}: expected {place.width} numbers in a row, got shape {array.shape}")
    if place.looked_up_by and array.dtype.kind not in "iu":
        raise DataError(
            f"{place.looked_up_by}: expected ids to be whole numbers, got {array.dtype}; convert them with "
            f"{place.source}.astype(int)"
        )
    if place.below and array.dtype.kind not in "iub":
        raise DataError(f"{place.source}: expected labels in whole numbers, got {array.dtype}")
