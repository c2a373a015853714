"""The static pieces of a report as PNG pictures, by matplotlib."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import as_floats
from chainrule.drawing.thinning import smoothed, thinned, window_of
from chainrule.errors import FileError
from chainrule.evaluation import Classified, Estimated, or_not_measured
from chainrule.files import write_bytes
from chainrule.loop.curves import batches_of
from chainrule.reports.images import as_rows
from chainrule.reports.network import chosen_units, weights_of_images
from chainrule.reports.run import TrainingRun
from chainrule.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

BLUE, ORANGE, GREY = "#1f6feb", "#d9730d", "#9aa4b2"
DPI = 130
NUMBERS_UP_TO = 15
EXAMPLES, COLUMNS = 12, 6
NAME_SHOWN = 14

Canvas = Any  # a Figure or a SubFigure: they draw alike, and share no type


def write_pictures(runs: Sequence[TrainingRun], folder: Path) -> list[Path]:
    """Write a file for each piece of each run that has one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"could not make the folder {folder}: {error.strerror or error}") from error
    written = []
    for k, run in enumerate(runs):
        first = "" if len(runs) == 1 else f"{k + 1}-"
        for name, (size, draw) in _pieces(run).items():
            path = folder / f"{first}{name}.png"
            written.append(write_bytes(path, _png(size, draw)))
    return written


