"""Tables that packages ship, through the command line with nothing but `--target`, beside scikit-learn.

    python benchmarks/tables.py                   # every table, three seeds: writes TABLES.md
    python benchmarks/tables.py --only penguins   # those whose name holds this
    python benchmarks/tables.py --wide --long     # reading 500 x 10,000 and 1,000,000 x 20, beside pandas

Each table goes through `chainrule train FILE --target T`, then `evaluate`, `predict` and `report` on the rows that
were held out. scikit-learn's network has as many hidden units and the same rows; logistic or ridge regression is
the floor. The exit status is 1 where a command fails. Tables of packages that are missing are left out, and named.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from everyday import ours, reading, theirs
from everyday.files import TABLES, TableFile, is_there

PAGE = Path(__file__).with_name("TABLES.md")
HEAD = """\
# Tables that packages ship

Written by `python benchmarks/tables.py --wide --long`.

- **chainrule** is `chainrule train FILE --target T` with nothing else, judged by `chainrule predict` on a file of
  the rows that it held out. **scikit-learn** is MLPClassifier or MLPRegressor with as many hidden units, and
  **linear** is logistic or ridge regression, on the same rows, behind a ColumnTransformer: median, most frequent,
  indicators, StandardScaler and OneHotEncoder. Text of more than 100 different values is left out there as well.
- A score is the accuracy, or R², on the rows held out: the mean over the seeds.
- A training that failed has the last line that it printed.
"""


def main(
    only: Annotated[str, typer.Option(help="Only tables whose name holds this.")] = "",
    seeds: Annotated[int, typer.Option(help="How many seeds.")] = 3,
    wide: Annotated[bool, typer.Option("--wide", help="Read 500 rows of 10,000 columns.")] = False,
    long: Annotated[bool, typer.Option("--long", help="Read 1,000,000 rows of 20 columns.")] = False,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Write TABLES.md.")] = True,
) -> None:
    """Train on every table, and say what came of it."""
    chosen = [table for table in TABLES if only in table.name]
    absent = [table.name for table in chosen if not is_there(table)]
    lines = ["| table | target | task | chainrule | scikit-learn | linear |", "|---|---|---|---:|---:|---:|"]
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        for table in (each for each in chosen if is_there(each)):
            line, held = compared(table, seeds, Path(name))
            failed += not held
            typer.echo(line)
            lines.append(line)
        text = f"\n## {len(lines) - 2} tables, {seeds} seeds: {failed} failed\n\n" + "\n".join(lines)
        if absent:
            text += f"\n\nNot there: {', '.join(absent)}."
        if wide or long:
            text += read(["wide"] * wide + ["long"] * long, Path(name))
    typer.echo(text)
    if page and not only:
        PAGE.write_text(HEAD + text + "\n", encoding="utf-8")
    raise typer.Exit(bool(failed))


def compared(table: TableFile, seeds: int, folder: Path) -> tuple[str, bool]:
    """A line of the page, and whether every command went through."""
    path = folder / f"{table.name}.csv"
    path.write_text(table.content(), encoding="utf-8")
    found: list[tuple[float, float, float]] = []
    task, start = "", f"| {table.name} | {table.target}"
    for seed in range(seeds):
        run = folder / f"{table.name}-{seed}"
        if problem := ours.trained(path, table.target, seed, run):
            return f"{start} | | train: {_cell(problem)} | | |", False
        task = ours.task_of(run)
        rows = ours.rows_of(path, table.target, task, seed)
        came = ours.judged(rows, table.target, run)
        if came.failed or not came.same_rows:
            problem = came.failed or "holds out other rows than this benchmark thinks"
            return f"{start} | {task} | {_cell(problem)} | | |", False
        found.append((came.score, *theirs.scores(rows, table.target, seed)))
    means = [f"{statistics.mean(each):.3f}" for each in zip(*found, strict=True)]
    return f"{start} | {task} | {' | '.join(means)} |", True


def read(shapes: list[str], folder: Path) -> str:
    """The part of the page about large tables."""
    lines = ["| | rows | columns | reader | seconds | MB |", "|---|---:|---:|---|---:|---:|"]
    for name in shapes:
        rows, columns = reading.SHAPES[name]
        path = folder / f"{name}.csv"
        reading.write(path, rows, columns)
        for reader, cost in reading.measured(path).items():
            figures = (
                _cell(cost.failed) + " |" if cost.failed else f"{cost.seconds:.2f} | {cost.megabytes:,.0f}"
            )
            lines.append(f"| {name} | {rows:,} | {columns:,} | {reader} | {figures} |")
        path.unlink()
    title = f"## Reading large tables: medians of {reading.ROUNDS} fresh processes, in turn"
    return f"\n\n{title}\n\n" + "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "/")[:200]


if __name__ == "__main__":
    typer.run(main)
