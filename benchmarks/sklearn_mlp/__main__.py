"""`chainrule.sklearn` beside scikit-learn: quality, speed and memory, on one page.

    PYTHONPATH=benchmarks python -m sklearn_mlp                       # all of it, under an hour: writes SKLEARN.md
    PYTHONPATH=benchmarks python -m sklearn_mlp --quick --no-page     # fewer sizes, about five minutes
    PYTHONPATH=benchmarks python -m sklearn_mlp --only speed,memory   # some parts; the page keeps the others

skorch with PyTorch does the rows of the small networks where both are installed. The exit status is 1 where a mean
score is below scikit-learn's by more than noise.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console
from threadpoolctl import threadpool_limits

from learning.page import write
from sklearn_mlp import fresh, page, quality, search
from sklearn_mlp.timing import timed
from sklearn_mlp.workloads import workloads

PARTS = ("speed", "first", "search", "memory", "quality")


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer sizes, rounds and seeds.")] = False,
    only: Annotated[str, typer.Option(help=f"Some of: {', '.join(PARTS)}.")] = ",".join(PARTS),
    threads: Annotated[int, typer.Option(help="The most threads of everyone; 0 means all cores.")] = 0,
    rounds: Annotated[int, typer.Option(help="How often everyone is timed, at least.")] = 5,
    written: Annotated[bool, typer.Option("--page/--no-page", help="Write SKLEARN.md.")] = True,
) -> None:
    """Measure the parts, and print and write the tables."""
    chosen = [part.strip() for part in only.split(",")]
    if not set(chosen) <= set(PARTS):
        raise typer.BadParameter(f"--only: expected some of {', '.join(PARTS)}, got {only}")
    if threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
        threadpool_limits(threads)
    rounds = min(rounds, 3) if quick else rounds
    said = page.conditions(threads, quick)

    def show(title: str, text: str) -> None:
        part = f"{said}\n\n{text}"
        typer.echo(f"\n## {title}\n\n{part}")
        if written:
            write({title: part}, page.PAGE, page.INTRODUCTION)

    held = True
    with Console(stderr=True).status("starting") as status:
        if "speed" in chosen:
            found = []
            for load in workloads(quick):
                status.update(f"speed: {load.title}, {load.dtype}")
                found.append(timed(load, rounds))
            show("Speed", page.speed(found))
        if "first" in chosen:
            status.update("first calls")
            show("The first call of a process", page.first(fresh.measured(fresh.FIRST, rounds)))
        if "search" in chosen:
            for processes, where in search.PROCESSES.items():
                status.update(f"grid search {where}")
                found_there = search.searched(1 if quick else min(rounds, 3), quick, processes)
                show(f"Grid search {where}", page.search(found_there))
        if "memory" in chosen:
            status.update("memory")
            loads = fresh.HELD[::3] if quick else fresh.HELD
            show("Memory", page.memory(fresh.measured(loads, 1 if quick else 3)))
        if "quality" in chosen:
            status.update("quality")
            scores = quality.compared(range(2 if quick else 5), quality.SETS[::4] if quick else quality.SETS)
            show("Quality", page.quality(scores))
            held = all(each.verdict != "below" for each in scores)
    raise typer.Exit(not held)


if __name__ == "__main__":
    typer.run(main)
