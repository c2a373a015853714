"""The options that say how a table is read, the same for every command that takes one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule import datasets
from chainrule.datasets import Table
from chainrule.datasets.tables import TEXT, ending_of
from chainrule.errors import ArgumentError, warn

OF_TEXT = ("separator", "decimal", "encoding", "header", "missing", "drop")
"""The options that are for text files only."""
NAMED_SIGNS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}

of_tables = partial(typer.Option, rich_help_panel="How a table is read")


@dataclass(kw_only=True)
class TableOptions:
    """How a table is read. What is not said is found from the file itself."""

    separator: Annotated[
        str | None, of_tables(help="What separates the values: a character, tab or space.")
    ] = None
    decimal: Annotated[str | None, of_tables(metavar="SIGN", help="Decimal sign: . or a comma.")] = None
    encoding: Annotated[str | None, of_tables(help="How text is written, such as utf-8 or latin-1.")] = None
    header: Annotated[
        bool | None,
        of_tables("--header/--no-header", help="Whether the first line names the columns; else x0, x1, ..."),
    ] = None
    missing: Annotated[
        list[str] | None,
        of_tables(
            metavar="WORD", help="A further word for a missing cell, such as unknown. May be repeated."
        ),
    ] = None
    drop: Annotated[
        list[str] | None,
        of_tables(
            metavar="COLUMN", help="A column that is not to be used. May be repeated, or a list: Id,address."
        ),
    ] = None
    strict: Annotated[
        bool,
        of_tables(
            "--strict",
            help="Refuse what would be left out, filled in, or was never seen in training, instead of saying it.",
        ),
    ] = False

    def refuse(self, because: str, *names: str) -> None:
        """Refuse options that would do nothing, of these names or any, since nothing is read that they are for."""
        for name in names or (each.name for each in fields(TableOptions)):
            if getattr(self, name) not in (None, False, []) or (name == "header" and self.header is False):
                option = "--no-header" if name == "header" and not self.header else f"--{name}"
                raise ArgumentError(f"{option} is for {because}, so leave {option} out")

    def read(self, path: Path, target: str | int | None, **more: Any) -> Table:
        """The table in a file. Notes say what was found in reading it."""
        if ending_of(path) not in TEXT:
            self.refuse(f"text files, and {path} holds arrays", *OF_TEXT)
        separator = self.separator
        load = partial(
            datasets.load_table,
            path,
            target,
            separator=None if separator is None else NAMED_SIGNS.get(separator.lower(), separator),
            decimal=self.decimal,
            encoding=self.encoding,
            header=self.header,
            missing=self.missing or (),
            strict=self.strict,
            **more,
        )
        drop = self.drop or []
        several = [part.strip() for name in drop for part in name.split(",")]
        try:
            table = load(drop=drop)
        except ArgumentError:
            if several == drop:
                raise
            table = load(drop=several)  # no column has a name with a comma: it is a list
        for note in table.reading:
            warn(note)  # which the command words, and prints
        return table
