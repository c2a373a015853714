"""What to try, in the parameters of an estimator of `chainrule.sklearn`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: By the name of the remedy: parameters of a solver that is named by a text, those that `layers` stand in place of,
#: and others.
OF_SOLVERS = {
    "smaller rate": "a smaller learning_rate_init",
    "larger rate": "a larger learning_rate_init",
    "schedule": "learning_rate_schedule=cr.schedules.Cosine(...)",
    "clip": "clip_norm=1.0",
    "less decay": "a smaller alpha",
    "weight decay": "a larger alpha",
}
OF_LAYERS = {
    "relu": 'activation="relu"',
    "leaky": 'activation="leakyrelu"',
    "normalization": "batch_norm=True",
    "dropout": "dropout=0.2",
    "fewer layers": "fewer hidden_layer_sizes",
    "larger network": "larger hidden_layer_sizes",
    "wider": "larger hidden_layer_sizes",
    "smaller network": "smaller hidden_layer_sizes",
    "linear": "hidden_layer_sizes=()",
}
OTHERS = {
    "adaptive": 'solver="adam"',
    "epochs": "a larger max_iter",
    "iterations": "a larger max_iter",
    "patience": "a larger n_iter_no_change",
    "scaled inputs": "a StandardScaler before the estimator",
    "scaled targets": "a StandardScaler in TransformedTargetRegressor",
    "he": "weights=cr.initializers.He() in layers",
    "xavier": "weights=cr.initializers.Xavier() in layers",
    "early stopping": "early_stopping=True",
    "class weights": 'class_weight="balanced"',
}


def parameter_for(settings: Mapping[str, Any], remedy: str) -> str:
    """How the estimator with these settings says a remedy; "" where it says it as a network does, or is none."""
    if "estimator" not in settings:
        return ""
    known = dict(OTHERS)
    known |= {} if settings.get("solver") in ("optimizer", "preset") else OF_SOLVERS
    known |= {} if "layers" in settings else OF_LAYERS
    return known.get(remedy, "")
