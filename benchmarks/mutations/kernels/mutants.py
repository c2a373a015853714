"""A mutant of a kernel: its source with one small piece replaced, what that may be called, and where it shows."""

# mypy: ignore-errors

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mutations.kernels.cases import DTYPES, Case
from mutations.mutating import mutated
from mutations.targets import Target

#: The code of a forward that is not the reference's.
FORWARD = "forward-disagrees"


@dataclass(frozen=True)
class KernelMutant:
    """One mistake in a kernel."""

    case: Case
    what: str
    #: The codes that it may be called by.
    expected: frozenset[str]
    #: The inputs whose gradients it makes wrong; none where the forward is wrong.
    inputs: frozenset[str]
    replacements: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The kernel, and the mistake."""
        return f"{self.case.name}: {'forward, ' if self.forward_is_wrong else ''}{self.what}"

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What is rounded on the way counts where the rest is finer."""
        return ("float32",) if self.expected == {"dtype"} else DTYPES

    @property
    def forward_is_wrong(self) -> bool:
        """Such a one can be found with a reference only."""
        return FORWARD in self.expected

    @cached_property
    def function(self) -> Any:
        """The kernel with the mistake in it."""
        return mutated(self.case.function, self.what, *self.replacements)

    def make(self, dtype: str, reference: bool, seed: int = 0) -> Target:
        """`cr.check(mutant, *inputs, **options)`."""
        return self.case.make(dtype, seed=seed, reference=reference, function=self.function)

    def tries(self) -> Iterator[tuple[str, bool]]:
        """(dtype, with its reference or without) in which it is given to the check."""
        for dtype in self.dtypes:
            yield dtype, True
            if not self.forward_is_wrong:
                yield dtype, False


def kernel_mutants(case: Case, *rows: tuple[str, ...]) -> list[KernelMutant]:
    """One mutant a row: (what it may be called, of which inputs, what is wrong, old text, new text, old, new ...).

    What it may be called is a code, or several joined by "or"; so are the inputs.
    """
    return [
        KernelMutant(
            case,
            what,
            frozenset(expected.split(" or ")),
            frozenset(filter(None, inputs.split(" or "))),
            tuple(zip(texts[::2], texts[1::2], strict=True)),
        )
        for expected, inputs, what, *texts in rows
    ]
