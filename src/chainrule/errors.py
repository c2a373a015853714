"""What can go wrong, as types. Every message says what was expected, what was given instead, and the remedy."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from chainrule.elsewhere import called_here, missing_here, plain
from chainrule.text import clean


class ChainruleError(Exception):
    """The parent of every error that chainrule raises on purpose."""


class ShapeError(ChainruleError, ValueError):
    """An array has a shape that the layer, graph or network cannot take."""


class DataError(ChainruleError, ValueError):
    """The content of data is wrong: a label out of range, NaN in a column, text where numbers belong."""


class ArgumentError(ChainruleError, ValueError):
    """An argument is out of its range, or a name is unknown."""


class GraphError(ChainruleError, ValueError):
    """The graph is not sound: a cycle, a foreign node, two nodes of one name, a value that is missing."""


class NotComputedError(GraphError, LookupError):
    """A value or gradient was asked for before `forward` or `backward` computed it."""


class LayerError(ChainruleError, TypeError):
    """A layer breaks the layer contract, for example a `backward` that returns a wrong shape."""


class FileError(ChainruleError, OSError):
    """A file is missing, unreadable, truncated, corrupt, or could not be written."""


class BusyError(ChainruleError, RuntimeError):
    """Another thread is using what this call would change."""


class DivergedError(ChainruleError, ArithmeticError):
    """The loss or a gradient became NaN or infinite.

    `iteration` (counted from 1) and `node` say when and where first; `history` is the record up to there. `cause`
    says what it most likely comes from: "targets" or "inputs" of a large scale, the learning "rate", "weights" that
    held NaN before, or the "node" itself. `history.settings["diverged_by"]` says the same. `remedy` is the end of
    the message: what is wrong, and what to do.
    """

    def __init__(
        self, message: str, *, iteration: int, node: str, cause: str = "rate", remedy: str = ""
    ) -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.remedy = remedy
        self.iteration = iteration
        self.node = node
        self.cause = cause
        self.history: Any = None


class ChainruleWarning(UserWarning):
    """Something is probably not as it was meant. The work goes on, and the message says what to change."""


def warn(message: str) -> None:
    """Warn with a ChainruleWarning, at the line outside chainrule that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "chainrule":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ChainruleWarning, stacklevel=level)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the nearest known ones, or all of them.

    >>> did_you_mean("rleu", ["relu", "tanh"])
    "did you mean 'relu'? Known: relu, tanh"
    """
    names = sorted(set(known))
    meant = called_here(name) if called_here(name) in names else nearest(name, names)
    question = f"did you mean {meant!r}? " if meant else ""
    shown = clean(", ".join(each if len(each) <= 80 else f"{each[:80]}..." for each in names[:30]))
    shown += ", ..." if len(names) > 30 else ""
    return f"{question}Known: {shown}" if names else "there are none"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one, or "" where none is.

    >>> nearest("Re_Lu", ["relu", "tanh"])
    'relu'
    """
    lower = {plain(each): each for each in sorted(known)}
    near = difflib.get_close_matches(plain(name), lower, n=1, cutoff=0.6)
    return lower[near[0]] if near else ""


def no_such_name(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """The error for a name that a module does not have, with that of what is meant."""
    message = f"module {module!r} has no attribute {name!r}"
    if not name.startswith("_"):
        what = missing_here(name)
        advice = f"there is no {what} in chainrule; a layer of your own is a class, cr.Layer"
        message += f"; {advice if what else did_you_mean(name, known)}"
    return AttributeError(message)
