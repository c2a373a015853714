"""How operations with a kernel are declared: with what follows from their operands left out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
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
    numbers: Mapping[str, type[float]] | None = None,
    fits: Callable[..., bool] | None = None,
    **more: Any,
) -> Operation:
    """An operation. By default its kernel has its name, and it is printed as what it writes and what it reads.

    `operands` are those of the table, with commas between. `numbers` names those of an instruction, `int` for a
    length: a whole number from 1. `fits` takes any of them by name, the letters of operands, and `operands`.
    """
    forms = tuple(operands.split(", "))
    check = None if numbers is None and fits is None else _check(numbers, fits)
    shown = printed or _printed(name, forms)
    return Operation(name, forms, shown, turn, kernel or name, statement, fits=check, **more)


@cache
def whole(operation: Operation) -> Operation:
    """The same operation where nothing grows with the batch."""
    forms = tuple(re.sub(r"\b(B|any) ", "whole ", form) for form in operation.operands)
    return replace(operation, operands=forms, turn="columns")


def _printed(name: str, forms: tuple[str, ...]) -> str:
    written = [f"{{{k}}}" for k, form in enumerate(forms) if form[0] in "=~"]
    read = [f"{{{k}}}" for k, form in enumerate(forms) if form[0] != "="]
    return f"{', '.join(written)} = {name}({', '.join(read)})"


def _check(
    numbers: Mapping[str, type[float]] | None, fits: Callable[..., bool] | None
) -> Callable[[Instruction, Mapping[str, int]], bool]:
    asked = [] if fits is None else list(inspect.signature(fits).parameters)

    def check(each: Instruction, widths: Mapping[str, int]) -> bool:
        found: dict[str, Any] = {**widths, "operands": each.operands}
        if numbers is not None:
            if len(each.numbers) != len(numbers):
                return False
            for (name, kind), number in zip(numbers.items(), each.numbers, strict=True):
                if kind is int and not (number % 1 == 0 and 1 <= number <= LONGEST):
                    return False
                found[name] = kind(number)
        return fits is None or fits(*map(found.get, asked))

    return check
