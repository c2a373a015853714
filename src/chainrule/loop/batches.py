"""Which rows make up each batch, and which are held out: pure functions of the seed and the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from chainrule.arguments import one_of, whole_number
from chainrule.arrays import Array
from chainrule.errors import ArgumentError
from chainrule.randomness import Purpose, stream

Sampling = Literal["shuffle", "replacement"]
SAMPLINGS = ("shuffle", "replacement")
BATCH_SIZE = 100  # unless told otherwise, and all the data where there are fewer


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

    def of_epoch(self, epoch: int) -> list[Array]:
        """The row numbers of the batches of an epoch, in order: those of one size as the rows of one array."""
        rng = stream(self.seed, Purpose.SAMPLE, 0, epoch)
        whole = self.samples // self.batch_size - self.joins
        if self.sampling == "replacement":
            return [rng.integers(self.samples, size=(whole, self.batch_size))]
        order = rng.permutation(self.samples)
        alike = order[: whole * self.batch_size].reshape(whole, self.batch_size)
        rest = order[None, whole * self.batch_size :]
        return [part for part in (alike, rest) if part.size]
