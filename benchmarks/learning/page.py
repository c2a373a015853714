"""Tables in Markdown, and pages of parts such as DEFAULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "DEFAULTS.md"
INTRODUCTION = """\
# Do networks learn with every default?

Written by `python benchmarks/defaults.py --page`, which says at its head what it does; `--fifth` takes one seed of
five, and `--compare` tries other defaults. `--page` keeps the parts of the page that were not measured this time.

- A score is the accuracy, or R², on a quarter of the rows that was held out; an R² below -1 counts as -1.
- Every column is standardised by the training rows, and numbers to estimate are; other scales multiply them then.
  `chainrule train` gets the raw numbers, multiplied.
- scikit-learn's networks have the same hidden layers and as many epochs, and its own defaults for all else.
- A network is dead when a ReLU layer has no unit left that is above 0 on any row that was looked at.
"""


@dataclass(frozen=True)
class Judgement:
    """A part of the page, and whether what must hold did."""

    title: str
    text: str
    held: bool


def table(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table with the names of its rows first."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(parts: Mapping[str, str], page: Path = PAGE, introduction: str = INTRODUCTION) -> None:
    """Put these parts into the page, and leave its others."""
    old = page.read_text(encoding="utf-8").split("\n## ")[1:] if page.exists() else []
    kept = {title: text.strip() for title, _, text in (part.partition("\n") for part in old)}
    sections = [f"## {title}\n\n{text}" for title, text in (kept | dict(parts)).items()]
    page.write_text("\n\n".join([introduction.strip(), *sections]) + "\n", encoding="utf-8")
