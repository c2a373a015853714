"""What is measured: the tasks, who does them, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from peers.registry import REGISTRY, Contender
from peers.task import Task

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W6", "W7")
EPOCH = 600  # iterations: 60,000 images in batches of 100
ITERATIONS = 10_000
WIDTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
QUICK_POINTS = (("width", 16), ("width", 128), ("width", 1024))
CURVED = (("ours", "machine"), ("floor", "np.dot"), ("pytorch", "eager"))
DEPTHS = (1, 2, 4, 8, 16)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)

W1 = Task("W1", (784, 50, 10), 100, "sgd", 0.1, std=0.01)
W2 = Task("W2", (784, 512, 512, 10), 128, "adam", 0.001)
W3 = Task("W3", (20, 64, 64, 2), 32, "adam", 0.001, samples=2000)


def growing(name: str, width: int, depth: int, batch: int) -> Task:
    """A task of W5: `depth` hidden layers of one width, that of the input too, on made-up data."""
    return Task(name, (width,) * (depth + 1) + (10,), batch, "sgd", 0.01, samples=4096)


CURVES: dict[str, dict[int, Task]] = {
    "width": {n: growing(f"W5 width {n}", n, 2, 128) for n in WIDTHS},
    "depth": {n: growing(f"W5 depth {n}", 128, n, 128) for n in DEPTHS},
    "batch": {n: growing(f"W5 batch {n}", 128, 2, n) for n in BATCHES},
}
TASKS = {task.name: task for task in (W1, W2, W3, *(t for curve in CURVES.values() for t in curve.values()))}


@dataclass(frozen=True)
class Fit:
    """A whole fit of W6. The hidden layers of its task are 0 wide: every round has widths of its own."""

    key: str
    title: str
    task: Task
    widths: range
    epochs: int
    quick: bool = False

    def new(self, hidden: Iterable[int]) -> Task:
        """The task with such hidden layers."""
        return replace(self.task, sizes=(self.task.sizes[0], *hidden, self.task.sizes[-1]))


TABLE = Task("table", (20, 0, 0, 2), 32, "adam", 0.001, files="table")
IMAGES = Task("MNIST", (784, 0, 10), 100, "sgd", 0.1)
WIDE = Task("wide", (784, 0, 0, 10), 128, "adam", 0.001)
NARROW, NEAR_512 = range(41, 61), range(492, 533)
FITS = {
    fit.key: fit
    for fit in (
        Fit("table 5", "table 3,200 x 20, 20-H-H-2, Adam, 5 epochs", TABLE, NARROW, 5, quick=True),
        Fit("table 30", "table 3,200 x 20, 20-H-H-2, Adam, 30 epochs", TABLE, NARROW, 30, quick=True),
        Fit("table 100", "table 3,200 x 20, 20-H-H-2, Adam, 100 epochs", TABLE, NARROW, 100),
        Fit("table 300", "table 3,200 x 20, 20-H-H-2, Adam, 300 epochs", TABLE, NARROW, 300),
        Fit("MNIST 1", "MNIST, 784-H-10, SGD, 1 epoch", IMAGES, NARROW, 1, quick=True),
        Fit("MNIST 3", "MNIST, 784-H-10, SGD, 3 epochs", IMAGES, NARROW, 3),
        Fit("MNIST 10", "MNIST, 784-H-10, SGD, 10 epochs", IMAGES, NARROW, 10),
        Fit("wide 1", "MNIST, 784-H-H-10, H near 512, Adam, 1 epoch", WIDE, NEAR_512, 1),
        Fit("wide 3", "MNIST, 784-H-H-10, H near 512, Adam, 3 epochs", WIDE, NEAR_512, 3),
    )
}


@dataclass(frozen=True)
class Workload:
    """One thing that is timed. `count` is the steps of a sample, or the rows to predict."""

    key: str
    title: str
    task: Task
    kind: Literal["step", "predict"]
    count: int
    calls: int = 1
    checked_steps: int = 20
    contenders: tuple[Contender, ...] = ()


@dataclass(frozen=True)
class Group:
    """Workloads that share their workers."""

    name: str
    workloads: tuple[Workload, ...]
    rounds: int


@dataclass(frozen=True)
class Settings:
    """How thorough a run is."""

    threads: tuple[int, ...]
    rounds: int = 15
    job_rounds: int = 5
    iterations: int = ITERATIONS
    starts: int = 3
    quick: bool = False
    only: tuple[str, ...] = WORKLOADS


def contenders(
    kind: Literal["step", "predict"], settings: Settings, peers: Iterable[str] = REGISTRY
) -> tuple[Contender, ...]:
    """Everyone in every variant, with every number of threads."""
    result = []
    for peer in peers:
        entry = REGISTRY[peer]
        for variant in entry.training if kind == "step" else entry.predicting:
            if settings.quick and variant in entry.compiles:
                continue
            result += [Contender(peer, variant, threads) for threads in settings.threads]
    return tuple(result)


def groups(settings: Settings) -> list[Group]:
    """All that the settings ask for. The whole job of W1 follows from its step, and is not among them."""
    everyone, predicting = contenders("step", settings), contenders("predict", settings)
    part = 4 if settings.quick else 1
    found = {
        "W1": (Workload("W1 step", "784-50-10, batch 100, SGD", W1, "step", 400 // part, 1, 20, everyone),),
        "W2": (
            Workload("W2 step", "784-512-512-10, batch 128, Adam", W2, "step", 60 // part, 1, 20, everyone),
        ),
        "W3": (Workload("W3 step", "20-64-64-2, batch 32, Adam", W3, "step", 400 // part, 1, 20, everyone),),
        "W4 W1": _predictions(W1, predicting),
        "W4 W2": _predictions(W2, predicting),
        "W5": _curves(settings),
    }
    return [
        Group(name, loads, max(settings.rounds // 2, 3) if name == "W5" else settings.rounds)
        for name, loads in found.items()
        if name.split()[0] in settings.only
    ]


def _predictions(task: Task, compared: tuple[Contender, ...]) -> tuple[Workload, ...]:
    return tuple(
        Workload(
            f"W4 {task.name} {rows}",
            f"predict {rows:,} row{'s' * (rows > 1)}, net of {task.name}",
            task,
            "predict",
            rows,
            calls,
            contenders=compared,
        )
        for rows, calls in ((1, 500), (10_000, 2))
    )


def _curves(settings: Settings) -> tuple[Workload, ...]:
    """A quick run sees only some widths."""
    who = tuple(Contender(*each, threads) for each in CURVED for threads in settings.threads)
    loads = []
    for name, curve in CURVES.items():
        for number, task in curve.items():
            if settings.quick and (name, number) not in QUICK_POINTS:
                continue
            # Steps enough for about a tenth of a second, by the arithmetic and a fixed cost of each step.
            work = sum(a * b for a, b in zip(task.sizes, task.sizes[1:], strict=False)) * task.batch
            steps = max(3, min(400, round(0.1 / (2e-4 + work * 6 / 5e10))))
            loads.append(Workload(task.name, f"{name} {number:,}", task, "step", steps, 1, 3, who))
    return tuple(loads)
