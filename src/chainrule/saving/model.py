"""Model files: safetensors, with the architecture as JSON in the metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.configured import Configured
from chainrule.elsewhere import estimator_here
from chainrule.errors import ArgumentError, DataError, FileError
from chainrule.files import write_atomically
from chainrule.network import Network
from chainrule.network.finite import not_finite
from chainrule.saving.architecture import FORMATS, constants_of, describe, known_classes, rebuild
from chainrule.saving.container import CHECKSUMS, pieces_of, read_container

#: The key of the metadata under which the architecture stands.
KEY = "chainrule"
#: Those under which a run folder's files note the id of their run, and a checkpoint its training.
RUN_ID, KEPT = "run", "training"
#: What begins the names of tensors that are no parameters: statistics, constants, and what a checkpoint adds.
STATE, CONSTANT, TRAINING = "state/", "constant/", "training/"

#: Characters of what is wrong with an architecture, whose names may be of any length.
MOST_SAID = 1_000


def save(network: Network, path: str | os.PathLike[str], *, allow_nan: bool = False) -> Path:
    """Write a network to a safetensors file: parameters under their names, statistics, constants, architecture.

    The file is written beside `path` and renamed when complete, so a crash or a full disk leaves what was
    there. Any safetensors reader finds the weights as "W1", "b1", ... While another thread trains the network, the
    weights are those between two of its steps.

    Raises: FileError when the file cannot be written; DataError for weights or statistics that are not finite, and
    constants that are NaN, unless `allow_nan`; ArgumentError for a layer made from values, or metadata, that the
    file cannot hold.
    """
    if not isinstance(network, Network):
        if advice := estimator_here(
            network, "cr.save(clf.network_, path); pickle and joblib keep the whole estimator"
        ):
            raise ArgumentError(f"save: expected a network, got {type(network).__name__}; {advice}")
        raise ArgumentError(
            f"save takes a network and then a path, cr.save(net, path), got {network!r} first"
        )
    network = network.settled()
    if not allow_nan and (held := _not_finite(tensors_of(network))):
        raise DataError(
            f"{held}: the network is of no use as it is, and was not saved; go back to weights from before, or say "
            f"cr.save(net, path, allow_nan=True)"
        )
    pieces = pieces_of_model(network)
    return write_atomically(path, lambda file: file.writelines(pieces))


def pieces_of_model(network: Network, texts: Mapping[str, str] | None = None) -> list[bytes | memoryview]:
    """The content of the network's file, with further texts in the metadata, to be written piece after piece."""
    network = network.settled()
    tensors = {
        name: value.copy() for name, value in tensors_of(network).items()
    }  # a training may begin meanwhile
    return pieces_of(tensors, {KEY: architecture_of(network), **(texts or {})})


def tensors_of(network: Network) -> dict[str, Array]:
    """All arrays of a network by their names in a file: its own, which change while it is trained."""
    tensors = dict(network.params)
    tensors |= {STATE + name: value for name, value in network.state.items()}
    tensors |= {CONSTANT + name: value for name, value in constants_of(network).items()}
    for name in network.params:
        if name.startswith((STATE, CONSTANT, TRAINING)):
            raise ArgumentError(
                f"a parameter named {name!r} cannot be saved: {STATE!r}, {CONSTANT!r} and {TRAINING!r} begin the "
                f"names of other arrays in the file; give it another name"
            )
    return tensors


def _not_finite(tensors: Mapping[str, Array]) -> str:
    """Which array is not finite, and where; infinity in a constant is meant, as in a mask. "" when none is."""
    judged = {
        name.removeprefix(STATE): np.where(np.isinf(value), 0, value) if name.startswith(CONSTANT) else value
        for name, value in tensors.items()
    }
    return not_finite(judged)


def architecture_of(network: Network) -> str:
    """All of a network but its arrays, as JSON text."""
    try:
        return json.dumps(describe(network), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"the network's metadata must be JSON values (text, finite numbers, lists): {error}"
        ) from None


def load(
    path: str | os.PathLike[str], *, layers: Iterable[type[Configured]] = (), allow_nan: bool = False
) -> Network:
    """Read a network that `save` wrote. Classes of layers (and initializers) of your own are named in `layers`.

    Raises: FileError for a file that is missing, truncated, corrupt, not chainrule's, or that uses a layer
    that is neither chainrule's nor in `layers`; DataError for weights or statistics that are NaN or infinite, and
    constants that are NaN, unless `allow_nan`.
    """
    classes = known_classes(layers)
    metadata, tensors = read_container(path)
    return network_of(metadata, tensors, path, classes, allow_nan=allow_nan)


def network_of(
    metadata: Mapping[str, str],
    tensors: Mapping[str, Array],
    path: str | os.PathLike[str],
    classes: Mapping[str, type[Configured]],
    *,
    allow_nan: bool = False,
) -> Network:
    """The network in what `read_container` returned for a path. What a checkpoint adds is passed over."""
    description = _description(metadata, path)
    tensors = {name: value for name, value in tensors.items() if not name.startswith(TRAINING)}
    if not allow_nan and (held := _not_finite(tensors)):
        raise DataError(
            f"{path}: {held[:MOST_SAID]}: the network is of no use as it is, as after a training that diverged; "
            f"to look at it, say cr.load(path, allow_nan=True)"
        )
    own = {name: value for name, value in tensors.items() if not name.startswith((STATE, CONSTANT))}
    state = {name.removeprefix(STATE): value for name, value in tensors.items() if name.startswith(STATE)}
    constants = {
        name.removeprefix(CONSTANT): value for name, value in tensors.items() if name.startswith(CONSTANT)
    }
    try:
        return rebuild(description, own, state, constants, classes)
    except FileError as error:
        raise FileError(f"{path}: {str(error)[:MOST_SAID]}") from error
    except Exception as error:  # what constructors raise for damaged values is open-ended
        what = repr(error)[:MOST_SAID]
        raise FileError(f"{path} is damaged: its architecture cannot be built ({what})") from error


def _description(metadata: Mapping[str, str], path: str | os.PathLike[str]) -> dict[str, Any]:
    """The architecture as JSON values, of a format that is known."""
    if KEY not in metadata:
        raise FileError(f"{path} is a safetensors file, but not one of chainrule's: it has no architecture")
    try:
        description: dict[str, Any] = json.loads(metadata[KEY])
        version = str(description["format"])
    except Exception as error:  # what damaged content makes this raise is open-ended
        what = repr(error)[:MOST_SAID]
        raise FileError(f"{path} is damaged: its architecture cannot be read ({what}); use a copy") from error
    if version not in FORMATS:
        raise FileError(
            f"{path} holds a model of the format {version[:80]!r}, and this chainrule reads "
            f"{' and '.join(FORMATS)}: it needs a newer chainrule, pip install -U chainrule"
        )
    if version == FORMATS[-1] and CHECKSUMS not in metadata:
        raise FileError(f"{path} is damaged: its checksums are missing; use a copy")
    return description
