"""What a checkpoint keeps of a training beside its network: all that it goes on from, as arrays and a JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from chainrule import loop, optimizers, schedules
from chainrule.arguments import number
from chainrule.arrays import Array
from chainrule.configured import Configured
from chainrule.errors import ArgumentError, FileError
from chainrule.loop import Callback, Run
from chainrule.loop.history_lines import marks_of
from chainrule.network.progress import counted_in_file
from chainrule.network.training import Training
from chainrule.optimizers import Optimizer
from chainrule.saving.architecture import decode, encode
from chainrule.saving.intervals import interval_of
from chainrule.schedules import Schedule

FORMAT = "chainrule checkpoint 1"
CALLBACKS = "callbacks/"
"""What begins the names of the arrays that callbacks keep; a number follows."""
Rebuilt: TypeAlias = loop.Health | loop.EarlyStopping
REBUILT = (loop.Health, loop.EarlyStopping)
"""The callbacks that are made again; others are handed in."""

Kinds = Mapping[str, type[Configured]]


@dataclass(frozen=True)
class KeptTraining:
    """A training as a checkpoint keeps it, beside the arrays of its state."""

    #: How often there is a checkpoint, as `Checkpoint` takes it.
    every: str
    planned: int
    iteration: int
    epoch: int
    measure_every: int
    #: How many iterations, measurements and examinations the history had.
    marks: list[int]
    #: Of the history, as `encode` gives them.
    settings: Any
    #: As `encode` gives it.
    optimizer: Any
    batches: dict[str, Any]
    #: Of all the data that were handed in.
    rows: int
    held_out: float | None
    #: The class of each, its arguments where it can be made again, and its state.
    callbacks: list[dict[str, Any]]
    #: Of the data, by the name of the array.
    fingerprints: dict[str, str]
    #: Versions, and what runs the programs.
    facts: dict[str, str]
    #: The text of `Training.state`.
    state: str

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> KeptTraining:
        """What `to_json` wrote. Raises FileError for anything else."""
        try:
            content = json.loads(text)
            if content.pop("format") != FORMAT:
                raise FileError(
                    f"its training is not of the format {FORMAT!r}; it may need a newer chainrule"
                )
            made = cls(**content)
            for name in ("planned", "iteration", "epoch", "measure_every", "rows"):
                counted_in_file(name, getattr(made, name))
            if len(made.marks) != 3 or [counted_in_file("marks", mark) for mark in made.marks] != made.marks:
                raise TypeError("marks are not three counts")
            if not made.marks[0] == made.iteration < made.planned or made.measure_every < 1:
                raise ValueError(
                    f"its counts contradict each other: {made.marks}, {made.iteration}, {made.planned}"
                )
            if made.held_out is not None:
                number("held_out", made.held_out, "(0, 1)")
            if not isinstance(made.every, str) or not isinstance(made.callbacks, list):
                raise TypeError("every is no text, or callbacks no list")
            interval_of(made.every)
            for name in ("batches", "fingerprints", "facts"):
                if not isinstance(getattr(made, name), dict):
                    raise TypeError(f"{name} is no object")
            for callback in made.callbacks:
                if not isinstance(callback["class"], str) or {"arguments", "state"} - set(callback):
                    raise TypeError(f"{callback} is no callback")
        except FileError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise FileError(f"what it says of its training is damaged: {error}") from None
        return made


def keep(run: Run, callbacks: Sequence[Callback], **more: Any) -> tuple[dict[str, Array], KeptTraining]:
    """The training of a run as it stands: copies of the arrays, and the rest. `more` are further fields."""
    training = run.training
    assert isinstance(training, Training)
    arrays, state = training.state()
    found = []
    for callback in callbacks:
        arguments = encode(dict(callback.arguments)) if _is_rebuilt(callback) else None
        inside = _apart(callback.state(), type(callback).__name__, arrays)
        found.append({"class": type(callback).__name__, "arguments": arguments, "state": inside})
    return arrays, KeptTraining(
        planned=run.total,
        iteration=run.iteration,
        epoch=run.epoch,
        measure_every=run.measure_every,
        marks=list(marks_of(run.history)),
        settings=encode(dict(run.history.settings)),
        optimizer=encode(training.optimizer),
        batches=training.batches.settings(),
        rows=len(training.data["t"])
        + (0 if training.held_out is None else len((training.validation or {})["t"])),
        held_out=training.held_out,
        callbacks=found,
        fingerprints=training.fingerprints,
        state=state,
        **more,
    )


def kinds_of(own: Iterable[type[Any]]) -> dict[str, type[Configured]]:
    """The optimizers, schedules and callbacks that are made again, with those of the caller's own."""
    known = [*optimizers.KINDS.values(), *vars(schedules).values(), *REBUILT, *own]
    return {
        each.__name__: each
        for each in known
        if isinstance(each, type) and issubclass(each, (Optimizer, Schedule, *REBUILT))
    }


