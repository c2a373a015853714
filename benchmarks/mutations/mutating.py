"""A mutant is the correct source with one small piece of text replaced."""

from __future__ import annotations

import functools
import inspect
import itertools
import linecache
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mutations.targets import Pair, Recipe, Target

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Mutant:
    """Something wrong, how to make it anew, and what it may be called."""

    name: str
    make_target: Callable[[], Target]
    expected: frozenset[str]
    #: The same without the mistake, on the same inputs.
    make_correct: Callable[[], Target]
    #: The node that is wrong, where it stands in a graph.
    node: str | None = None


def mutants(subject: Any, recipe: Recipe, *rows: tuple[str, ...]) -> list[Mutant]:
    """One mutant a row: (what it may be called, what is wrong, old text, new text, old text, new text ...).

    What it may be called is a code, or several joined by "or".
    """
    return [
        _mutant(subject, recipe, expected, what, tuple(zip(texts[::2], texts[1::2], strict=True)))
        for expected, what, *texts in rows
    ]


def _mutant(
    subject: Any, recipe: Recipe, expected: str, what: str, replacements: tuple[tuple[str, str], ...]
) -> Mutant:
    return Mutant(
        f"{subject.__name__}: {what}",
        lambda: recipe(mutated(subject, what, *replacements), np.random.default_rng(0), np.float64),
        frozenset(expected.split(" or ")),
        lambda: recipe(subject, np.random.default_rng(0), np.float64),
    )


def mutated(subject: Any, what: str, *replacements: tuple[str, str]) -> Any:
    """The class (or the pair of functions) with each text, which must be there exactly once, replaced."""
    if not isinstance(subject, Pair):
        return _made(subject, _replaced(_source(subject), replacements, subject.__name__), what)
    mine: dict[str, list[tuple[str, str]]] = {"forward": [], "backward": []}
    for old, new in replacements:
        found = [half for half in mine if old in _source(getattr(subject, half))]
        if len(found) != 1:
            raise ValueError(
                f"{subject.__name__}: {old!r} is in {len(found)} of the two functions, not in one"
            )
        mine[found[0]].append((old, new))
    halves = []
    for half, changes in mine.items():
        function = getattr(subject, half)
        changed = _replaced(_source(function), tuple(changes), function.__name__)
        halves.append(_made(function, changed, what) if changes else function)
    return Pair(*halves)


@functools.cache
def _source(subject: Any) -> str:
    return textwrap.dedent(inspect.getsource(subject))


def _replaced(source: str, replacements: tuple[tuple[str, str], ...], name: str) -> str:
    for old, new in replacements:
        if source.count(old) != 1:
            raise ValueError(f"{name}: {old!r} is {source.count(old)} times in its source, not once")
        source = source.replace(old, new)
    return source


def _made(subject: Any, source: str, what: str) -> Any:
    """Run the source where the subject was defined, under a file name of its own: its lines can be shown."""
    place = f"<{subject.__name__}: {what} {next(_NUMBERS)}>"
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    space = dict(vars(sys.modules[subject.__module__]))
    exec(compile(source, place, "exec"), space)
    return space[subject.__name__]
