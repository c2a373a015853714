"""The scores on 20 data sets: ours and scikit-learn's, with the same settings and seeds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from chainrule.arrays import Array
from learning.data import load
from sklearn_mlp.estimators import LIBRARIES

SETS = (
    "iris",
    "wine",
    "breast cancer",
    "digits",
    "diabetes",
    "moons",
    "circles",
    "blobs",
    "classes, 20 columns",
    "quantiles",
    "friedman 1",
    "friedman 2",
    "friedman 3",
    "swiss roll",
    "regression, 100 columns",
    "line, 30 columns",
    "wave",
    "parity",
    "rare class",
    "skewed",
)
STUDENT = 2.776  # of 95 % on both sides, for 5 seeds
ROUNDING = 1e-3  # scores that differ by less are the same


@dataclass(frozen=True)
class Scores:
    """Of one data set, by the seed."""

    name: str
    task: str
    ours: Array
    theirs: Array

    @property
    def verdict(self) -> str:
        """Whether the paired difference is within noise: a 95 % interval that holds 0."""
        difference = self.ours - self.theirs
        noise = STUDENT * difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
        if abs(difference.mean()) <= max(noise, ROUNDING):
            return "within noise"
        return "above" if difference.mean() > 0 else "below"


def compared(seeds: Sequence[int], names: Sequence[str] = SETS) -> list[Scores]:
    """The scores of all data sets, on all cores."""
    jobs = list(product(names, LIBRARIES, seeds))
    with ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,)) as pool:
        found = np.reshape(list(pool.map(_score, *zip(*jobs, strict=True))), (len(names), 2, -1))
    return [Scores(name, load(name).task, *both) for name, both in zip(names, found, strict=True)]


def _score(name: str, library: str, seed: int) -> float:
    """Accuracy, or R², on a quarter of the rows; columns and numbers standardized by the others."""
    data = load(name)
    classes = data.task == "classes"
    x, x_test, t, t_test = train_test_split(
        data.x, data.t, test_size=0.25, random_state=seed, stratify=data.t if classes else None
    )
    scaler = StandardScaler().fit(x)
    if not classes:
        t, t_test = (t - t.mean()) / t.std(), (t_test - t.mean()) / t.std()
    kind = "MLPClassifier" if classes else "MLPRegressor"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of trainings that 200 epochs end
        estimator = getattr(LIBRARIES[library], kind)(random_state=seed).fit(scaler.transform(x), t)
    return float(estimator.score(scaler.transform(x_test), t_test))
