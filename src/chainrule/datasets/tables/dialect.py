"""How a text file with separated values is written: encoding, separator, decimal sign, header, missing words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a text file is written. What is None is found from the file itself.

    separator: one character, or " " for any number of spaces. decimal: "." or ",". header: whether the first line
    names the columns. missing: further words that stand for a missing value.
    """

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()
