"""Kill trainings at random moments, resume them, see that they end with the same bits; and what checkpoints cost.

    python benchmarks/survival.py [--kills 200] [--seed 0] [--page]

writes SURVIVAL.md beside this file.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

import chainrule as cr
from chainrule.saving.resuming import read_checkpoint
from chainrule.saving.runs import CHECKPOINT, HISTORY, is_alive, record_of
from chainrule.schedules import Cosine

PAGE = Path(__file__).with_name("SURVIVAL.md")
TABLE_ROWS = 4_000
console = Console(highlight=False)


# The trainings ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A training to kill: `every` so many iterations there is a checkpoint."""

    name: str
    every: int
    about: str
    network: Any = None
    fit: dict[str, Any] = field(default_factory=dict)


def digits() -> cr.Network:
    return cr.Network(cr.Affine(50), cr.ReLU(), cr.Affine(10), input_shape=64, loss="cross_entropy", seed=0)


def mixed() -> cr.Network:
    layers = [cr.Affine(40), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.3), cr.Affine(10)]
    return cr.Network(layers, input_shape=64, loss="cross_entropy", seed=1)


def wide(units: int = 900) -> cr.Network:
    layers = [cr.Affine(units), cr.ReLU(), cr.Affine(units), cr.ReLU(), cr.Affine(10)]
    return cr.Network(layers, input_shape=784, loss="cross_entropy", seed=2)


JOBS = (
    Job(
        "digits",
        20,
        "64-50-10, Adam, Health, EarlyStopping with the best weights",
        digits,
        {"epochs": 400, "measure_every": 10, "callbacks": [cr.Health(), cr.EarlyStopping(patience=2_000)]},
    ),
    Job(
        "mixed",
        50,
        "batch normalization, dropout, batches with replacement, a cosine schedule",
        mixed,
        {
            "epochs": 700,
            "measure_every": 10,
            "sampling": "replacement",
            "optimizer": cr.Momentum(Cosine(0.05)),
        },
    ),
    Job("wide", 4, "1,526,410 parameters, Adam: a checkpoint of 18 MB is nearly always being written", wide),
    Job("command", 50, "a table, by `chainrule train` and `chainrule resume`"),
)


def data_of(job: Job) -> tuple[Any, Any, dict[str, Any]]:
    if job.name == "wide":
        rng = np.random.default_rng(0)
        x = rng.normal(size=(3_000, 784)).astype(np.float32)
        return x, rng.integers(10, size=3_000), {"iterations": 80, "batch_size": 50}
    (x, t), tested = cr.datasets.load_digits()
    return x, t, {"validation": tested, **job.fit}


