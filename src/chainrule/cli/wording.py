"""Messages of the library in the words of the command line: arguments of Python become options."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from chainrule.errors import ChainruleWarning

#: What the command line calls otherwise than Python does, as patterns and what takes their place, first to last.
PHRASES: tuple[tuple[str, str], ...] = (
    (r"(scale them|scale the input), cr\.Standardize\.of\(.*?\) (?:first|last) in the network", r"\1"),
    (r"start smaller, weights=cr\.initializers\.He\(\)", "start smaller, --init he"),
    (r"compute with net\.astype\((\"float64\")\)", r"dtype=\1"),
    (r" in the optimizer\b", ""),
    (r"(smaller|larger) learning rate", r"\1 --learning-rate"),
    (r"into a folder and pass it as folder=, or into", "into"),
    (r"make the network with (?=dtype=)", ""),
    (r"; None does not clip", ""),
    (r"; it counts epochs", ""),
    (r"; target=None reads features only", ""),
    (r"pass (?=(task)=)", ""),
    (r"\b(drop|missing)=[\[(]('|\")(.*?)\2,?[\])]", r"--\1 \3"),
    (r"\bseparator=('[^']*')", r"--separator \1"),
    (r"; strict refuses it", "; --strict refuses it"),
    (r"pass its class, cr\.load\(.*?\)(?=;|$)", "only Python can load it, with its class"),
    (r"make it with loss=cr\.\w+\(\) or another", "make it with one in Python, or use predict"),
    (r"give them: cr\.check\(.*", "give them, such as --input 4x5"),
    (r"give its backward too: cr\.check\(.*", "give its backward too, FILE.py:forward,backward"),
    (r"is a function given together with backward=\.\.\.", "is two functions, FILE.py:forward,backward"),
    (r"^(?:\w+: )?unknown (\w+) (?=')", r"\1: there is no "),
    (r"^\w+(?:\(.*?\))?: expected (\w+) to be ", r"\1: expected "),
)
#: How the warnings begin that NumPy gives of numbers.
NUMPYS = r"(overflow|underflow|divide by zero|invalid value) encountered|Mean of empty|Degrees of freedom"
#: Options whose argument in Python has another name.
RENAMED = {"std": "weight_std", "rate": "dropout", "patience": "early_stopping"}


def in_options(message: str, options: Mapping[str, str], of_train: Mapping[str, str]) -> str:
    """The message with arguments as options of the running command, or as those of `chainrule train`.

    The options are told by the names of their arguments: {"batch_size": "--batch-size"}.
    """
    for pattern, words in PHRASES:
        message = re.sub(pattern, words, message)

    def named(name: str, value: str) -> str | None:
        name = RENAMED.get(name, name)
        if name in options:
            return options[name] + value
        return f"{of_train[name]}{value} of chainrule train" if name in of_train else None

    def assigned(found: re.Match[str]) -> str:
        value = (found[2] or "").strip("'\"")
        return named(found[1], f" {value}" if value else "") or found[0]

    message = re.sub(r"\b([a-z_]+)=(\"[^\"]*\"|'[^']*'|[\w+-]+(?:\.\w+)*)?", assigned, message)
    message = re.sub(r"^(?!check:)([a-z_]+)(?=: )", lambda found: named(found[1], "") or found[0], message)
    # an argument that is named alone is known by its underscore: no English word has one
    alone = r"(?<![-\w./'\"])([a-z]+(?:_[a-z]+)+)(?![\w./'\"(=])"
    return re.sub(alone, lambda found: named(found[1], "") or found[0], message)


@contextmanager
def notes(worded: Callable[[str], str]) -> Iterator[None]:
    """Print the library's warnings as notes, each once, not as Python does, with a file and a line.

    NumPy's own, of overflow and the like, are not shown: what follows from them is told by the commands.
    """
    told: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", ChainruleWarning)
        warnings.filterwarnings("ignore", NUMPYS, RuntimeWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, ChainruleWarning):
                usual(message, category, *where, **more)
            elif (text := worded(str(message))) not in told:
                told.add(text)
                typer.echo(f"note: {text}", err=True)

        warnings.showwarning = show
        yield
