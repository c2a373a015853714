"""The order of the rows in each epoch: that of scikit-learn, from the same random state."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.arrays import Array
from chainrule.loop import Batches

AHEAD = 200_000  # row numbers of epochs, about, that are drawn ahead


class RowOrder(Batches):
    """Batches whose epochs shuffle the rows of the epoch before, as scikit-learn's MLP does, or keep their order.

    Epochs are drawn one after another from the random state, `first` being the number of the first one. The last
    ones are kept.
    """

    __eq__ = object.__eq__  # no two of them go on in each other's epoch
    __hash__ = object.__hash__

    @classmethod
    def of(
        cls,
        samples: int,
        batch_size: int,
        random_state: np.random.RandomState | None,
        *,
        first: int = 0,
        least: int = 1,
        begin: Array | None = None,
        seed: int = 0,
    ) -> RowOrder:
        """The order that a random state draws, from `begin` on; without one, the rows stay. `seed` is its name."""
        begin = np.arange(samples) if begin is None or len(begin) != samples else begin
        made = cls(samples, batch_size, "shuffle", seed, min(least, batch_size))
        more: dict[str, Any] = {
            "_random_state": random_state,
            "_last": begin,
            "_drawn": {},
            "_next": first,
        }
        vars(made).update(more)  # a frozen dataclass: these are no fields of it
        return made

    def forget(self) -> None:
        """Let go of the orders that were drawn, but for the last."""
        vars(self)["_drawn"] = {}

    @property
    def last(self) -> Array:
        """The order of the last epoch that was drawn."""
        return vars(self)["_last"]  # type: ignore[no-any-return]

    def state(self, epoch: int) -> dict[str, Any]:
        """What a checkpoint inside this epoch, or before it, keeps of the order."""
        own = vars(self)
        random_state = own["_random_state"]
        drawn = {"order": own["_drawn"][epoch]} if epoch in own["_drawn"] else {}
        state = () if random_state is None else random_state.get_state()
        return {"epoch": epoch, "next": own["_next"], "last": own["_last"], "random_state": state, **drawn}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `state` returned."""
        own = vars(self)
        own["_next"], own["_last"] = state["next"], state["last"]
        own["_drawn"] = {state["epoch"]: state["order"]} if "order" in state else {}
        if own["_random_state"] is not None:
            own["_random_state"].set_state(state["random_state"])

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has no order of its own: what goes on from there draws it anew."""
        return Batches, (self.samples, self.batch_size, self.sampling, self.seed, self.least)

    def of_epoch(self, epoch: int) -> list[Array]:
        """The row numbers of the batches of an epoch, in order: those of one size as the rows of one array."""
        own = vars(self)
        while own["_next"] <= epoch:
            if own["_random_state"] is not None:
                shuffled = np.arange(self.samples)
                own["_random_state"].shuffle(shuffled)
                own["_last"] = own["_last"][shuffled]
            own["_drawn"][own["_next"]] = own["_last"]
            own["_next"] += 1
        drawn: dict[int, Array] = own["_drawn"]
        while len(drawn) > 2 + AHEAD // self.samples:
            drawn.pop(next(iter(drawn)))
        order = drawn[epoch]
        whole = self.samples // self.batch_size - self.joins
        alike = order[: whole * self.batch_size].reshape(whole, self.batch_size)
        rest = order[None, whole * self.batch_size :]
        return [part for part in (alike, rest) if part.size]
