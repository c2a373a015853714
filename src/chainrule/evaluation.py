"""A network judged on data with known answers: who is taken for whom, how far off, and the worst samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.arrays import Array, ArrayLike, Shape
from chainrule.errors import ArgumentError
from chainrule.layers.activation import log_softmax
from chainrule.network import Network
from chainrule.network.feeds import Data
from chainrule.network.residuals import Errors, errors_of
from chainrule.sparse import SparseRows
from chainrule.text import short

MOST_WRONG, LEAST_CERTAIN = 24, 12
"""The most samples of each kind that are kept."""
EACH_CONFUSION, ALL_EXAMPLES = 2, 100
"""Beside them, the most for each pair of classes that were confused, and the most in all."""
POINTS = 1_000
"""The most samples of a regression that are drawn."""
UNEVEN = 1.5
"""A class with half as many samples again as its fair share makes the classes uneven."""


@dataclass(frozen=True)
class Example:
    """One sample: its row in the data, counted from 1, its values, the true answer and the one that was given.

    Answers are numbers of classes, or of a regression the values. `probabilities` are empty for a regression.
    Of a very large sample `x` has only the first of its `size` values.
    """

    row: int
    x: Array
    true: float
    predicted: float
    probabilities: Array
    size: int


@dataclass(frozen=True)
class Classified:
    """The answers of a classifier. `confusion[k, j]`: so many samples of class k were taken for class j."""

    classes: list[str]
    confusion: Array
    #: Wrong answers, the smallest probability of the true class first; then more for each pair of classes.
    wrong: list[Example]
    #: Right or wrong, the smallest probability of the answer first.
    unsure: list[Example]
    #: Samples whose output was NaN or infinite: they are in no count.
    not_finite: int = 0

    @cached_property
    def samples(self) -> int:
        """How many were counted."""
        return int(self.confusion.sum())

    @cached_property
    def accuracy(self) -> float:
        """The share of right answers; NaN where none was counted."""
        return float(np.trace(self.confusion) / self.samples) if self.samples else math.nan

    @cached_property
    def counts(self) -> Array:
        """How many samples each class has."""
        counts: Array = self.confusion.sum(axis=1)
        return counts

    @property
    def is_uneven(self) -> bool:
        """Whether one class has far more samples than its fair share."""
        return bool(self.counts.max() * len(self.classes) >= UNEVEN * self.samples)

    @cached_property
    def recall(self) -> Array:
        """For each class the share of its samples that were found; NaN where it has none."""
        with np.errstate(all="ignore"):
            shares: Array = np.diag(self.confusion) / self.counts
        return shares

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have samples; NaN where none has."""
        there = self.recall[self.counts > 0]
        return float(there.mean()) if len(there) else math.nan

    @cached_property
    def precision(self) -> Array:
        """For each class the share of right answers among the answers that name it; NaN where none does."""
        with np.errstate(all="ignore"):
            shares: Array = np.diag(self.confusion) / self.confusion.sum(axis=0)
        return shares


@dataclass(frozen=True)
class Estimated:
    """The answers of a regression, for each of its outputs: errors, and some of the samples, (n, outputs)."""

    names: list[str]
    rmse: Array
    mean_absolute: Array
    #: The share of the target's variance that is explained: 1 - mean squared error / variance.
    r_squared: Array
    true: Array
    predicted: Array
    worst: list[Example]
    samples: int
    not_finite: int = 0

    @property
    def means(self) -> dict[str, float]:
        """R², RMSE and MAE as `Network.evaluate` names them: means over the outputs."""
        return Errors(self.r_squared, self.rmse, self.mean_absolute).means()


Answers = Classified | Estimated


def r2_text(r2: float) -> str:
    """R² with four digits after the point, as an accuracy has them: '0.5812'."""
    if math.isnan(r2):
        return "not defined"
    return f"{r2:.4f}" if abs(r2) < 1_000 else short(r2)


def or_not_measured(value: float, shown: Callable[[float], str]) -> str:
    """A measure as text; NaN, which stands for none, as "not measured"."""
    return "not measured" if math.isnan(value) else shown(value)


