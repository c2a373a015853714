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
        one, many = f"W4 {task} 1", f"W4 {task} 10000"
        found.append(at_least(one, judge.fastest(one, FRAMEWORKS), 1.5, "the fastest framework"))
        found.append(at_most(one, 1.3, "plain"))
        found.append(at_least(many, "plain", 1.1))
        found.append(at_least(many, judge.fastest(many), 1, "the fastest peer", limit=0.97))
    for epochs in (30, 100, 300):
        key = f"W6 table {epochs}"
        found += [at_least(key, peer, 10) for peer in ("sklearn", "pytorch")] + [at_least(key, "jax", 3)]
    for epochs in (1, 3, 10):
        key = f"W6 MNIST {epochs}"
        found += [at_least(key, peer, 1.8) for peer in ("sklearn", "pytorch")] + [at_least(key, "jax", 1.2)]
    for epochs in (1, 3):
        key = f"W6 wide {epochs}"
        found.append(at_least(key, "sklearn", 1.8))
        found.append(at_least(key, judge.fastest(key, ("pytorch", "jax")), 1, "the better of the two"))
    return [*found, judge.memory(0.5), judge.start_seconds(0.3), judge.start_bytes(60e6)]


FRAMEWORKS = ("pytorch", "jax", "sklearn")
NAMES = {
    "pytorch": "PyTorch",
    "jax": "the better JAX",
    "sklearn": "scikit-learn",
    "textbook": "the textbook",
    "plain": "plain NumPy in float32",
    "floor": "its matrix products",
}
PEERS = tuple(peer for peer in NAMES if peer != "floor")


class _Judge:
    def __init__(self, results: Results) -> None:
        self.results = results

    def fastest(self, key: str, peers: tuple[str, ...] = PEERS) -> str:
        """The fastest peer of a workload."""
        outcome = self.results.outcomes.get(key)
        found = [outcome.best(peer) for peer in peers] if outcome else []
        return min((s for s in found if s), key=lambda s: s.spread.median).peer if any(found) else "pytorch"

    def _ratio(self, key: str, peer: str, variant: str | None = None) -> Spread | None:
        outcome = self.results.outcomes.get(key)
        return outcome.ratio(outcome.best(peer, variant), outcome.best("ours")) if outcome else None

    def at_least(
        self,
        key: str,
        peer: str,
        bound: float,
        name: str = "",
        variant: str | None = None,
        limit: float = EQUAL,
    ) -> Verdict:
        """So many times as fast as a peer; as fast is anything from `limit` up."""
        ratio = self._ratio(key, peer, variant)
        wanted = f"at least {bound:g} times as fast as" if bound != 1 else "as fast as"
        least = limit if bound == 1 else bound
        named = NAMES[peer] if not name else f"{name} ({NAMES[peer]})" if not variant else name
        return _verdict(key, f"{wanted} {named}", ratio, lambda value: value >= least)

    def at_most(self, key: str, bound: float, peer: str = "floor") -> Verdict:
        """Above the floor, or plain NumPy, by no more than so much."""
        outcome = self.results.outcomes.get(key)
        ratio = outcome.ratio(outcome.best("ours"), outcome.best(peer)) if outcome else None
        what = f"at most {bound:g} times {NAMES[peer]}"
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

    def start_seconds(self, bound: float) -> Verdict:
        """From Python's start to the end of the first step."""
        spread = self._start(lambda start: start.total)
        what = f"from Python's start to the first step done in at most {bound:g} s"
        found = "not measured" if spread is None else f"{spread.median:.2f} s"
        return Verdict("W7", what, found, None if spread is None else spread.median <= bound)

    def start_bytes(self, bound: float) -> Verdict:
        """The memory of a process that does one step."""
        spread = self._start(lambda start: start.bytes)
        what = f"peak memory at the first step at most {bound / 1e6:g} MB"
        found = "not measured" if spread is None else f"{spread.median / 1e6:.0f} MB"
        return Verdict("W7", what, found, None if spread is None else spread.median <= bound)

    def _start(self, figure: Callable[[Start], float]) -> Spread | None:
        found = [figure(start) for start in starts_of(self.results.starts, "ours", "machine", filled=False)]
        return Spread.of(found) if found else None


def starts_of(starts: list[Start], peer: str, variant: str, filled: bool) -> list[Start]:
    """All new processes of that kind."""
    return [s for s in starts if (s.peer, s.variant, s.filled) == (peer, variant, filled)]


def _verdict(key: str, what: str, ratio: Spread | None, holds: Callable[[float], bool]) -> Verdict:
    if ratio is None:
        return Verdict(key, what, "not measured", None)
    return Verdict(
        key, what, f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})", holds(ratio.median)
    )
