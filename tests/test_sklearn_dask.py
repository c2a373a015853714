"""Searches of scikit-learn on the workers of a Dask cluster: two processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  it makes the import below possible
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.program import threads
from chainrule.sklearn import MLPClassifier

distributed = pytest.importorskip(
    "distributed", reason="distributed is not installed: chainrule[dask] brings it"
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask, its sockets, and of short trainings

X, y = make_classification(120, 6, n_informative=4, class_sep=2, random_state=0)
RATES = {"learning_rate_init": [1e-9, 0.02]}


@pytest.fixture(scope="module")
def client(kept_environment: None) -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def model(**settings: Any) -> Any:
    sizes = {} if "layers" in settings else {"hidden_layer_sizes": (16,)}
    return MLPClassifier(max_iter=20, batch_size=16, random_state=0, **sizes, **settings)


def test_a_worker_uses_one_thread(client: Any) -> None:
    assert set(client.run(threads.is_worker).values()) == {True}
    assert set(client.run(threads.default_threads).values()) == {1}
    assert client.submit(threads.default_threads).result() == 1
    assert not threads.is_worker()


@pytest.mark.usefixtures("kept_environment")
def test_a_worker_in_this_process_uses_one_thread_too() -> None:
    """As a worker that the command line starts without a nanny, whose process multiprocessing has not begun."""
    with (
        distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        assert client.submit(threads.is_worker).result()
        assert not threads.is_worker()


def test_a_grid_search_finds_what_it_finds_here(client: Any) -> None:
    scores = {
        "accuracy": "accuracy",
        "process": lambda *_: os.getpid(),
        "threads": lambda *_: threads.default_threads(),
    }
    search = GridSearchCV(model(dropout=0.1), RATES, cv=4, scoring=scores, refit="accuracy")
    here = search.fit(X, y).cv_results_["mean_test_accuracy"]
    with joblib.parallel_config(backend="dask"):
        found = search.fit(X, y).cv_results_
    np.testing.assert_array_equal(found["mean_test_accuracy"], here)
    processes = {found[f"split{k}_test_process"][i] for k in range(4) for i in range(2)}
    assert processes <= set(client.run(os.getpid).values())
    assert set(found["mean_test_threads"]) == {1}
    assert search.best_params_ == {"learning_rate_init": 0.02}
    assert search.score(X, y) > 0.7


def test_a_halving_search(client: Any) -> None:
    space = {"mlpclassifier__learning_rate_init": [1e-9, 1e-8, 0.02, 0.05]}
    search = HalvingRandomSearchCV(
        make_pipeline(StandardScaler(), model(layers=[cr.Affine(16), cr.ReLU()])),
        space,
        resource="mlpclassifier__max_iter",
        min_resources=5,
        max_resources=20,
        factor=2,
        n_candidates=4,
        cv=3,
        random_state=0,
    )
    with joblib.parallel_config(backend="dask"):
        search.fit(X, y)
    assert search.n_iterations_ > 1
    assert search.best_params_["mlpclassifier__learning_rate_init"] > 1e-8


def test_layers_of_a_function_that_workers_cannot_import(client: Any) -> None:
    search = GridSearchCV(model(layers=lambda x: cr.ReLU()(cr.Affine(16)(x))), RATES, cv=2)
    with joblib.parallel_config(backend="dask"):
        assert search.fit(X, y).best_params_ == {"learning_rate_init": 0.02}
