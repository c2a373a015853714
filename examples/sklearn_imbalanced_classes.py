"""Three rows in a hundred are of the class that matters: class_weight="balanced" makes the network look for them.

python examples/sklearn_imbalanced_classes.py
"""

from __future__ import annotations

from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from sklearn.model_selection import train_test_split

from chainrule.sklearn import MLPClassifier


def main() -> None:
    x, t = make_classification(
        6000, 10, n_informative=4, weights=[0.97], class_sep=0.7, flip_y=0.005, random_state=0
    )
    x_train, x_test, t_train, t_test = train_test_split(x, t, stratify=t, random_state=0)
    print(f"{len(t_train)} rows to train on, of which {t_train.sum()} are of class 1\n")

    found = {}
    print("class_weight    recall  precision  balanced accuracy  lowest test loss in epoch")
    for weights in (None, {0: 1, 1: 5}, "balanced"):
        model = MLPClassifier(
            class_weight=weights, validation_set=(x_test, t_test), tol=0.003, random_state=0
        ).fit(x_train, t_train)
        predicted = model.predict(x_test)
        found[str(weights)] = recall = recall_score(t_test, predicted)
        precision = precision_score(t_test, predicted)
        balanced = balanced_accuracy_score(t_test, predicted)
        curve = model.validation_loss_curve_ or []
        best = curve.index(min(curve)) + 1
        print(f"{weights!s:14}  {recall:6.3f}  {precision:9.3f}  {balanced:17.3f}  {best} of {len(curve)}")

    print("\nRecall of class 1 with the classes balanced, less that without. Expected: above 0.1")
    gain = found["balanced"] - found["None"]
    print(f"    {gain:.3f}")
    assert gain > 0.1


if __name__ == "__main__":
    main()
