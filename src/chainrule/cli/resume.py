"""`chainrule resume`: go on with a training that was interrupted or killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from chainrule.cli.data import NAMED, Dataset
from chainrule.cli.train import NO_OPTIONS, Train, Watch, watched
from chainrule.cli.writing import print_text
from chainrule.datasets.tables import stem_of
from chainrule.errors import FileError
from chainrule.saving.resuming import made_ready
from chainrule.saving.runs import RUN, RunFolder


@dataclass
class Resume:
    """Go on with a training that was interrupted or killed, from its last checkpoint to its end.

    It ends with the same model, to the bit, as if it had never stopped.

    [bold]chainrule resume runs/digits[/bold]
    """

    context: typer.Context
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The run folder of chainrule train, such as runs/digits.")
    ]
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="Where the table is now. Default: where it was."),
    ] = None
    watch: Watch = False

    def run(self) -> None:
        """Make the same training again, put its state back, and complete it."""
        if not self.folder.is_dir():
            raise FileError(f"there is no folder {self.folder}; expected one that chainrule train made")
        with RunFolder.reopen(self.folder) as folder:
            record = folder.record
            if record.state == "ended":
                print_text(f"{self.folder}: the training has ended: {record.stopped}")
                return
            train = train_again(self.context, record.settings, self.folder)
            data = self._load(train)
            network, fit = made_ready(folder, data.x, data.t, validation=(data.x_test, data.t_test))
            with watched(folder.path, self.watch):
                train.complete(folder, network, data, fit)

    def _load(self, train: Train) -> Dataset:
        """The data as they were loaded before, from where they are now."""
        name = train.data if self.data is None else self.data
        if name not in NAMED and not Path(name).exists():
            raise FileError(
                f"there is no file {name}, which the run was begun with; say where it is now: chainrule resume "
                f"{self.folder} FILE"
            )
        data = train.load(name)
        if name == train.data:
            return data
        notes = [note.replace(str(Path(name)), str(Path(train.data)), 1) for note in data.notes]
        return replace(data, name=stem_of(train.data), notes=notes)


def train_again(context: typer.Context, settings: Mapping[str, Any], folder: Path) -> Train:
    """The command that a run folder notes. Raises FileError where it notes none, or it is damaged."""
    options, command = settings.get("options"), settings.get("command")
    if options is None and command is None:
        raise FileError(
            f"{folder}: the run was begun in Python; go on with it there, cr.resume(folder, x, t)"
        )
    hints = get_type_hints(Train)
    names = {each.name for each in fields(Train)} - NO_OPTIONS
    if not isinstance(options, dict) or not isinstance(command, str):
        raise FileError(f"{folder / RUN} is damaged: expected the options of a command")
    for name, value in options.items():
        if name not in names:
            raise FileError(f"{folder / RUN}: there is no option {name!r}; it may need a newer chainrule")
        if name != "out" and not is_of_type(value, hints[name]):
            raise FileError(f"{folder / RUN} is damaged: {name!r} is {value!r}")
    train = Train(context, **{name: value for name, value in options.items() if name != "out"})
    train.command = command
    return train


def is_of_type(value: Any, hint: Any) -> bool:
    """Whether a value of a JSON file is what an option holds: a text, a number, a list of texts, or None."""
    if get_origin(hint) is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if parts := get_args(hint):
        return any(is_of_type(value, each) for each in parts)
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint
