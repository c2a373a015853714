"""Tables in files that chainrule does not read, and what reads them."""

from __future__ import annotations

from pathlib import Path

from chainrule.errors import ArgumentError

PANDAS = {
    ".xlsx": "excel",
    ".xls": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".feather": "feather",
    ".dta": "stata",
    ".sav": "spss",
    ".sas7bdat": "sas",
    ".html": "html",
    ".xml": "xml",
    ".orc": "orc",
}
"""How the function of pandas is called that reads a file of that ending: read_excel."""


def refuse_other(path: Path) -> None:
    """Raise ArgumentError for a table in a file of another kind, and say how to come to it."""
    if reader := PANDAS.get(path.suffix.lower()):
        raise ArgumentError(
            f"{path}: {path.suffix} files are not read here; save it as CSV, or read it with pandas and train in "
            f"Python: cr.datasets.load_table(pandas.read_{reader}(path), target)"
        )
