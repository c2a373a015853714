"""The run folder of `chainrule train`: where it is, and what is kept in it."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from chainrule.cli.data import Dataset
from chainrule.errors import BusyError, FileError
from chainrule.evaluation import Estimated, image_shape_of_network, judge, numbered
from chainrule.loop import History
from chainrule.network import Network
from chainrule.reports import TrainingReport, report
from chainrule.saving.evaluations import About, write_evaluation
from chainrule.saving.runs import CHECKPOINT, CURVES, REPORT, RunFolder, is_alive, is_taken


def run_folder(out: Path | None, stem: str, force: bool) -> Path:
    """The run folder, which must not be in use. Without --out, a new one under runs/."""
    if out is None:
        out = Path("runs") / stem
        number = 1
        while out.exists() and not force:
            number += 1
            out = Path("runs") / f"{stem}-{number}"
    if out.exists() and not out.is_dir():
        raise FileError(f"--out {out}: expected a folder, but a file of that name is in the way")
    if out.exists() and not force and is_taken(out):
        what = "is not empty;"
        if (out / CHECKPOINT).exists() and not is_alive(out):
            what = f"holds a run that has not ended: go on with it, chainrule resume {shlex.quote(str(out))},"
        raise FileError(f"--out {out}: the folder {what} choose another, or write into it with --force")
    nearest = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise FileError(f"--out {out}: cannot write into {nearest}; choose a folder that can be written to")
    return out


def begin(out: Path | None, stem: str, force: bool, settings: Mapping[str, Any]) -> RunFolder:
    """Begin the run. Where another process took the name meanwhile, and no --out asks for it, under the next."""
    path = run_folder(out, stem, force)
    while True:
        try:
            return RunFolder.begin(path, settings, force=force)
        except (BusyError, FileError):
            following = run_folder(out, stem, force)
            if following == path:
                raise
            path = following


def settings_of(command: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a run folder notes of the command that made it, as JSON values."""
    values = {name: str(each) if isinstance(each, Path) else each for name, each in options.items()}
    return {"command": command, "options": values}


def keep_run(folder: RunFolder, network: Network, history: History) -> None:
    """Write the model, the history and the curves."""
    folder.append_history(history, sync=True)
    folder.keep_model(network)
    picture = io.BytesIO()
    history.plot().savefig(picture, format="png", dpi=130)
    folder.write(CURVES, lambda file: file.write(picture.getvalue()))


def end_run(folder: RunFolder, history: History) -> TrainingReport:
    """Make the report, and note how the run ended: that is the last, when all else is there."""
    if history.stopped == "interrupted":
        folder.interrupt(history.stopped)
        return _keep_page(folder)
    made = _keep_page(folder)
    folder.end(history.stopped)
    return made


def _keep_page(folder: RunFolder) -> TrainingReport:
    made = report(folder.path)
    page = made.html().encode()
    folder.write(REPORT, lambda file: file.write(page))
    return made


def keep_evaluation(folder: RunFolder, network: Network, data: Dataset, command: str) -> None:
    """Write what a report needs beside the model and the history. `command` repeats the run."""
    of_training = None if data.classes is not None else judge(network, data.x, data.t)
    about = replace(
        About.of(network),
        data=data.name,
        samples=len(data.x),
        test_samples=len(data.x_test),
        command=command,
        columns=data.columns,
        on_training=of_training.means if isinstance(of_training, Estimated) else {},
        notes=[note.removeprefix(f"{Path(str(network.metadata.get('data')))}: ") for note in data.notes],
    )
    answers = numbered(judge(network, data.x_test, data.t_test, target=data.target), data.numbers)
    shape = image_shape_of_network(network, None, data.columns)
    write_evaluation(folder.path, about, answers, shape, (data.x_test[:1], data.t_test[:1]), folder.id)


def command_of(context: typer.Context) -> str:
    """The command that repeats what the shell was told, in a new folder."""
    words: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name in ("data", "out", "force") or source is None or source.name != "COMMANDLINE":
            continue
        words += _option(parameter, context.params[name])
    data = str(context.params.get("data", ""))
    words = [*words, "--", data] if data.startswith("-") else [data, *words]
    return shlex.join(["chainrule", context.command.name or "train", *words])


def _option(parameter: Any, value: Any) -> list[str]:
    """An option and its value, as the shell takes them."""
    if isinstance(value, bool):
        return [parameter.opts[0] if value else parameter.secondary_opts[0]]
    text = str(value)
    return [f"{parameter.opts[0]}={text}"] if text.startswith("-") else [parameter.opts[0], text]
