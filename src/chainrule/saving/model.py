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
from chainrule.errors import ArgumentError, DataError, FileError
from chainrule.files import write_bytes
from chainrule.network import Network
from chainrule.network.finite import not_finite
from chainrule.saving.architecture import FORMAT, constants_of, describe, known_classes, rebuild

KEY = "chainrule"
STATE, CONSTANT = "state/", "constant/"


def save(network: Network, path: str | os.PathLike[str], *, allow_nan: bool = False) -> Path:
    """Write a network to a safetensors file: parameters under their names, statistics, constants, architecture.

    The file is written beside `path` and renamed when complete, so a crash or a full disk leaves what was
    there. Any safetensors reader finds the weights as "W1", "b1", ... While another thread trains the network, the
    weights are those between two of its steps.

    Raises: FileError when the file cannot be written; DataError for weights or statistics that are NaN or infinite,
    unless `allow_nan`; ArgumentError for a layer made from values, or metadata, that the file cannot hold.
    """
    from safetensors.numpy import save as to_bytes

    if not isinstance(network, Network):
        raise ArgumentError(
            f"save takes a network and then a path, cr.save(net, path), got {network!r} first"
        )
    network = network.settled()
    if not allow_nan and (held := not_finite({**network.params, **network.state})):
        raise DataError(
            f"{held}: the network is of no use as it is, and was not saved; go back to weights from before, or say "
            f"cr.save(net, path, allow_nan=True)"
        )
    tensors = dict(network.params)
    tensors |= {STATE + name: value for name, value in network.state.items()}
    tensors |= {CONSTANT + name: value for name, value in constants_of(network).items()}
    _refuse_unsavable(network, tensors)
    description = describe(network)
    try:
        architecture = json.dumps(description, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"the network's metadata must be JSON values (text, finite numbers, lists): {error}"
        ) from None
    content = to_bytes(
        {name: np.asarray(value, order="C") for name, value in tensors.items()}, {KEY: architecture}
    )
    return write_bytes(path, content)


def load(
    path: str | os.PathLike[str], *, layers: Iterable[type[Configured]] = (), allow_nan: bool = False
) -> Network:
    """Read a network that `save` wrote. Classes of layers (and initializers) of your own are named in `layers`.

    Raises: FileError for a file that is missing, truncated, corrupt, not chainrule's, or that uses a layer
    that is neither chainrule's nor in `layers`; DataError for weights or statistics that are NaN or infinite,
    unless `allow_nan`.
    """
    architecture, tensors = _read(Path(path))
    own = {name: value for name, value in tensors.items() if not name.startswith((STATE, CONSTANT))}
    state = {name.removeprefix(STATE): value for name, value in tensors.items() if name.startswith(STATE)}
    constants = {
        name.removeprefix(CONSTANT): value for name, value in tensors.items() if name.startswith(CONSTANT)
    }
    classes = known_classes(layers)
    if not allow_nan and (held := not_finite({**own, **state})):
        raise DataError(
            f"{path}: {held}: the network is of no use as it is, as after a training that diverged; to look at it, "
            f"say cr.load(path, allow_nan=True)"
        )
    try:
        network = rebuild(architecture, own, constants, classes)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    except Exception as error:  # what constructors raise for damaged values is open-ended
        raise FileError(f"{path} is damaged: its architecture cannot be built ({error!r})") from error
    _put_in(network.params, own, path)
    _put_in(network.state, state, path)
    _compare(constants_of(network), constants, path)
    return network


def _refuse_unsavable(network: Network, tensors: dict[str, Array]) -> None:
    for name in network.params:
        if name.startswith((STATE, CONSTANT)):
            raise ArgumentError(
                f"a parameter named {name!r} cannot be saved: {STATE!r} and {CONSTANT!r} begin the names of "
                f"statistics and constants in the file; give it another name"
            )
    for name, value in tensors.items():
        if value.dtype.itemsize > 8:
            raise ArgumentError(f"{name} is {value.dtype}, too wide to be saved; make it float64")


def _put_in(holders: Any, arrays: dict[str, Array], path: str | os.PathLike[str]) -> None:
    _compare(holders, arrays, path)
    for name, value in arrays.items():
        holders[name] = value


def _compare(holders: Mapping[str, Array], arrays: Mapping[str, Array], path: str | os.PathLike[str]) -> None:
    """Raise FileError unless the arrays in the file are those that its architecture speaks of."""
    if set(holders) != set(arrays):
        odd = sorted(set(holders) ^ set(arrays))
        raise FileError(f"{path} is damaged: its arrays do not fit its architecture ({', '.join(odd[:5])})")
    for name, value in arrays.items():
        if value.shape != holders[name].shape or value.dtype != holders[name].dtype:
            raise FileError(
                f"{path} is damaged: {name} is {value.dtype} of shape {value.shape}, its architecture says "
                f"{holders[name].dtype} of shape {holders[name].shape}"
            )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    from safetensors import safe_open

    try:
        if not path.is_file():
            raise FileError(
                f"there is no model file {path}" if not path.exists() else f"{path} is not a file"
            )
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise FileError(
                    f"{path} is a safetensors file, but not one of chainrule's: it has no architecture"
                )
            architecture = json.loads(text)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"could not read {path}: {error}") from error
    except Exception as error:  # what damaged content makes a reader raise is open-ended
        raise FileError(
            f"{path} is not a readable model file: {error}; was it cut off, or is it another kind?"
        ) from error
    if not isinstance(architecture, dict) or architecture.get("format") != FORMAT:
        raise FileError(
            f"{path} holds a model of another format than {FORMAT!r}; it may need a newer chainrule"
        )
    return architecture, tensors
