"""What one more layer, or one more wish, costs: a training step with it, beside the same step without.

    python benchmarks/additions.py [--quick] [--rounds 9] [--threads 1,2]

The network is 784-512-512-10 with ReLU, batch 100, Adam, float32, on made-up images. One thing at a time is
added: Dropout behind both ReLUs; BatchNorm or LayerNorm before both; sample weights; clipping by norm; and a
layer that a user wrote in Python, a ReLU behind the first hidden layer, which changes nothing but takes its
time.

"ours" is the time of a step of `program.trainer(...).steps(...)`, twenty in a call, which is what `fit` does
between two looks at its callbacks. "times plain" is its ratio to the step without the addition. PyTorch is
eager, or compiled: loss and gradient of a batch by torch.compile, followed by its fused Adam (and
clip_grad_norm_). The better of the two is shown, and how many times as long as ours it takes. Both have the
same start weights and the same number of threads, take the same batches, and find the same losses in the
first steps, which are compared before (with Dropout, which draws other numbers, for ours and eager at a rate
of 0).

One column says whether Python does a part of our step: by `program.trains_in_python`, or in the update, as
the trainer's table says, which has the optimizer's instruction too.

Below: what the layer in Python adds to a step in microseconds, and a bound: 1.1 times what its own forward
and backward take, called by hand, and 20 microseconds. By hand they are called as in training: x was just
written by a product, dy by another; between forward and backward stand the products of the rest of the step,
and behind it a pass over vectors as long as Adam's, so that nothing is in the caches that would not be there
in training.

Each contestant with each number of threads is a process of its own, stopped while another is timed. In every
round each has its turn at every addition, and each sample begins with steps that do not count. Ratios are
taken round by round; medians are shown. The first run takes longer by what PyTorch compiles, and keeps that
in its own cache.
"""

from __future__ import annotations

import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from peers.task import Array
from speed.apart import Apart, Missing, serve
from speed.machine import said

INPUTS, HIDDEN, CLASSES, BATCH, SAMPLES, RATE = 784, 512, 10, 100, 10_000, 0.001
WARM, COUNTED = 3, 20  # steps of a sample
TOLERANCE = 1e-3  # of a loss, relative to itself
ALLOWED_TIMES, ALLOWED_MORE = 1.1, 20.0  # of a layer in Python


@dataclass(frozen=True)
class Addition:
    """What is added to the plain network."""

    label: str
    norm: str = ""
    dropout: float | None = None
    weights: bool = False
    clip: float | None = None
    python: bool = False


ADDITIONS = {
    "plain": Addition("plain"),
    "dropout": Addition("Dropout(0.5) behind both ReLUs", dropout=0.5),
    "batch norm": Addition("BatchNorm before both ReLUs", norm="batch"),
    "layer norm": Addition("LayerNorm before both ReLUs", norm="layer"),
    "weights": Addition("sample weights", weights=True),
    "clip": Addition("clip_norm=1.0", clip=1.0),
    "python": Addition("a layer in Python", python=True),
}
WHO = {"ours": "chainrule", "eager": "PyTorch, eager", "compiled": "PyTorch, compiled"}

Step = Callable[[Array], list[float]]  # takes the rows of batches, and returns the losses


@dataclass(frozen=True)
class Data:
    """Images, labels and weights of the samples."""

    x: Array
    t: Array
    weight: Array

    @classmethod
    def made(cls) -> Data:
        """The same for everyone. Labels are random, so that the gradient does not fade while all are timed."""
        rng = np.random.default_rng(0)
        x = rng.random((SAMPLES, INPUTS), np.float32)
        weight = rng.random(SAMPLES, np.float32) + np.float32(0.5)
        return cls(x, rng.integers(0, CLASSES, SAMPLES), weight)


def batches(steps: int, seed: int) -> Array:
    """Row numbers, drawn with replacement."""
    return np.random.default_rng(seed).integers(0, SAMPLES, (steps, BATCH))


def start_weights() -> list[Array]:
    """Of the three affine layers, each (inputs, outputs). Biases start at 0, scales at 1."""
    rng = np.random.default_rng(1)
    sizes = ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, CLASSES))
    return [rng.normal(0, (2 / size[0]) ** 0.5, size).astype(np.float32) for size in sizes]


# Ours ------------------------------------------------------------------------------------------------------


