"""Printing what may hold any characters: names, paths and messages from anywhere.

Whatever a command prints for people goes through here, where no text can make the terminal do anything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO

import typer
from rich.console import Console

from chainrule.errors import FileError
from chainrule.text import clean


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print labels and their texts, in which rich's markup counts."""
    console = Console(highlight=False)
    for label, text in rows:  # soft, so that a path can be copied
        console.print(f"[bold]{label:<9}[/bold]  {for_people(text)}", soft_wrap=True)


def print_text(text: str, *, err: bool = False) -> None:
    """Print what may hold names from anywhere."""
    typer.echo(for_people(text, sys.stderr if err else sys.stdout), err=err)


def print_data(text: str) -> None:
    """Print what a program may read: a file or a pipe gets it as it is, a terminal what it can show.

    Raises: FileError for text that the encoding of a file or a pipe lacks: a program would take escapes as it is.
    """
    if sys.stdout.isatty():
        text = for_people(text)
    try:
        text.encode(_encoding(sys.stdout))
    except UnicodeEncodeError as error:
        raise FileError(
            f"standard output is {error.encoding}, which lacks {text[error.start]!r}; write into a file, "
            f"--out FILE, or set PYTHONIOENCODING=utf-8"
        ) from None
    sys.stdout.write(text)  # typer takes escapes out


def for_people(text: str, stream: TextIO | None = None) -> str:
    """The text, line by line, with escapes for what a terminal would obey or hide, and what the output lacks."""
    encoding = _encoding(stream or sys.stdout)
    cleaned = "\n".join(map(clean, text.split("\n")))
    return cleaned.encode(encoding, "backslashreplace").decode(encoding)


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"
