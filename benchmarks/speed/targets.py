"""What chainrule means to reach, and what it reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from speed.results import Results, Spread, Start

EQUAL = 0.95
"""Equal means within 5 %."""


@dataclass(frozen=True)
class Verdict:
    """A target and what was reached: `reached` is None when it was not measured."""

    what: str
    target: str
    found: str
    reached: bool | None


def verdicts(results: Results) -> list[Verdict]:
    """Every target, in the order in which they are stated."""
    judge = _Judge(results)
    at_least, at_most = judge.at_least, judge.at_most
    found = [
        at_least("W1 step", "pytorch", 2.5),
        at_least("W1 step", "jax", 1.3),
        at_least("W1 step", "sklearn", 4),
        at_least("W1 step", "textbook", 5),
        at_most("W1 step", 1.6),
        at_least("W1 job", "pytorch", 2),
        at_least("W1 job", "jax", 1.3),
        at_least("W1 job", "textbook", 6),
        at_least("W2 step", judge.fastest("W2 step"), 1.2, "the fastest peer"),
        at_most("W2 step", 1.3),
        at_least("W3 step", "pytorch", 8),
        at_least("W3 step", "jax", 3, "JAX, step", "step"),
        at_least("W3 step", "sklearn", 5),
        at_least("W3 step", "jax", 1, "JAX, scan", "scan"),
    ]
    for task in ("W1", "W2"):
        found.append(at_least(f"W4 {task} 1", "pytorch", 1.3))
        found.append(at_least(f"W4 {task} 10000", "pytorch", 1))
    return [*found, judge.memory(0.5), judge.start(True, 0.5), judge.start(False, 10)]


NAMES = {"pytorch": "PyTorch", "jax": "the better JAX", "sklearn": "scikit-learn", "textbook": "the textbook"}


class _Judge:
    def __init__(self, results: Results) -> None:
        self.results = results

    def fastest(self, key: str) -> str:
        """The fastest peer of a workload that is neither ours nor the floor."""
        outcome = self.results.outcomes.get(key)
        found = [outcome.best(peer) for peer in NAMES] if outcome else []
        return min((s for s in found if s), key=lambda s: s.spread.median).peer if any(found) else "pytorch"

    def _ratio(self, key: str, peer: str, variant: str | None = None) -> Spread | None:
        outcome = self.results.outcomes.get(key)
        return outcome.ratio(outcome.best(peer, variant), outcome.best("ours")) if outcome else None

    def at_least(
        self, key: str, peer: str, bound: float, name: str = "", variant: str | None = None
    ) -> Verdict:
        """So many times as fast as a peer."""
        ratio = self._ratio(key, peer, variant)
        wanted = f"at least {bound:g} times as fast as" if bound != 1 else "as fast as"
        limit = EQUAL if bound == 1 else bound
        named = NAMES[peer] if not name else f"{name} ({NAMES[peer]})" if not variant else name
        return _verdict(key, f"{wanted} {named}", ratio, lambda value: value >= limit)

    def at_most(self, key: str, bound: float) -> Verdict:
        """Above the floor by no more than so much."""
        outcome = self.results.outcomes.get(key)
        ratio = outcome.ratio(outcome.best("ours"), outcome.best("floor")) if outcome else None
        what = f"at most {bound:g} times its matrix products"
        return _verdict(key, what, ratio, lambda value: value <= bound)

    def memory(self, bound: float) -> Verdict:
        """The peak of W1's job, beside that of PyTorch's variant that needs least."""

        def least(peer: str) -> float | None:
            return min((m["bytes"] for m in self.results.memory if m["peer"] == peer), default=None)

        ours, theirs = least("ours"), least("pytorch")
        ratio = ours / theirs if ours and theirs else None
        what = f"peak memory at most {bound:g} of PyTorch's"
        found = "not measured" if ratio is None else f"{ratio:.2f}"
        return Verdict("W1 job", what, found, None if ratio is None else ratio <= bound)

    def start(self, filled: bool, bound: float) -> Verdict:
        """From the end of the import to that of the first step."""
        spread = first_step(self.results.starts, "ours", "compiled", filled)
        what = f"first step after import in under {bound:g} s, {'cached' if filled else 'nothing cached'}"
        found = "not measured" if spread is None else f"{spread.median:.2f} s"
        return Verdict("start", what, found, None if spread is None else spread.median < bound)


def first_step(starts: list[Start], peer: str, variant: str, filled: bool) -> Spread | None:
    """The spread of the first step's time, of all new processes of that kind."""
    found = [s.first_step for s in starts if (s.peer, s.variant, s.filled) == (peer, variant, filled)]
    return Spread.of(found) if found else None


def _verdict(key: str, what: str, ratio: Spread | None, holds: Callable[[float], bool]) -> Verdict:
    if ratio is None:
        return Verdict(key, what, "not measured", None)
    return Verdict(
        key, what, f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})", holds(ratio.median)
    )
