"""Printing what may hold any characters: names, paths and messages from anywhere."""

from __future__ import annotations

import sys

import typer


def print_text(text: str) -> None:
    """Print what may hold names from anywhere; characters that the output has not are escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def clean(text: str) -> str:
    """The text with characters that a terminal would obey, or hide, written as escapes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
