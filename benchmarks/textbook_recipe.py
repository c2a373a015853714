"""The textbook's recipe on MNIST: how well it learns, its time and memory, and whether its gradients are right.

784 inputs, 50 hidden units with ReLU, 10 classes; weights from N(0, 0.01^2), biases 0; SGD with learning rate
0.1; batches of 100 drawn with replacement; 10,000 iterations. Every seed has its own weights and batches.

    OPENBLAS_NUM_THREADS=1 python benchmarks/textbook_recipe.py
"""

from __future__ import annotations

import platform
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from threadpoolctl import threadpool_info

import chainrule as cr
from chainrule.arrays import Array

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "mnist-curves.png"
NEEDED_ACCURACY = 0.966
NEEDED_AGREEMENT = 1e-7
ROWS_CHECKED = 3
BLUE, ORANGE = "#1f6feb", "#d9730d"


def main(
    iterations: Annotated[int, typer.Option(help="Batches to train on.")] = 10_000,
    seeds: Annotated[int, typer.Option(help="How many seeds: 0, 1, 2, ...")] = 5,
    picture: Annotated[Path, typer.Option(help="Where to write the curves.")] = PICTURE,
    check: Annotated[bool, typer.Option(help="Hold every gradient against finite differences.")] = True,
) -> None:
    """Train, measure, print and draw. Exit status 1 when the full recipe misses what is expected of it."""
    say(
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, "
        f"threads of the matrix products: {blas_threads()}"
    )
    say(f"memory with chainrule imported: {megabytes(peak_memory()):.0f} MB")
    (x_train, t_train), (x_test, t_test) = cr.datasets.load_mnist()
    say(f"memory with MNIST loaded, peak: {megabytes(peak_memory()):.0f} MB")

    histories = []
    for seed in range(seeds):
        net = cr.TwoLayerNet(784, 50, 10, weight_init_std=0.01, seed=seed)
        start = time.perf_counter()
        history = net.fit(
            x_train,
            t_train,
            optimizer=cr.SGD(0.1),
            iterations=iterations,
            batch_size=100,
            sampling="replacement",
            validation=(x_test, t_test),
            progress=False,
        )
        seconds = time.perf_counter() - start
        say(
            f"seed {seed}: test accuracy {history.test_accuracy[-1]:.4f}, "
            f"training accuracy {history.train_accuracy[-1]:.4f}, {seconds:.1f} s"
        )
        histories.append(history)
    peak, data = peak_memory(), x_train.nbytes

    accuracies = [history.test_accuracy[-1] for history in histories]
    mean = statistics.fmean(accuracies)
    spread = statistics.stdev(accuracies) if seeds > 1 else 0.0
    say(f"test accuracy over {seeds} seed(s): mean {mean:.4f}, standard deviation {spread:.4f}")
    say(
        f"peak memory of the whole process: {megabytes(peak):.0f} MB, {peak / data:.2f} copies of the "
        f"{megabytes(data):.0f} MB of training images"
    )
    error = check_gradients(x_train[:ROWS_CHECKED], t_train[:ROWS_CHECKED]) if check else 0.0
    draw(histories, picture)
    say(f"curves: {picture.name}")

    if iterations >= 10_000 and mean < NEEDED_ACCURACY:
        say(f"FAILED: expected a mean test accuracy of at least {NEEDED_ACCURACY}")
        raise typer.Exit(1)
    if not error < NEEDED_AGREEMENT:
        say(f"FAILED: expected the gradients to agree within {NEEDED_AGREEMENT:g}")
        raise typer.Exit(1)


def check_gradients(x: Array, t: Array) -> float:
    """Every parameter's gradient by both ways, in float64; the largest relative error of an array."""
    net = cr.TwoLayerNet(784, 50, 10, seed=0)
    times = []
    for _ in range(101):
        start = time.perf_counter()
        exact = net.gradient(x, t)
        times.append(time.perf_counter() - start)
    backpropagation = statistics.median(times)
    start = time.perf_counter()
    numerical = net.numerical_gradient(x, t)
    differences = time.perf_counter() - start
    worst = 0.0
    for name, gradient in exact.items():
        error = relative_error(gradient, numerical[name])
        worst = max(worst, error)
        say(f"gradient of {name:<2} {gradient.shape!s:<9} relative error {error:.1e}")
    say(
        f"gradient of all {net.params.flat.size:,} parameters on {len(x)} samples: "
        f"{1000 * backpropagation:.2f} ms by backpropagation, {differences:.1f} s by finite differences, "
        f"{differences / backpropagation:,.0f} times as long"
    )
    return worst


def relative_error(a: Array, b: Array) -> float:
    """The length of the difference over the greater of the two lengths."""
    size = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)), 1e-300)
    return float(np.linalg.norm(a - b)) / size


def draw(histories: list[cr.History], path: Path) -> None:
    """Left: the loss of every iteration. Right: accuracy after every epoch. All seeds in both."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(10, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = np.array([history.loss for history in histories])
    count = losses.shape[1]
    steps = np.arange(1, count + 1)
    for k, loss in enumerate(losses):
        label = f"each batch, {len(histories)} seeds" if k == 0 else None
        left.plot(steps, loss, color="#b9c2cc", linewidth=0.3, alpha=0.6, label=label)
    window = max(count // 100, 1)
    smooth = np.convolve(losses.mean(axis=0), np.full(window, 1 / window), mode="valid")
    left.plot(steps[window - 1 :], smooth, color=BLUE, linewidth=1.8, label=f"mean of {window} iterations")
    left.set(title="Loss", xlabel="iteration", yscale="log")
    left.yaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]))
    left.yaxis.set_minor_locator(NullLocator())
    left.yaxis.set_major_formatter("{x:g}")
    for line in left.legend(frameon=False).get_lines():
        line.set(linewidth=2, alpha=1)

    measured = histories[0].measured_at
    for part, color, style in (("train", BLUE, "-"), ("test", ORANGE, "--")):
        values = np.array([getattr(history, f"{part}_accuracy") for history in histories])
        right.fill_between(
            measured, values.min(axis=0), values.max(axis=0), color=color, alpha=0.18, linewidth=0
        )
        mean = values.mean(axis=0)
        name = "training data" if part == "train" else "test data"
        right.plot(
            measured,
            mean,
            style,
            color=color,
            marker="o",
            markersize=3.5,
            label=f"{name}, last {mean[-1]:.4f}",
        )
    right.set(title=f"Accuracy: mean and range of {len(histories)} seeds", xlabel="iteration")
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.set_xlim(0, count * 1.02)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def blas_threads() -> str:
    """How many threads NumPy's matrix products use."""
    pools: list[dict[str, Any]] = threadpool_info()
    return ", ".join(sorted({str(pool["num_threads"]) for pool in pools if pool["user_api"] == "blas"}))


def peak_memory() -> int:
    """The most memory the process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def megabytes(count: int) -> float:
    """Bytes in millions."""
    return count / 1e6


def say(text: str) -> None:
    """Print a line now, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    typer.run(main)
