"""Rows that are made up: standardized columns, or documents as TF-IDF gives them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.datasets import make_classification, make_regression
from sklearn.preprocessing import normalize

from chainrule.arrays import Array
from sklearn_mlp.workloads import WORDS, Workload

WORDS_OF_A_ROW = 100


@lru_cache(maxsize=1)
def load(load: Workload) -> tuple[Any, Array]:
    """X of the workload's type, and y: three classes, or standardized numbers."""
    X: Any
    if load.columns == WORDS:
        X, y = documents(load.rows)
    elif load.task == "numbers":
        X, y = make_regression(load.rows, load.columns, noise=5.0, random_state=0)
        y = (y - y.mean()) / y.std()
    else:
        informative = min(load.columns, 4)
        X, y = make_classification(
            load.rows,
            load.columns,
            n_informative=informative,
            n_redundant=0,
            n_classes=3,
            n_clusters_per_class=1,
            random_state=0,
        )
    return X.astype(load.dtype), y


def documents(rows: int) -> tuple[Any, Array]:
    """Words drawn by Zipf's law, rare ones weighted more, in rows of length 1; two classes."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, WORDS + 1)
    drawn = rng.choice(WORDS, (rows, WORDS_OF_A_ROW), p=frequency / frequency.sum())
    y = rng.integers(0, 2, rows)
    drawn[:, :10] = rng.integers(0, 500, (rows, 10)) * 2 + y[:, None]  # words that tell the classes apart
    indptr = np.arange(0, drawn.size + 1, WORDS_OF_A_ROW)
    counts = scipy.sparse.csr_array((np.ones(drawn.size), drawn.ravel(), indptr), (rows, WORDS))
    counts.sum_duplicates()
    weights = np.log((1 + rows) / (1 + np.bincount(counts.indices, minlength=WORDS))) + 1
    counts.data *= weights[counts.indices]
    return normalize(counts), y
