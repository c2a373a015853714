"""Model files: safetensors, with the architecture as JSON in the metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ArgumentError, ChainruleError, FileError
from chainrule.files import write_bytes
from chainrule.layers import Layer
from chainrule.network import Network
from chainrule.saving.architecture import FORMAT, constants_of, describe, known_classes, rebuild

KEY = "chainrule"
STATE, CONSTANT = "state/", "constant/"


def save(network: Network, path: str | os.PathLike[str]) -> Path:
    """Write a network to a safetensors file: parameters under their names, statistics, constants, architecture.

    The file is written beside `path` and renamed when complete, so a crash or a full disk leaves what was
    there. Any safetensors reader finds the weights as "W1", "b1", ...

    Raises: FileError when the file cannot be written; ArgumentError for a layer made from values, or metadata,
    that JSON cannot hold.
    """
    from safetensors.numpy import save as to_bytes

    tensors = dict(network.params)
    tensors |= {STATE + name: value for name, value in network.state.items()}
    tensors |= {CONSTANT + name: value for name, value in constants_of(network).items()}
    try:
        architecture = json.dumps(describe(network), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"the network's metadata must be JSON values (text, finite numbers, lists): {error}"
        ) from None
    content = to_bytes(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, {KEY: architecture}
    )
    return write_bytes(path, content)


def load(path: str | os.PathLike[str], *, layers: Iterable[type[Layer]] = ()) -> Network:
    """Read a network that `save` wrote. Classes of layers of your own are named in `layers`.

    Raises: FileError for a file that is missing, truncated, corrupt, not chainrule's, or that uses a layer
    that is neither chainrule's nor in `layers`.
    """
    architecture, tensors = _read(Path(path))
    own = {name: value for name, value in tensors.items() if not name.startswith((STATE, CONSTANT))}
    state = {name.removeprefix(STATE): value for name, value in tensors.items() if name.startswith(STATE)}
    constants = {
        name.removeprefix(CONSTANT): value for name, value in tensors.items() if name.startswith(CONSTANT)
    }
    classes = known_classes(layers)
    try:
        network = rebuild(architecture, own, constants, classes)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    except (ChainruleError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"{path} is damaged: its architecture cannot be built ({error})") from error
    _put_in(network.params, own, path)
    _put_in(network.state, state, path)
    return network


def _put_in(holders: Any, arrays: dict[str, Array], path: str | os.PathLike[str]) -> None:
    if set(holders) != set(arrays):
        odd = sorted(set(holders) ^ set(arrays))
        raise FileError(f"{path} is damaged: its arrays do not fit its architecture ({', '.join(odd[:5])})")
    for name, value in arrays.items():
        if value.shape != holders[name].shape or value.dtype != holders[name].dtype:
            raise FileError(
                f"{path} is damaged: {name} is {value.dtype} of shape {value.shape}, its architecture says "
                f"{holders[name].dtype} of shape {holders[name].shape}"
            )
        holders[name] = value


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileError(f"there is no model file {path}" if not path.exists() else f"{path} is not a file")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise FileError(
                    f"{path} is a safetensors file, but not one of chainrule's: it has no architecture"
                )
            architecture = json.loads(text)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, ValueError, TypeError, OverflowError) as error:
        raise FileError(
            f"{path} is not a readable model file: {error}; was it cut off, or is it another kind?"
        ) from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"could not read {path}: {error}") from error
    if not isinstance(architecture, dict) or architecture.get("format") != FORMAT:
        raise FileError(
            f"{path} holds a model of another format than {FORMAT!r}; it may need a newer chainrule"
        )
    return architecture, tensors
