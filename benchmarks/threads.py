"""What more cores would give to a training step: measured as far as this machine has cores, and simulated to 16.

    python benchmarks/threads.py [--quick] [--rounds 5]

The networks are W1's (784-50-10, SGD), W2's (784-512-512-10, Adam), and a wide one (2048-2048-2048-10, SGD),
with batches of 100 and of 1,000, in float32. "measured" is a step of `program.trainer(...).steps(...,
threads=n)`.

The simulation starts from the training table. Each of its turns is run alone, cut as it is, many times by one
thread, on the memory of a step; its time divided by its parts is the time of a part. A step on n threads then
takes, for each turn, as many parts one after another as the busiest thread has, ceil(parts / n), and for a
turn of several parts on several threads a hand-over. The hand-over is measured: a table of many small turns
of two parts, on two threads, less half of what it takes on one. A part takes about a microsecond, so that the
second thread comes in time to do it. With one core a hand-over cannot be measured, and counts as nothing.

What the simulation leaves out:
- memory bandwidth, and caches that cores share: threads that read large matrices at the same time slow each
  other down;
- caches of a core's own: a turn that is run alone, again and again, finds its arrays nearer than it would in
  a step. The column for one thread, simulated beside measured, tells how much that is; and a part that
  another core does must first fetch what that core does not have;
- that a hand-over takes longer with more threads, or between cores that are far apart;
- clocks that go down when more cores are at work.
So it is a bound of what the cut of the table allows, not a forecast.

All of it is one process, with BLAS on one thread. In every round each of the figures has its turn; medians
are shown.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table as Printed

import chainrule as cr
from chainrule.program.calls import Call
from chainrule.program.machine import Machine
from chainrule.program.program import Program, Trainer
from chainrule.program.table import Table, Turn
from chainrule.program.threads import cores
from peers.task import Array, Task
from speed.machine import said
from speed.workloads import CURVES, W1, W2

SIMULATED = (1, 2, 4, 8, 16)
BATCHES = (100, 1000)
WIDE = replace(CURVES["width"][2048], name="wide")
SAMPLES = 4096
SAMPLE_SECONDS = 0.1  # of steps, or of one turn, in one round
SHARED_TURNS = 200  # of the table that the hand-over is measured with


class Case:
    """One network with one size of batch, ready to run its step, and each turn of it alone."""

    def __init__(self, task: Task, batch: int) -> None:
        self.title = f"{task.name}, batch {batch:,}"
        self.sizes, self.batch = task.sizes, batch
        self.net = network(task)
        rng = np.random.default_rng(0)
        self.data: dict[str, Array] = {
            "x": rng.random((SAMPLES, task.sizes[0]), np.float32),
            "t": rng.integers(0, task.sizes[-1], SAMPLES),
        }
        optimizer = cr.SGD(task.learning_rate) if task.optimizer == "sgd" else cr.Adam(task.learning_rate)
        program = self.net.program(batch, self.data["t"])
        self.trainer = program.trainer(optimizer, optimizer.start(self.net.params.flat, self.net.decays))
        self.step(1, 2)  # the memory now holds what a step computes
        executor = self.trainer.executor
        if not isinstance(executor, Machine):
            raise typer.BadParameter("the machine is missing: there are no threads to measure")
        self.turns = [(turn, alone(executor, turn)) for turn in executor.table.turns]
        self.measured: dict[int, list[float]] = {n: [] for n in powers_up_to(cores())}
        self.taken: list[list[float]] = [[] for _ in self.turns]
        self.counts: dict[str, int] = {}

    def step(self, threads: int, steps: int) -> None:
        """So many steps, at the rate 0: the same work, and nothing grows while everyone is measured."""
        rows = drawn(steps, self.batch)
        self.trainer.steps(self.data, rows, np.zeros(steps), iteration=0, threads=threads)

    def turn(self, machine: Machine, steps: int) -> None:
        """One turn so many times, by one thread."""
        machine.run(call(self.trainer, self.data, drawn(steps, self.batch), 1))

    def round(self) -> None:
        """Measure everything once."""
        for threads, into in self.measured.items():
            into.append(self._timed(f"step {threads}", partial(self.step, threads)))
        for k, (_, machine) in enumerate(self.turns):
            self.taken[k].append(self._timed(f"turn {k}", partial(self.turn, machine)))

    def _timed(self, key: str, run: Callable[[int], None]) -> float:
        """Seconds of one, over as many as fill a sample."""
        if key not in self.counts:
            run(1)
            began = time.perf_counter()
            run(2)
            one = (time.perf_counter() - began) / 2
            self.counts[key] = max(2, min(5000, round(SAMPLE_SECONDS / one)))
        count = self.counts[key]
        run(max(1, count // 10))
        began = time.perf_counter()
        run(count)
        return (time.perf_counter() - began) / count

    def parts(self) -> list[tuple[Turn, float]]:
        """The turns, and the median seconds of each by one thread."""
        return [
            (turn, statistics.median(each)) for (turn, _), each in zip(self.turns, self.taken, strict=True)
        ]

    def simulated(self, threads: int, hand_over: float) -> float:
        """Seconds of a step on so many threads."""
        return sum(
            math.ceil(turn.parts / threads) * seconds / turn.parts
            + (hand_over if turn.parts > 1 and threads > 1 else 0.0)
            for turn, seconds in self.parts()
        )


def network(task: Task) -> cr.Network:
    """The network of a task."""
    layers: list[cr.layers.Layer] = []
    for width in task.sizes[1:]:
        layers += [cr.Affine(width), cr.ReLU()]
    net = cr.Network(*layers[:-1], input_shape=task.sizes[0], loss=cr.SoftmaxCrossEntropy(), seed=0)
    for name, value in zip(net.params, task.weights(), strict=True):
        net.params[name] = value
    return net


def drawn(steps: int, batch: int) -> Array:
    """Row numbers, drawn with replacement."""
    return np.random.default_rng(steps).integers(0, SAMPLES, (steps, batch))


def alone(executor: Machine, turn: Turn) -> Machine:
    """What runs one turn, cut as it is, on the memory of an executor."""
    return Machine(replace(executor.table, turns=[turn]), executor.memory, executor.python)


def call(trainer: Trainer, data: dict[str, Array], rows: Array, threads: int) -> Call:
    """A call as the trainer makes it, at the rate 0."""
    return Call(
        data,
        rows.shape[1],
        len(rows),
        rows,
        rates=np.zeros(len(rows)),
        losses=np.empty(len(rows)),
        training=True,
        update=trainer.update,
        statistics=trainer.program.graph.state,
        threads=threads,
    )


@dataclass
class HandOver:
    """What it costs that a turn is shared: many small turns of two parts."""

    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        task = Task("small", (16, 256, 2), 64, "sgd", 0.1)
        net = network(task)
        rng = np.random.default_rng(0)
        self.data: dict[str, Array] = {
            "x": rng.random((64, task.sizes[0]), np.float32),
            "t": rng.integers(0, 2, 64),
        }
        self.rows = rng.integers(0, 64, (50, task.batch))
        program: Program = net.program(task.batch, self.data["t"])
        optimizer = cr.SGD(0.1)
        self.trainer = program.trainer(optimizer, optimizer.start(net.params.flat, net.decays))
        self.trainer.steps(self.data, self.rows[:1], np.zeros(1), iteration=0, threads=1)
        executor = self.trainer.executor
        assert isinstance(executor, Machine)
        bias = next(
            each for each in executor.table.instructions if each.operation.name == "bias_gradient"
        )  # each part of it writes some columns of one row
        turns = [Turn(bias.operation.turn, (bias,), 2)] * SHARED_TURNS
        table: Table = replace(executor.table, turns=turns)
        self.machine = Machine(table, executor.memory, executor.python)

    def round(self) -> None:
        """Two threads, less what they would take if nothing were handed over: half the time of one."""
        one, two = self._one_turn(1), self._one_turn(2)
        self.seconds.append(two - one / 2)

    def _one_turn(self, threads: int) -> float:
        made = call(self.trainer, self.data, self.rows, threads)
        self.machine.run(made)
        began = time.perf_counter()
        self.machine.run(made)
        return (time.perf_counter() - began) / (len(self.rows) * SHARED_TURNS)

    @property
    def median(self) -> float:
        """Seconds; 0 where it was not measured."""
        return max(0.0, statistics.median(self.seconds)) if self.seconds else 0.0


def powers_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and at last the most itself."""
    return tuple(sorted({*(2**k for k in range(most.bit_length()) if 2**k <= most), most}))


