"""How many steps fit into a stretch of time, as the last ones went."""

from __future__ import annotations


class Pace:
    """Steps are done many in one call, but not for so long that nobody can look or interrupt."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.steps = 1  # to do in the next call

    def note(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        self.steps = max(1, int(self.seconds * steps / max(seconds, 1e-9)))