class Ours:
    """chainrule, with a stated number of threads."""

    def __init__(self, threads: int) -> None:
        self.threads, self.data = threads, Data.made()
        self.in_python: dict[str, bool] = {}

    def step(self, addition: Addition) -> Step:
        """What trains a new network."""
        import chainrule as cr

        hidden: list[cr.layers.Layer] = []
        for number in range(2):
            hidden.append(cr.Affine(HIDDEN))
            if addition.norm:
                hidden.append(cr.BatchNorm() if addition.norm == "batch" else cr.LayerNorm())
            hidden.append(cr.ReLU())
            if addition.dropout is not None:
                hidden.append(cr.Dropout(addition.dropout))
            if addition.python and number == 0:
                hidden.append(by_hand())
        net = cr.Network(
            *hidden, cr.Affine(CLASSES), input_shape=INPUTS, loss=cr.SoftmaxCrossEntropy(), seed=0
        )
        weights = iter(start_weights())
        for name, value in net.params.items():
            if value.ndim == 2:
                net.params[name] = next(weights)
        optimizer = cr.Adam(RATE, clip_norm=addition.clip)
        program = net.program(BATCH, self.data.t, addition.weights)
        trainer = program.trainer(optimizer, optimizer.start(net.params.flat, net.decays))
        data = {"x": self.data.x, "t": self.data.t}
        if addition.weights:
            data["sample_weight"] = self.data.weight
        self.in_python[addition.label] = trainer.executor.table.in_python
        done = 0

        def step(rows: Array) -> list[float]:
            nonlocal done
            rates = np.full(len(rows), RATE)
            losses = trainer.steps(data, rows, rates, iteration=done, threads=self.threads)
            done += len(rows)
            return [float(loss) for loss in losses]

        return step


def by_hand() -> Any:
    """A ReLU as a user writes it."""
    import chainrule as cr

    class HandWritten(cr.Layer):
        """y = max(x, 0)"""

        def forward(self, x: Array) -> tuple[Array, Array]:
            return np.maximum(x, 0), x

        def backward(self, dy: Array, x: Array) -> Array:
            return np.where(x > 0, dy, 0)

    return HandWritten()


def by_hand_microseconds(times: int) -> float:
    """What its forward and its backward take, in surroundings like those of a training step, on one thread."""
    from chainrule.native.blas import one_thread

    layer, rng = by_hand(), np.random.default_rng(0)
    w1, w2, w3 = start_weights()
    images = rng.random((SAMPLES, INPUTS), np.float32)
    x, dy, dh = (np.empty((BATCH, HIDDEN), np.float32) for _ in range(3))
    h, dlogits = np.empty_like(x), rng.standard_normal((BATCH, CLASSES), np.float32)
    dw1, dw2 = np.empty_like(w1), np.empty_like(w2)
    size = w1.size + w2.size + w3.size
    vectors = [np.zeros(size, np.float32) for _ in range(4)]  # as long as parameters, gradient and Adam's two
    clock, taken = time.perf_counter, []
    with one_thread():
        for rows in batches(times + WARM, 0):
            batch = images[rows]
            np.matmul(batch, w1, out=x)
            began = clock()
            y, saved = layer.forward(x)
            seconds = clock() - began
            np.matmul(y, w2, out=h)
            h @ w3
            np.matmul(dlogits, w3.T, out=dh)
            np.matmul(dh, w2.T, out=dy)
            began = clock()
            dx = layer.backward(dy, saved)
            taken.append(seconds + clock() - began)
            np.matmul(y.T, dh, out=dw2)
            np.matmul(batch.T, dx, out=dw1)
            for one, other in itertools.pairwise(vectors):
                one += other
    return 1e6 * statistics.median(taken[WARM:])


# PyTorch ---------------------------------------------------------------------------------------------------


