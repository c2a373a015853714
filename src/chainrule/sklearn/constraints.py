"""What the parameters of the estimators may be, in the words of scikit-learn's own checks."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

import sklearn.neural_network
from sklearn.utils._param_validation import Interval, StrOptions

from chainrule.layers import Layer, Loss
from chainrule.loop import Callback
from chainrule.optimizers import Optimizer
from chainrule.saving.checkpoint import Checkpoint
from chainrule.schedules import Schedule
from chainrule.sklearn.networks import ACTIVATIONS, OTHERS

STOCHASTIC = ("sgd", "adam", "adamw")
REGRESSIONS = ("squared_error", "poisson", "absolute_error", "huber", "quantile")

#: Those of scikit-learn in the version that is installed, and of what is more.
SHARED: dict[str, list[Any]] = {
    **sklearn.neural_network.MLPClassifier._parameter_constraints,
    "activation": [StrOptions({*ACTIVATIONS, *OTHERS}), Layer, list, tuple],
    "solver": [StrOptions({"lbfgs", *STOCHASTIC}), Optimizer],
    "layers": [list, tuple, callable, None],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "batch_norm": ["boolean", list, tuple],
    "warm_start": ["boolean", StrOptions({"exact"})],
    "learning_rate_schedule": [Schedule, None],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "validation_set": [list, tuple, None],
    "callbacks": [Callback, list, tuple, None],
    "progress": ["boolean"],
    "checkpoint": [str, os.PathLike, Checkpoint, None],
    "preset": [StrOptions({"chainrule"}), None],
}
CLASSIFIER = {
    **SHARED,
    "loss": [StrOptions({"log_loss"})],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
}
REGRESSOR = {**SHARED, "loss": [StrOptions(set(REGRESSIONS)), Loss]}
