"""A grid search over what scikit-learn's MLPClassifier lacks: dropout, and other activations.

python examples/sklearn_grid_search.py
"""

from __future__ import annotations

import time

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from chainrule.sklearn import MLPClassifier

GRID = {
    "mlpclassifier__activation": ["relu", "gelu"],
    "mlpclassifier__dropout": [0.0, 0.2, 0.4],
}


def main() -> None:
    x, t = load_digits(return_X_y=True)
    x_train, x_test, t_train, t_test = train_test_split(x, t, random_state=0)
    network = MLPClassifier(
        hidden_layer_sizes=(50,), learning_rate_init=0.01, tol=0.02, n_iter_no_change=3, random_state=0
    )
    search = GridSearchCV(make_pipeline(MinMaxScaler(), network), GRID, cv=3, n_jobs=2)

    start = time.perf_counter()
    search.fit(x_train, t_train)
    duration = time.perf_counter() - start
    results = search.cv_results_
    print(f"{len(results['params'])} candidates x 3 folds in two processes: {duration:.1f} s\n")
    for k in results["rank_test_score"].argsort():
        values = ", ".join(str(value) for value in results["params"][k].values())
        print(f"    {results['mean_test_score'][k]:.4f} +- {results['std_test_score'][k]:.4f}  {values}")

    print("\nTest accuracy of the best. Expected: above 0.95")
    score = search.score(x_test, t_test)
    print(f"    {score:.4f}")
    assert score > 0.95


if __name__ == "__main__":
    main()
