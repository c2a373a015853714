"""`chainrule report`: the page of a training, or of several side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from chainrule.cli.options import Force, refuse_taken
from chainrule.cli.writing import print_rows
from chainrule.files import write_bytes
from chainrule.reports import TrainingReport, report
from chainrule.saving.run_parts import folder_of
from chainrule.saving.runs import REPORT

COMPARISON = Path("comparison.html")


@dataclass
class Report:
    """Make the page of a training anew, or that of several side by side.

    [bold]chainrule report runs/digits[/bold]

    [bold]chainrule report runs/digits runs/digits-2[/bold]  --out both.html
    """

    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Run folders, such as runs/digits. Several are compared."),
    ]
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to write: .html, or .png for one picture. Default: report.html in the run folder; "
            "of several runs, comparison.html here.",
        ),
    ] = None
    force: Force = False

    def run(self) -> None:
        """Write the report, and tell what it found and where it is."""
        is_alone = len(self.folders) == 1
        out = self.out or (folder_of(self.folders[0]) / REPORT if is_alone else COMPARISON)
        if self.out is not None or not is_alone:
            refuse_taken(out, self.force, " with --out")
        made = report(*self.folders)
        if self.out is not None or not is_alone:
            made.save(out)
        else:
            write_bytes(out, made.html().encode(), follow=False)
        print_findings(made)
        print_rows([("report", escape(str(out)))])


def print_findings(made: TrainingReport) -> None:
    """Print what is missing, and what looks wrong, each with what to try; nothing where nothing is and does."""
    for run in made.runs:
        place = f"{run.name}: " if len(made.runs) > 1 else ""
        print_rows([("missing", escape(f"{place}{each}")) for each in run.missing])
    for finding in made.findings:
        where = finding.where.partition(": ")[0] if len(made.runs) > 1 else ""
        place = f"{where}: " if where else ""
        lines = [
            each for each in finding.lines if each.startswith("chainrule ") and each not in finding.advice
        ]
        print_rows([("finding", escape(f"{place}{finding}")), *(("try", escape(each)) for each in lines)])
