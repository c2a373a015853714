"""Tables with a target column, from text and array files."""

from chainrule.datasets.tables.table import Table, load_table
from chainrule.datasets.tables.targets import Task

__all__ = ["Table", "Task", "load_table"]
