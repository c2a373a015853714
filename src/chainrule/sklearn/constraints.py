"""What the parameters of the estimators may be, in the words of scikit-learn's own checks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np
import sklearn.neural_network
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from chainrule.layers import Layer, Loss
from chainrule.loop import Callback
from chainrule.network import Network
from chainrule.optimizers import Optimizer
from chainrule.saving.checkpoint import Checkpoint
from chainrule.schedules import Schedule
from chainrule.sklearn.networks import ACTIVATIONS, OTHERS
from chainrule.sklearn.suggestions import meant_by

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
    "class_weight": [StrOptions({"balanced"}), dict, list, None],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
}
REGRESSOR = {**SHARED, "loss": [StrOptions(set(REGRESSIONS)), Loss]}
#: What the parts of a list must be, of parameters that scikit-learn's checks look at as a whole.
PARTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "hidden_layer_sizes": ("whole numbers", lambda part: isinstance(part, Integral)),
    "dropout": ("rates from 0 to below 1", lambda part: isinstance(part, Real) and 0 <= float(part) < 1),
    "batch_norm": ("True or False", lambda part: isinstance(part, (bool, np.bool_))),
    "class_weight": ("a dict for each output", lambda part: isinstance(part, dict)),
}
#: Parameters that `layers` stand in place of, and what does the same there.
IN_LAYERS = {
    "hidden_layer_sizes": "cr.Affine(units)",
    "activation": "a layer such as cr.ReLU()",
    "dropout": "cr.Dropout(rate)",
    "batch_norm": "cr.BatchNorm()",
}
#: Parameters of the solvers that are named by texts.
OF_SOLVERS = (
    "alpha",
    "learning_rate",
    "learning_rate_init",
    "power_t",
    "momentum",
    "nesterovs_momentum",
    "beta_1",
    "beta_2",
    "epsilon",
    "learning_rate_schedule",
    "clip_norm",
)
#: Parameters of the learning rate that a schedule stands in place of.
OF_RATES = ("learning_rate", "learning_rate_init", "power_t")
#: Parameters that have no effect on L-BFGS.
STOCHASTIC_ONLY = (
    "dropout",
    "batch_norm",
    "learning_rate_schedule",
    "clip_norm",
    "validation_set",
    "callbacks",
    "checkpoint",
)


def check_parameters(estimator: Any) -> None:
    """Raise InvalidParameterError for parameters that are wrong."""
    try:
        estimator._validate_params()
    except InvalidParameterError as error:
        found = re.match(r"The '(\w+)' parameter", str(error))
        name = "" if found is None else found[1]
        meant = meant_by(name, getattr(estimator, name, None), estimator._parameter_constraints.get(name, []))
        raise InvalidParameterError(f"{error}{meant}") from None
    check_parts(estimator)
    check_effects(estimator)


def check_parts(estimator: Any) -> None:
    """Raise InvalidParameterError for a wrong part of a list."""
    kind = type(estimator).__name__
    for name, (expected, is_right) in PARTS.items():
        given = getattr(estimator, name, None)
        if isinstance(given, (list, tuple, np.ndarray)) and not all(map(is_right, given)):
            raise InvalidParameterError(
                f"The {name!r} parameter of {kind} must hold {expected}. Got {given!r}."
            )
    if isinstance(estimator.layers, type):
        raise InvalidParameterError(
            f"The 'layers' parameter of {kind} must be a list of layers, or a function from a node to a node. "
            f"Got the class {estimator.layers.__name__}; write [cr.{estimator.layers.__name__}(...)]."
        )


def check_effects(estimator: Any) -> None:
    """Raise InvalidParameterError for parameters that are set and would have no effect."""

    def is_set(name: str) -> bool:
        return repr(getattr(estimator, name)) != repr(signature(type(estimator)).parameters[name].default)

    for name, layer in IN_LAYERS.items():
        if estimator.layers is not None and is_set(name) and np.any(getattr(estimator, name)):
            raise InvalidParameterError(f"{name} has no effect beside layers; put {layer} into layers")
    own = isinstance(estimator.solver, Optimizer)
    if own or estimator.preset is not None:
        beside = "an optimizer as solver, which has its own" if own else "preset, which has its own"
        names = OF_SOLVERS if own else ("solver", *OF_SOLVERS)
        for name in names:
            if is_set(name):
                raise InvalidParameterError(f"{name} has no effect beside {beside}; leave it out")
    for name in OF_RATES:
        if estimator.learning_rate_schedule is not None and is_set(name):
            raise InvalidParameterError(
                f"{name} has no effect beside learning_rate_schedule, which has the learning rates: "
                f"{estimator.learning_rate_schedule!r}; leave one of them out"
            )
    if estimator.warm_start == "exact":
        for name, given in (
            ("early_stopping", estimator.early_stopping),
            ("solver", estimator.solver == "lbfgs"),
        ):
            if given:
                raise InvalidParameterError(
                    f'warm_start="exact" does not go with {name}={getattr(estimator, name)!r}: '
                    + ("other rows are held out each time; give validation_set=(X, y)" if name == "early_stopping"
                       else "L-BFGS keeps nothing to go on with; choose a stochastic solver")
                )  # fmt: skip


def check_lbfgs(estimator: Any, network: Network) -> None:
    """Raise InvalidParameterError for what L-BFGS, whose loss is one function of the weights, cannot do."""
    given = [name for name in STOCHASTIC_ONLY if not _is_off(getattr(estimator, name))]
    layers = (node.layer for node in network.graph)
    given += [repr(layer) for layer in layers if layer and "training" in layer.signature.forward_asks]
    if given:
        raise InvalidParameterError(
            f'{given[0]} is for the stochastic solvers; choose solver="adam", or leave it out for "lbfgs"'
        )


def _is_off(value: Any) -> bool:
    return value is None or value in ([], ()) or (isinstance(value, (Real, np.bool_)) and not value)
