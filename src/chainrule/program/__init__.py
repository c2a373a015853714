"""The fast form of a graph: lowered to a straight line of calls, and compiled as a whole."""

from chainrule.program.compiled_form import ROWS_MEASURED, CannotCompile, Update
from chainrule.program.program import Program

__all__ = ["ROWS_MEASURED", "CannotCompile", "Program", "Update"]
