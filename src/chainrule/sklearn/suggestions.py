"""What a refused parameter was probably meant to be: the end of scikit-learn's own message."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import StrOptions

from chainrule import schedules
from chainrule.elsewhere import plain
from chainrule.errors import nearest
from chainrule.layers import Layer
from chainrule.loop import Callback
from chainrule.network.making import OWN_CALLBACK
from chainrule.optimizers import Optimizer
from chainrule.schedules import Constant, Schedule

SCHEDULES = {
    plain(name): name
    for name, kind in vars(schedules).items()
    if isinstance(kind, type) and issubclass(kind, Schedule) and kind not in (Schedule, Constant)
}
#: Losses of a classifier by the names that they have elsewhere.
CROSS_ENTROPIES = (
    "crossentropy",
    "categoricalcrossentropy",
    "sparsecategoricalcrossentropy",
    "binarycrossentropy",
    "softmaxcrossentropy",
    "bce",
    "nll",
    "logistic",
    "logloss",
)
#: What to write, by the parameter and by what it was given, in small letters.
MEANT: dict[str, dict[str, str]] = {
    "hidden_layer_sizes": {  # of a regressor, behind sizes that stand in the place of the loss
        each: f"activation={each!r}, with the sizes as hidden_layer_sizes=..."
        for each in ("relu", "tanh", "logistic", "identity")
    },
    "activation": {
        "sigmoid": "'logistic'",
        "linear": "'identity'",
        "none": "'identity'",
        "swish": "'silu'",
    },
    "solver": {
        "rmsprop": "cr.RMSProp(0.001)",
        "adagrad": "cr.AdaGrad(0.01)",
        "momentum": "'sgd', whose momentum is 0.9",
        "nesterov": "'sgd', with nesterovs_momentum=True",
        "lbfgsb": "'lbfgs'",
        "bfgs": "'lbfgs'",
    },
    "loss": {
        **{
            plain(each): repr(each)
            for each in ("squared_error", "absolute_error", "poisson", "huber", "quantile")
        },
        **dict.fromkeys(("mse", "l2", "meansquarederror", "rmse"), "'squared_error'"),
        **dict.fromkeys(("mae", "l1", "meanabsoluteerror"), "'absolute_error'"),
        "smoothl1": "'huber'",
        "pinball": "'quantile'",
        "median": "'quantile'",
        **dict.fromkeys(CROSS_ENTROPIES, "'log_loss'"),
    },
}


def meant_by(name: str, given: Any, accepted: Iterable[Any]) -> str:
    """A sentence with what the parameter of this name was probably meant to be, or ""."""
    if name in ("learning_rate", "learning_rate_schedule"):
        if isinstance(given, Real) and not isinstance(given, bool):
            return f" Did you mean learning_rate_init={given}?"
        if schedule := SCHEDULES.get(plain(str(given))):
            return f" Did you mean learning_rate_schedule=cr.schedules.{schedule}(...)?"
    if name == "loss" and (sizes := _sizes_in(given)):
        return f" Did you mean hidden_layer_sizes={sizes}?"
    if name == "validation_set" and isinstance(given, Real) and 0 < float(given) < 1:
        return f" Did you mean early_stopping=True, validation_fraction={given}?"
    if name == "callbacks" and callable(given) and not isinstance(given, type):
        return f" {OWN_CALLBACK[0].upper()}{OWN_CALLBACK[1:]}"
    if isinstance(given, type) and issubclass(given, (Optimizer, Schedule, Layer, Callback)):
        place = "cr.schedules" if issubclass(given, Schedule) else "cr"
        return f" Did you mean {place}.{given.__name__}(...)?"
    names = [each for some in accepted if isinstance(some, StrOptions) for each in some.options]
    given_plain = plain(str(given))
    known = MEANT.get(name, {})
    meant = known.get(given_plain) or known.get(given_plain.removesuffix("loss"), "")
    if meant.startswith("'") and meant.split("'")[1] not in names:  # of the other estimator
        meant = "MLPClassifier" if meant == "'log_loss'" else "MLPRegressor"
    if not meant and isinstance(given, str) and (found := nearest(given, names)):
        meant = repr(found)
    return f" Did you mean {meant}?" if meant else ""


def _sizes_in(given: Any) -> str:
    """The sizes of layers that somebody gave by position, where scikit-learn once had them."""
    sizes = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given]
    if not sizes or not all(isinstance(each, Integral) and not isinstance(each, bool) for each in sizes):
        return ""
    return str(tuple(map(int, sizes)))
