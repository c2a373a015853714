"""A table as text: the instructions that run, and where their arrays lie."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.layers import Layer
from chainrule.program.table import Table, Turn


def listed_instructions(table: Table, layers: Mapping[int, Layer]) -> list[str]:
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


def listed_arrays(table: Table) -> list[str]:
    """The arrays of the arena, by their places, and what was left out and why."""
    lines = ["arrays, in one arena; those whose use does not overlap share their place"]
    arrays = [place for place in table.places if place.space == "arena"]
    for place in sorted(arrays, key=lambda each: (each.start, each.name)):
        shape = (table.capacity, *place.row)
        lines.append(f"  {place.name:<20} {shape!s:<18} at {place.start * table.capacity}")
    alone = sum(place.width for place in arrays) * table.capacity
    lines.append(f"  {table.arena_width * table.capacity:,} numbers; {alone:,} without sharing")
    if table.skipped:
        lines += ["", "left out", *(f"  {each}" for each in table.skipped)]
    return lines
