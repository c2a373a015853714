"""How a run was set up, as far as it is known: what an advice must not recommend again."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from chainrule.arrays import as_floats
from chainrule.evaluation import Classified
from chainrule.initializers import Initializer
from chainrule.network.scales import has_unscaled_targets
from chainrule.reports.run import LayerHealth, TrainingRun

#: The learning rate that each optimizer usually starts from.
USUAL_RATES: dict[str, float] = {
    "sgd": 0.1,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.01,
    "rmsprop": 0.001,
    "adam": 0.001,
    "adamhat": 0.001,
    "adamw": 0.001,
}
ADAPTIVE = frozenset({"adagrad", "rmsprop", "adam", "adamhat", "adamw"})
FAR = 10.0
"""A learning rate so many times above the usual one is high, and one so many times below it is low."""
STRONG_DECAY, STRONG_DECAY_OF_ADAMW = 0.1, 1.0
"""Weight decay from here on may keep a network from learning; AdamW multiplies it by the learning rate."""
DECAY_OF_ADAMW = 0.01
"""Unless given."""
STOPPED_EARLY = ("early", "Training loss did not improve", "Validation score did not improve")
"""How it begins why a training ended early: by a callback, or by the rules of an estimator."""
MANY_NUMBERS = 5
"""More classes than this, all of them whole numbers, may be numbers to estimate."""


@dataclass(frozen=True)
class Setup:
    """What a run used. What is not known counts as not used."""

    is_of_shell: bool
    is_of_estimator: bool
    is_by_epochs: bool
    optimizer: str
    #: The largest learning rate, the middle one, and the last; NaN where they are not known.
    rate: float
    middle_rate: float
    last_rate: float
    #: Whether the learning rate is largest at the start, and smaller at the end.
    rate_falls: bool
    is_clipped: bool
    #: The weight decay; 0 for none.
    decay: float
    is_scheduled: bool
    stops_early: bool
    #: Whether early stopping ended the training.
    was_stopped_early: bool
    weighs_classes: bool
    is_regression: bool
    #: Whether the network brings its predictions to the scale of the targets by itself.
    scales_targets: bool
    #: Whether the targets of a table were taken for classes, and may be numbers to estimate.
    may_be_numbers: bool
    #: The names of the classes of layers in the network.
    kinds: frozenset[str]
    #: The name of the class of the first layer's initializer.
    initializer: str
    #: The units of the hidden layers; None where the network is not known.
    hidden: tuple[int, ...] | None
    #: The root mean square of the inputs of the first layer with weights; NaN where it is not known.
    input_size: float
    #: Whether the data were a table, and how many rows were trained on; infinitely many where it is not known.
    is_of_table: bool
    rows: float
    #: How long it trained, and how many epochs without improvement early stopping waited for; 0 where not known.
    epochs: int
    iterations: int
    patience: int
    #: The samples of each class among those that were judged.
    class_counts: tuple[int, ...]

    @classmethod
    def of(cls, run: TrainingRun) -> Setup:
        """What the settings, the network and the health of a run tell."""
        settings = run.history.settings
        optimizer = str(settings.get("optimizer", ""))
        name = re.match(r"\w*", optimizer)
        rates = run.rates
        rates = rates[np.isfinite(rates)]
        return cls(
            is_of_shell=bool(run.about.command),
            is_of_estimator="estimator" in settings,
            is_by_epochs=run.counts_epochs,
            optimizer="" if name is None else name[0].lower(),
            rate=float(rates.max()) if len(rates) else math.nan,
            middle_rate=float(np.median(rates)) if len(rates) else math.nan,
            last_rate=float(rates[-1]) if len(rates) else math.nan,
            rate_falls=bool(len(rates)) and bool(rates[-1] < rates[0] == rates.max()),
            is_clipped=re.search(r"clip_(norm|value)=(?!None)", optimizer) is not None,
            decay=_decay(optimizer),
            is_scheduled=re.search(r"learning_rate=(?!Constant)[A-Z]", optimizer) is not None,
            stops_early="early_stopping" in settings or run.history.stopped.startswith("early"),
            was_stopped_early=run.history.stopped.startswith(STOPPED_EARLY),
            weighs_classes="class_weights=" in str(settings.get("loss", "")) or "class_weight" in settings,
            is_regression="CrossEntropy" not in str(settings.get("loss", "")),
            scales_targets=run.network is not None
            and not has_unscaled_targets(run.network.output, run.network.loss_layer),
            may_be_numbers=_may_be_numbers(run),
            kinds=_kinds(run),
            initializer=_initializer(run),
            hidden=_hidden(run),
            input_size=_input_size(run),
            is_of_table=run.about.columns is not None,
            rows=math.inf if run.about.samples is None else run.about.samples,
            epochs=run.epochs,
            iterations=len(run.loss),
            patience=_patience(str(settings.get("early_stopping", ""))),
            class_counts=tuple(run.answers.counts.tolist()) if isinstance(run.answers, Classified) else (),
        )

    @property
    def usual_rate(self) -> float:
        """The usual learning rate of the optimizer; NaN for one that is not known."""
        return USUAL_RATES.get(self.optimizer, math.nan)

    @property
    def rate_is_high(self) -> bool:
        """Whether the learning rate is far above the usual one."""
        return self.middle_rate > FAR * self.usual_rate

    @property
    def rate_is_low(self) -> bool:
        """Whether the learning rate is far below the usual one."""
        return self.middle_rate < self.usual_rate / FAR

    @property
    def is_strongly_decayed(self) -> bool:
        """Whether the weight decay may be why the network did not learn."""
        return self.decay >= (STRONG_DECAY_OF_ADAMW if self.optimizer == "adamw" else STRONG_DECAY)


def first_weights(run: TrainingRun) -> LayerHealth | None:
    """The first weights that were examined."""
    return next((each for each in run.parameters if not is_bias(each)), None)


def is_bias(parameter: LayerHealth) -> bool:
    """Whether it began at 0, beside which every step is large."""
    norms = parameter.measures.get("norm")
    at_zero = norms is not None and len(norms) > 0 and bool(np.isfinite(norms[0])) and norms[0] == 0
    return at_zero or parameter.name.startswith("b")


def _patience(text: str) -> int:
    found = re.search(r"\d+", text)
    return 0 if found is None else int(found[0])


def _decay(optimizer: str) -> float:
    found = re.search(r"weight_decay=([-+.\de]+)", optimizer)
    if found is not None:
        return float(as_floats([found[1]])[0])
    return DECAY_OF_ADAMW if optimizer.startswith("AdamW") else 0.0


def _may_be_numbers(run: TrainingRun) -> bool:
    if not isinstance(run.answers, Classified) or run.about.columns is None or "task" in run.history.settings:
        return False
    names = run.answers.classes
    return len(names) > MANY_NUMBERS and all(re.fullmatch(r"[-+]?\d+", name) for name in names)


def _kinds(run: TrainingRun) -> frozenset[str]:
    found = {layer.kind for layer in run.layers}
    for node in run.network.graph if run.network is not None else ():
        if node.layer is not None:
            found.add(type(node.layer).__name__)
    return frozenset(found)


def _initializer(run: TrainingRun) -> str:
    for node in run.network.graph if run.network is not None else ():
        if isinstance(weights := getattr(node.layer, "weights", None), Initializer):
            return type(weights).__name__
    return ""


def _hidden(run: TrainingRun) -> tuple[int, ...] | None:
    if run.network is None:
        return None
    layers = [node.layer for node in run.network.graph]
    return tuple(layer.units for layer in layers if layer is not None and layer.units)[:-1]


def _input_size(run: TrainingRun) -> float:
    """From the first layer's output and weights before training: its deviation is sqrt(D) times the weights' times
    the size of the inputs.
    """
    weights = first_weights(run)
    if weights is None or run.network is None or weights.name not in run.network.params:
        return math.nan
    layer = next((each for each in run.layers if each.name == weights.kind), None)
    if any(
        each.kind == weights.kind and each.first("norm") > 0 for each in run.parameters if each is not weights
    ):
        return math.nan  # its biases are in its output, too
    norm, spread = weights.first("norm"), math.nan if layer is None else layer.first("std")
    units = run.network.params[weights.name].shape[-1]
    return spread * math.sqrt(units) / norm if norm > 0 else math.nan
