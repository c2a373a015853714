"""The program `chainrule`: its commands, and what becomes of errors.

A command is a dataclass: its docstring is the help, its fields are arguments and options, `run` does the work.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, get_type_hints

import typer

from chainrule.cli import wording
from chainrule.cli.check import Check
from chainrule.cli.draw import Draw
from chainrule.cli.evaluate import Evaluate
from chainrule.cli.predict import Predict
from chainrule.cli.report import Report
from chainrule.cli.resume import Resume
from chainrule.cli.summary import Summarize
from chainrule.cli.train import Train
from chainrule.cli.wording import in_options, notes
from chainrule.cli.writing import print_text
from chainrule.errors import ChainruleError, DivergedError
from chainrule.signals import INTERRUPTED
from chainrule.versions import show_versions


class Command(Protocol):
    """What every command is, beside its fields."""

    def run(self) -> None:
        """Do the work, and print the result."""


COMMANDS: dict[str, Callable[..., Command]] = {
    "train": Train,
    "resume": Resume,
    "report": Report,
    "evaluate": Evaluate,
    "predict": Predict,
    "summary": Summarize,
    "draw": Draw,
    "check": Check,
}

app = typer.Typer(
    name="chainrule",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train neural networks by backpropagation, with none of it hidden.",
    epilog="Start with [bold]chainrule train digits[/bold]: it needs no data of yours and takes seconds.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        show_versions()
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print versions, and what runs programs here.",
        ),
    ] = False,
) -> None:
    """Nothing to do for all commands alike."""


@functools.cache
def options_of(name: str) -> dict[str, str]:
    """The options of a command, by the names of their arguments."""
    program = typer.main.get_command(app)
    return wording.options_of(program.commands[name])  # type: ignore[attr-defined]  # it is a group


def worded(message: str, name: str, given: Mapping[str, Any] | None = None) -> str:
    """A message of the library as the command of that name says it. What was `given` to it stays as it is."""
    return in_options(message, options_of(name), options_of("train"), own_words(given or {}))


def own_words(given: Mapping[str, Any]) -> set[str]:
    """Files and other words of the user's that could be taken for words of the library."""
    values = [each for value in given.values() for each in (value if isinstance(value, list) else [value])]
    words = {str(each) for each in values if isinstance(each, (str, Path))}
    return {word for word in words if "=" in word or "_" in word}


def _as_function(name: str, command: Callable[..., Command]) -> Callable[..., None]:
    """The function that Typer calls, whose parameters are the command's fields.

    What users can cause becomes one message and an exit status, never a traceback; a warning becomes a note.
    """

    @functools.wraps(command, updated=())
    def run(**given: Any) -> None:
        try:
            with notes(lambda message: worded(message, name, given)):
                command(**given).run()
            sys.stdout.flush()
        except (ChainruleError, MemoryError) as error:
            message = str(error) or "not enough memory for this; try a smaller network or batch"
            print_text(f"chainrule: {worded(message, name, given)}", err=True)
            raise typer.Exit(1 if isinstance(error, DivergedError) else 2) from None
        except OSError as error:  # a name that is too long, a folder that may not be looked into
            print_text(f"chainrule: {error.filename or 'the files'}: {error.strerror or error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt as error:  # its text says how to go on
            print_text(f"chainrule: {'; '.join(['interrupted', *map(str, error.args)])}", err=True)
            raise typer.Exit(INTERRUPTED) from None

    hints = get_type_hints(command, include_extras=True)  # of its own fields and of those it inherits
    signature = inspect.signature(command)
    parameters = [each.replace(annotation=hints[name]) for name, each in signature.parameters.items()]
    run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    run.__annotations__ = hints
    return run


for name, command in COMMANDS.items():
    app.command(name)(_as_function(name, command))
