"""The order of the rows in each epoch: that of scikit-learn, from the same random state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.loop import Batches

AHEAD = 50_000  # row numbers of epochs, about, that are drawn ahead


def minibatch_size(estimator: Any, samples: int) -> int:
    """The rows of a minibatch of an estimator that trains on this number of samples."""
    size = estimator.batch_size
    if size == "auto":
        size = 100 if estimator.preset == "chainrule" else 200
    return int(np.clip(size, 1, samples))


@dataclass
class Draws:
    """The orders of epochs, drawn one after another: each shuffles the one before, or keeps it."""

    random_state: np.random.RandomState | None
    """None: the rows stay."""
    last: Array
    """The order of the last epoch that was drawn, or where the first one begins from."""
    next: int
    """The number of the epoch that is drawn next."""
    kept: dict[int, Array] = field(default_factory=dict)
    """The last ones, by the number of the epoch."""

    def of(self, epoch: int) -> Array:
        """The order of an epoch, which is drawn with those before it."""
        samples = len(self.last)
        while self.next <= epoch:
            if self.random_state is not None:
                shuffled = np.arange(samples)
                self.random_state.shuffle(shuffled)
                self.last = self.last[shuffled]
            self.kept[self.next] = self.last
            self.next += 1
        while len(self.kept) > 2 + AHEAD // samples:
            self.kept.pop(next(iter(self.kept)))
        return self.kept[epoch]

    def state(self, epoch: int) -> dict[str, Any]:
        """What a checkpoint inside this epoch, or before it, keeps of them."""
        drawn = {"order": self.kept[epoch]} if epoch in self.kept else {}
        state = () if self.random_state is None else self.random_state.get_state()
        return {"epoch": epoch, "next": self.next, "last": self.last, "random_state": state, **drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `state` returned."""
        self.next, self.last = state["next"], state["last"]
        self.kept = {state["epoch"]: state["order"]} if "order" in state else {}
        if self.random_state is not None:
            self.random_state.set_state(state["random_state"])


@dataclass(frozen=True, eq=False)
class RowOrder(Batches):
    """Batches whose epochs shuffle the rows of the one before, as scikit-learn's MLP does, or keep their order."""

    draws: Draws = field(kw_only=True, repr=False)

    __eq__ = object.__eq__  # no two of them go on in each other's epoch
    __hash__ = object.__hash__

    def order_of(self, epoch: int) -> Array:
        """The row numbers of an epoch, batch by batch."""
        return self.draws.of(epoch)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has no order of its own: what goes on from there draws it anew."""
        return Batches, (self.samples, self.batch_size, self.sampling, self.seed, self.least)
