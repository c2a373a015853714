"""Run every mutant and many right ones through `cr.check`; write MUTATIONS.md and mutations.json.

PYTHONPATH=benchmarks python -m mutations [--kernels] [--quick] [--correct 10000] [--out FOLDER]
"""

from __future__ import annotations

import functools
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mutations import gradcheck
from mutations.corpus import Mutant, all_mutants, checks, everything_correct
from mutations.measuring import Advance, run_correct, run_mutants
from mutations.projection import ERRORS, SIZES, run_projection
from mutations.report import write_report
from mutations.results import Results, versions

#: In a quick run: every so many mutants, so many checks of what is right, so many tries of the projection.
QUICK = (5, 500, 40, 2)
FULL = (1, 10_000, 1_000, 20)


def main(
    quick: Annotated[
        bool, typer.Option(help="A fifth of the mutants, and few checks of what is right.")
    ] = False,
    kernels: Annotated[bool, typer.Option(help="Fused kernels in place of all else; needs PyTorch.")] = False,
    correct: Annotated[int, typer.Option(help="So many checks of what is right; 0: the usual number.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where to write; runs/mutations unless all is run.")
    ] = None,
) -> None:
    """What `cr.check` finds of wrong backwards, and what it calls them."""
    if kernels and find_spec("torch") is None:
        raise typer.BadParameter(
            "--kernels needs PyTorch, which is not installed here: pip install torch, or make test-peers"
        )
    console = Console()
    folder = out or (Path("runs/mutations") if quick or correct else Path(__file__).parent)
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        if kernels:
            from mutations.kernels.running import run_kernels

            run_kernels(quick, correct, folder, functools.partial(_bar, progress), console)
            return
        results = measure(quick, correct, progress)
    (folder / "mutations.json").write_text(results.to_json(), encoding="utf-8")
    write_report(results, folder / "MUTATIONS.md")
    _print(results, console)
    console.print(f"written to {folder}: MUTATIONS.md, mutations.json; {results.seconds:.0f} s")


def measure(quick: bool, correct: int, progress: Progress) -> Results:
    """Everything that was asked for."""
    begin = time.perf_counter()
    every, usual, tries, check_tries = QUICK if quick else FULL
    mutants: list[Mutant] = all_mutants()[::every]
    outcomes = run_mutants(mutants, _bar(progress, "mutants", len(mutants)))
    alarms = run_correct(checks(correct or usual), _bar(progress, "right ones", correct or usual))
    said = objections = None
    given = 0
    if gradcheck.available():
        said = gradcheck.run_gradcheck(mutants, _bar(progress, "gradcheck", len(mutants)))
        given, objections = gradcheck.run_gradcheck_correct(everything_correct())
    table = run_projection(tries, check_tries, _bar(progress, "one wrong element", len(SIZES) * len(ERRORS)))
    return Results(
        outcomes,
        alarms,
        said,
        objections,
        given,
        table,
        time.perf_counter() - begin,
        versions(),
    )


def _bar(progress: Progress, what: str, total: int) -> Advance:
    task = progress.add_task(what, total=total)
    return lambda name: progress.advance(task)


def _print(results: Results, console: Console) -> None:
    table = Table(title="What is called what", title_justify="left")
    for head in ("expected", "mutants", "found", "named", "otherwise"):
        table.add_column(head, justify="left" if head in ("expected", "otherwise") else "right")
    for expected, named in results.confusion().items():
        codes = expected.split(" or ")
        outcomes = [o for o in results.outcomes if o.expected == codes]
        count, found, right = results.rate(outcomes)
        others = ", ".join(f"{code} {n}" for code, n in named.most_common() if code not in codes)
        table.add_row(expected, str(count), str(found), str(right), others)
    console.print(table)
    count, found, right = results.rate(results.outcomes)
    console.print(f"{count} mutants: {found} found, {right} named")
    console.print(
        f"{results.alarms.checks:,} checks of what is right: {len(results.alarms.found)} false alarms"
    )
    if results.gradcheck is None:
        console.print("PyTorch is not installed here, so its gradcheck was not asked.")
    else:
        finds = sum(each.detected for each in results.gradcheck)
        console.print(f"gradcheck finds {finds} of the {len(results.gradcheck)} that could be given to it")


if __name__ == "__main__":
    typer.run(main)
