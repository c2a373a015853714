"""Tables with a target column, from text and array files."""

from chainrule.datasets.tables.column import Form
from chainrule.datasets.tables.frames import is_frame
from chainrule.datasets.tables.learning import MOST_CATEGORIES
from chainrule.datasets.tables.loading import ENDINGS, TEXT, ending_of, load_table, stem_of
from chainrule.datasets.tables.other_files import refuse_other
from chainrule.datasets.tables.preparation import FAR_OFF, NEVER_SEEN, Encoding, Preparation, date_of, told_of
from chainrule.datasets.tables.table import Table
from chainrule.datasets.tables.targets import Task

__all__ = [
    "ENDINGS",
    "FAR_OFF",
    "MOST_CATEGORIES",
    "NEVER_SEEN",
    "TEXT",
    "Encoding",
    "Form",
    "Preparation",
    "Table",
    "Task",
    "date_of",
    "ending_of",
    "is_frame",
    "load_table",
    "refuse_other",
    "stem_of",
    "told_of",
]
