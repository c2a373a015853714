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
        self.gradient = np.zeros(params.flat.size, self.dtype)
        self._flat: Mapping[Space, Array] = {
            **self.arena(),
            "parameters": params.flat,
            "gradient": self.gradient,
            "constants": table.constants.astype(self.dtype),
            "indices": table.indices,
        }
        self._views: dict[Place, Array] = {}

    def arena(self) -> dict[Space, Array]:
        """New arrays for what is computed of a batch."""
        table = self.table
        return {
            "arena": np.zeros(table.arena_width * table.capacity, self.dtype),
            "labels": np.zeros(table.labels_width * table.capacity, np.int64),
            "spares": np.zeros(table.spares_size, self.dtype),
        }

    def part(self, flat: Mapping[Space, Array], place: Place) -> Array:
        """The array at a place, as a part of these flat ones."""
        times = self.table.capacity if place.is_batch else 1
        shape = (times, *place.row) if place.is_batch else place.shape
        return flat[place.space][times * place.start : times * place.end].reshape(shape)

    def view(self, place: Place) -> Array:
        """The array at a place: of the largest batch, where it grows with the batch."""
        found = self._views.get(place)
        if found is None:
            found = self._views[place] = self.part(self._flat, place)
        return found

    def rows(self, place: Place, count: int) -> Array:
        """Its first rows, or all of it where it does not grow with the batch."""
        found = self.view(place)
        return found[:count] if place.is_batch else found
