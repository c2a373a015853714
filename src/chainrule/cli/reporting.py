"""`chainrule report`, and what `chainrule train` writes for it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from chainrule.cli.data import Dataset
from chainrule.cli.texts import clean
from chainrule.drawing.report import TrainingReport
from chainrule.drawing.report import report as report_of
from chainrule.drawing.report.answers import judge
from chainrule.drawing.report.folder import EVALUATION, REPORT, write_evaluation
from chainrule.drawing.report.material import About, described, versions
from chainrule.drawing.report.pixels import image_shape_of_network
from chainrule.errors import FileError
from chainrule.network import Network

COMPARISON = "comparison.html"
NOT_REPEATED = frozenset({"data", "out", "force"})


def report(folders: Sequence[Path], out: Path | None, force: bool) -> None:
    """Make the report of a run folder anew, or that of several side by side, and tell where it is."""
    target = out
    if target is None:
        target = folders[0] / REPORT if len(folders) == 1 else Path(COMPARISON)
    if (out is not None or len(folders) > 1) and target.exists() and not force:
        raise FileError(f"{target} exists; choose another name with --out, or write over it with --force")
    made = report_of(*folders)
    path = made.save(target)
    tell_findings(made)
    Console(highlight=False).print(f"report     {escape(str(path))}", soft_wrap=True)


def tell_findings(made: TrainingReport) -> None:
    """What looks wrong, each with what to try; nothing where nothing does."""
    console = Console(highlight=False)
    for finding in made.findings:
        where = finding.where.partition(": ")[0] if len(made.runs) > 1 else ""
        place = f"{where}: " if where else ""
        told = clean(place + str(finding))
        told = told.encode(console.encoding, "backslashreplace").decode(console.encoding)
        console.print(f"[bold]finding[/bold]    {escape(told)}", soft_wrap=True)


def keep_evaluation(network: Network, data: Dataset, folder: Path, command: str) -> None:
    """Write what a report needs beside the model and the history."""
    columns = data.columns
    answers = judge(network, data.x_test, data.t_test, target=data.target)
    about = About(
        data=data.name,
        samples=len(data.x),
        test_samples=len(data.x_test),
        network=described(network),
        parameters=int(network.params.flat.size),
        command=command,
        versions=versions(),
        columns=columns,
        loss_unit="share of the target's variance" if data.classes is None else "",
    )
    shape = image_shape_of_network(network, None, columns)
    sample = np.asarray(data.x_test[:1]), np.asarray(data.t_test[:1])
    write_evaluation(folder, about, answers, shape, sample)


def command_of(context: typer.Context) -> str:
    """The command that repeats what the shell was told, in a new folder."""
    words: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name in NOT_REPEATED or source is None or source.name != "COMMANDLINE":
            continue
        words += _option(parameter, context.params[name])
    data = str(context.params.get("data", ""))
    place = ["--", data] if data.startswith("-") else [data]
    words = [*place, *words] if len(place) == 1 else [*words, *place]
    return shlex.join(["chainrule", context.command.name or "train", *words])


def _option(parameter: Any, value: Any) -> list[str]:
    """An option and its value, as the shell takes them."""
    if isinstance(value, bool):
        return [parameter.opts[0] if value else parameter.secondary_opts[0]]
    text = str(value)
    return [f"{parameter.opts[0]}={text}"] if text.startswith("-") else [parameter.opts[0], text]


def write_report(folder: Path) -> TrainingReport:
    """Make the page of a run that was just kept."""
    made = report_of(folder)
    made.save(folder / REPORT)
    return made


__all__ = ["EVALUATION", "REPORT", "keep_evaluation", "report", "tell_findings", "write_report"]
