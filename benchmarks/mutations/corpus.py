"""All of the suite: what is wrong, and what is right."""

from __future__ import annotations

from mutations import mutants_arrays, mutants_elementwise, mutants_functions, mutants_losses, mutants_weights
from mutations.correct import Correct, checks, everything_correct
from mutations.graphs import graph_mutants
from mutations.mutating import Mutant
from mutations.wrapped import wrapped_mutants

__all__ = ["Correct", "Mutant", "all_mutants", "checks", "everything_correct", "written_mutants"]


def written_mutants() -> list[Mutant]:
    """Mutants of the classes and pairs written by hand."""
    return [
        *mutants_elementwise.MUTANTS,
        *mutants_arrays.MUTANTS,
        *mutants_weights.MUTANTS,
        *mutants_losses.MUTANTS,
        *mutants_functions.MUTANTS,
    ]


def all_mutants() -> list[Mutant]:
    """Those, every layer of chainrule with one mistake after the other, and graphs with one wrong node."""
    return [*written_mutants(), *wrapped_mutants(), *graph_mutants()]
