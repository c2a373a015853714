"""A table is verified before it runs: a wrong one is an exception, never a wild pointer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, ChainruleError, DataError, ShapeError
from chainrule.program.calls import Call
from chainrule.program.operations import updates
from chainrule.program.operations.gather import GATHER, GATHER_LABELS, RESULT
from chainrule.program.table import (
    GIVEN,
    MOST_PARTS,
    Instruction,
    Place,
    Space,
    Table,
    Turn,
    meeting,
    places_of,
    written,
)
from chainrule.sparse import SparseRows, is_readable


class TableError(ChainruleError, ValueError):
    """A table of instructions is wrong: a place outside its space, or widths that do not fit together."""


UPDATES = (*updates.UPDATES.values(), updates.UPDATE)
#: Where instructions may write; an update also to the parameters.
WRITABLE: frozenset[Space] = frozenset(
    {"arena", "labels", "gradient", "spares", "state", "statistics", "python"}
)
#: Where numbers lie that do not grow with the batch.
WHOLE: tuple[Space, ...] = ("parameters", "gradient", "spares", "constants")


def verify(table: Table, parameters: int) -> None:
    """Hold every place and every instruction of a table to the rules, for a network of `parameters` parameters.

    Raises: TableError, which names the instruction.
    """
    if table.capacity < 0:
        raise TableError(f"expected a capacity of at least 0, got {table.capacity}")
    limits: dict[str, int] = {
        "parameters": parameters,
        "gradient": parameters,
        "arena": table.arena_width,
        "labels": table.labels_width,
        "spares": table.spares_size,
        "constants": table.constants.size,
        "indices": table.indices.size,
    }
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
            _check_instruction(each, table)
        _check_parts(turn)


def _check_place(place: Place, limits: Mapping[str, int]) -> None:
    if place.space == "python":
        return
    if min(*place.row, place.length or 0, place.start) < 0:
        raise TableError(f"{place.name}: expected no negative place or width, got {place}")
    if place.is_batch != (place.space in ("arena", "labels")):
        raise TableError(
            f"{place.name}: only the arena and the labels have a row for each sample, got {place}"
        )
    if place.space == "labels" and place.below < 1:
        raise TableError(f"{place.name}: expected labels below a number of at least 1, got {place}")
    if place.space in GIVEN:
        return  # they are measured in each call
    if place.space not in limits:
        raise TableError(f"{place.name}: there is no space {place.space!r}")
    if place.end > limits[place.space]:
        raise TableError(
            f"{place.name}: expected it to end within the {limits[place.space]} numbers of {place.space}, "
            f"got {place.end}"
        )


def _check_instruction(each: Instruction, table: Table) -> None:
    operation = each.operation
    if not operation.operands:  # a layer's own forward or backward takes any places
        for place in each.operands:
            if place is None or place.space in GIVEN or place.space == "indices":
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
        elif not _has_form(place, form.lstrip("=~?"), widths):
            raise TableError(f"{each}: expected {place.name} to be {form!r}, widths {widths}, got {place}")
    _check_writes(each, written(each))
    if operation.fits is not None and not operation.fits(each, widths):
        raise TableError(f"{each}: its numbers {each.numbers} do not fit its operands {each.operands}")
    for place in each.operands:
        if place is None:
            continue
        if operation == GATHER_LABELS and place.space == "labels" and each.numbers[:1] != (place.below,):
            raise TableError(f"{each}: expected labels checked to be below {place.below}, got {each.numbers}")
        if operation.indices_fit is not None and place.space == "indices":
            numbers = table.indices[place.start : place.end]
            if len(numbers) != place.width or not operation.indices_fit(each, numbers):
                raise TableError(f"{each}: the whole numbers in {place.name} lead outside of its operands")
        if operation == RESULT and place.width != table.output.width:  # a call makes room for no wider rows
            raise TableError(f"{each}: expected rows of {table.output.width} numbers, got {place.width}")


def _has_form(place: Place, form: str, widths: dict[str, int]) -> bool:
    """Whether a place is what an operation takes there.

    `widths` says what the letters stand for: each for one width in all operands of an instruction.
    """

    def has(letter: str, width: int) -> bool:
        expected = int(letter) if letter.isdigit() else widths.setdefault(letter, width)
        return expected == width

    match form.split():
        case ["*"] | ["data", "*"]:
            return place.space in ("python", "data") and not place.part
        case ["any"]:
            return place.space == "arena" or place.space in WHOLE
        case ["any", size]:
            return (place.space == "arena" or place.space in WHOLE) and has(size, place.size)
        case ["whole", size]:
            return place.space in WHOLE and has(size, place.size)
        case ["indices"]:
            return place.space == "indices"
        case ["data", row]:
            return place.space == "data" and not place.part and has(row, place.width)
        case ["indptr" | "indices" | "values" as part, row]:
            return place.space == "data" and place.part == part and has(row, place.width)
        case ["B", "labels", row]:
            known = has(row, place.width) and place.below <= widths.get("K", place.below)
            return place.space == "labels" and known
        case ["B", row]:
            return place.space == "arena" and has(row, place.width)
        case [length, row]:
            return place.space in WHOLE and has(length, place.length or 0) and has(row, place.width)
        case [row]:
            is_vector = place.space in (*WHOLE, "state", "statistics") and place.length == 1
            return is_vector and has(row, place.width)
    return False


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
    _check_apart(place for place in places_of([turn]) if place.is_batch)
    for k, each in enumerate(turn.instructions):
        meets = meeting(turn.instructions[:k], each) if turn.kind == "columns" else []
        if meets:
            raise TableError(f"{each}: another part of the same turn writes or reads {meets[0].name}")
        for place in written(each):
            if turn.kind == "rows" and not place.is_batch:
                raise TableError(f"{each}: parts that are cut by rows would all write to {place.name}")


def _check_apart(places: Iterable[Place]) -> None:
    """Arrays of one turn of several parts must not share their place; labels never: each has its limits."""
    wide = [place for place in places if place.width]
    for one, other in pairwise(sorted(wide, key=lambda each: (each.space, each.start))):
        if one.space == other.space and one.end > other.start:
            raise TableError(
                f"{one.name} and {other.name} share their place, which labels and the arrays of a turn of "
                f"several parts must not"
            )


def _overlap(one: Place, other: Place) -> bool:
    is_flat = one.space == other.space and one.space not in GIVEN and one.space != "python"
    return is_flat and one.start < other.end and other.start < one.end


def verify_call(table: Table, data: Iterable[Place], call: Call) -> None:
    """Hold what a call is given to what its table takes: names, widths, and numbers of rows and of steps.

    `data` are the places that it reads data from.

    Raises: ArgumentError, ShapeError.
    """
    if call.batch > table.capacity:
        raise ShapeError(f"expected at most {table.capacity} rows in a batch, got {call.batch}")
    for place in data:
        _check_data(place, call)
    if call.rows is not None:
        _check_rows(call.rows, call)
    _check_numbers("rates", call.rates if call.update else None, call.steps, np.float64)
    _check_numbers("weights", call.weights, call.steps, np.float64)
    _check_numbers("right", call.right, call.steps, np.int64, written=True)
    _check_numbers("losses", call.losses if call.measured else None, call.steps, np.float64, written=True)
    result = call.result
    if result is not None and table.output.space == "arena":
        expected = (call.total, *table.output.row)
        if result.shape != expected or not (result.flags.c_contiguous and result.flags.writeable):
            raise ShapeError(
                f"result: expected shape {expected}, writable and in C order, got {result.shape}"
            )


def _check_numbers(
    name: str, array: Array | None, count: int, dtype: type[np.generic], *, written: bool = False
) -> None:
    """Hold what the machine reads, or writes to, one number for each step, to how that must lie in memory."""
    if array is None:
        return
    if (
        array.ndim != 1
        or array.dtype != dtype
        or not array.flags.c_contiguous
        or (written and not array.flags.writeable)
    ):
        raise ShapeError(
            f"{name}: expected {np.dtype(dtype)} numbers in one row, got {array.dtype} of shape {array.shape}"
        )
    if len(array) < count:
        raise ShapeError(f"{name}: expected one for each of the {count} steps, got {len(array)}")


def _check_rows(rows: Array, call: Call) -> None:
    """Row numbers of batches of one size, or of several, which begin where `starts` says."""
    starts = call.starts
    expected: tuple[int, ...] = (call.steps, call.batch)
    if starts is not None:
        _check_numbers("starts", starts, call.steps + 1, np.int64)
        lengths = np.diff(starts)
        if len(lengths) != call.steps or starts[0] != 0 or lengths.min() < 1 or lengths.max() > call.batch:
            raise ShapeError(
                f"starts: expected 0 and the ends of {call.steps} batches of 1 to {call.batch} rows, got {starts}"
            )
        expected = (int(starts[-1]),)
    if rows.shape != expected or rows.dtype != np.int64 or not rows.flags.c_contiguous:
        raise ShapeError(f"rows: expected shape {expected} in C order, got {rows.shape} of {rows.dtype}")


def _check_data(place: Place, call: Call) -> None:
    array = call.data.get(place.source)
    if array is None:
        if place.below or place.row:
            raise ArgumentError(f"the program needs data for {place.source!r} too")
        return  # an optional input of a layer in Python
    if isinstance(array, SparseRows) != bool(place.part):
        how = f"with sparse={{{place.source!r}}}" if not place.part else f"without {place.source!r} in sparse"
        raise ArgumentError(
            f"{place.source}: expected {'sparse rows' if place.part else 'a dense array'}, got "
            f"{type(array).__name__}; make the program {how}"
        )
    if isinstance(array, SparseRows) and not is_readable(array):
        raise DataError(f"{place.source}: the parts of the sparse matrix were changed; hand it over anew")
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
