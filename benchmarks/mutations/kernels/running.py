"""`python -m mutations --kernels`: everything about kernels, and its section of the page."""

# mypy: ignore-errors

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console

from mutations.kernels.cases import CASES, DTYPES, checks
from mutations.kernels.corpus import kernel_mutants
from mutations.kernels.measuring import KernelResults, run_kernel_mutants, run_sharpness
from mutations.kernels.page import section, write_section
from mutations.measuring import Advance, run_correct
from mutations.results import versions

#: Every so many mutants, so many checks of right kernels, the sharpness of every so many kernels in so many seeds.
QUICK = (5, 200, 12, 20)
FULL = (1, 2_000, 6, 200)


def run_kernels(
    quick: bool, correct: int, folder: Path, bar: Callable[[str, int], Advance], console: Console
) -> None:
    """Measure all of it, write it, and print it."""
    begin = time.perf_counter()
    torch.set_num_threads(1)  # the arrays are small
    every, usual, sparse, tries = QUICK if quick else FULL
    mutants, cases = kernel_mutants()[::every], CASES[::sparse]
    outcomes = run_kernel_mutants(mutants, bar("mutants of kernels", len(mutants)))
    alarms = run_correct(checks(correct or usual), bar("right kernels", correct or usual))
    sharpness = run_sharpness(cases, tries, bar("sharpness", 2 * len(DTYPES) * len(cases)))
    results = KernelResults(outcomes, alarms, sharpness, time.perf_counter() - begin, versions())
    write_section(results, folder)
    console.print(section(results), markup=False)
