"""What to run next: the command of a run, or its lines in Python, with one thing changed."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from chainrule.reports.python_lines import fit_line, network_line
from chainrule.reports.run import TrainingRun
from chainrule.reports.setup import FAR, Setup
from chainrule.text import short

USUAL_UNITS, MOST_UNITS = 50, 4096
LEFT_OUT: dict[str, str | None] = {"--checkpoint-every": None}
"""Options that make no difference to what a run comes to."""
FEWER, MORE = 0.3, 3.0
"""A learning rate that is not far from the usual one is tried about a third as large, or three times."""


@dataclass(frozen=True)
class Change:
    """What differs from the run that was. Options of its command, None for one to leave out; in Python keywords of
    its optimizer and of `fit`, its layers and its loss, as code.
    """

    options: Mapping[str, str | None] = field(default_factory=dict)
    optimizer: Mapping[str, str] = field(default_factory=dict)
    #: The optimizer in place of the run's, as code.
    other: str = ""
    fit: Mapping[str, str] = field(default_factory=dict)
    layers: Callable[[list[str]], list[str]] | None = None
    loss: str = ""


Maker = Callable[[Setup], Change | None]


def line_of(run: TrainingRun, setup: Setup, *names: str) -> str:
    """The line that tries the remedies of these names together; "" where none can be written."""
    found = [made for name in names if name in CHANGES and (made := CHANGES[name](setup)) is not None]
    if len(found) < len(names) or setup.is_of_estimator:  # which is not made by these lines
        return ""
    if setup.is_of_shell:
        options = dict(LEFT_OUT)
        for made in found:
            options |= made.options
        return changed_command(run.about.command, options) if all(made.options for made in found) else ""
    changes = [made.layers for made in found if made.layers is not None]
    loss = next((made.loss for made in found if made.loss), "")
    is_of_network = bool(changes) or bool(loss)
    made_anew = network_line(run, lambda codes: reduce(lambda done, each: each(done), changes, codes), loss)
    if is_of_network and made_anew in ("", network_line(run)):
        return ""
    optimizer = {name: value for made in found for name, value in made.optimizer.items()}
    fit = {name: value for made in found for name, value in made.fit.items()}
    other = next((made.other for made in found if made.other), "")
    trained = fit_line(run, setup, optimizer, other, fit)
    if not trained and not is_of_network:
        return ""
    return "\n".join(filter(None, (made_anew, trained)))


def changed_command(command: str, options: Mapping[str, str | None]) -> str:
    """A command of the shell with other values of these options; those of None are left out."""
    kept: list[str] = []
    words = shlex.split(command)
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.partition("=")[0] in options:
            skip = "=" not in word
        else:
            kept.append(word)
    at = kept.index("--") if "--" in kept else len(kept)
    given = [each for name, value in options.items() if value is not None for each in (name, value)]
    return shlex.join([*kept[:at], *given, *kept[at:]])


def _rate(rate: float) -> Change:
    return Change({"--learning-rate": _number(rate)}, {"learning_rate": _number(rate)})


def _smaller_rate(setup: Setup) -> Change | None:
    if not setup.rate > 0:
        return None
    is_usual_far = setup.rate > FAR * setup.usual_rate
    return _rate(setup.usual_rate if is_usual_far else FEWER * setup.rate)


def _larger_rate(setup: Setup) -> Change | None:
    if not setup.rate > 0:
        return None
    is_usual_far = setup.rate < setup.usual_rate / FAR
    return _rate(setup.usual_rate if is_usual_far else MORE * setup.rate)


def _schedule(setup: Setup) -> Change:
    rate = _number(setup.rate if setup.rate > 0 else 0.01)
    return Change({"--schedule": "cosine"}, {"learning_rate": f"cr.schedules.Cosine({rate})"})


def _longer(setup: Setup) -> Change | None:
    """Twice as long, as the run counted it."""
    if setup.is_by_epochs:
        count = str(2 * setup.epochs)
        return Change({"--epochs": count}, fit={"epochs": count}) if setup.epochs else None
    count = str(2 * setup.iterations)
    return Change({"--iterations": count}, fit={"iterations": count}) if setup.iterations else None


def _patience(setup: Setup) -> Change:
    count = str(2 * max(setup.patience, 5))
    return Change({"--early-stopping": count}, fit={"callbacks": f"[cr.EarlyStopping(patience={count})]"})


def _units(change: Callable[[tuple[int, ...]], Sequence[int]]) -> Maker:
    """Other numbers of hidden units, where they are known."""

    def make(setup: Setup) -> Change | None:
        if setup.hidden is None:
            return None
        units = [max(min(int(each), MOST_UNITS), 1) for each in change(setup.hidden)]
        if tuple(units) == setup.hidden:
            return None
        shown = ",".join(map(str, units)) or "0"
        return Change({"--hidden": shown}, layers=lambda codes: _resized(codes, units))

    return make


def _resized(codes: list[str], units: Sequence[int]) -> list[str]:
    """The layers with other numbers of hidden units, and as many hidden layers; none where there are fewer."""
    places = [k for k, code in enumerate(codes) if code.startswith("cr.Affine(")]
    if len(places) - 1 < len(units):
        return []
    made = codes[: places[0]]
    for start, end, count in zip(places, places[1:], units, strict=False):
        _, comma, rest = codes[start].removeprefix("cr.Affine(").removesuffix(")").partition(", ")
        made += [f"cr.Affine({count}{comma}{rest})", *codes[start + 1 : end]]
    return made + codes[places[-1] :]


def _larger(hidden: tuple[int, ...]) -> Sequence[int]:
    return [2 * each for each in hidden] or [USUAL_UNITS]


def _fewer_layers(hidden: tuple[int, ...]) -> Sequence[int]:
    return hidden[: max(len(hidden) // 2, 1)]


def _initializer(name: str) -> Change:
    python = {"he": "He", "xavier": "Xavier"}[name]

    def replaced(codes: list[str]) -> list[str]:
        units = [code.removeprefix("cr.Affine(").partition(",")[0].rstrip(")") for code in codes]
        return [
            f"cr.Affine({count}, weights=cr.initializers.{python}())"
            if code.startswith("cr.Affine(")
            else code
            for code, count in zip(codes, units, strict=True)
        ]

    return Change({"--init": name, "--weight-std": None}, layers=replaced)


def _activation(name: str, python: str) -> Change:
    others = ("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus")
    begins = tuple(f"cr.{each}(" for each in others)
    return Change(
        {"--activation": name},
        layers=lambda codes: [f"cr.{python}()" if code.startswith(begins) else code for code in codes],
    )


def _after_hidden(code: str) -> Callable[[list[str]], list[str]]:
    """This layer after each hidden Affine, or what stands for its activation."""

    def added(codes: list[str]) -> list[str]:
        places = [k for k, each in enumerate(codes) if each.startswith("cr.Affine(")][:-1]
        if "BatchNorm" not in code:
            places = [min(k + 1, len(codes) - 1) for k in places]
        return [each for k, own in enumerate(codes) for each in ([own, code] if k in places else [own])]

    return added


def _number(value: float) -> str:
    """A number as a command line and Python take it, without digits that nobody chose."""
    return repr(float(f"{value:.2g}"))


def _data_first(codes: list[str]) -> list[str]:
    return ["cr.Standardize.of(x)", *codes]


def _targets_last(codes: list[str]) -> list[str]:
    return [*codes, "cr.Standardize.of(t, invert=True)"]


#: What each remedy changes; those that no line can try are not here.
CHANGES: dict[str, Maker] = {
    "smaller rate": _smaller_rate,
    "larger rate": _larger_rate,
    "schedule": _schedule,
    "clip": lambda run: Change({"--clip-norm": "1.0"}, {"clip_norm": "1.0"}),
    "adaptive": lambda run: Change({"--optimizer": "adam", "--learning-rate": None}, other="cr.Adam()"),
    "less decay": lambda run: Change({"--weight-decay": "0.0001"}, {"weight_decay": "0.0001"}),
    "epochs": _longer,
    "iterations": _longer,
    "patience": _patience,
    "scaled inputs": lambda run: Change(layers=_data_first),
    "scaled targets": lambda run: Change(layers=_targets_last),
    "he": lambda run: _initializer("he"),
    "xavier": lambda run: _initializer("xavier"),
    "relu": lambda run: _activation("relu", "ReLU"),
    "leaky": lambda run: _activation("leakyrelu", "LeakyReLU"),
    "normalization": lambda run: Change(layers=_after_hidden("cr.BatchNorm()")),
    "fewer layers": _units(_fewer_layers),
    "larger network": _units(_larger),
    "wider": _units(lambda hidden: [max(each, USUAL_UNITS) for each in hidden]),
    "smaller network": _units(lambda hidden: [math.ceil(each / 2) for each in hidden]),
    "linear": lambda run: Change({"--hidden": "0"}),
    "estimating": lambda run: Change({"--task": "regression"}),
    "larger test": lambda run: Change({"--test-share": "0.4"}),
    "weight decay": lambda run: Change({"--weight-decay": "0.0001"}, {"weight_decay": "0.0001"}),
    "dropout": lambda run: Change({"--dropout": "0.2"}, layers=_after_hidden("cr.Dropout(0.2)")),
    "early stopping": lambda run: Change(
        {"--early-stopping": "5"}, fit={"callbacks": "[cr.Health(), cr.EarlyStopping()]"}
    ),
    "class weights": lambda run: Change({"--class-weights": "balanced"}, loss=_weighted(run)),
}


def _weighted(setup: Setup) -> str:
    """The loss with a weight for each class, one over how often it is; "" where that is not known."""
    if not setup.class_counts or not all(setup.class_counts):
        return ""
    whole, many = sum(setup.class_counts), len(setup.class_counts)
    weights = ", ".join(short(whole / (many * count), 3) for count in setup.class_counts)
    return f"cr.SoftmaxCrossEntropy(class_weights=[{weights}])"
