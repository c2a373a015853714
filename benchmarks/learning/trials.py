"""One training of a network, ours or scikit-learn's, on one data set, and what came of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

import chainrule as cr
from chainrule.arrays import Array
from learning.data import Data, load

WORST = -1.0
"""A score counts at least this: R² is below 0 where the mean would be the better answer, and has no end there."""
SEARCHED = 2_000


@dataclass(frozen=True, eq=False)
class Trial:
    """A network of these hidden layers on a data set, trained for so many epochs.

    Every column is standardised, and numbers to estimate are; then they are multiplied by these scales.
    """

    data: str
    hidden: tuple[int, ...]
    epochs: int
    seed: int
    x_scale: float = 1.0
    t_scale: float = 1.0
    #: Of ours: arguments of `fit`, and the initializers of hidden layers and of the last; all left out at defaults.
    options: dict[str, Any] = field(default_factory=dict)
    weights: tuple[cr.initializers.Initializer, cr.initializers.Initializer] | None = None


@dataclass(frozen=True)
class Outcome:
    """The accuracy, or R², on what was held out; whether it diverged; the dead share of the worst layer."""

    score: float
    diverged: bool = False
    dead: float = 0.0

    @property
    def is_dead(self) -> bool:
        """Whether a layer has no unit left that learns."""
        return self.dead >= 1


@dataclass(frozen=True)
class Split:
    """What is trained on, and what is held out."""

    x: Array
    t: Array
    x_test: Array
    t_test: Array


def split(data: Data, trial: Trial) -> Split:
    """A quarter of the rows held out by the seed, and everything standardised by what is trained on."""
    order = np.random.default_rng([trial.seed, 17]).permutation(len(data.x))
    test, train = order[: max(len(order) // 4, 5)], order[max(len(order) // 4, 5) :]
    x, x_test = _standardised(data.x[train], data.x[test], trial.x_scale)
    if data.task == "classes":
        return Split(x, data.t[train], x_test, data.t[test])
    numbers = data.t.astype(float)[:, None]
    t, t_test = _standardised(numbers[train], numbers[test], trial.t_scale)
    return Split(x, t, x_test, t_test)


def ours(trial: Trial) -> Outcome:
    """chainrule: the layers, the loss, and `fit`."""
    data = load(trial.data)
    parts = split(data, trial)
    classes = int(data.t.max()) + 1 if data.task == "classes" else 0
    hidden, last = trial.weights or (None, None)
    layers: list[cr.Layer] = []
    for units in trial.hidden:
        layers += [cr.Affine(units) if hidden is None else cr.Affine(units, weights=hidden), cr.ReLU()]
    layers.append(cr.Affine(classes or 1) if last is None else cr.Affine(classes or 1, weights=last))
    loss: cr.Loss = cr.SoftmaxCrossEntropy() if classes else cr.MeanSquaredError()
    net = cr.Network(*layers, input_shape=parts.x.shape[1], loss=loss, seed=trial.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the scales, which are meant
        try:
            net.fit(
                parts.x,
                parts.t,
                epochs=trial.epochs,
                progress=False,
                threads=1,
                measure_every=trial.epochs,
                **trial.options,
            )
        except cr.errors.DivergedError:
            return Outcome(WORST, diverged=True)
        return Outcome(score(net.predict(parts.x_test), parts.t_test), dead=dead_units(net, parts.x))


def theirs(trial: Trial) -> Outcome:
    """scikit-learn's MLP with its own defaults, for the same number of epochs."""
    data = load(trial.data)
    parts = split(data, trial)
    kind = MLPClassifier if data.task == "classes" else MLPRegressor
    model = kind(
        hidden_layer_sizes=trial.hidden,
        max_iter=trial.epochs,
        tol=0,
        n_iter_no_change=10**6,
        random_state=trial.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the epochs were not enough to converge
        try:
            model.fit(parts.x, parts.t.ravel())
        except ValueError:  # it diverged
            return Outcome(WORST, diverged=True)
    if data.task == "numbers":
        return Outcome(score(model.predict(parts.x_test)[:, None], parts.t_test))
    return Outcome(float(np.mean(model.predict(parts.x_test) == parts.t_test)))


def score(outputs: Array, t: Array) -> float:
    """The share of right answers, or R², not below the worst that counts."""
    if t.ndim == 1:
        return float(np.mean(outputs.argmax(axis=1) == t))
    if not np.isfinite(outputs).all():
        return WORST
    return max(WORST, 1 - float(np.sum((outputs - t) ** 2) / np.sum((t - t.mean()) ** 2)))


def dead_units(net: cr.Network, x: Array) -> float:
    """The largest share, over the layers, of units that are zero on all rows that are looked at."""
    rows = x[:: max(len(x) // SEARCHED, 1)]
    relus = [node for node in net.graph if node.layer is not None and node.layer.can_die]
    shares = [float(np.mean(net.graph.evaluate({"x": rows}, node).max(axis=0) <= 0)) for node in relus]
    return max(shares, default=0.0)


def mean_score(outcomes: Sequence[Outcome]) -> float:
    """The mean over the trainings."""
    return float(np.mean([each.score for each in outcomes]))


def _standardised(values: Array, others: Array, scale: float) -> tuple[Array, Array]:
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation[deviation == 0] = 1
    return (values - mean) / deviation * scale, (others - mean) / deviation * scale
