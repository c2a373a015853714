"""How far the trainings of a network have come."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.arguments import whole_number
from chainrule.arrays import Array
from chainrule.errors import ArgumentError
from chainrule.loop import Batches
from chainrule.loop.batches import Rows
from chainrule.optimizers import Optimizer, OptimizerState

if TYPE_CHECKING:
    from chainrule.network.network import Network


@dataclass
class Progress:
    """How far a network has been trained: it stays with the network, so that its next training goes on from there.

    `place` is the epoch, counted from the network's first, and how many of its batches have been used. `state` is
    of `optimizer`, and `total` the length of the training that its schedule was told. Each training has a Progress
    of its own: that of the last one is the network's.
    """

    optimizer: Optimizer | None = None
    state: OptimizerState | None = None
    total: int | None = None
    batches: Batches | None = None
    place: tuple[int, int] = (0, 0)  # assigned at once, so that Ctrl-C leaves no place that there is not
    #: An epoch, and the row numbers of its batches: those drawn last.
    order: tuple[int, Array] = (-1, np.empty(0, np.int64))

    def with_optimizer(self, optimizer: Optimizer, flat: Array, decays: Array) -> Progress:
        """The same with an optimizer of the kind it has but other numbers, which goes on with what was gathered."""
        if self.state is None or type(optimizer) is not type(self.optimizer) or optimizer == self.optimizer:
            return self
        begun = optimizer.start(flat, decays)
        begun.iteration, begun.arrays = self.state.iteration, self.state.arrays
        return replace(self, optimizer=optimizer, state=begun)

    def next(
        self,
        network: Network,
        optimizer: Optimizer,
        batches: Batches,
        *,
        steps: int | None,
        total: int | None,
        fresh: bool,
    ) -> Progress:
        """That of the next training: with the state of an equal optimizer, and inside the epoch of equal batches.

        `steps` is how many are asked for, `total` how many there will be in all, where they are known.
        Raises: ArgumentError where the schedule depends on the length, and does not fit into it.
        """
        state, told = None if fresh or optimizer != self.optimizer else self.state, self.total
        if state is None or state.iteration == 0:
            state, told = optimizer.start(network.params.flat, network.decays), steps
        elif optimizer.schedule.needs_total and total not in (None, told):
            raise ArgumentError(
                f"total_epochs: {optimizer.schedule!r} was told a length of {told:,} iterations when this training "
                f"began, {state.iteration:,} of which are done, and now of {total:,}; say the same in every call, "
                f"or begin anew with fresh=True"
            )
        epoch, done = self.place
        made = Progress(optimizer, state, told if total is None else total, batches, self.place, self.order)
        if batches != self.batches:
            made.place, made.order = (epoch + (done > 0), 0), Progress.order
        if steps is not None:
            made.total_for(steps)
        return made

    def total_for(self, steps: int) -> int:
        """The length of the training that the schedule gets, which must have room for these further steps."""
        assert self.optimizer is not None
        assert self.state is not None
        schedule, done = self.optimizer.schedule, self.state.iteration
        if not schedule.needs_total:
            return done + steps
        length = "say the length of the whole training, total_epochs=..."
        if self.total is None:
            raise ArgumentError(f"{schedule!r} depends on the length of the training: {length}")
        if done + steps > self.total:
            raise ArgumentError(
                f"{schedule!r} depends on the length of the training, {self.total:,} iterations, {done:,} of "
                f"which are done: there is no place for {steps:,} more; {length} in every call, train in one "
                f"call, or begin anew with fresh=True"
            )
        return self.total

    def next_batches(self, count: int) -> Rows:
        """The row numbers of the next batches, of this epoch and of those behind it."""
        assert self.batches is not None
        (epoch, begin), of_epoch = self.place, self.batches.starts
        numbers, starts, rows = [], [np.zeros(1, np.int64)], 0
        while count:
            if self.order[0] != epoch:
                self.order = epoch, self.batches.order_of(epoch)
            end = min(begin + count, len(of_epoch) - 1)
            numbers.append(self.order[1][of_epoch[begin] : of_epoch[end]])
            starts.append(of_epoch[begin + 1 : end + 1] + (rows - of_epoch[begin]))
            rows = int(starts[-1][-1])
            count, epoch, begin = count - (end - begin), epoch + 1, 0
        return Rows(np.concatenate(numbers), np.concatenate(starts))

    def batch_without(self, useful: Array, steps: int) -> tuple[int, int] | None:
        """The epoch and the number of the first of the coming batches that holds none of the useful rows."""
        assert self.batches is not None
        epoch, begin = self.place
        ahead = steps if np.sum(~useful) >= self.batches.smallest else 0
        while ahead > 0:
            order = self.batches.order_of(epoch)
            is_useful = np.logical_or.reduceat(useful[order], self.batches.starts[:-1])
            is_useful = is_useful[begin : begin + ahead]
            if not is_useful.all():
                return epoch, begin + int(np.argmin(is_useful))
            epoch, begin, ahead = epoch + 1, 0, ahead - len(is_useful)
        return None

    def advance(self, steps: int) -> None:
        """So many batches have been used."""
        assert self.batches is not None
        epoch, used = self.place
        ended, used = divmod(used + steps, self.batches.epoch_length)
        self.place = epoch + ended, used

    def copy(self, *, with_state: bool) -> Progress:
        """One of its own, for a copy of the network. Without the state, it goes on as with another optimizer."""
        made = Progress(batches=self.batches, place=self.place)
        if with_state:
            made.optimizer, made.state, made.total = self.optimizer, deepcopy(self.state), self.total
        return made

    def to_dict(self) -> dict[str, Any]:
        """The place in the order of batches, as JSON values."""
        batches = None if self.batches is None else self.batches.settings()
        return {"place": list(self.place), "batches": batches}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """What `to_dict` returned. Raises ArgumentError, KeyError or TypeError for what it did not."""
        epoch, done = (counted_in_file("progress: place", each) for each in values["place"])
        batches = values["batches"]
        if batches is not None:
            for name in ("samples", "batch_size", "seed", "least"):
                counted_in_file(f"progress: {name}", batches[name])
            batches = Batches.make(**batches)
        if done and (batches is None or done >= batches.epoch_length):
            raise ArgumentError(f"progress: expected fewer batches done than an epoch has, got {done}")
        return cls(place=(epoch, done), batches=batches)


def counted_in_file(name: str, value: Any) -> int:
    """A count that a file holds. Raises ArgumentError for what is none, or too large for one."""
    count = whole_number(name, value, 0)
    if count >= 2**63:
        raise ArgumentError(f"{name}: expected a count, got {count:.3g}")
    return count
