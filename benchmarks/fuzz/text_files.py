"""Valid tables in text, in the many ways in which people and programs write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import numpy as np

Rng: TypeAlias = np.random.Generator
Cell: TypeAlias = Callable[[Rng], str]
Choice = TypeVar("Choice")

SEPARATORS = (",", ",", ",", ";", "\t", "|", " ")
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-32", "utf-16-le")
LINE_ENDS = ("\n", "\n", "\r\n", "\r")
MISSING = ("", "NA", "nan", "?", "null", "-", "n.a.", "#DIV/0!", ".", "None", " ")
NAMES = ("price", "label", "", "größe", "a b", "x0", "1990", "id", "Date", 'say "hi"', "very" * 40)
WORDS = (
    "red",
    "green",
    "blue",
    "Zürich",
    "São Paulo",
    "no",
    "yes",
    "a,b",
    'a "quoted" word',
    "two\nlines",
    "0x1F",
)
WIDE, LONG = 2_000, 5_000


def text_table(rng: Rng) -> bytes:
    """A table in some dialect, encoding and shape; one in fifty is wide, and one in fifty long."""
    shape = rng.random()
    rows, columns = int(rng.integers(0, 40)), int(rng.integers(1, 9))
    if shape < 0.02:
        rows, columns = int(rng.integers(1, 4)), int(rng.integers(500, WIDE))
    elif shape < 0.04:
        rows, columns = int(rng.integers(1_000, LONG)), int(rng.integers(1, 4))
    kinds = [one(rng, KINDS) for _ in range(columns)]
    lost = float(rng.choice([0, 0, 0.05, 0.9]))
    word = one(rng, MISSING)
    lines = [[word if rng.random() < lost else kind(rng) for kind in kinds] for _ in range(rows)]
    if rng.random() < 0.92:
        lines.insert(0, _header(rng, columns))
    return _written(rng, lines)


def _header(rng: Rng, columns: int) -> list[str]:
    names = [one(rng, NAMES) if rng.random() < 0.3 else f"c{k}" for k in range(columns)]
    names[rng.integers(columns)] = "t"
    return names


class _Quoted(csv.excel):
    """Every cell stands in quotes."""

    quoting = csv.QUOTE_ALL


def _written(rng: Rng, lines: list[list[str]]) -> bytes:
    separator, encoding, ends = one(rng, SEPARATORS), one(rng, ENCODINGS), one(rng, LINE_ENDS)
    if separator == " ":  # programs that separate by spaces write no empty cells, and no spaces in cells
        lines = [["_".join(cell.split()) or "NA" for cell in line] for line in lines]
    file = io.StringIO(newline="")
    if rng.random() < 0.05:
        file.write(f"sep={separator}{ends}")
    if rng.random() < 0.1:
        file.write(f"# made by a program{ends}# on some day{ends}")
    is_quoted = ends == "\r" or rng.random() < 0.2  # csv would leave a line break unquoted there
    style: type[csv.Dialect] = _Quoted if is_quoted else csv.excel
    csv.writer(file, delimiter=separator, lineterminator=ends, dialect=style).writerows(lines)
    text = file.getvalue()
    if rng.random() < 0.1:
        text = text.removesuffix(ends)
    return text.encode(encoding, errors="replace")


def one(rng: Rng, choices: Sequence[Choice]) -> Choice:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


KINDS: tuple[Cell, ...] = (
    lambda rng: str(rng.integers(0, 10)),
    lambda rng: str(rng.integers(-(10**18), 10**18)),
    lambda rng: f"{rng.normal():.4f}",
    lambda rng: f"{rng.normal() * 10.0 ** rng.integers(-300, 300):e}",
    lambda rng: f"{rng.normal():.2f}".replace(".", ","),
    lambda rng: f"{rng.integers(10**9):,}",
    lambda rng: f"${rng.uniform(0, 1e4):,.2f}",
    lambda rng: f"{rng.uniform(0, 100):.1f} %",
    lambda rng: f"{rng.uniform(0, 100):.1f} kg",
    lambda rng: f"({rng.integers(1, 999)})",
    lambda rng: f"{rng.integers(1900, 2100)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}",
    lambda rng: f"{rng.integers(1, 29)}/{rng.integers(1, 13)}/{rng.integers(1900, 2100)}",
    lambda rng: f"{rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}",
    lambda rng: f"2023-01-01T{rng.integers(0, 24):02d}:00:00+02:00",
    lambda rng: str(rng.random() < 0.5),
    lambda rng: "yes" if rng.random() < 0.5 else "NO",
    lambda rng: one(rng, WORDS),
    lambda rng: "".join(map(chr, rng.integers(0x20, 0x250, rng.integers(0, 12)))),
    lambda rng: f"id-{rng.integers(10**9)}",
    lambda rng: "the same",
    lambda rng: "",
)
