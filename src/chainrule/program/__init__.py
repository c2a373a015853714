"""The fast form of a graph: a table of instructions over one arena, and what runs it."""

from chainrule.program.lowering import row_shapes
from chainrule.program.one_row import OneRow
from chainrule.program.program import Program, Trainer

__all__ = ["OneRow", "Program", "Trainer", "row_shapes"]
