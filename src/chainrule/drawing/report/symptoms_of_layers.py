"""What the layers of a run tell: dead units, saturation, gradients that vanish or explode, the size of updates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.drawing.report.findings import RunFinding
from chainrule.drawing.report.material import LayerHealth, Material
from chainrule.text import fold, percent, short

DEAD = 0.4
"""A tenth or two of the units of a ReLU layer may rest without harm; by four tenths a layer is too narrow."""
SATURATED = 0.5
"""Where half of the values are at the flat ends, half of the gradient is lost in each such layer."""
SHRINKS, GROWS = 100.0, 100.0
"""Of neighbouring layers the gradients differ a few-fold; a hundred-fold from end to end is more than one learning
rate for all layers can make good."""
HUGE_GRADIENT = 100.0
"""Of a mean loss over data scaled to about 1, the gradient of a parameter has a norm of about 1 or less."""
LARGEST_UPDATE, SMALLEST_UPDATE = 1e-1, 1e-5
"""About 1e-3 of a weight's size a step is usual: at a tenth, ten steps undo what was learned, and below 1e-5 a
hundred thousand steps are needed to change it."""


def dead_units(run: Material) -> Iterator[RunFinding]:
    """Units of a ReLU that are zero on all rows that were looked at."""
    for layer in run.layers:
        share = layer.last("dead")
        if share >= DEAD:
            text = f"Layer {layer.name}: {percent(share, 0)} of its units are never active (dead)"
            advice = "a smaller learning rate, He initialisation, or LeakyReLU"
            yield RunFinding("dead", text, advice, layer.name)


def saturated(run: Material) -> Iterator[RunFinding]:
    """Sigmoids and tanhs at their flat ends."""
    for layer in run.layers:
        share = layer.last("saturated")
        if share >= SATURATED:
            text = (
                f"Layer {layer.name}: {percent(share, 0)} of its values are saturated, where the slope of "
                f"{layer.kind or 'its activation'} is nearly 0"
            )
            advice = "weights that start smaller (Xavier initialisation), inputs scaled to about 1, or ReLU"
            yield RunFinding("saturated", text, advice, layer.name)


def changing_gradients(run: Material) -> Iterator[RunFinding]:
    """Gradients that shrink, or grow, from the last layer to the first."""
    layers, measure = _trained_layers(run)
    sizes = [(layer, layer.middle(measure)) for layer in layers]
    sizes = [(layer, size) for layer, size in sizes if math.isfinite(size) and size > 0]
    zero = [layer for layer in layers if layer.middle(measure) == 0]
    if zero and sizes:
        text = f"No gradient reaches {zero[0].name}: it is 0, and the layer does not train"
        advice = "ReLU in place of what saturates, He initialisation, a smaller learning rate"
        yield RunFinding("vanishing", text, advice, zero[0].name, "error")
    if len(sizes) < 2:
        return
    (first, small), (last, large) = sizes[0], sizes[-1]
    if large > SHRINKS * small:
        text = f"Gradients shrink {fold(large / small)} from {last.name} to {first.name}: they vanish"
        advice = "ReLU, better initialisation (He, Xavier), normalization, or skip connections"
        yield RunFinding("vanishing", text, advice, first.name)
    elif small > GROWS * large:
        text = f"Gradients grow {fold(small / large)} from {last.name} to {first.name}: they explode"
        advice = "clip_norm=1.0 in the optimizer, weights that start smaller, or normalization"
        yield RunFinding("exploding", text, advice, first.name)


def huge_gradients(run: Material) -> Iterator[RunFinding]:
    """Gradients far larger than a mean loss gives."""
    found = [(parameter, parameter.middle("gradient_norm")) for parameter in run.parameters]
    found = [(parameter, size) for parameter, size in found if size > HUGE_GRADIENT]
    if found:
        parameter, size = max(found, key=_second)
        text = f"The gradient of {parameter.name} is large: its norm is {short(size, 3)}"
        advice = (
            "clip_norm=1.0 in the optimizer, a smaller learning rate, or inputs and targets scaled to about 1"
        )
        yield RunFinding("exploding", text, advice, parameter.name)


def updates(run: Material) -> Iterator[RunFinding]:
    """Steps that are large, or tiny, beside the weights that they change."""
    weights = [weight for weight in run.parameters if not _is_bias(weight)]
    weights = [weight for weight in weights if math.isfinite(weight.middle("update_ratio"))]
    large = max(((each, each.middle("update_ratio")) for each in weights), key=_second, default=None)
    # A schedule ends near 0: updates are small where the largest of them is.
    small = min(((each, each.largest("update_ratio")) for each in weights), key=_second, default=None)
    if large is not None and large[1] > LARGEST_UPDATE:
        text = (
            f"Updates of {large[0].name} are {short(large[1], 2)} of its size a step, where about 0.001 is usual: "
            f"the learning rate looks too high"
        )
        yield RunFinding("large updates", text, "a learning rate ten times smaller", large[0].name)
    if small is not None and 0 < small[1] < SMALLEST_UPDATE:  # at 0 no gradient arrives, which is told above
        text = (
            f"Updates of {small[0].name} are {short(small[1], 2)} of its size a step, where about 0.001 is usual: "
            f"it hardly changes"
        )
        advice = "a larger learning rate, weights that start smaller, or an optimizer that adapts (Adam)"
        yield RunFinding("small updates", text, advice, small[0].name)


RULES = (dead_units, saturated, changing_gradients, huge_gradients, updates)


def _second(pair: tuple[LayerHealth, float]) -> float:
    return pair[1]


def _is_bias(parameter: LayerHealth) -> bool:
    """Whether it began at 0, beside which every step is large."""
    norms = parameter.measures.get("norm")
    at_zero = norms is not None and len(norms) > 0 and bool(np.isfinite(norms[0])) and norms[0] == 0
    return at_zero or parameter.name.startswith("b")


def _trained_layers(run: Material) -> tuple[list[LayerHealth], str]:
    """The layers with parameters, and the measure of their gradients: by value where it is there, which widths of
    layers do not change, or else that of the weights themselves.
    """
    owners = {parameter.kind for parameter in run.parameters}
    layers = [layer for layer in run.layers if layer.name in owners and "gradient_std" in layer.measures]
    if layers:
        return layers, "gradient_std"
    return [weight for weight in run.parameters if not _is_bias(weight)], "gradient_norm"
