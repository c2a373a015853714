"""A residual network as an estimator of scikit-learn: any graph of the library, by a function for its layers.

python examples/sklearn_residual_network.py
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import chainrule as cr
from chainrule.sklearn import MLPClassifier


def residual(x: cr.graph.Node) -> cr.graph.Node:
    """x -> h, then three times h + branch(h). The estimator puts the last layer behind it, and the loss."""
    h: cr.graph.Node = cr.ReLU()(cr.Affine(32)(x))
    for _ in range(3):
        branch = cr.Affine(32)(cr.ReLU()(cr.LayerNorm()(h)))
        h = h + branch
    return h


def main() -> None:
    x, t = load_digits(return_X_y=True)
    network = MLPClassifier(
        layers=residual,
        solver="adamw",
        learning_rate_init=0.005,
        tol=0.002,
        n_iter_no_change=5,
        random_state=0,
    )
    model = make_pipeline(MinMaxScaler(), network)

    print("Accuracy in three folds. Expected: above 0.9 in the mean")
    scores = cross_val_score(model, x, t, cv=3)
    print("    " + "  ".join(f"{score:.3f}" for score in scores))
    assert np.mean(scores) > 0.9

    model.fit(x, t)
    print(f"\n{network.network_.summary()}")

    print("\nIts gradients against finite differences:")
    report = cr.check(network.network_, model[0].transform(x[:4]), t[:4])
    print(f"    {len(report.rows)} gradients, passed: {report.passed}")
    assert report.passed


if __name__ == "__main__":
    main()
