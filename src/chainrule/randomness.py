"""Where every random number comes from: one counter-based generator, keyed by a seed and a place."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


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


def fresh_seed() -> int:
    """A seed from the operating system's entropy, small enough to write down and type again."""
    return int(np.random.SeedSequence().generate_state(1)[0])
