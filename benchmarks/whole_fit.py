"""The whole `fit` of a network never seen before, everything at its default, beside scikit-learn, PyTorch and JAX.

    python benchmarks/whole_fit.py [--rounds 5] [--only 'table 30,MNIST 1'] [--json FILE]

Every round has hidden layers of new widths, the same for everyone, so that nothing compiled before is of use. Timed
is all from the making of the network to the end of the last epoch, compiling included, imports not. Each peer is a
process of its own that stays alive, and is stopped while another works; in every round each has its turn. chainrule
chooses its number of threads by itself; the others have one thread and all, and the better is shown. After every
epoch chainrule also measures the loss and the accuracy over all the training data, which the others leave out.

MNIST is taken from where `cr.datasets.load_mnist` finds it (CHAINRULE_DATA names a folder), and made up elsewhere.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from peers.registry import REGISTRY
from speed.data import write_fits
from speed.fits import run_fits
from speed.machine import machine
from speed.results import Outcome, Results
from speed.tables import time
from speed.workloads import FITS, Settings


def main(
    rounds: Annotated[int, typer.Option(help="How often everyone is timed.")] = 5,
    only: Annotated[str, typer.Option(help=f"Some of: {', '.join(FITS)}.")] = "",
    json: Annotated[Path | None, typer.Option(help="Also write all that was measured to this file.")] = None,
) -> None:
    """Time everyone, and print seconds and ratios."""
    keys = tuple(key.strip() for key in only.split(",")) if only else tuple(FITS)
    if not set(keys) <= set(FITS):
        raise typer.BadParameter(f"--only: expected some of {', '.join(FITS)}, got {only}")
    settings = Settings(tuple(sorted({1, os.cpu_count() or 1})), job_rounds=rounds, only=("W6",))
    results = Results(machine(), vars(settings))
    with tempfile.TemporaryDirectory() as name, Console(stderr=True).status("starting") as status:
        if not write_fits(Path(name)):
            status.console.print("MNIST is not here: the images are made up")
        found = run_fits(Path(name), settings, lambda text: status.update(text), keys)
    results.outcomes = {outcome.key: outcome for outcome in found}
    for line in table(found):
        print(line)
    if json is not None:
        json.write_text(results.to_json(), encoding="utf-8")


def table(outcomes: list[Outcome]) -> list[str]:
    """A line for each fit: medians, and how many times as long as ours, round by round."""
    peers = [peer for peer, entry in REGISTRY.items() if entry.fitting]
    lines = [
        f"{'median seconds, times ours, threads':<48}" + "".join(f"{REGISTRY[p].label:>22}" for p in peers)
    ]
    for outcome in outcomes:
        cells = [_cell(outcome, peer) for peer in peers]
        lines.append(f"{outcome.title:<48}" + "".join(f"{cell:>22}" for cell in cells))
        best = [outcome.best(peer) for peer in peers]
        learned = ["" if s is None or s.accuracy is None else f"{s.accuracy:.4f}" for s in best]
        lines.append(f"{'  training accuracy at the end, mean':<48}" + "".join(f"{s:>22}" for s in learned))
        lines += [f"  refused: {who}: {why}" for who, why in outcome.refused.items()]
    return lines


def _cell(outcome: Outcome, peer: str) -> str:
    best = outcome.best(peer)
    if best is None:
        return "-"
    ratio = outcome.ratio(best, outcome.best("ours")) if peer != "ours" else None
    times = "" if ratio is None else f" {ratio.median:5.2f}x"
    return f"{time(best.spread.median)}{times} ({best.threads})"


if __name__ == "__main__":
    typer.run(main)