def main(
    rounds: Annotated[int, typer.Option(help="How often everything is measured.")] = 5,
    quick: Annotated[
        bool, typer.Option(help="Fewer rounds, and the wide network with batches of 100 only.")
    ] = False,
) -> None:
    """Measure, simulate, and print a table for each network."""
    print(said())
    rounds, limit = (min(rounds, 3), 22.0) if quick else (rounds, 150.0)
    began = time.perf_counter()
    done = 0
    with Console(stderr=True).status("making the networks") as status:
        tasks = [(task, batch) for task in (W1, W2, WIDE) for batch in BATCHES]
        if quick:
            tasks.remove((WIDE, BATCHES[-1]))
        cases = [Case(*each) for each in tasks]
        hand_over = HandOver()
        while done < rounds and (done == 0 or time.perf_counter() - began < limit * done / (done + 1)):
            for case in cases:
                status.update(f"round {done + 1} of {rounds}: {case.title}")
                case.round()
                if cores() > 1:
                    hand_over.round()
            done += 1
    console = Console(width=120)
    told = f"{1e6 * hand_over.median:.2f} µs" if cores() > 1 else "not measured, with one core"
    print(f"a hand-over: {told}. Medians of {done} rounds.")
    for case in cases:
        console.print(printed(case, hand_over.median))
        console.print("  turns by one thread: " + "; ".join(map(_described, case.parts())) + "\n")


def printed(case: Case, hand_over: float) -> Printed:
    """Measured beside simulated."""
    title = f"{case.title}, {'-'.join(map(str, case.sizes))}"
    made = Printed(title=title, title_justify="left")
    numbers = sorted({*SIMULATED, *case.measured})
    made.add_column("threads")
    for n in numbers:
        made.add_column(str(n), justify="right")
    simulated = {n: case.simulated(n, hand_over) for n in numbers}
    measured = {n: statistics.median(series) for n, series in case.measured.items()}
    rows = {
        "measured, ms": [f"{1e3 * measured[n]:.3f}" if n in measured else "-" for n in numbers],
        "simulated, ms": [f"{1e3 * simulated[n]:.3f}" for n in numbers],
        "measured, times as fast as 1": [
            f"{measured[1] / measured[n]:.2f}" if n in measured else "-" for n in numbers
        ],
        "simulated, times as fast as 1": [f"{simulated[1] / simulated[n]:.2f}" for n in numbers],
    }
    for name, cells in rows.items():
        made.add_row(name, *cells)
    return made


def _described(each: tuple[Turn, float]) -> str:
    turn, seconds = each
    return f"{turn.kind} {1e3 * seconds:.3f} ms in {turn.parts} part{'s' * (turn.parts > 1)}"


if __name__ == "__main__":
    typer.run(main)
