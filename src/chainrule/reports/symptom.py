"""One thing that looks wrong in a run, in plain sentences, with what to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from chainrule.reports.run import TrainingRun

Severity = Literal["error", "warning", "note"]


class Advice(str):
    """What to try, as a phrase, with the lines to run: commands of the shell, or Python."""

    __slots__ = ("lines",)
    lines: tuple[str, ...]

    def __new__(cls, text: str, lines: tuple[str, ...] = ()) -> Advice:
        made = super().__new__(cls, text)
        made.lines = lines
        return made


@dataclass(frozen=True)
class Symptom:
    """One thing that looks wrong: what it is, what to try, and where.

    `code` is a word for programs, such as "dead". `where` names the layer, the parameter or the class, if it is of
    one. An error is why a run cannot be relied on, a warning what costs quality, a note what may be improved.
    `effect` is the finding in a clause, for the words of what causes it, and `cause` its place among the causes
    where the code does not say it.
    """

    code: str
    text: str
    advice: str
    where: str = ""
    severity: Severity = "warning"
    effect: str = ""
    cause: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What to run to try it: commands of the shell, or lines of Python."""
        return self.advice.lines if isinstance(self.advice, Advice) else ()

    @property
    def sign(self) -> str:
        """The word that stands beside it on a page."""
        return {"error": "wrong", "warning": "look at", "note": "note"}[self.severity]

    def __str__(self) -> str:
        return f"{self.text}. Try: {self.advice}."


Rule = Callable[[TrainingRun], Iterator[Symptom]]
