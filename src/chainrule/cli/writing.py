"""Printing what may hold any characters: names, paths and messages from anywhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer
from rich.console import Console


def print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print labels and their texts, in which rich's markup counts."""
    console = Console(highlight=False)
    for label, text in rows:
        console.print(f"[bold]{label:<9}[/bold]  {text}", soft_wrap=True)  # so that a path can be copied


def print_text(text: str) -> None:
    """Print what may hold names from anywhere."""
    typer.echo(printable(text))


def printable(text: str) -> str:
    """The text with characters that the output has not written as escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def clean(text: str) -> str:
    """The text with characters that a terminal would obey, or hide, written as escapes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
