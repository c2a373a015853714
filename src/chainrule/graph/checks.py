"""What a graph holds its layers and its caller to, with errors that give the remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.errors import ChainruleError, LayerError
from chainrule.layers import Layer
from chainrule.sparse import SparseRows


def checked_output(name: str, layer: Layer, result: Any) -> Array:
    """The output among what the forward of the node `name` returned, as an array."""
    what = "(output, saved, new_state)" if "state" in layer.signature.forward_asks else "(output, saved)"
    whose = f"{name}: the forward of {type(layer).__name__} must return"
    if not isinstance(result, tuple) or len(result) != what.count(",") + 1:
        came = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
        raise LayerError(f"{whose} {what}, got {came}")
    value = np.asarray(result[0])
    if value.dtype.kind not in "biuf":
        raise LayerError(f"{whose} an output that is an array of numbers, got {type(result[0]).__name__}")
    return value


def checked_state(name: str, layer: Layer, state: Any, expected: Iterable[str]) -> Mapping[str, Any]:
    """The running statistics that the forward of the node `name` returned."""
    if isinstance(state, Mapping) and set(state) == set(expected):
        return state
    came = f"the keys {', '.join(map(str, state))}" if isinstance(state, Mapping) else type(state).__name__
    raise LayerError(
        f"{name}: the forward of {type(layer).__name__} must return as new_state a dict with the keys "
        f"{', '.join(expected)}, got {came}"
    )


def how_to_feed(name: str) -> str:
    """How an input of this name is fed: by a keyword, or in a dict where it can't be one."""
    can_be = name.isidentifier() and not iskeyword(name) and name not in ("training", "step")
    return f"forward({name}=...)" if can_be else f"forward({{{name!r}: ...}})"


def read_only(array: Array) -> Array:
    """The array as a layer is handed it: other nodes, or the caller, need it too."""
    if isinstance(array, SparseRows) or not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def written_to(name: str, layer: Layer, method: str, error: Exception) -> LayerError | None:
    """The error to raise when the layer's method failed because it wrote to what it was given, else None."""
    if (
        isinstance(error, ChainruleError)
        or not isinstance(error, ValueError)
        or "read-only" not in str(error)
    ):
        return None
    return LayerError(
        f"{name}: the {method} of {type(layer).__name__} writes to an array that it was given ({error}); "
        f"a layer writes to none of the arrays it is given, so let it compute a new one, or change a copy"
    )