class PyTorch:
    """PyTorch, eager or compiled."""

    def __init__(self, compiled: bool, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        data = Data.made()
        self.compiled = compiled
        self.x, self.t, self.weight = map(torch.from_numpy, (data.x, data.t, data.weight))

    def step(self, addition: Addition) -> Step:
        """What trains a new model."""
        import torch
        from torch import nn
        from torch.nn import functional

        modules: list[Any] = []
        inputs = INPUTS
        for _ in range(2):
            modules.append(nn.Linear(inputs, HIDDEN))
            if addition.norm:
                modules.append(nn.BatchNorm1d(HIDDEN) if addition.norm == "batch" else nn.LayerNorm(HIDDEN))
            modules.append(nn.ReLU())
            if addition.dropout is not None:
                modules.append(nn.Dropout(addition.dropout))
            inputs = HIDDEN
        modules.append(nn.Linear(inputs, CLASSES))
        model = nn.Sequential(*modules).train()
        linear = [module for module in modules if isinstance(module, nn.Linear)]
        with torch.no_grad():
            for module, value in zip(linear, start_weights(), strict=True):
                module.weight.copy_(torch.from_numpy(np.ascontiguousarray(value.T)))
                module.bias.zero_()
        params = dict(model.named_parameters())
        values = list(params.values())
        optimizer = torch.optim.Adam(values, lr=RATE, fused=True)
        x, t, weight, weighted, clip = self.x, self.t, self.weight, addition.weights, addition.clip

        def loss_of(y: Any, rows: Any) -> Any:
            if not weighted:
                return functional.cross_entropy(y, t.index_select(0, rows))
            w = weight.index_select(0, rows)
            each = functional.cross_entropy(y, t.index_select(0, rows), reduction="none")
            return (each * w).sum() / w.sum()

        def by_module(rows: Any) -> Any:
            return loss_of(model(x.index_select(0, rows)), rows)

        def by_function(given: Any, rows: Any) -> Any:
            return loss_of(torch.func.functional_call(model, given, (x.index_select(0, rows),)), rows)

        # BatchNorm changes its running statistics inside, which torch.func does not allow.
        whole = self.compiled and addition.norm != "batch"
        if whole:
            gradient = torch.compile(
                lambda given, rows: torch.func.grad_and_value(by_function)(given, rows), dynamic=False
            )
            leaves = {name: value.detach() for name, value in params.items()}
        else:
            of_batch = torch.compile(by_module, dynamic=False) if self.compiled else by_module

        def one(rows: Any) -> Any:
            if whole:
                with torch.no_grad():
                    grads, loss = gradient(leaves, rows)
                for name, value in params.items():
                    value.grad = grads[name]
            else:
                optimizer.zero_grad(set_to_none=True)
                loss = of_batch(rows)
                loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(values, clip)
            optimizer.step()
            return loss.detach()

        def step(rows: Array) -> list[float]:
            losses = [one(each) for each in torch.from_numpy(rows).unbind()]
            return [float(loss) for loss in torch.stack(losses).tolist()]

        return step


# A contestant, and the run ---------------------------------------------------------------------------------


def contestant(who: str, threads: int) -> Callable[..., Any]:
    """What answers for one contestant."""
    made: Ours | PyTorch = Ours(threads) if who == "ours" else PyTorch(who == "compiled", threads)
    ready: dict[str, Step] = {}

    def answer(do: str, key: str, number: int = 0) -> Any:
        addition = ADDITIONS[key]
        if do == "by hand":
            return by_hand_microseconds(number)
        if do == "without dropout":  # a network of its own; the other's random numbers are nobody else's
            return made.step(replace(addition, dropout=0.0))(batches(WARM, 0))
        if key not in ready:
            ready[key] = made.step(addition)
            losses = ready[key](batches(WARM, 0))  # PyTorch compiles now
            return {"losses": losses, "in_python": isinstance(made, Ours) and made.in_python[addition.label]}
        rows = batches(WARM + COUNTED, number)
        ready[key](rows[:WARM])
        began = time.perf_counter()
        ready[key](rows[WARM:])
        return 1e6 * (time.perf_counter() - began) / COUNTED

    return answer


def main(
    rounds: Annotated[int, typer.Option(help="How often everyone is timed.")] = 9,
    threads: Annotated[str, typer.Option(help="Numbers of threads.")] = "1,2",
    quick: Annotated[bool, typer.Option(help="Fewer rounds, nothing compiled.")] = False,
    be: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Time everyone, and print a table for each number of threads."""
    numbers = [int(each) for each in threads.split(",")]
    if be:
        serve(lambda: contestant(be, numbers[0]))
        return
    print(said("torch"))
    rounds, limit = (min(rounds, 4), 25.0) if quick else (rounds, 165.0)
    began = time.perf_counter()
    run = Run({who: label for who, label in WHO.items() if not quick or who != "compiled"}, numbers)
    with (
        ExitStack() as stack,
        tempfile.TemporaryFile("w") as log,
        Console(stderr=True).status("starting") as status,
    ):
        run.start(stack, log, status.update)
        for number in range(1, rounds + 1):
            since = time.perf_counter()
            status.update(f"round {number} of {rounds}")
            run.round(number)
            now = time.perf_counter()
            if now - began + (now - since) > limit:  # another one would be too long
                break
    console = Console(width=130)
    for line in dict.fromkeys(run.said):
        print(line)
    for each in numbers:
        console.print(run.table(each))
        print(run.of_python(each))
    if quick:
        print("PyTorch compiled was left out (--quick)")


class Run:
    """All processes, and what was measured."""

    def __init__(self, who: dict[str, str], threads: list[int]) -> None:
        self.who, self.threads = who, threads
        self.processes: dict[tuple[str, int], Apart] = {}
        self.in_python: dict[str, bool] = {}
        self.found: dict[tuple[str, int, str], list[float]] = {}
        self.hand: dict[int, list[float]] = {n: [] for n in threads}
        self.said: list[str] = []
        self.asked: list[tuple[str, int, str]] = []

    def start(self, stack: ExitStack, log: Any, tell: Callable[[str], None]) -> None:
        """Start everyone, compare the losses, and let them compile. Who is missing is said."""
        for threads in self.threads:
            wanted: dict[str, Array] = {}
            for who, label in self.who.items():
                process = stack.enter_context(Apart(["--be", who, "--threads", str(threads)], log))
                for key, addition in ADDITIONS.items():
                    if addition.python and who != "ours":
                        continue
                    tell(f"{label}, {threads} threads: {addition.label}")
                    try:
                        answer = process.ask(do="prepare", key=key)
                        losses = np.array(answer["losses"])
                        if addition.dropout is not None and who != "compiled":  # it would compile once more
                            losses = np.array(process.ask(do="without dropout", key=key))
                        elif addition.dropout is not None:
                            losses = wanted[key]
                        error = float(np.max(np.abs(losses / wanted.setdefault(key, losses) - 1)))
                        if not error <= TOLERANCE:
                            raise Missing(f"its losses differ from ours by {error:.1e}")
                    except Missing as missing:
                        if "ModuleNotFoundError" in str(missing):
                            self.said.append(f"{label} takes no part: {missing}")
                            break
                        self.said.append(f"{label}, {threads} threads, {addition.label}: {missing}")
                        continue
                    if who == "ours":
                        self.in_python[key] = answer["in_python"]
                    self.processes[who, threads] = process
                    self.asked.append((who, threads, key))

    def round(self, number: int) -> None:
        """Ask everyone once, one addition after another."""
        rng = random.Random(number)
        keys = list(ADDITIONS)
        rng.shuffle(keys)
        for key in keys:
            asked = [each for each in self.asked if each[2] == key]
            rng.shuffle(asked)
            for who, threads, _ in asked:
                process = self.processes[who, threads]
                answer = process.ask(do="time", key=key, number=number)
                self.found.setdefault((who, threads, key), []).append(answer)
                if key == "python":
                    self.hand[threads].append(process.ask(do="by hand", key=key, number=COUNTED))

    def table(self, threads: int) -> Table:
        """A line for each addition."""
        count = len(self.found["ours", threads, "plain"])
        many = f"{threads} thread{'s' * (threads > 1)}"
        title = f"784-512-512-10, batch {BATCH}, Adam, {many}: medians of {count} rounds"
        made = Table(title=title, title_justify="left")
        made.add_column("addition")
        for name in ("ours, µs", "times plain", "PyTorch's best, µs", "PyTorch / ours"):
            made.add_column(name, justify="right")
        made.add_column("ours in Python")
        made.add_column("PyTorch's best")
        plain = self.found["ours", threads, "plain"]
        for key, addition in ADDITIONS.items():
            own = self.found.get(("ours", threads, key))
            if own is None:
                continue
            ratio = _median_ratio(own, plain)
            cells = [f"{statistics.median(own):,.0f}", f"{ratio:.2f}", "-", "-"]
            best = self.best(threads, key)
            if best is not None:
                series = self.found[best, threads, key]
                cells[2:] = [f"{statistics.median(series):,.0f}", f"{_median_ratio(series, own):.2f}"]
            form = "-" if best is None else self.who[best].split(", ")[1]
            made.add_row(addition.label, *cells, "yes" if self.in_python[key] else "no", form)
        return made

    def best(self, threads: int, key: str) -> str | None:
        """PyTorch's quicker form."""
        forms = [who for who in self.who if who != "ours" and (who, threads, key) in self.found]
        return min(forms, key=lambda who: statistics.median(self.found[who, threads, key]), default=None)

    def of_python(self, threads: int) -> str:
        """What the layer in Python adds, beside its bound."""
        pairs = zip(self.found["ours", threads, "python"], self.found["ours", threads, "plain"], strict=True)
        differences = [one - other for one, other in pairs]
        low, high = np.percentile(differences, (25, 75))
        extra = statistics.median(differences)
        hand = statistics.median(self.hand[threads])
        bound = ALLOWED_TIMES * hand + ALLOWED_MORE
        return (
            f"a layer in Python adds {extra:.0f} µs a step (the middle half of rounds: {low:.0f} to {high:.0f});\n"
            f"its forward and backward by hand take {hand:.0f} µs; "
            f"bound {ALLOWED_TIMES} x {hand:.0f} + {ALLOWED_MORE:.0f} = {bound:.0f} µs: "
            f"{'reached' if extra <= bound else 'missed'}\n"
        )


def _median_ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    typer.run(main)
