"""Which rows make up each batch, and which are held out: pure functions of the seed and the epoch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np

from chainrule.arguments import one_of, whole_number
from chainrule.arrays import Array
from chainrule.errors import ArgumentError
from chainrule.randomness import Purpose, stream

Sampling = Literal["shuffle", "replacement"]
SAMPLINGS = ("shuffle", "replacement")
BATCH_SIZE = 100  # unless told otherwise, and all the data where there are fewer


class Rows(NamedTuple):
    """The rows of batches that follow each other, which need not be of one size."""

    numbers: Array
    """Those of the first batch, then those of the second, and so on."""
    starts: Array
    """Where each batch begins in them, and where the last one ends."""

    def of(self, batch: int) -> Array:
        """The row numbers of one batch."""
        return self.numbers[self.starts[batch] : self.starts[batch + 1]]


@dataclass(frozen=True)
class Batches:
    """The batches of every epoch, of `samples` rows of data, in batches of `batch_size`.

    "shuffle" goes through all the data in a new order every epoch, the last batch of an epoch being what is left;
    it joins the batch before it when it has fewer than `least` rows. "replacement" draws every row independently,
    and its epoch is `samples // batch_size` batches.
    """

    samples: int
    batch_size: int
    sampling: Sampling
    seed: int
    least: int = 1

    @classmethod
    def make(
        cls, samples: int, *, batch_size: int | None, sampling: Any, seed: Any, least: int = 1
    ) -> Batches:
        """The batches that these arguments ask for. Raises ArgumentError when they cannot be had."""
        if batch_size is None:
            batch_size = min(BATCH_SIZE, samples)
        samples, least = whole_number("samples", samples, 1), whole_number("least", least, 1)
        batch_size, seed = whole_number("batch_size", batch_size, 1), whole_number("seed", seed, 0)
        if batch_size > samples:
            raise ArgumentError(
                f"batch_size: expected at most the number of samples, {samples}, got {batch_size}"
            )
        one_of("sampling", sampling, SAMPLINGS)
        if batch_size < least:
            raise ArgumentError(
                f"batch_size: BatchNorm takes means over a batch, expected at least {least} rows, got {batch_size}"
            )
        return cls(samples, batch_size, sampling, seed, least)

    def settings(self) -> dict[str, Any]:
        """What they were made with, as JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(Batches)}

    @property
    def epoch_length(self) -> int:
        """How many batches an epoch has."""
        left = self.samples % self.batch_size
        return self.samples // self.batch_size + (self.sampling == "shuffle" and left > 0 and not self.joins)

    @property
    def joins(self) -> bool:
        """Whether what is left of an epoch joins the batch before it."""
        return self.sampling == "shuffle" and 0 < self.samples % self.batch_size < self.least

    @property
    def largest(self) -> int:
        """The rows of the largest batch."""
        return self.batch_size + (self.samples % self.batch_size if self.joins else 0)

    @property
    def smallest(self) -> int:
        """The different rows that the smallest batch may have."""
        if self.sampling == "replacement":
            return 1
        left = self.samples % self.batch_size
        return left if left and not self.joins else self.batch_size

    @property
    def starts(self) -> Array:
        """Where each batch begins in an epoch's rows, and where the last one ends: (epoch_length + 1,)."""
        starts = self.batch_size * np.arange(self.epoch_length + 1)
        if self.sampling == "shuffle":
            starts[-1] = self.samples
        return starts

    def order_of(self, epoch: int) -> Array:
        """The row numbers of an epoch, batch by batch."""
        rng = stream(self.seed, Purpose.SAMPLE, 0, epoch)
        if self.sampling == "replacement":
            return rng.integers(self.samples, size=self.epoch_length * self.batch_size)
        return rng.permutation(self.samples)

    def of_epoch(self, epoch: int) -> list[Array]:
        """The row numbers of each batch of an epoch."""
        return np.split(self.order_of(epoch), self.starts[1:-1])
