"""Read many files that are nearly right, and write FUZZ.md.

PYTHONPATH=benchmarks python -m fuzz [--reader NAME ...] [--files 100000] [--seed 0] [--out FOLDER]
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from fuzz.page import Tried, write
from fuzz.readers import NAMED
from fuzz.trying import Outcome

FILES, WORKERS, EACH = 100_000, 2, 1_000


def main(
    reader: Annotated[list[str] | None, typer.Option(help="The reader's name. Default: all of them.")] = None,
    files: Annotated[int, typer.Option(help="How many files of each reader.")] = FILES,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.")] = 0,
    out: Annotated[Path, typer.Option(help="Where results, and files that fail, are kept.")] = Path(
        "runs/fuzz"
    ),
    page: Annotated[
        bool | None,
        typer.Option("--page/--no-page", help="Write FUZZ.md. Default: where 100,000 were tried."),
    ] = None,
) -> None:
    """Read many files that are nearly right; the exit status is 1 where one fails."""
    if unknown := sorted(set(reader or ()) - set(NAMED)):
        raise typer.BadParameter(f"there is no reader {unknown[0]!r}; there are {', '.join(NAMED)}")
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    failed = 0
    with Progress(console=console, transient=True) as progress, ThreadPoolExecutor(WORKERS) as pool:
        parts = [range(start, min(start + EACH, files)) for start in range(0, files, EACH)]
        waiting = {
            name: [pool.submit(tried, name, seed, part, out) for part in parts] for name in reader or NAMED
        }
        for name, results in waiting.items():
            of_one = Tried.of(name, seed, list(_in_order(results, progress, name, files)))
            (out / f"{name.strip('.')}.json").write_text(of_one.to_json(), encoding="utf-8")
            failed += len(of_one.failed)
            console.print(f"{name}: {of_one.files:,} files, {len(of_one.failed):,} failed", soft_wrap=True)
            for index, what in of_one.failed:
                console.print(f"  {seed}-{index}: {what}", markup=False, soft_wrap=True)
    path = (
        Path(__file__).parents[1] / "FUZZ.md"
        if page or (page is None and files >= FILES)
        else out / "FUZZ.md"
    )
    write(path, out)
    console.print(f"{path}", soft_wrap=True)
    raise typer.Exit(bool(failed))


def _in_order(
    results: list[Future[list[Outcome]]], progress: Progress, name: str, files: int
) -> Iterator[Outcome]:
    bar = progress.add_task(name, total=files)
    for result in results:
        yield from result.result()
        progress.advance(bar, len(result.result()))


def tried(name: str, seed: int, part: range, out: Path) -> list[Outcome]:
    """What came of these files, in a process of their own; where it dies, another goes on behind the file."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(part):
        outcomes += _of_worker(name, seed, part[len(outcomes) :], out)
    for each in outcomes:
        if each.failure:
            path = out / f"{name.strip('.')}-{seed}-{each.index}.txt"
            path.write_text(each.failure, encoding="utf-8", errors="backslashreplace")
    return outcomes


def _of_worker(name: str, seed: int, part: range, out: Path) -> Iterator[Outcome]:
    command = [sys.executable, "-m", "fuzz.worker", name, *map(str, (seed, part.start, part.stop, out))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines:
        yield Outcome(**json.loads(line))
    if len(lines) < len(part):
        what = f"the process ended with status {done.returncode}:\n{done.stderr}"
        yield Outcome(part[len(lines)], name, "died", 0.0, what)


if __name__ == "__main__":
    typer.run(main)
