"""Printing what may hold any characters: names, paths and messages from anywhere.

Whatever a command prints for people goes through here, where no text can make the terminal do anything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer
from rich.console import Console

from chainrule.text import clean


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print labels and their texts, in which rich's markup counts."""
    console = Console(highlight=False)
    for label, text in rows:  # soft, so that a path can be copied
        console.print(f"[bold]{label:<9}[/bold]  {for_people(text)}", soft_wrap=True)


def print_text(text: str, *, err: bool = False) -> None:
    """Print what may hold names from anywhere."""
    typer.echo(for_people(text), err=err)


def print_data(text: str) -> None:
    """Print what a program may read: a file or a pipe gets it as it is, a terminal what it can show."""
    sys.stdout.write(for_people(text) if sys.stdout.isatty() else text)  # typer takes escapes out


def for_people(text: str) -> str:
    """The text, line by line, with escapes for what a terminal would obey or hide, and what the output has not."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    cleaned = "\n".join(map(clean, text.split("\n")))
    return cleaned.encode(encoding, "backslashreplace").decode(encoding)
