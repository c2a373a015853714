"""The estimators that are compared, made with the same settings."""

from __future__ import annotations

import importlib.util
from typing import Any

import sklearn.neural_network

import chainrule.sklearn
from sklearn_mlp.workloads import Workload

OURS, THEIRS, SKORCH = "chainrule", "scikit-learn", "skorch"
LIBRARIES = {OURS: chainrule.sklearn, THEIRS: sklearn.neural_network}
#: Whether skorch, and PyTorch below it, are installed.
HAS_SKORCH = all(importlib.util.find_spec(name) for name in ("skorch", "torch"))


def made(library: str, load: Workload) -> Any:
    """A new estimator for the workload."""
    if library == SKORCH:
        from sklearn_mlp.with_skorch import estimator

        return estimator(load)
    kind = "MLPClassifier" if load.task == "classes" else "MLPRegressor"
    return getattr(LIBRARIES[library], kind)(**load.settings)


def peers(load: Workload) -> list[str]:
    """Who does the workload: skorch that of the small networks, in its own type of numbers."""
    with_skorch = HAS_SKORCH and load.group == "small networks" and load.dtype == "float32"
    return [OURS, THEIRS, *([SKORCH] if with_skorch and load.task == "classes" else [])]