def error_text(error: float) -> str:
    """An error in the target's unit with four digits, or all before the point: '53.21', '71,879', '2.513e-7'."""
    if math.isnan(error):
        return "not measured"
    if 10_000 <= error < 1e9:
        return f"{error:,.0f}"
    return short(error) if 1e-4 <= error < 10_000 else short(error, 5)


def judge(
    network: Network,
    x: Data,
    t: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    target: str | None = None,
) -> Answers | None:
    """The network's answers on x held against t. None where neither form fits, as for several labels a sample.

    Raises: ArgumentError when the names are not as many as the classes; what the network says of x and t.
    """
    feeds = network.feeds(x, t)  # a shape or a label that does not fit is told here
    loss = network.loss_layer
    assert loss is not None
    inputs = {name: feeds[name] for name in network.input_shapes}
    output, truth = network.output_of(inputs, warns=False), feeds["t"]
    rows: Any = next(iter(inputs.values()))
    rows = rows if isinstance(rows, SparseRows) else rows.reshape(len(output), -1)
    if loss.task == "classification" and output.ndim == 2:
        labels = truth if truth.ndim == 1 else truth.argmax(axis=1)
        logits = output.astype(np.float64)
    elif loss.task == "multilabel" and output.size == len(output):  # one logit a sample
        labels = (truth.reshape(len(output)) > 0.5).astype(int)
        logits = np.column_stack([np.zeros(len(output)), output.reshape(-1)]).astype(np.float64)
    elif loss.probabilities(output) is not None or output.shape != truth.shape:
        return None
    else:
        return _estimated(output.reshape(len(output), -1), truth.reshape(len(output), -1), rows, target)
    names = _class_names(class_names, network, logits.shape[1])
    return _classified(logits, labels.astype(int), rows, names)


def numbered(answers: Answers | None, numbers: Array | None) -> Answers | None:
    """The same answers whose samples have these numbers, as the rows of a file, instead of their places."""
    if answers is None or numbers is None:
        return answers

    def renamed(examples: list[Example]) -> list[Example]:
        return [replace(each, row=int(numbers[each.row - 1])) for each in examples]

    if isinstance(answers, Classified):
        return replace(answers, wrong=renamed(answers.wrong), unsure=renamed(answers.unsure))
    return replace(answers, worst=renamed(answers.worst))


def _class_names(wanted: Sequence[str] | None, network: Network, count: int) -> list[str]:
    noted = network.classes or network.metadata.get("classes")  # where older files have them
    if wanted is None and isinstance(noted, list) and len(noted) == count:
        return [str(name) for name in noted]
    if wanted is None:
        return [str(k) for k in range(count)]
    if isinstance(wanted, str) or len(wanted) != count:
        raise ArgumentError(
            f"class_names: expected {count} names, one for each class, got {wanted!r}; leave it out for numbers"
        )
    return [str(name) for name in wanted]


