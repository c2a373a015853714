"""The section on the columns of a table: what each holds, and what became of it."""

from __future__ import annotations

from chainrule.datasets.tables import Encoding, date_of
from chainrule.reports.parts import Section
from chainrule.reports.run import TrainingRun
from chainrule.text import counted, listed, percent, short

MOST_LISTED = 60
_EXAMPLES = {"decimal point": ", such as 1,234.5", "decimal comma": ", such as 1.234,5"}
_HOLDS = {"number": "numbers", "boolean": "yes or no", "date": "dates", "text": "text"}


def columns(run: TrainingRun) -> Section | None:
    """What was learnt of each column of the table; None where there was none to learn from."""
    preparation = None if run.network is None else run.network.preparation
    if preparation is None:
        return None
    used, rows = preparation.encodings, preparation.rows
    lead = (
        f"{counted(len(used), 'column')} of the table became {counted(len(preparation.names), 'number')} of a row. "
        f"What stands here was learnt from the {rows:,} rows to train on, and is kept in the model."
    )
    values = {
        "lead": lead,
        "notes": run.about.notes,
        "used": [
            [each.name, _holds(each), _becomes(each), _missing(each, rows), _filled(each)]
            for each in used[:MOST_LISTED]
        ],
        "more_used": len(used) - MOST_LISTED,
        "left_out": preparation.left_out[:MOST_LISTED],
        "more_left_out": len(preparation.left_out) - MOST_LISTED,
    }
    return Section("columns", "Columns", "columns", values)


def _holds(each: Encoding) -> str:
    """What a column holds, with an example where it could be written in other ways, too."""
    kind, written = each.form.kind, each.form.written
    if kind == "number" and written:
        unit, _, how = written.rpartition(", ") if "decimal " in written else (written, "", "")
        return f"numbers{f' in {unit}' if unit else ''}{_EXAMPLES.get(how, '')}"
    if kind == "boolean" and "/" in written:
        return written.replace("/", " or ")
    return _HOLDS[kind] + (f", written {written}" if written else "")


def _becomes(each: Encoding) -> str:
    if each.form.kind == "text":
        what = (
            f"{counted(len(each.categories), 'column')} of 0 and 1: {listed(list(each.categories), most=4)}"
        )
    elif each.form.kind == "date":
        what = ", ".join([f"days since {date_of(each.offset)}", *each.cycles])
    elif each.form.kind == "boolean":
        what = "0 or 1"
    else:
        what = f"the number less {short(each.offset, 8)}" if each.offset else "the number"
    return f"{what}; 0 or 1 where it is missing" if each.indicator else what


def _missing(each: Encoding, rows: int) -> str:
    return f"{each.missing:,} ({percent(each.missing / max(rows, 1))})" if each.missing else "0"


def _filled(each: Encoding) -> str:
    if not each.missing:
        return ""
    if isinstance(each.fill, str):
        return f"{each.fill}, the most frequent"
    if each.form.kind == "boolean":
        return f"{'yes' if each.fill else 'no'}, the most frequent"
    value = date_of(each.fill) if each.form.kind == "date" else short(each.fill, 6)
    return f"{value}, the median"
