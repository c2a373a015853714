"""Formulas of layers, of which only what applies is told: no weights and no smoothing where there are none."""

from __future__ import annotations

import inspect
from collections.abc import Collection

from chainrule.layers import Layer, SigmoidCrossEntropy, SoftmaxCrossEntropy

PLAIN_SOFTMAX = "y = -1 / N * sum_i log p_it, p = softmax(x), dL/dx = dL/dy * (p - t) / N"
PLAIN_SIGMOID = (
    "y = -mean of (t log p + (1 - t) log (1 - p)), p = 1 / (1 + exp(-x)), dL/dx = dL/dy * (p - t) / n"
)


def formula_of(layer: Layer, inputs: Collection[str] = ()) -> str:
    """Its equation and its gradients: those of its documentation, or what is left of them as it is set here.

    `inputs`: what its inputs in the graph are called; one that is left out has no part in the formula.
    """
    is_weighted = "sample_weight" in inputs
    if type(layer) is SoftmaxCrossEntropy:
        return _softmax_cross_entropy(layer, is_weighted)
    if type(layer) is SigmoidCrossEntropy and not is_weighted and (layer.positive_weight == 1).all():
        return PLAIN_SIGMOID
    text = inspect.getdoc(type(layer)) if type(layer).__doc__ else ""
    return " ".join((text or "").split("\n\n")[0].split())


def _softmax_cross_entropy(layer: SoftmaxCrossEntropy, is_weighted: bool) -> str:
    has_classes, smoothing = layer.class_weights is not None, layer.label_smoothing
    weights = " ".join(["s_i"] * is_weighted + ["c_k"] * has_classes)
    if not weights and not smoothing:
        return PLAIN_SOFTMAX
    targets = "t'_ik" if smoothing else "t_ik"
    terms = ["p = softmax(x)"]
    if smoothing:
        terms.append(f"t' = (1 - {smoothing:g}) t + {smoothing:g} / K")
    if not weights:
        return f"y = -1 / N * sum_ik {targets} log p_ik, {', '.join(terms)}, dL/dx = dL/dy * (p - t') / N"
    terms += [f"D = sum_ik {weights} t_ik", f"w_ik = {weights} {targets} / D"]
    return f"y = -sum_ik w_ik log p_ik, {', '.join(terms)}, dL/dx = dL/dy * (p * sum_k w_ik - w)"