def _classified(logits: Array, labels: Array, rows: Array, names: list[str]) -> Classified:
    finite = np.isfinite(logits).all(axis=1)
    places = np.flatnonzero(finite)
    log_p = log_softmax(logits[finite])
    truth, given = labels[finite], logits[finite].argmax(axis=1)
    count = len(names)
    confusion = np.bincount(truth * count + given, minlength=count * count).reshape(count, count)
    of_truth = log_p[np.arange(len(truth)), truth]

    def example(k: int) -> Example:
        return Example(
            int(places[k]) + 1,
            _kept_values(rows, places[k]),
            float(truth[k]),
            float(given[k]),
            np.exp(log_p[k]).round(5),
            rows.shape[1],
        )

    missed = np.flatnonzero(given != truth)
    missed = missed[np.argsort(of_truth[missed], kind="stable")]
    chosen = list(missed[:MOST_WRONG])
    most = min(ALL_EXAMPLES, ALL_VALUES // min(max(rows.shape[1], 1), MOST_VALUES))
    seen: dict[tuple[int, int], int] = {}
    for k in missed:
        pair = int(truth[k]), int(given[k])
        seen[pair] = seen.get(pair, 0) + 1
        if seen[pair] <= EACH_CONFUSION and len(chosen) < most and k not in chosen[:MOST_WRONG]:
            chosen.append(k)
    unsure = np.argsort(log_p.max(axis=1), kind="stable")[:LEAST_CERTAIN]
    return Classified(
        names,
        confusion,
        [example(k) for k in chosen],
        [example(k) for k in unsure],
        int((~finite).sum()),
    )


def _estimated(output: Array, truth: Array, rows: Array, target: str | None) -> Estimated:
    finite = np.isfinite(output).all(axis=1)
    places = np.flatnonzero(finite)
    given, t = output[finite].astype(np.float64), truth[finite].astype(np.float64)
    errors = errors_of(given, t)
    error, spread = given - t, t.std(axis=0) if len(t) else np.zeros(t.shape[1])
    with np.errstate(all="ignore"):
        scaled = np.abs(error / np.where(np.ptp(t, axis=0) > 0, spread, 1)) if len(t) else error
    width = output.shape[1]
    one = target or "target"
    drawn = np.unique(np.linspace(0, max(len(t) - 1, 0), min(len(t), POINTS)).astype(int))

    def example(k: int) -> Example:
        furthest = int(scaled[k].argmax())
        return Example(
            int(places[k]) + 1,
            _kept_values(rows, places[k]),
            float(t[k, furthest]),
            float(given[k, furthest]),
            np.zeros(0),
            rows.shape[1],
        )

    return Estimated(
        [one] if width == 1 else [f"{one} {k + 1}" for k in range(width)],
        errors.rmse,
        errors.mae,
        errors.r2,
        t[drawn],
        given[drawn],
        [example(k) for k in np.argsort(-scaled.max(axis=1), kind="stable")[:LEAST_CERTAIN]],
        len(t),
        int((~finite).sum()),
    )


MOST_VALUES, ALL_VALUES = 16_384, 600_000
"""Of a sample with more values only the first are kept; and so many in all where further samples are kept."""


def _kept_values(rows: Array, k: int) -> Array:
    """A sample's values with three digits, enough to look at."""
    row = rows.csr[[k], :MOST_VALUES].toarray()[0] if isinstance(rows, SparseRows) else rows[k, :MOST_VALUES]
    values = np.asarray(row, dtype=np.float64)
    return np.array([float(f"{value:.3g}") for value in values.tolist()])


# Inputs that are images ------------------------------------------------------------------------------------

#: Sizes of inputs that are taken for images unless `image_shape` says otherwise.
KNOWN: Mapping[int, Shape] = {64: (8, 8), 784: (28, 28), 3072: (32, 32, 3)}


def image_shape_of(input_shape: Shape, wanted: Sequence[int] | None, columns: object = None) -> Shape | None:
    """(H, W) or (H, W, 3) or (3, H, W) of a sample that is an image, or None.

    Raises: ArgumentError when the shape that is wanted does not fit the input.
    """
    size = math.prod(input_shape)
    if wanted is not None:
        shape = tuple(int(length) for length in wanted)
        if not shape:
            return None
        if math.prod(shape) != size or not is_image(shape):
            raise ArgumentError(
                f"image_shape: expected (H, W), (H, W, 3) or (3, H, W) of {size} values in all, as the network's "
                f"input has, got {shape}; () shows no images"
            )
        return _without_one(shape)
    if columns is not None:  # a table's columns are no pixels
        return None
    if len(input_shape) == 2:  # more likely a table or a sequence, unless it is as the known ones are
        return input_shape if input_shape in KNOWN.values() else None
    if len(input_shape) == 3:
        return _without_one(input_shape) if is_image(input_shape) else None
    return KNOWN.get(size) if len(input_shape) == 1 else None


def image_shape_of_network(
    network: Network, wanted: Sequence[int] | None, columns: object = None
) -> Shape | None:
    """The same of a network's first input; one that holds indices is no image unless it is said to be."""
    name, shape = next(iter(network.input_shapes.items()))
    if wanted is None and network.graph.position(name) in network.graph.index_leaves():
        return None
    return image_shape_of(shape, wanted, columns)


def is_image(shape: Shape) -> bool:
    """Whether it is as an image is: two axes of some length, and at most one of one or three colours."""
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        return True
    return len(shape) == 2 or (len(shape) == 3 and 3 in (shape[0], shape[2]))


def _without_one(shape: Shape) -> Shape:
    if len(shape) == 3 and shape[0] == 1:
        return shape[1:]
    return shape[:2] if len(shape) == 3 and shape[2] == 1 else shape
