"""Tables with a target column, from text and array files."""

from chainrule.datasets.tables.frames import is_frame
from chainrule.datasets.tables.preparation import NEVER_SEEN, Encoding, Preparation
from chainrule.datasets.tables.table import ENDINGS, TEXT, Table, ending_of, load_table
from chainrule.datasets.tables.targets import Task

__all__ = [
    "ENDINGS",
    "NEVER_SEEN",
    "TEXT",
    "Encoding",
    "Preparation",
    "Table",
    "Task",
    "ending_of",
    "is_frame",
    "load_table",
]
