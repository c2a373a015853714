"""All mutants of kernels."""

from __future__ import annotations

from mutations.kernels import (
    mutants_attention,
    mutants_elementwise,
    mutants_losses,
    mutants_norms,
    mutants_scans,
)
from mutations.kernels.mutants import KernelMutant


def kernel_mutants() -> list[KernelMutant]:
    """In the order of the files."""
    return [
        *mutants_norms.MUTANTS,
        *mutants_attention.MUTANTS,
        *mutants_elementwise.MUTANTS,
        *mutants_losses.MUTANTS,
        *mutants_scans.MUTANTS,
    ]
