"""All that a training changes, as arrays and a text that can be kept, and put back in another process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ArgumentError
from chainrule.network.progress import counted_in_file

if TYPE_CHECKING:
    from chainrule.network.training import Training

FORMAT = "chainrule training 1"
PARAMETERS, OPTIMIZER, STATISTICS = "parameters", "optimizer/", "statistics/"
COUNTS = ("iteration", "iterations", "updates", "epoch", "done")


def state_of(training: Training) -> tuple[dict[str, Array], str]:
    """Copies of the arrays that steps change, by name, and a JSON text with the counts and what they belong to."""
    arrays = {name: array.copy() for name, array in _changing(training).items()}
    epoch, done = training.progress.place
    counts = (
        training.iteration,
        training.network.iterations,
        training.optimizer_state.iteration,
        epoch,
        done,
    )
    content = {
        "format": FORMAT,
        "counts": dict(zip(COUNTS, counts, strict=True)),
        "total": training.progress.total,
        "of": _description(training),
    }
    return arrays, json.dumps(content)


def put_state(training: Training, state: Any) -> None:
    """Put back what `state_of` returned. Raises ArgumentError, and changes nothing, for anything else."""
    if not isinstance(state, tuple) or len(state) != 2 or not isinstance(state[0], Mapping):
        raise ArgumentError(
            f"restore: expected the pair that state() returned, arrays by name and a text, got "
            f"{type(state).__name__}; give restore((arrays, text))"
        )
    arrays, own = state[0], _changing(training)
    iteration, iterations, updates, epoch, done, total = _checked(training, state[1])
    if _kinds(own) != _kinds(arrays):
        raise ArgumentError(
            f"restore: expected arrays {_kinds(own)}, got {_kinds(arrays)}; restore it in a training of the "
            "same network"
        )
    for name, array in own.items():
        array[...] = arrays[name]
    training.iteration, training.network.iterations = iteration, iterations
    training.optimizer_state.iteration = updates
    training.progress.place, training.progress.total = (epoch, done), total


def _changing(training: Training) -> dict[str, Array]:
    """The arrays that steps change, by name."""
    arrays = {PARAMETERS: training.network.params.flat}
    arrays |= {OPTIMIZER + name: array for name, array in training.optimizer_state.arrays.items()}
    return arrays | {STATISTICS + name: array for name, array in training.network.state.items()}


def _description(training: Training) -> dict[str, Any]:
    """What a state belongs to."""
    network = training.network
    layers = [type(node.layer).__name__ for node in network.graph if node.layer is not None]
    return {
        "optimizer": training.optimizer.described(),
        "dtype": str(network.dtype),
        "network_seed": network.seed,
        "layers": " ".join(layers),
        **training.batches.settings(),
    }


def _checked(training: Training, text: Any) -> tuple[Any, ...]:
    try:
        content = json.loads(text)
        counts = [counted_in_file(f"restore: {name}", content["counts"][name]) for name in COUNTS]
        of, total = dict(content["of"]), content["total"]
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
        if total is not None and counted_in_file("restore: total", total) < 1:
            raise ValueError("its total is 0")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ArgumentError(f"restore: this is not the text of Training.state: {error}") from None
    told = training.progress.total
    if (
        training.optimizer.schedule.needs_total
        and training.optimizer_state.iteration == 0
        and told is not None
    ):
        of, own = of | {"total_iterations": total}, _description(training) | {"total_iterations": told}
    else:
        own = _description(training)
    for name, value in own.items():
        if of.get(name) != value:
            raise ArgumentError(
                f"restore: the state is of a training with {name} {of.get(name)!r}, this one has {value!r}; "
                f"make the training with the same"
            )
    if counts[-1] >= training.batches.epoch_length:
        raise ArgumentError(f"restore: the state is damaged: {counts[-1]} batches of an epoch are done")
    return *counts, total


def _kinds(arrays: Mapping[Any, Any]) -> str:
    found = sorted((str(name), np.asarray(array)) for name, array in arrays.items())
    return ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in found)
