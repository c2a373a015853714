"""Messages of the library in the words of the command line: arguments of Python become options."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chainrule.cli.writing import print_text
from chainrule.errors import ChainruleWarning

#: What the command line calls otherwise than Python does, as patterns and what takes their place, first to last.
PHRASES: tuple[tuple[str, str], ...] = (
    (r"(scale them|scale the input), cr\.Standardize\.of\(.*?\) (?:first|last) in the network", r"\1"),
    (r"start smaller, weights=cr\.initializers\.He\(\)", "start smaller, --init he"),
    (r"compute with net\.astype\((\"[^\"]*\")\)", r"dtype=\1"),
    (r" in the optimizer\b", ""),
    (r"(smaller|larger) learning rate", r"\1 --learning-rate"),
    (r"into a folder and pass it as folder=, or into", "into"),
    (r"make the network with (?=dtype=)", ""),
    (r"; None does not clip", ""),
    (r"; it counts epochs", ""),
    (r"pass (?=(task)=)", ""),
    (r"\b(drop|missing)=[\[(]('|\")(.*?)\2,?[\])]", r"--\1 \3"),
    (r"^check: (?=(?:dtype|gradients|ignore|reference|sizes|straight_through): )", ""),
    (r"\bgradients=\{('|\")(.*?)\1: ('|\")(.*?)\3\}", r"--gradient \2=\4"),
    (r"\bgradients=\{('|\")(.*?)\1: \.\.\.\}", r"--gradient \2=ATTRIBUTE"),
    (r"\bignore=\[('|\")(.*?)\1\]", r"--ignore \2"),
    (r"\bseparator=('[^']*')", r"--separator \1"),
    (r"; strict refuses it", "; --strict refuses it"),
    (r": drop: (?=')", ": --drop: "),
    (r"pass encoding=\.\.\. if they are wrong", "if they are wrong name another, such as --encoding cp1250"),
    (r"cannot be a feature too; take it out of columns", "is one that the model computes from; name another"),
    (
        r"; the model is there all the same, cr\.load\(.*?\)$",
        "; the other commands take its model all the same",
    ),
    (r"pass its class, cr\.(?:load|resume)\(.*?\)(?=;|$)", "only Python can load it, with its class"),
    (r"make it with loss=cr\.\w+\(\) or another", "make it with one in Python, or use predict"),
    (r"give them: cr\.check\(.*", "give them, such as --input 4x5"),
    (r"give its backward too: cr\.check\(.*", "give its backward too, FILE.py:forward,backward"),
    (
        r"is a function given together with backward=\.\.\., also two methods: check\(.*?\)",
        "is two functions, FILE.py:forward,backward",
    ),
    (r"^(?:\w+: )?unknown (\w+) (?=')", r"\1: there is no "),
    (r"^\w+(?:\(.*?\))?: expected (\w+) to be ", r"\1: expected "),
)
#: What no command does.
FEATURES_ONLY = r"; target=None reads features only"
#: What the commands say of answers, whose task is that of the model.
OF_ANSWERS = (
    r"; correct it, or pass task='classification' if it is a class",
    "; the model estimates numbers",
)
#: How the warnings begin that NumPy gives of numbers.
NUMPYS = r"(overflow|underflow|divide by zero|invalid value) encountered|Mean of empty|Degrees of freedom"
#: Options whose argument in Python has another name.
RENAMED = {"std": "weight_std", "rate": "dropout", "patience": "early_stopping", "every": "checkpoint_every"}
#: A value as repr writes it. An apostrophe within a word begins none.
QUOTED = r"(?<!\w)(['\"])((?:(?!\1)[^\\\n]|\\.)*)\1(?!\w)"


def in_options(
    message: str, options: Mapping[str, str], of_train: Mapping[str, str], own: Iterable[str] = ()
) -> str:
    """The message with arguments as options of the running command, or as those of `chainrule train`.

    Options are written by the names of their arguments: {"batch_size": "--batch-size"}. What stands in quotes or
    after "Known:", and the user's `own` words, stay as they are.
    """
    if "task" not in options:
        message = re.sub(*OF_ANSWERS, message)
    message, known, names = re.sub(FEATURES_ONLY, "", message).partition("Known: ")
    values = _Values()
    message = values.taken_out(message, own)
    for pattern, words in PHRASES:
        message = re.sub(pattern, words, message)

    def named(name: str, value: str) -> str | None:
        name = RENAMED.get(name, name)
        if name in options:
            return options[name] + value
        return f"{of_train[name]}{value} of chainrule train" if name in of_train else None

    def assigned(found: re.Match[str]) -> str:
        value = (found[2] or "").removeprefix("...").strip("'\"")
        return named(found[1], f" {value}" if value else "") or found[0]

    message = re.sub(r"\b([a-z_]+)=(\"[^\"]*\"|'[^']*'|\.\.\.|[\w+-]+(?:\.\w+)*)?", assigned, message)
    message = re.sub(r"^(?!check:)([a-z_]+)(?=: )", lambda found: named(found[1], "") or found[0], message)
    # an argument that is named alone is known by its underscore: no English word has one
    alone = r"(?<![-\w./'\"])([a-z]+(?:_[a-z]+)+)(?![\w./'\"(=])"
    message = re.sub(alone, lambda found: named(found[1], "") or found[0], message)
    return values.put_back(message) + known + names


def options_of(command: Any) -> dict[str, str]:
    """The options of a command, by the names of their arguments."""
    return {str(each.name): each.opts[0] for each in command.params if each.opts[0].startswith("--")}


class _Values:
    """The user's values in a message, for each of which a sign stands while the words around it change."""

    def __init__(self) -> None:
        self._held: list[tuple[str, str, str]] = []

    def taken_out(self, message: str, own: Iterable[str]) -> str:
        message = re.sub(QUOTED, lambda found: found[1] + self._sign(found[1], found[2]) + found[1], message)
        for word in sorted(own, key=len, reverse=True):
            if word in message:
                message = message.replace(word, self._sign("", word))
        return message

    def put_back(self, message: str) -> str:
        """A value that stands in quotes as it was; one that an option got as the shell takes it."""
        for sign, quote, text in reversed(self._held):
            if not quote:
                message = message.replace(sign, text)
                continue
            message = message.replace(f"{quote}{sign}{quote}", f"{quote}{text}{quote}")
            value = shlex.quote(_read(f"{quote}{text}{quote}"))
            joined = f"={value}" if value.lstrip("'\"").startswith("-") else f" {value}"
            message = message.replace(f" {sign}", joined).replace(sign, value)
        return message

    def _sign(self, quote: str, text: str) -> str:
        sign = chr(0xE000 + len(self._held))  # for private use: no message has it
        self._held.append((sign, quote, text))
        return sign


def _read(literal: str) -> str:
    try:
        return str(ast.literal_eval(literal))
    except (SyntaxError, ValueError):
        return literal[1:-1]


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
                print_text(f"note: {text}", err=True)

        warnings.showwarning = show
        yield
