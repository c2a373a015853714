"""What `cr.Health()` costs: the same trainings without and with it, at its default rate.

    python benchmarks/health_cost.py [--rounds 15]

All run on one thread, in turn, in rounds. Printed are the medians of the rounds: of the time that the processor
worked, which other programs on the machine hardly change, and of its ratio. A third training, with an examination
after every tenth iteration, tells what one takes. "share" is that, times how many there are by default; "measured"
is the ratio itself, which is less exact: a few examinations disappear in the noise of two trainings.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr

ROUNDS = 15


@dataclass
class Case:
    """A training: its data, its network, and how long."""

    name: str
    x: NDArray[Any]
    t: NDArray[Any]
    sizes: tuple[int, ...]
    optimizer: cr.Optimizer
    batch: int
    iterations: int

    def fit(self, *callbacks: cr.Callback) -> tuple[float, cr.History]:
        """Seconds of a training of a new network, and its record."""
        layers: list[cr.layers.Layer] = []
        for units in self.sizes[1:-1]:
            layers += [cr.Affine(units), cr.ReLU()]
        net = cr.Network(
            *layers,
            cr.Affine(self.sizes[-1]),
            input_shape=self.sizes[0],
            loss=cr.SoftmaxCrossEntropy(),
            seed=0,
        )
        began = time.process_time()
        history = net.fit(
            self.x,
            self.t,
            optimizer=self.optimizer,
            batch_size=self.batch,
            iterations=self.iterations,
            callbacks=callbacks,
            progress=False,
            threads=1,
        )
        return time.process_time() - began, history


def cases() -> list[Case]:
    """Trainings short and long, of networks small and large."""
    (digits, labels), _ = cr.datasets.load_digits()
    rng = np.random.default_rng(0)
    images, names = rng.integers(0, 256, (10_000, 784), dtype=np.uint8), rng.integers(0, 10, 10_000)
    table, classes = rng.normal(size=(4_000, 20)).astype(np.float32), rng.integers(0, 2, 4_000)
    small, adam = cr.SGD(1e-5), cr.Adam(1e-4)
    return [
        Case("digits 64-50-10", digits, labels, (64, 50, 10), cr.SGD(0.1), 100, 300),
        Case("MNIST's size 784-50-10", images, names, (784, 50, 10), small, 100, 2_000),
        Case("784-512-512-10, Adam", images, names, (784, 512, 512, 10), adam, 128, 300),
        Case("table 20-64-64-2", table, classes, (20, 64, 64, 2), cr.SGD(0.1), 32, 5_000),
    ]


def measure(case: Case, rounds: int) -> str:
    """A line of the table."""
    case.fit(cr.Health())  # what is imported once is not measured
    without: list[float] = []
    costs: list[float] = []
    often: list[float] = []
    for k in range(rounds):
        order = [(without, ()), (costs, (cr.Health(),)), (often, (cr.Health(every=10),))]
        for into, callbacks in order if k % 2 else reversed(order):
            into.append(case.fit(*callbacks)[0])
    many = case.iterations // 10 + 1
    examinations = len(case.fit(cr.Health())[1].health["iterations"])
    plain = statistics.median(without)
    extra = statistics.median(b / a - 1 for a, b in zip(without, costs, strict=True))
    one = statistics.median(c - a for a, c in zip(without, often, strict=True)) / many
    return (
        f"{case.name:<28}{case.batch:>6}{case.iterations:>7}{1e3 * plain:>10.1f}{examinations:>7}"
        f"{1e3 * one:>10.2f}{one / plain * case.iterations:>10.1f}"
        f"{100 * examinations * one / plain:>8.1f} %{100 * extra:>9.1f} %"
    )


def main() -> None:
    """Measure each case, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    print(
        f"{'training':<28}{'batch':>6}{'steps':>7}{'ms':>10}{'looks':>7}{'ms a look':>10}{'in steps':>10}"
        f"{'share':>10}{'measured':>11}"
    )
    for case in cases():
        print(measure(case, rounds), flush=True)


if __name__ == "__main__":
    main()
