"""The curves of a training, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.arrays import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from chainrule.loop.history import History

BLUE, ORANGE, GREY = "#1f6feb", "#d9730d", "#9aa4b2"


def plot_history(history: History) -> Figure:
    """Left: loss of every iteration and its running mean. Right: accuracy of every epoch, or the losses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_loss(left, history)
    _plot_epochs(right, history)
    return figure


def _plot_loss(axes: Axes, history: History) -> None:
    iterations = np.arange(1, len(history.loss) + 1)
    axes.plot(iterations, history.loss, color=GREY, linewidth=0.6, alpha=0.7, label=batches_of(history))
    window = max(len(history.loss) // 50, 1)
    if window > 1:
        at, smooth = moving_mean(np.asarray(history.loss), window)
        axes.plot(at, smooth, color=BLUE, linewidth=1.6, label=f"mean of {window}")
    axes.set(title="Training loss", xlabel=history.unit, ylabel="loss")
    _finish(axes)


def batches_of(history: History) -> str:
    """What the loss is recorded of."""
    return "each batch" if history.unit == "iteration" else "each epoch"


def moving_mean(values: Array, window: int) -> tuple[Array, Array]:
    """The means over `window` values, and how many values there are up to the end of each, in linear time.

    Where the window is long, it moves by a twentieth of itself: a mean that moves by one value is as smooth.
    """
    step = max(window // 20, 1)
    blocks = values[: len(values) // step * step].reshape(-1, step).mean(axis=1)
    several = window // step
    means = np.convolve(blocks, np.full(several, 1 / several), mode="valid")
    return (np.arange(len(means)) + several) * step, means


def _plot_epochs(axes: Axes, history: History) -> None:
    kind = "accuracy" if history.train_accuracy or history.test_accuracy else "loss"
    for part, color, style in (("train", BLUE, "-"), ("test", ORANGE, "--")):
        values: list[float] = getattr(history, f"{part}_{kind}")
        if values:
            axes.plot(
                history.measured_at[-len(values) :],
                values,
                style,
                color=color,
                marker="o",
                markersize=3,
                label=f"{part} {kind} (last {values[-1]:.4g})",
            )
    axes.set(title=f"{kind.capitalize()} over all the data", xlabel=history.unit, ylabel=kind)
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
