"""The fast form of a graph: lowered to a straight line of calls, and compiled as a whole."""

from chainrule.program.compiled_form import CannotCompile, Update
from chainrule.program.program import Program

__all__ = ["CannotCompile", "Program", "Update"]