def optimizer_of(kept: KeptTraining, kinds: Kinds) -> Optimizer:
    """The optimizer, made again. Raises FileError for one of an unknown class."""
    made = _decoded(kept.optimizer, kinds)
    if not isinstance(made, Optimizer):
        raise FileError(f"expected an optimizer, got {made!r}")
    return made


def _decoded(value: Any, kinds: Kinds) -> Any:
    """The object, made again. Raises FileError for a class that is not known."""
    for name in _classes_in(value):
        if name not in kinds:
            raise FileError(
                f"the training uses {name[:100]!r}, which is not one of chainrule's: pass its class, "
                f"cr.resume(folder, x, t, layers=[{name[:100]}])"
            )
    return decode(value, kinds)


def _classes_in(value: Any) -> Iterator[str]:
    """The names of the classes in what `encode` gave."""
    if isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _classes_in(each)
    if isinstance(value, dict) and "$class" in value:
        yield str(value["$class"])


def callbacks_of(kept: KeptTraining, given: Sequence[Callback], kinds: Kinds) -> list[Callback]:
    """The callbacks, in order: made again, or the ones `given`, which must be of the classes that the run had."""
    left, found = list(given), list[Callback]()
    for each in kept.callbacks:
        if each["arguments"] is not None:
            name, arguments = each["class"], decode(each["arguments"], kinds)
            if name not in kinds or not issubclass(kinds[name], REBUILT):
                raise FileError(f"there is no callback {name!r}")
            made = kinds[name](**arguments)
            assert isinstance(made, Callback)
            found.append(made)
        elif left and type(left[0]).__name__ == each["class"]:
            found.append(left.pop(0))
        else:
            left = list(given)
            break
    if left or len(found) < len(kept.callbacks):
        own = [each["class"] for each in kept.callbacks if each["arguments"] is None]
        raise ArgumentError(
            f"callbacks: the run had {_listed(own)}, besides those that are made again, got "
            f"{_listed([type(each).__name__ for each in given])}; give the same in the same order"
        )
    return found


def states_of(kept: KeptTraining, arrays: Mapping[str, Array], kinds: Kinds) -> list[dict[str, Any]]:
    """What the callbacks had gathered, in order. Raises FileError for what is damaged."""
    states = [_together(each["state"], arrays, kinds) for each in kept.callbacks]
    if not all(isinstance(each, dict) for each in states):
        raise FileError("what a callback kept is damaged")
    return states


def _is_rebuilt(callback: Callback) -> TypeGuard[Rebuilt]:
    """Whether it is made again: a subclass of the user's is the user's own."""
    return type(callback) in REBUILT


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _apart(value: Any, owner: str, arrays: dict[str, Array]) -> Any:
    """The value as JSON values, with copies of its arrays put among `arrays`. Raises ArgumentError for others."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
            raise ArgumentError(
                f"{owner}.state: expected arrays of numbers of at most 8 bytes, got {value.dtype}, which a "
                f"checkpoint cannot hold"
            )
        name = f"{CALLBACKS}{len(arrays)}"
        arrays[name] = value.copy()
        return {"$tensor": name}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ArgumentError(f"{owner}.state: expected texts as the keys of dicts, got {list(value)[:5]}")
        return {"$dict": {key: _apart(each, owner, arrays) for key, each in value.items()}}
    if isinstance(value, (list, tuple)):
        parts = [_apart(each, owner, arrays) for each in value]
        return {"$tuple": parts} if isinstance(value, tuple) else parts
    try:
        return encode(value)
    except ArgumentError:
        raise ArgumentError(
            f"{owner}.state: expected texts, numbers, arrays, and lists, tuples and dicts of them, got {value!r}"
        ) from None


def _together(value: Any, arrays: Mapping[str, Array], kinds: Kinds) -> Any:
    """What `_apart` took apart."""
    if isinstance(value, list):
        return [_together(each, arrays, kinds) for each in value]
    if isinstance(value, dict) and "$tensor" in value:
        return arrays[value["$tensor"]]
    if isinstance(value, dict) and "$tuple" in value:
        return tuple(_together(each, arrays, kinds) for each in value["$tuple"])
    if isinstance(value, dict) and "$dict" in value:
        return {key: _together(each, arrays, kinds) for key, each in value["$dict"].items()}
    return decode(value, kinds)
