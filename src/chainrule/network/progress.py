"""How far the trainings of a network have come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chainrule.arguments import whole_number
from chainrule.errors import ArgumentError
from chainrule.loop import Batches
from chainrule.optimizers import Optimizer, OptimizerState

if TYPE_CHECKING:
    from chainrule.network.network import Network


@dataclass
class Progress:
    """How far a network has been trained: it stays with the network, so that its next training goes on from there.

    `place` is the epoch, counted from the network's first, and how many of its batches have been used. `state`
    is of `optimizer`, and `total` the length of the training that its schedule was told. `training` numbers the
    trainings, of which the last one alone may go on.
    """

    optimizer: Optimizer | None = None
    state: OptimizerState | None = None
    total: int | None = None
    batches: Batches | None = None
    place: tuple[int, int] = (0, 0)  # assigned at once, so that Ctrl-C leaves no place that there is not
    training: int = 0

    def begin(self, network: Network, optimizer: Optimizer, batches: Batches, fresh: bool) -> OptimizerState:
        """Begin a training: with the state of an equal optimizer, and inside the epoch of equal batches."""
        self.training += 1
        if fresh or self.state is None or optimizer != self.optimizer:
            self.state, self.total = optimizer.start(network.params.flat, network.decays), None
        self.optimizer = optimizer
        if batches != self.batches:
            epoch, done = self.place
            self.place, self.batches = (epoch + (done > 0), 0), batches
        return self.state

    def to_dict(self) -> dict[str, Any]:
        """The place in the order of batches, as JSON values."""
        batches = None if self.batches is None else asdict(self.batches)
        return {"place": list(self.place), "batches": batches}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """What `to_dict` returned. Raises ArgumentError, KeyError or TypeError for what it did not."""
        epoch, done = (whole_number("progress: place", each, 0) for each in values["place"])
        batches = None if values["batches"] is None else Batches.make(**values["batches"])
        if done and (batches is None or done >= batches.epoch_length):
            raise ArgumentError(f"progress: expected fewer batches done than an epoch has, got {done}")
        return cls(place=(epoch, done), batches=batches)
