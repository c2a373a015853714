"""One import is changed, and scikit-learn's MLPClassifier trains on chainrule: the same losses, in less time.

python examples/sklearn_swapped_import.py
"""

from __future__ import annotations

import time

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import chainrule.sklearn


def main() -> None:
    x, t = load_digits(return_X_y=True)
    x_train, x_test, t_train, t_test = train_test_split(x / 16, t, random_state=0)

    models = []
    for module in (sklearn.neural_network, chainrule.sklearn):
        model = module.MLPClassifier(hidden_layer_sizes=(50,), tol=0.01, random_state=0)
        start = time.perf_counter()
        model.fit(x_train, t_train)
        duration = time.perf_counter() - start
        print(f"{module.__name__:23} {model.n_iter_} epochs in {duration:.2f} s", end="")
        print(f", test accuracy {model.score(x_test, t_test):.4f}")
        models.append(model)

    theirs, ours = models
    difference = np.max(np.abs(np.subtract(theirs.loss_curve_, ours.loss_curve_)))
    print(f"\nThe two loss curves. Expected: below 1e-6\n    largest difference {difference:.0e}")
    assert difference < 1e-6

    print("\nThe trained network is one of the library: every gradient of it can be checked.")
    report = chainrule.check(ours.network_, x_test[:8], t_test[:8])
    print(f"    {len(report.rows)} gradients, passed: {report.passed}")
    assert report.passed


if __name__ == "__main__":
    main()
