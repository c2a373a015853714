"""Columns and targets on one scale, so that one learning rate fits all units; and predictions in units again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chainrule.arrays import Array
from chainrule.cli.data import Dataset
from chainrule.errors import DataError
from chainrule.network import Network


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each column, 1 where that is 0."""

    center: Array
    deviation: Array


def scale_of(values: Array, columns: list[str], dtype: str) -> Scale:
    """The scale of each column, once the dtype is seen to resolve it."""
    values = values.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        center, deviation = values.mean(axis=0), values.std(axis=0)
        deviation[np.ptp(values, axis=0) == 0] = 1
        largest = np.abs(values).max(axis=0)
        too_large = ~np.isfinite(center) | ~np.isfinite(deviation) | (largest >= np.finfo(dtype).max)
        too_fine = (np.abs(center) * np.finfo(dtype).eps > deviation / 100) & (np.ptp(values, axis=0) > 0)
    for wrong, problem in (
        (too_large, "holds numbers too large to compute with; give it in a larger unit"),
        (too_fine, "differs from row to row by too little beside its size; subtract what all rows share"),
    ):
        if wrong.any():
            remedy = ", or try --dtype float64" if dtype == "float32" else ""
            raise DataError(f"column {columns[int(np.argmax(wrong))]!r} {problem}{remedy}")
    return Scale(center, deviation)


def with_scaled_targets(data: Dataset, dtype: str) -> tuple[Dataset, Scale | None]:
    """The targets of a regression with mean 0 and deviation 1, and their scale; labels as they are."""
    if data.classes is not None:
        return data, None
    scale = scale_of(data.t, [str(data.target)] * data.t.shape[1], dtype)
    t, t_test = ((values - scale.center) / scale.deviation for values in (data.t, data.t_test))
    return replace(data, t=t, t_test=t_test), scale


def in_units(network: Network, scale: Scale | None) -> Network:
    """The same network with the targets' own units at its output."""
    if scale is None:
        return network
    output = (network.output * scale.deviation + scale.center).named("prediction")
    whole = Network(output=output, loss=network.loss_layer, seed=network.seed, dtype=network.dtype)
    whole.params.flat[:] = network.params.flat
    whole.graph.state.update(network.state)
    whole.iterations, whole.metadata = network.iterations, network.metadata
    return whole
