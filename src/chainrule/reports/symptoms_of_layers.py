"""What the layers of a run tell: dead units, saturation, gradients that vanish or explode, the size of updates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.evaluation import Answers, Classified, Estimated
from chainrule.initializers import He
from chainrule.reports.remedies import advice
from chainrule.reports.run import LayerHealth, TrainingRun
from chainrule.reports.setup import Setup, is_bias
from chainrule.reports.symptom import Symptom
from chainrule.text import fold, percent, short

DEAD = 0.4
"""A tenth or two of the units of a ReLU layer may rest without harm; by four tenths a layer is too narrow."""
HARMFUL = 0.9
"""Of a network that has learned, up to so many units are not needed, and do no harm: it is told where they do."""
LEARNED_R2, LEARNED_ACCURACY = 0.5, 0.97
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
LARGEST_FIRST_UPDATE = 0.5
"""A first step of half the weights' size replaces what the initialisation chose."""
START = "exploding at the start"


def dead_units(run: TrainingRun) -> Iterator[Symptom]:
    """Units of a ReLU that are zero on all rows that were looked at."""
    for layer in run.layers:
        share = layer.last("dead")
        if share >= DEAD:
            text = f"Layer {layer.name}: {percent(share, 0)} of its units are never active (dead)"
            rate = ("smaller rate",) if layer.first("dead") < share / 2 else ()
            remedies = advice(run, "he", *rate, "leaky", "scaled inputs")
            effect = f"{percent(share, 0)} of {layer.name}'s units are dead"
            is_harmless = share < HARMFUL and has_learned(run.answers)
            cause = "resting" if is_harmless else ""
            yield Symptom("dead", text, remedies, layer.name, effect=effect, cause=cause)


def saturated(run: TrainingRun) -> Iterator[Symptom]:
    """Sigmoids and tanhs at their flat ends."""
    for layer in run.layers:
        share = layer.last("saturated")
        if share >= SATURATED:
            text = (
                f"Layer {layer.name}: {percent(share, 0)} of its values are saturated, where the slope of "
                f"{layer.kind or 'its activation'} is nearly 0"
            )
            remedies = advice(run, "xavier", "scaled inputs", "smaller rate", "relu")
            effect = f"{percent(share, 0)} of {layer.name}'s values are saturated"
            yield Symptom("saturated", text, remedies, layer.name, effect=effect)


def changing_gradients(run: TrainingRun) -> Iterator[Symptom]:
    """Gradients that shrink, or grow, from the last layer to the first."""
    layers, measure = _trained_layers(run)
    sizes = [(layer, layer.middle(measure)) for layer in layers]
    sizes = [(layer, size) for layer, size in sizes if math.isfinite(size) and size > 0]
    zero = [layer for layer in layers if layer.middle(measure) == 0]
    if zero and sizes:
        text = f"No gradient reaches {zero[0].name}: it is 0, and the layer does not train"
        remedies = advice(run, "less decay", "relu", "leaky", "he", "smaller rate")
        effect = f"no gradient reaches {zero[0].name}"
        yield Symptom("vanishing", text, remedies, zero[0].name, "error", effect)
    if len(sizes) < 2:
        return
    (first, small), (last, large) = sizes[0], sizes[-1]
    if large > SHRINKS * small:
        text = f"Gradients shrink {fold(large / small)} from {last.name} to {first.name}: they vanish"
        remedies = advice(
            run, "less decay", "relu", "he", "normalization", "skip connections", "fewer layers"
        )
        yield Symptom("vanishing", text, remedies, first.name, effect="gradients vanish")
    elif small > GROWS * large:
        text = f"Gradients grow {fold(small / large)} from {last.name} to {first.name}: they explode"
        remedies = advice(run, "he", "clip", "normalization", "fewer layers")
        cause = START if first.first(measure) > GROWS * last.first(measure) else ""
        yield Symptom("exploding", text, remedies, first.name, effect="gradients explode", cause=cause)


def huge_gradients(run: TrainingRun) -> Iterator[Symptom]:
    """Gradients far larger than a mean loss gives."""
    found = [
        (parameter, size)
        for parameter in run.parameters
        for size in (parameter.middle("gradient_norm"), parameter.first("gradient_norm"))
        if size > HUGE_GRADIENT
    ]
    if found:
        parameter, size = max(found, key=_second)
        text = f"The gradient of {parameter.name} is large: its norm is {short(size, 3)}"
        remedies = advice(run, "he", "clip", "smaller rate", "scaled inputs", "scaled targets")
        cause = START if parameter.first("gradient_norm") > HUGE_GRADIENT else ""
        effect = f"the gradient of {parameter.name} is large"
        yield Symptom("exploding", text, remedies, parameter.name, effect=effect, cause=cause)


