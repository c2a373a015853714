"""The arrays that a table computes with: one arena for the values of a batch, and views of what places name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.parameters import Parameters
from chainrule.program.table import Place, Space, Table


class Memory:
    """What one table computes with. Nothing here is allocated again: addresses stay valid."""

    def __init__(self, table: Table, params: Parameters) -> None:
        self.table, self.params = table, params
        self.dtype: np.dtype[Any] = params.flat.dtype
        self.gradient = np.zeros_like(params.flat)
        self.flat: Mapping[Space, Array] = {
            "arena": np.zeros(table.arena_width * table.capacity, self.dtype),
            "labels": np.zeros(table.labels_width * table.capacity, np.int64),
            "parameters": params.flat,
            "gradient": self.gradient,
            "spares": np.zeros(table.spares_size, self.dtype),
            "constants": table.constants.astype(self.dtype),
            "indices": table.indices,
        }
        self._views: dict[int, Array] = {}

    def view(self, place: Place) -> Array:
        """The array at a place: of the largest batch, where it grows with the batch."""
        found = self._views.get(id(place))
        if found is None:
            flat, capacity = self.flat[place.space], self.table.capacity
            if place.is_batch:
                shape = (capacity, *place.row)
                found = flat[capacity * place.start : capacity * place.end].reshape(shape)
            else:
                found = flat[place.start : place.end].reshape(place.shape)
            self._views[id(place)] = found
        return found

    def rows(self, place: Place, count: int) -> Array:
        """Its first rows, or all of it where it does not grow with the batch."""
        found = self.view(place)
        return found[:count] if place.is_batch else found
