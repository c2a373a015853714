"""What people call things in backward passes that they write by hand: one place for all such names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple

Path = tuple[Hashable, ...]
"""The way to something an object keeps: ("W",) is object.W, ("params", "W1") is object.params["W1"]."""

_GRADIENT = "grads?|gradients?|derivatives?|derivs?|deltas?|nablas?"
#: A gradient by itself: `grads`, `gradients`, `dparams`, the `grad` beside a `value`.
_BARE = re.compile(
    rf"(?:{_GRADIENT}|diff|d|g)|(?:d|grad_?)(?:params?|parameters?|theta)|params?_?(?:grads?|gradients?)"
)
#: A gradient's mark before or behind the name of its parameter: dW, W_grad, weights_gradient, nabla_w, dL_dW.
_BEFORE = re.compile(
    r"(d|g|grad|gradient|derivative|deriv|delta|nabla|d([a-z]|loss|cost|err|error)_?d)(s?)_?(of_|wrt_)?"
)
_AFTER = re.compile(r"_?(_d|grad|gradient|derivative|deriv|delta|nabla)s?")
#: Containers of parameters, and what the value of a parameter is called beside its `grad`.
_CONTAINER = re.compile(r"(?:trainable_?)?(?:params?|parameters?|theta|variables?|p)")
_VALUE = re.compile(r"values?|data|val|array|tensor|weights?|w|params?|theta|x|p")

#: Attributes that are parameters whenever forward reads them: without a gradient, one was forgotten.
USUAL = re.compile(r"(W|w|b|weights?|bias|biases|gamma|beta)_?\d*")
#: Plain numbers of these names are parameters; other plain numbers, an eps or a rate, are none.
USUAL_NUMBERS = re.compile(r"(W|w|b|weights?|bias|biases)_?\d*")
#: Statistics that forward gathers while training and reads in evaluation: no parameters.
STATISTICS = re.compile(
    r"_?(running|moving|run|mov|ema|avg|average|global|population|pop)_?(mean|avg|mu|var|variance|std|sigma2?|stats?)"
    r"|_?(mean|mu|var|variance|std)_?(running|moving|ema|avg|average)",
    re.IGNORECASE,
)
RATES = re.compile(r"_?(lr|learn(?:ing)?_?rate|l_?rate|rate|eta|alpha|step_?size)", re.IGNORECASE)
CLEARS = re.compile(
    r"(zero|clear|reset|null)_?(all_?|out_?|param(eter)?s?_?)?(grads?|gradients?|derivatives?|dparams)(_to_zero(e?s)?)?_?",
    re.IGNORECASE,
)
#: Where a forward that returns nothing keeps its output, the likeliest first; the same for a backward and dx.
OUTPUTS = ("output", "outputs", "out", "y", "a", "activation", "activations", "result", "loss", "value", "z")
INPUT_GRADIENTS = ("dinputs", "dinput", "dx", "input_gradient", "grad_input", "gradient", "grad", "dout")


class Methods(NamedTuple):
    """The names of the two methods that are held against each other."""

    forward: str
    backward: str


#: What they are called, the usual first.
FORWARD_AND_BACKWARD = (
    Methods("forward", "backward"),
    Methods("__call__", "backward"),
    Methods("fprop", "bprop"),
    Methods("forward_pass", "backward_pass"),
    Methods("forward_prop", "backward_prop"),
)


class Key(NamedTuple):
    """A path in which all ways to write one name are alike, and the path as it is written."""

    alike: tuple[Hashable, ...]
    written: Path


def is_gradient(name: Hashable) -> bool:
    """Whether a name says that this is a gradient, of what it does not say: `grads`, `gradient`."""
    return isinstance(name, str) and _BARE.fullmatch(_plain(name)) is not None


def is_container(name: Hashable) -> bool:
    """Whether a name is that of a container of parameters: `params`."""
    return isinstance(name, str) and _CONTAINER.fullmatch(_plain(name)) is not None


def is_value(name: Hashable) -> bool:
    """Whether a name is that of a parameter's value beside its gradient: `value`, `data`."""
    return isinstance(name, str) and _VALUE.fullmatch(_plain(name)) is not None


def parameter_keys(path: Path) -> set[Key]:
    """The names that a parameter may go by: with the container around it, and without."""
    return {_key(each) for each in (path, *_without(path, is_container))}


def gradient_keys(path: Path) -> set[Key]:
    """The names of the parameters of which this may be the gradient."""
    found = set()
    whole = [(path, False), *((each, True) for each in _without(path, is_gradient))]
    for steps, marked in whole:
        choices = [[(step, False), *((stem, True) for stem in _stems(step))] for step in steps]
        for chosen in itertools.islice(itertools.product(*choices), 256):
            if chosen and (marked or any(mark for _, mark in chosen)):
                found.add(_key(tuple(step for step, _ in chosen)))
    return found


def is_gradient_of(gradient: str, name: str) -> bool:
    """Whether one name is that of the gradient of the other: dW, W_grad and grad_W of W."""
    return any(key.alike == _key((name,)).alike for key in gradient_keys((gradient,)))


def _plain(name: str) -> str:
    return _unmangled(name).strip("_").lower()


def _unmangled(name: str) -> str:
    """A name that begins with two underscores, as it is written in its class, not as Python keeps it."""
    return re.sub(r"^_[A-Za-z]\w*?__(?=\w)", "", name)


def _stems(step: Hashable) -> Iterator[Hashable]:
    """What is left of a name, or of a key of several, without a gradient's mark, in each way to take one away."""
    if isinstance(step, tuple):
        for k, part in enumerate(step):
            yield from ((*step[:k], stem, *step[k + 1 :]) for stem in _stems(part))
    name = _unmangled(step).strip("_") if isinstance(step, str) else ""
    for k in range(1, len(name)):
        if _BEFORE.fullmatch(name[:k].lower()):
            yield name[k:].strip("_")
        if _AFTER.fullmatch(name[k:].lower()):
            yield name[:k].strip("_")


def _without(path: Path, droppable: Callable[[Hashable], bool]) -> Iterator[Path]:
    for k, step in enumerate(path):
        if len(path) > 1 and droppable(step):
            yield (*path[:k], *path[k + 1 :])


def _key(path: Path) -> Key:
    return Key(tuple(map(_alike, path)), path)


def _alike(name: Hashable) -> Hashable:
    """One spelling for weights, weight, W and w; for biases, bias and b; for the plural and the singular."""
    if not isinstance(name, str):
        return tuple(map(_alike, name)) if isinstance(name, tuple) else name
    text = re.sub(r"weights?", "w", _plain(name))
    text = re.sub(r"bias(es)?", "b", text).replace("_", "")
    return text[:-1] if len(text) > 2 and text.endswith("s") and not text.endswith("ss") else text