def updates(run: TrainingRun) -> Iterator[Symptom]:
    """Steps that are large, or tiny, beside the weights that they change."""
    weights = [weight for weight in run.parameters if not is_bias(weight)]
    weights = [weight for weight in weights if math.isfinite(weight.middle("update_ratio"))]
    large = max(((each, _middle_update(run, each)) for each in weights), key=_second, default=None)
    # A schedule ends near 0: updates are small where the largest of them is.
    small = min(((each, each.largest("update_ratio")) for each in weights), key=_second, default=None)
    first = max(((each, _first_update(run, each)) for each in weights), key=_second, default=None)
    setup = Setup.of(run)
    is_of_decay = setup.is_strongly_decayed and not setup.rate_is_high  # weights near 0 take large steps
    usual = "where about 0.001 is usual"
    high = f"the {'weight decay' if is_of_decay else 'learning rate'} looks too high"
    if large is not None and large[1] > LARGEST_UPDATE and len(run.iterations) > 1:  # one is before training
        text = f"Updates of {large[0].name} are {_of_its_size(large[1])} a step, {usual}: {high}"
        effect = f"updates of {large[0].name} are {_of_its_size(large[1])}"
        yield Symptom(
            "large updates", text, advice(run, "less decay", "smaller rate"), large[0].name, effect=effect
        )
    elif first is not None and first[1] > LARGEST_FIRST_UPDATE:
        size = _beside_weights(first[0].first("update_ratio"))
        text = f"The first update of {first[0].name} was {size}, {usual}: {high}"
        remedies = advice(run, "smaller rate")
        yield Symptom("large updates", text, remedies, first[0].name, cause="first update")
    if small is not None and 0 < small[1] < SMALLEST_UPDATE:  # at 0 no gradient arrives, which is told above
        text = f"Updates of {small[0].name} are {_of_its_size(small[1])} a step, {usual}: it hardly changes"
        remedies = advice(run, "larger rate", "adaptive")
        effect = f"{small[0].name} hardly changes"
        yield Symptom("small updates", text, remedies, small[0].name, effect=effect)


RULES = (dead_units, saturated, changing_gradients, huge_gradients, updates)


def has_learned(answers: Answers | None) -> bool:
    """Whether the answers are such as no network gives that most of is missing."""
    if isinstance(answers, Estimated):
        return bool(answers.samples) and answers.means["r2"] >= LEARNED_R2
    return isinstance(answers, Classified) and answers.samples > 0 and answers.accuracy >= LEARNED_ACCURACY


def _first_update(run: TrainingRun, weight: LayerHealth) -> float:
    """The first update beside the weights, or beside He's of that shape where they start smaller: from 0, or nearly
    0, any rate changes them by a multiple of their size.
    """
    norm = weight.first("norm")
    return weight.first("update_ratio") * min(1.0, norm / _usual_norm(run, weight, norm))


def _middle_update(run: TrainingRun, weight: LayerHealth) -> float:
    """The median of the updates after the first, likewise."""
    ratios, norms = weight.measures["update_ratio"][1:], weight.measures.get("norm", np.zeros(0))[1:]
    if len(norms) != len(ratios) or not len(ratios):
        return weight.middle("update_ratio")
    usual = _usual_norm(run, weight, 0.0)
    if weight.first("norm") < min(usual, float(np.nanmedian(norms))):  # they grew from nearly 0
        with np.errstate(all="ignore"):
            ratios = ratios * np.minimum(1.0, norms / usual)
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if len(ratios) else math.nan


def _usual_norm(run: TrainingRun, weight: LayerHealth, otherwise: float) -> float:
    """The norm of weights of this shape by He's rule; where the shape is not known, `otherwise`."""
    if run.network is None or weight.name not in run.network.params:
        return otherwise or 1e-30
    shape = run.network.params[weight.name].shape
    return He().standard_deviation(shape) * math.sqrt(math.prod(shape))


def _second(pair: tuple[LayerHealth, float]) -> float:
    return pair[1]


def _beside_weights(share: float) -> str:
    if share >= 1.5:
        return f"{short(share, 2)} times as large as the weights"
    return f"{'' if share >= 0.75 else 'half '}as large as the weights"


def _of_its_size(share: float) -> str:
    return f"{short(share, 2)} {'of' if share < 1.5 else 'times'} its size"


def _trained_layers(run: TrainingRun) -> tuple[list[LayerHealth], str]:
    """The layers with parameters, and the measure of their gradients: by value where it is there, which widths of
    layers do not change, or else that of the weights themselves.
    """
    owners = {parameter.kind for parameter in run.parameters}
    layers = [layer for layer in run.layers if layer.name in owners and "gradient_std" in layer.measures]
    if layers:
        return layers, "gradient_std"
    return [weight for weight in run.parameters if not is_bias(weight)], "gradient_norm"
