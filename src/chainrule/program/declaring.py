"""How operations with a kernel are declared: with what follows from their operands left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from chainrule.program.table import Instruction, Operation, TurnKind

LONGEST = 2**31 - 1  # of a length, so that the product of two is a whole number in C


def operation(
    name: str,
    operands: str,
    statement: Callable[..., None],
    *,
    turn: TurnKind = "rows",
    kernel: str = "",
    printed: str = "",
    numbers: tuple[type[float], ...] | None = None,
    fits: Callable[..., bool] | None = None,
    **more: Any,
) -> Operation:
    """An operation. By default its kernel has its name, and it is printed as what it writes and what it reads.

    `operands` are those of the table, with commas between. `numbers` says how many an instruction has: `int` stands
    for a length, a whole number from 1. `fits` is given the operands and these numbers.
    """
    forms = tuple(operands.split(", "))
    check = None if numbers is None and fits is None else _check(forms, numbers, fits)
    shown = printed or _printed(name, forms)
    return Operation(name, forms, shown, turn, kernel or name, statement, fits=check, **more)


@cache
def whole(operation: Operation) -> Operation:
    """An operation on rows where nothing grows with the batch: on arrays of one size, but for operands of any."""

    def fits(each: Instruction) -> bool:
        if any(place is None or place.is_batch for place in each.operands):
            return False
        operands = zip(each.operands, operation.operands, strict=True)
        sizes = {place.size for place, form in operands if place is not None and form != "any"}
        return len(sizes) == 1 and (operation.fits is None or operation.fits(each))

    forms = tuple(form[0] + "any" if form[0] in "=~" else "any" for form in operation.operands)
    return replace(operation, operands=forms, turn="columns", fits=fits)


def _printed(name: str, forms: tuple[str, ...]) -> str:
    written = [f"{{{k}}}" for k, form in enumerate(forms) if form[0] in "=~"]
    read = [f"{{{k}}}" for k, form in enumerate(forms) if form[0] != "="]
    return f"{', '.join(written)} = {name}({', '.join(read)})"


def _check(
    forms: tuple[str, ...], numbers: tuple[type[float], ...] | None, fits: Callable[..., bool] | None
) -> Callable[[Instruction], bool]:
    kinds = numbers or ()

    def check(each: Instruction) -> bool:
        if any(place is None and "?" not in form for place, form in zip(each.operands, forms, strict=True)):
            return False
        if numbers is not None and len(each.numbers) != len(numbers):
            return False
        found = list(zip(kinds, each.numbers, strict=False))
        if any(kind is int and not (number % 1 == 0 and 1 <= number <= LONGEST) for kind, number in found):
            return False
        return fits is None or fits(*each.operands, *(kind(number) for kind, number in found))

    return check
