"""Read many files that are nearly right, and write FUZZ.md.

PYTHONPATH=benchmarks python -m fuzz [--files 100000] [--seed 0] [--out FOLDER]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from fuzz.page import write
from fuzz.readers import READERS
from fuzz.trying import Outcome, file_of

FILES, WORKERS, EACH = 100_000, 2, 1_000


def main(
    files: Annotated[int, typer.Option(help="How many files.")] = FILES,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.")] = 0,
    out: Annotated[Path, typer.Option(help="Where files that fail are kept.")] = Path("runs/fuzz"),
    page: Annotated[
        bool | None, typer.Option("--page/--no-page", help="Write FUZZ.md. Default: where all were tried.")
    ] = None,
) -> None:
    """Read many files that are nearly right; the exit status is 1 where one fails."""
    out.mkdir(parents=True, exist_ok=True)
    begin, console = time.perf_counter(), Console()
    outcomes: list[Outcome] = []
    with Progress(console=console, transient=True) as progress, ThreadPoolExecutor(WORKERS) as pool:
        bar = progress.add_task("files", total=files)
        parts = [range(start, min(start + EACH, files)) for start in range(0, files, EACH)]
        for done in as_completed([pool.submit(tried, seed, part, out) for part in parts]):
            outcomes += done.result()
            progress.advance(bar, len(done.result()))
    outcomes.sort(key=lambda each: each.index)
    failures = [each for each in outcomes if each.failure]
    for each in failures:
        (out / f"{seed}-{each.index}.txt").write_text(each.failure, encoding="utf-8")
        last = each.failure.strip().splitlines()[-1][:150]
        console.print(f"{seed}-{each.index} {each.reader}: {last}", markup=False, soft_wrap=True)
    seconds = time.perf_counter() - begin
    path = (
        Path(__file__).parents[1] / "FUZZ.md"
        if page or (page is None and files >= FILES)
        else out / "FUZZ.md"
    )
    write(path, outcomes, seed, seconds, out)
    console.print(
        f"{len(outcomes):,} files, {len(failures):,} failed, {seconds:.0f} s: {path}", soft_wrap=True
    )
    raise typer.Exit(bool(failures))


def tried(seed: int, part: range, out: Path) -> list[Outcome]:
    """What came of these files, in a process of their own; where it dies, another goes on behind the file."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(part):
        outcomes += _of_worker(seed, part[len(outcomes) :], out)
    return outcomes


def _of_worker(seed: int, part: range, out: Path) -> Iterator[Outcome]:
    command = [sys.executable, "-m", "fuzz.worker", str(seed), str(part.start), str(part.stop), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines:
        yield Outcome(**json.loads(line))
    if len(lines) < len(part):
        index = part[len(lines)]
        what = f"the process ended with status {done.returncode}:\n{done.stderr}"
        yield Outcome(index, file_of(seed, index)[0].name, "died", 0.0, what)


if __name__ == "__main__":
    assert abs(sum(reader.share for reader in READERS) - 1) < 1e-9
    typer.run(main)
