"""scikit-learn on the same rows: the same preparation and hidden units, and a linear model as the floor."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from everyday.ours import Rows, score

HIDDEN = (50,)
MOST_CATEGORIES = 100
OF_ROWS = 0.5


def scores(rows: Rows, target: str, seed: int) -> tuple[float, float]:
    """The scores of scikit-learn's network and of the linear model."""
    frame = _read(rows, target)
    numbers = frame.select_dtypes("number").columns
    texts = [name for name in frame.columns.difference(numbers) if _is_used(frame[name])]
    reached = []
    for model in _models(rows.task, seed):
        pipeline = make_pipeline(_preparation(list(numbers), texts), model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of categories in test rows only, and of trainings cut short
            pipeline.fit(frame[~rows.test], rows.t[~rows.test])
            predicted = pipeline.predict(frame[rows.test])
        reached.append(score(rows.task, rows.t[rows.test], predicted))
    return reached[0], reached[1]


def _read(rows: Rows, target: str) -> pd.DataFrame:
    """The features, as pandas understands their text."""
    text = io.StringIO(rows.cells.drop(columns=target).to_csv(index=False))
    return pd.read_csv(text).dropna(axis="columns", how="all")


def _is_used(column: Any) -> bool:
    """Not text that names the rows, or of very many values: the command line leaves such columns out, too."""
    different = column.nunique()
    return bool(different <= MOST_CATEGORIES and (different <= 10 or different <= OF_ROWS * len(column)))


def _preparation(numbers: list[str], texts: list[str]) -> Any:
    of_numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    of_texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    return ColumnTransformer([("numbers", of_numbers, numbers), ("texts", of_texts, texts)])


def _models(task: str, seed: int) -> tuple[Any, Any]:
    if task == "classification":
        return MLPClassifier(hidden_layer_sizes=HIDDEN, random_state=seed), LogisticRegression(max_iter=1_000)
    network = MLPRegressor(hidden_layer_sizes=HIDDEN, random_state=seed)
    return TransformedTargetRegressor(network, transformer=StandardScaler()), Ridge()