def summary_png(runs: Sequence[TrainingRun], title: str) -> bytes:
    """One picture: of one run its pieces, of several their curves."""
    if len(runs) > 1:
        return _png((11, 4), lambda figure: _compare(figure, runs, title))
    pieces = _pieces(runs[0])
    rows = -(-len(pieces) // 2)

    def draw(figure: Figure) -> None:
        figure.suptitle(title, fontsize=14, fontweight="bold")
        if not pieces:
            return
        parts = figure.subfigures(rows, 2, squeeze=False).ravel()
        for part, (_, drawing) in zip(parts, pieces.values(), strict=False):
            drawing(part)

    return _png((14, max(4.2 * rows, 2)), draw)


def _pieces(run: TrainingRun) -> dict[str, tuple[tuple[float, float], Callable[[Canvas], None]]]:
    """What there is to draw of a run: size and drawing, by name."""
    pieces: dict[str, tuple[tuple[float, float], Callable[[Canvas], None]]] = {}
    if len(run.loss):
        pieces["curves"] = ((10, 3.8), lambda figure: _curves(figure, run))
    if run.layers or run.parameters:
        pieces["health"] = ((10, 3.8), lambda figure: _health(figure, run))
    if weights_of_images(run) is not None:
        pieces["weights"] = ((7, 7), lambda figure: _weights(figure, run))
    if isinstance(run.answers, Classified):
        found = run.answers
        pieces["confusion"] = ((6.5, 6), lambda figure: _confusion(figure, found))
        if run.image_shape is not None and found.wrong:
            pieces["examples"] = ((9, 4), lambda figure: _examples(figure, run, found))
    if isinstance(run.answers, Estimated) and len(run.answers.true):
        estimated = run.answers
        pieces["predictions"] = ((9, 4), lambda figure: _predictions(figure, estimated))
    return pieces


def _png(size: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    from matplotlib.figure import Figure

    target = io.BytesIO()
    with _plain_text():
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(target, format="png", dpi=DPI)
    return target.getvalue()


@contextmanager
def _plain_text() -> Iterator[None]:
    """Names may hold dollar signs, which are no formulas here, and characters that the font lacks."""
    import matplotlib

    with warnings.catch_warnings(), matplotlib.rc_context({"text.parse_math": False, "font.size": 9}):
        warnings.simplefilter("ignore")
        yield


def _curves(figure: Canvas, run: TrainingRun) -> None:
    left, right = figure.subplots(1, 2)
    kept = thinned(run.loss)
    left.plot(kept + 1, run.loss[kept], color=GREY, linewidth=0.6, alpha=0.8, label=batches_of(run.history))
    if (window := window_of(len(run.loss))) > 1:
        curve = smoothed(run.loss)
        left.plot(np.arange(1, len(curve) + 1), curve, color=BLUE, linewidth=1.6, label=f"mean of {window:,}")
    kind = "accuracy" if run.history.train_accuracy or run.history.test_accuracy else "loss"
    for part, color, style in (("train", BLUE, "-"), ("test", ORANGE, "--")):
        values = as_floats(getattr(run.history, f"{part}_{kind}"))
        if len(values) and len(values) == len(run.history.measured_at):
            right.plot(
                run.history.measured_at, values, style, color=color, marker="o", markersize=3, label=part
            )
    _finish(left, "Loss", run.history.unit)
    _finish(right, f"{kind.capitalize()} over all the data", run.history.unit)


def _health(figure: Canvas, run: TrainingRun) -> None:
    left, right = figure.subplots(1, 2)
    which = (
        (left, run.layers, "std", "Spread of each layer's output"),
        (right, run.parameters, "update_ratio", "Updates beside their weights"),
    )
    for axes, records, measure, title in which:
        for record in records:
            values = record.measures.get(measure)
            if values is not None and len(values) == len(run.iterations):
                axes.plot(run.iterations, values, label=record.name[:NAME_SHOWN].lstrip("_"), linewidth=1.4)
        _finish(axes, title, "iteration")
    if right.lines and any(np.any(line.get_ydata() > 0) for line in right.lines):
        right.set_yscale("log")
        right.yaxis.set_major_formatter("{x:g}")


def _weights(figure: Canvas, run: TrainingRun) -> None:
    found = weights_of_images(run)
    assert found is not None
    name, weights, shape = found
    units, largest = chosen_units(weights)
    side = math.ceil(math.sqrt(len(units)))
    figure.suptitle(f"{name}: weights of the first layer, from {-largest:.2g} (red) to {largest:.2g} (blue)")
    images = [as_rows(weights[:, unit], shape) for unit in units]
    images = [image.mean(axis=2) if image.ndim == 3 else image for image in images]
    high, wide = (size + 1 for size in images[0].shape)  # with a line between two images
    whole = np.full((math.ceil(len(units) / side) * high - 1, side * wide - 1), np.nan)
    for k, image in enumerate(images):  # a picture of its own for each would take a second more
        top, left = k // side * high, k % side * wide
        whole[top : top + high - 1, left : left + wide - 1] = image
    axes = figure.subplots()
    axes.axis("off")
    axes.imshow(whole, cmap="RdBu", vmin=-largest, vmax=largest, interpolation="nearest")


def _confusion(figure: Canvas, found: Classified) -> None:
    axes = figure.subplots()
    counts, names = found.confusion, [_short(name) for name in found.classes]
    shares = counts / np.maximum(found.counts[:, None], 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= NUMBERS_UP_TO:
        for k, j in np.ndindex(*counts.shape):
            color = "white" if shares[k, j] > 0.5 else "black" if counts[k, j] else GREY
            axes.text(j, k, f"{counts[k, j]:,}", ha="center", va="center", color=color, fontsize=8)
    if len(names) <= 2 * NUMBERS_UP_TO:
        axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 3 else 0, ha="right")
        axes.set_yticks(range(len(names)), names)
    axes.set(
        title=or_not_measured(found.accuracy, lambda share: f"{percent(share, 2)} right"),
        xlabel="predicted",
        ylabel="true",
    )


def _examples(figure: Canvas, run: TrainingRun, found: Classified) -> None:
    shape = run.image_shape
    assert shape is not None
    shown = [each for each in found.wrong[:EXAMPLES] if len(each.x) == math.prod(shape)]
    figure.suptitle("Misclassified: true, predicted")
    rows = max(math.ceil(len(shown) / COLUMNS), 1)
    for k, axes in enumerate(figure.subplots(rows, COLUMNS, squeeze=False).ravel()):
        axes.axis("off")
        if k < len(shown):
            example = shown[k]
            image = as_rows(example.x, shape)
            if image.ndim == 3:
                image = np.clip(image / max(float(image.max()), 1.0), 0, 1)
            axes.imshow(image, cmap="Greys", interpolation="nearest")
            names = [_short(found.classes[int(number)]) for number in (example.true, example.predicted)]
            axes.set_title(", ".join(names), fontsize=9)


def _predictions(figure: Canvas, found: Estimated) -> None:
    left, right = figure.subplots(1, 2)
    true, given = found.true[:, 0], found.predicted[:, 0]
    ends = [float(true.min()), float(true.max())]
    left.plot(ends, ends, color=GREY, linewidth=1)
    left.plot(true, given, ".", color=BLUE, markersize=4, alpha=0.6)
    right.axhline(0, color=GREY, linewidth=1)
    right.plot(given, given - true, ".", color=ORANGE, markersize=4, alpha=0.6)
    _finish(left, "Predicted against true", f"true {_short(found.names[0])}")
    _finish(right, "Residuals", f"predicted {_short(found.names[0])}")


def _compare(figure: Figure | SubFigure, runs: Sequence[TrainingRun], title: str) -> None:
    figure.suptitle(title, fontsize=14, fontweight="bold")
    left, right = figure.subplots(1, 2)
    for k, run in enumerate(runs):
        color, name = f"C{k}", run.name.lstrip("_")
        if len(run.loss):
            left.plot(np.arange(1, len(run.loss) + 1), smoothed(run.loss), color=color, label=name)
        kind = "accuracy" if run.history.test_accuracy else "loss"
        values = as_floats(getattr(run.history, f"test_{kind}"))
        if len(values) == len(run.history.measured_at):
            right.plot(run.history.measured_at, values, color=color, label=f"{name}, {kind}")
    _finish(left, "Training loss, smoothed", "iteration")
    _finish(right, "On the test data", "iteration")


def _finish(axes: Axes, title: str, x: str) -> None:
    axes.set(title=title, xlabel=x)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _short(name: str) -> str:
    return name if len(name) <= NAME_SHOWN else name[: NAME_SHOWN - 1] + "…"
