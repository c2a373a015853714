"""Measure, and write results.json, speed.png and RESULTS.md.

PYTHONPATH=benchmarks python -m speed [--quick] [--only W1,W3] [--rounds 15]
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Printed

from speed.data import write_data
from speed.fits import run_fits
from speed.machine import machine
from speed.measure import Judge, measure_memory, run_group
from speed.plot import draw
from speed.report import busy, write_report
from speed.results import Results, Tell
from speed.starting import measure_starts
from speed.tables import all_tables
from speed.workers import Workers
from speed.workloads import WORKLOADS, Settings, groups

BENCHMARKS = Path(__file__).parents[1]


def main(
    quick: Annotated[bool, typer.Option(help="A look: one thread, few rounds, no torch.compile.")] = False,
    only: Annotated[str, typer.Option(help="Some of the workloads, such as W1,W3.")] = "",
    rounds: Annotated[int, typer.Option(help="How often everyone is timed; 0: the usual number.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where to write; runs/bench unless all is measured.")
    ] = None,
    report: Annotated[
        bool, typer.Option(help="Only write the page and the picture of results.json anew.")
    ] = False,
) -> None:
    """Time chainrule beside its peers."""
    console = Console()
    folder = out or (Path("runs/bench") if quick or only else BENCHMARKS)
    folder.mkdir(parents=True, exist_ok=True)
    if report:
        results = Results.from_json((folder / "results.json").read_text(encoding="utf-8"))
    else:
        settings = _settings(quick, only, rounds)
        # Ended from outside, it still ends its workers, which are stopped and would stay so.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
        with console.status("starting") as status:
            results = measure(settings, lambda text: status.update(text))
        (folder / "results.json").write_text(results.to_json(), encoding="utf-8")
    draw(results, folder / "speed.png")
    write_report(results, folder / "RESULTS.md", "speed.png")
    for table in all_tables(results):
        console.print(_printed(table.title, table.heads, table.rows, table.marked))
    for outcome in results.outcomes.values():
        for who, why in outcome.refused.items():
            console.print(f"[yellow]refused[/] {outcome.key}: {who}: {why}", highlight=False)
    if busy(results):
        console.print(f"[yellow]The machine was busy before the run: load {results.machine['load']}.[/]")
    console.print(f"written to {folder}: results.json, speed.png, RESULTS.md; {results.seconds:.0f} s")


def measure(settings: Settings, tell: Tell) -> Results:
    """Everything that the settings ask for."""
    begin = time.perf_counter()
    results = Results(machine(), asdict(settings))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tell("writing the data for the workers")
        write_data(folder)
        judge = Judge(folder)
        with Workers(folder) as workers:
            for group in groups(settings):
                for outcome in run_group(group, workers, judge, settings, tell):
                    results.outcomes[outcome.key] = outcome
                if not settings.quick:  # what was compiled for one group must not slow down the next
                    workers.end()
        if "W6" in settings.only:
            results.outcomes |= {outcome.key: outcome for outcome in run_fits(folder, settings, tell)}
        if "W1" in settings.only:
            results.memory = measure_memory(results.outcomes["W1 step"], folder, settings, tell)
        if "W7" in settings.only:
            results.starts = measure_starts(folder, settings, tell)
    results.seconds = time.perf_counter() - begin
    return results


def _settings(quick: bool, only: str, rounds: int) -> Settings:
    chosen = tuple(name.strip() for name in only.split(",")) if only else WORKLOADS
    if not set(chosen) <= set(WORKLOADS):
        raise typer.BadParameter(f"--only: expected some of {', '.join(WORKLOADS)}, got {only}")
    if quick:
        return Settings((1,), rounds or 3, 1, 600, 1, quick=True, only=chosen)
    cores = os.cpu_count() or 1
    threads = (1,) if cores == 1 else (1, cores)
    return Settings(threads, rounds or 15, min(rounds or 5, 5), only=chosen)


def _printed(
    title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]], marked: tuple[int, ...]
) -> Printed:
    printed = Printed(title=title, title_justify="left")
    for number, head in enumerate(heads):
        printed.add_column(head, justify="left" if number == 0 else "right")
    for number, row in enumerate(rows):
        printed.add_row(*row, style="bold" if number in marked else None)
    return printed


if __name__ == "__main__":
    typer.run(main)
