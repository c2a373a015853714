"""Where every random number comes from: one counter-based generator, keyed by a seed and a place.

Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3 (2011): Philox4x64-10.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from chainrule.arrays import Array, Shape


class Purpose(IntEnum):
    """What a stream of random numbers is for. Streams of different purposes never overlap."""

    INITIALIZE = 0
    SAMPLE = 1
    LAYER = 2
    SPLIT = 3


def stream(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """The generator that belongs to a seed, a purpose and a place (an iteration, the number of a node).

    It holds no history: the same arguments give the same numbers, in any order and after any restart.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, int(purpose), *place])))


def layer_key(seed: int, node: int) -> Array:
    """The key, two words of 64 bits, of the random numbers of one node of a graph, in all steps."""
    return np.random.SeedSequence([seed, int(Purpose.LAYER), node]).generate_state(2, np.uint64)


def layer_stream(key: Array, step: int) -> np.random.Generator:
    """The generator of a node in one step: Philox, block k = 1, 2, ... of which has the counter (k, step, 0, 0)."""
    counter = np.array([0, step % 2**64, 0, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def kept(rng: np.random.Generator, shape: Shape, rate: float) -> Array:
    """Which elements of an array of `shape` dropout keeps: those whose word is at least `threshold(rate)`.

    The words have 32 bits. Element e, in C order, has word e of the generator. For the generator of a layer that is
    word e mod 8 of block 1 + floor(e / 8), whose four words of 64 bits give their lower half first.
    """
    words = rng.integers(0, 2**32, shape, np.uint32)
    return np.asarray(words >= threshold(rate))


def threshold(rate: float) -> int:
    """The share `rate` of all words of 32 bits is smaller."""
    return min(round(rate * 2**32), 2**32 - 1)


def held_out(rows: int, share: float, seed: int, groups: Array | None = None) -> Array:
    """Which of so many rows are held out for testing: a share of all, or of each group, such as a class.

    At least one row of each group is left to train on.

    Shapes: groups (N,) -> (N,) of booleans.
    """
    rng = stream(seed, Purpose.SPLIT)
    groups = np.zeros(rows, dtype=int) if groups is None else groups
    held = np.zeros(rows, dtype=bool)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        held[rng.permutation(members)[: min(round(share * len(members)), len(members) - 1)]] = True
    return held


def fresh_seed() -> int:
    """A seed from the operating system's entropy, small enough to write down and type again."""
    return int(np.random.SeedSequence().generate_state(1)[0])
