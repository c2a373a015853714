"""What a run found, as it is written to results.json and read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from peers.registry import Contender


class Spread(NamedTuple):
    """A median between its quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """That of the values."""
        return cls(*(float(q) for q in np.percentile(values, [25, 50, 75])))


@dataclass
class Series:
    """One contender's times, a round each."""

    peer: str
    variant: str
    threads: int
    seconds: list[float] = field(default_factory=list)
    accuracy: float | None = None

    @property
    def contender(self) -> Contender:
        """Whose."""
        return Contender(self.peer, self.variant, self.threads)

    @property
    def spread(self) -> Spread:
        """Median and quartiles of the time."""
        return Spread.of(self.seconds)


@dataclass
class Outcome:
    """A workload's times, who was refused and why, and how far the others were from the reference."""

    key: str
    title: str
    kind: str
    series: list[Series] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)

    def best(self, peer: str, variant: str | None = None) -> Series | None:
        """The peer's fastest variant and number of threads, by the median."""
        found = [s for s in self.series if s.peer == peer and variant in (None, s.variant) and s.seconds]
        return min(found, key=lambda s: s.spread.median, default=None)

    def ratio(self, one: Series | None, other: Series | None) -> Spread | None:
        """How many times as long the one takes, compared round by round."""
        if one is None or other is None:
            return None
        return Spread.of([a / b for a, b in zip(one.seconds, other.seconds, strict=True)])


@dataclass
class Start:
    """A new process: seconds of the import, from there to the end of the first step, and from Python's start to it;
    and its peak memory.
    """

    peer: str
    variant: str
    filled: bool
    imported: float
    first_step: float
    total: float
    bytes: int


@dataclass
class Results:
    """All of it."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    memory: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What `to_json` wrote."""
        content = json.loads(text)
        outcomes = {
            key: Outcome(**{**each, "series": [Series(**s) for s in each["series"]]})
            for key, each in content["outcomes"].items()
        }
        return cls(**{**content, "outcomes": outcomes, "starts": [Start(**s) for s in content["starts"]]})


Tell = Callable[[str], None]
"""Says what is being done now."""
