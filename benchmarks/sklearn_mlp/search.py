"""A grid search on the digits: 64 candidates, 5 folds, in one process and in two."""

from __future__ import annotations

import statistics
import time
import warnings

import sklearn.datasets
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from sklearn_mlp.estimators import LIBRARIES, OURS, THEIRS

GRID = {
    "hidden_layer_sizes": [(25,), (50,), (100,), (50, 50)],
    "alpha": [1e-5, 1e-4, 1e-3, 1e-2],
    "learning_rate_init": [1e-3, 3e-3],
    "batch_size": [100, 200],
}
QUICK = {**GRID, "alpha": [1e-4], "batch_size": [200]}
EPOCHS, FOLDS = 20, 5
PROCESSES = {1: "in this process", 2: "in two processes, their start included"}
Searches = dict[str, tuple[float, float]]


def searched(rounds: int, quick: bool, processes: int) -> Searches:
    """Of each library the seconds, the median, and the best score. The processes are started anew each time."""
    X, y = sklearn.datasets.load_digits(return_X_y=True)
    seconds: dict[str, list[float]] = {OURS: [], THEIRS: []}
    scores = {}
    for number in range(rounds):
        for who in list(seconds) if number % 2 else reversed(seconds):
            get_reusable_executor().shutdown(wait=True)
            estimator = LIBRARIES[who].MLPClassifier(max_iter=EPOCHS, random_state=0)
            search = GridSearchCV(estimator, QUICK if quick else GRID, cv=FOLDS, n_jobs=processes)
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # of few epochs; those of the processes are on their own streams
                begin = time.perf_counter()
                search.fit(X / 16, y)
                seconds[who].append(time.perf_counter() - begin)
            scores[who] = float(search.best_score_)
    return {who: (statistics.median(each), scores[who]) for who, each in seconds.items()}