class Counting(cr.Callback):
    """Counts iterations where the parent can read them after a kill."""

    def __init__(self, counter: str) -> None:
        with open(counter, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    def on_iteration(self, run: Any) -> None:
        self._memory[:8] = run.iteration.to_bytes(8, "little")


def train(job: Job, folder: str, counter: str) -> None:
    """What the child does: begin the run, or go on with it, and print what identifies its end."""
    x, t, arguments = data_of(job)
    counting = Counting(counter)
    if (Path(folder) / CHECKPOINT).exists() or (Path(folder) / HISTORY).exists():
        validation = arguments.get("validation")
        net, history = cr.resume(folder, x, t, validation=validation, callbacks=counting, progress=False)
    else:
        net = job.network()
        kept = {} if folder == "none" else {"checkpoint": cr.Checkpoint(folder, every=job.every)}
        callbacks = [counting, *arguments.pop("callbacks", [])]
        history = net.fit(x, t, **arguments, callbacks=callbacks, progress=False, **kept)
    print(identity(net, history))


def identity(net: cr.Network, history: cr.History) -> str:
    """A hash of the weights, the statistics and the history without its seconds."""
    record = json.dumps({**vars(history), "seconds": len(history.seconds)}, sort_keys=True)
    arrays = b"".join([net.params.flat.tobytes(), *(each.tobytes() for each in net.state.values())])
    return hashlib.sha256(arrays + record.encode()).hexdigest()[:16]


def command_line(folder: Path, job: Job, work: Path) -> list[str]:
    """The child's command: to begin a run, or to go on with the one that is there."""
    if job.name != "command":
        return [sys.executable, __file__, "--job", job.name, str(folder), str(work / "counter")]
    chainrule = [sys.executable, "-m", "chainrule"]
    if (folder / "run.json").exists():
        return [*chainrule, "resume", str(folder)]
    more = ["--epochs", "30", "--checkpoint-every", str(job.every), "--out", str(folder)]
    return [*chainrule, "train", str(work / "table.csv"), "--target", "price", *more]


def write_table(path: Path) -> None:
    rng = np.random.default_rng(3)
    x, kind = rng.normal(size=(TABLE_ROWS, 4)), rng.choice(["flat", "house", "barn"], TABLE_ROWS)
    price = x @ [3, -2, 1, 0] + 2 * (kind == "house") + rng.normal(size=TABLE_ROWS)
    lines = [
        f"{','.join(f'{v:.4f}' for v in row)},{k},{p:.3f}" for row, k, p in zip(x, kind, price, strict=True)
    ]
    path.write_text("a,b,c,d,kind,price\n" + "\n".join(lines) + "\n", encoding="utf-8")


# Killing ----------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of the kills of one job."""

    job: Job
    kills: int = 0
    #: Killed while a file was being written, before the first checkpoint was there, and after the training.
    writing: int = 0
    early: int = 0
    #: Runs that ended, and those of them that did with the same bits.
    ended: int = 0
    same: int = 0
    #: Iterations that had to be done once more after a kill.
    repeated: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def kill_often(job: Job, kills: int, rng: np.random.Generator, work: Path) -> Iterator[Outcome]:
    """Run the job again and again, and kill it so many times."""
    found, counter = Outcome(job), work / "counter"
    counter.write_bytes(bytes(8))
    begin = time.perf_counter()
    whole = work / f"{job.name}-whole"
    expected = result_of(job, whole, command_line(whole, job, work))
    seconds = time.perf_counter() - begin
    number = 0
    while found.kills < kills:
        folder = work / f"{job.name}-{number}"
        counter.write_bytes(bytes(8))
        child = subprocess.Popen(
            command_line(folder, job, work), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            child.wait(rng.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        out, err = child.communicate()
        if child.returncode == -signal.SIGKILL:
            found.kills += 1
            look(folder, job, int.from_bytes(counter.read_bytes(), "little"), found)
        elif child.returncode == 0:
            found.ended += 1
            came = ending_of(job, folder, out)
            found.same += came == expected
            if came != expected:
                found.wrong.append(f"{folder.name}: ended with {came}, not {expected}")
            if find := sorted(
                each.name for each in folder.glob("*") if each.name.endswith((".part", ".lock"))
            ):
                found.wrong.append(f"{folder.name}: left {find}")
            number += 1
        elif found.kills and "no checkpoint" in err:  # killed in its first milliseconds
            found.early += 1
            number += 1
        else:
            found.wrong.append(f"{folder.name}: status {child.returncode}: {err[-500:]}")
            number += 1
        yield found


def result_of(job: Job, folder: Path, command: list[str]) -> str:
    """What an undisturbed run ends with."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return ending_of(job, folder, done.stdout)


def ending_of(job: Job, folder: Path, out: str) -> str:
    if job.name != "command":
        return out.splitlines()[-1]
    history = cr.History.load(folder / HISTORY)
    return identity(cr.load(folder / "model.safetensors"), history)


def look(folder: Path, job: Job, done: int, found: Outcome) -> None:
    """Read everything that the killed process left, as a user might."""
    if list(folder.glob(".*.part")):
        found.writing += 1
    try:
        if is_alive(folder):
            found.wrong.append(f"{folder.name}: is said to be alive")
        if (folder / CHECKPOINT).exists():
            record_of(folder)
            kept = read_checkpoint(folder / CHECKPOINT).training
            history = cr.History.load(folder / HISTORY)
            if len(history.loss) < kept.iteration:
                found.wrong.append(f"{folder.name}: the history is shorter than the checkpoint")
            if done:
                found.repeated.append(max(0, done - kept.iteration))
                if done - kept.iteration > 2 * job.every:
                    found.wrong.append(f"{folder.name}: {done} done, the checkpoint is of {kept.iteration}")
        else:
            found.early += 1
    except Exception as error:
        found.wrong.append(f"{folder.name}: {error!r}")


# What else can go wrong -------------------------------------------------------------------------------


def other_troubles(work: Path) -> Iterator[tuple[str, str]]:
    """A disk that is full, folders that cannot be written, two processes at once: what was tried, what came."""
    job = JOBS[0]
    (work / "counter").write_bytes(bytes(8))
    expected = result_of(job, work / "w", command_line(work / "w", job, work))
    for limit in (2_000, 20_000, 60_000):
        folder = work / f"limited-{limit}"
        done = subprocess.run(
            command_line(folder, job, work),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),  # type: ignore[misc]
        )
        ok = (
            done.returncode == 0
            and done.stdout.splitlines()[-1] == expected
            and "could be kept" in done.stderr
        )
        yield (
            f"no file may be larger than {limit:,} bytes",
            "trained to the same bits, said" if ok else done.stderr[-300:],
        )
    folder = work / "read-only"
    folder.mkdir()
    folder.chmod(0o555)
    as_anyone = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*as_anyone, *command_line(folder, job, work)], capture_output=True, text=True, check=False
    )
    said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
    ok = done.returncode == 1 and "FileError" in said[0]
    yield "a folder that is read-only", "refused before the first step" if ok else said[0]
    winners = []
    for number in range(10):
        folder = work / f"shared-{number}"
        several = [
            subprocess.Popen(
                command_line(folder, job, work), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        ends = [(each.communicate(), each.returncode) for each in several]
        good = [out for (out, _), status in ends if status == 0 and out.splitlines()[-1:] == [expected]]
        refused = [err for (_, err), status in ends if status and ("BusyError" in err or "not empty" in err)]
        winners.append((len(good) >= 1 and len(good) + len(refused) == 3, ends))
    wrong = [ends for ok, ends in winners if not ok]
    yield (
        "three processes begin the same run, ten times",
        (
            "each time one trained to the same bits, or went on after another, and the others were refused"
            if not wrong
            else str(wrong[0])[-600:]
        ),
    )


# Costs ------------------------------------------------------------------------------------------------


def costs(rounds: int, work: Path) -> Iterator[tuple[str, float, float, float]]:
    """Seconds without and with a checkpoint a second, and the median of the rounds' ratios."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6_000, 784)).astype(np.float32)
    t = rng.integers(10, size=6_000)
    for units, iterations in ((900, 400), (50, 15_000)):
        pairs = []
        for number in range(rounds + 1):  # the first warms up
            seconds = {}
            for kept in (True, False) if number % 2 else (False, True):
                net = wide(units)
                shutil.rmtree(work / "cost", ignore_errors=True)
                checkpoint = cr.Checkpoint(work / "cost", every="1s") if kept else None
                begin = time.perf_counter()
                net.fit(x, t, iterations=iterations, progress=False, checkpoint=checkpoint)
                seconds[kept] = time.perf_counter() - begin
            pairs.append(seconds)
        megabytes = 3 * net.params.flat.nbytes / 1e6
        yield (
            f"784-{units}-{units}-10, {megabytes:.1f} MB",
            median(each[False] for each in pairs[1:]),
            median(each[True] for each in pairs[1:]),
            median(each[True] / each[False] for each in pairs[1:]),
        )


# The page ---------------------------------------------------------------------------------------------

HEAD = """\
# Trainings that are killed

Written by `python benchmarks/survival.py --page`.

A training runs in a process of its own, which is killed (SIGKILL) at a random moment of its life, from the first
import to the last file; then another process goes on with it, and is killed, too, until one reaches the end.
Weights, statistics and history (but for the seconds) must then be those of a run that nobody disturbed, bit for
bit. After every kill, the run folder is read: record, checkpoint, history, model.
"""


def page(
    outcomes: list[Outcome], troubles: list[tuple[str, str]], paid: list[tuple[str, float, float, float]]
) -> str:
    """All of it as Markdown."""
    kills, wrong = sum(each.kills for each in outcomes), [text for each in outcomes for text in each.wrong]
    lines = [
        HEAD,
        f"## {kills} kills: {len(wrong)} faults\n",
        f"{platform.platform()}, {os.cpu_count()} cores.\n",
    ]
    lines += [
        "| run | kills | while writing | before a checkpoint | ended | with the same bits "
        "| iterations repeated, median and most | between checkpoints |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in outcomes:
        again = f"{median(each.repeated):.0f}, {max(each.repeated)}" if each.repeated else "not counted"
        counts = [each.kills, each.writing, each.early, each.ended, each.same, again, each.job.every]
        lines.append(f"| {each.job.name}: {each.job.about} | " + " | ".join(map(str, counts)) + " |")
    lines += [
        "",
        "A checkpoint is written beside the training: until it is complete, the one before counts.",
        "",
    ]
    lines += [f"- {text}" for text in wrong]
    lines += ["## Other troubles\n", "| what | what came of it |", "|---|---|"]
    lines += [f"| {what} | {came} |" for what, came in troubles]
    lines += [
        "",
        "## What a checkpoint every second costs\n",
        "Seconds of a training, medians of interleaved rounds; parameters and Adam's moments take the megabytes.\n",
        "| network | without | with | ratio |",
        "|---|---:|---:|---:|",
    ]
    lines += [f"| {name} | {bare:.2f} | {kept:.2f} | {ratio:.3f} |" for name, bare, kept, ratio in paid]
    return "\n".join(lines) + "\n"


def main(
    kills: Annotated[int, typer.Option(help="How many kills in all.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    rounds: Annotated[int, typer.Option(help="Of the costs; 0 for none.")] = 7,
    only: Annotated[str | None, typer.Option(help="One of the jobs.")] = None,
    write: Annotated[bool, typer.Option("--page/--no-page", help="Write SURVIVAL.md.")] = False,
    job: Annotated[str | None, typer.Option(hidden=True)] = None,
    rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Kill trainings, resume them, and compare."""
    if job is not None:
        train(next(each for each in JOBS if each.name == job), *(rest or []))
        return
    chosen = [each for each in JOBS if only in (None, each.name)]
    rng, outcomes = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        work.chmod(0o755)
        write_table(work / "table.csv")
        with Progress(console=console) as progress:
            bar = progress.add_task("kills", total=kills)
            for each in chosen:
                own, before = kills // len(chosen), 0
                for found in kill_often(each, own, rng, work):
                    progress.advance(bar, found.kills - before)
                    before = found.kills
                outcomes.append(found)
        troubles = [] if only else list(other_troubles(work))
        paid = list(costs(rounds, work)) if rounds else []
    text = page(outcomes, troubles, paid)
    if write:
        PAGE.write_text(text, encoding="utf-8")
    console.print(text, markup=False, soft_wrap=True)
    raise typer.Exit(any(each.wrong or each.same < each.ended for each in outcomes))


if __name__ == "__main__":
    typer.run(main)
