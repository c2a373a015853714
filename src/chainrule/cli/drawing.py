"""`chainrule draw`: a model as a picture, with what flows through it for a few rows."""

from __future__ import annotations

from pathlib import Path

from chainrule.checking import CheckReport
from chainrule.cli.batches import batch_for
from chainrule.cli.texts import clean, print_text
from chainrule.drawing import draw as draw_target
from chainrule.errors import ArgumentError, FileError
from chainrule.saving import load

ENDINGS = (".html", ".svg", ".png")
MOST_ROWS = 10_000


def draw(
    model: Path,
    data: str | None,
    target: str | None,
    rows: int,
    seed: int,
    out: Path,
    collapse: bool | None,
    force: bool,
) -> None:
    """Run the model forward and backward on a few rows, and write the picture."""
    if not 1 <= rows <= MOST_ROWS:
        raise ArgumentError(f"--rows: expected a number from 1 to {MOST_ROWS:,}, got {rows}")
    if seed < 0:
        raise ArgumentError(f"--seed: expected a whole number of at least 0, got {seed}")
    picture_path("--out", out, force)
    network = load(model)
    where, batch = batch_for(network, data, target, rows, seed)
    x, t = {name: batch[name] for name in network.input_shapes}, batch.get("t")
    drawing = draw_target(network, x, t, collapse=collapse, title=f"{model.name}, on {where}")
    drawing.save(out)
    print_text(f"{clean(str(model))}, drawn on {where}")
    print_text(f"picture  {clean(str(out))}")


def picture_path(option: str, path: Path, force: bool) -> None:
    """Refuse a name that is no picture's, and one that is taken."""
    if path.suffix.lower() not in ENDINGS:
        raise ArgumentError(f"{option} {path}: expected a file that ends in {', '.join(ENDINGS)}")
    if path.exists() and not force:
        raise FileError(f"{path} exists; choose another name, or write over it with --force")


def draw_report(report: CheckReport, path: Path, *, tell: bool) -> None:
    """Write the picture of a check."""
    draw_target(report).save(path)
    if tell:
        print_text(f"picture  {clean(str(path))}")
