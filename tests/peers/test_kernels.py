"""Fused kernels and mutants of them: the suite is sound, and `cr.check` finds and names some of them.

All of it runs by `PYTHONPATH=benchmarks python -m mutations --kernels`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from mutations.kernels.cases import CASES, DTYPES, Case, checks
from mutations.kernels.corpus import kernel_mutants
from mutations.kernels.measuring import (
    KernelOutcome,
    KernelResults,
    Sharpness,
    run_kernel_mutants,
    scaled,
    sharpness_found,
)
from mutations.kernels.mutants import KernelMutant
from mutations.kernels.page import section, write_section
from mutations.kernels.truth import Off, off
from mutations.measuring import Alarm, Alarms, run_correct

MUTANTS = kernel_mutants()
#: What rounding alone does to outputs and gradients, with room to spare.
ROUNDING = {"float32": 3e-6, "bfloat16": 6e-3}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The arrays are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_kernel_agrees_with_autograd_of_its_reference(case: Case, dtype: str) -> None:
    for length in (case.lengths[0], case.lengths[-2]):
        assert off(case, case.make(dtype, length=length)).largest < ROUNDING[dtype], length


def test_names_are_unique_and_there_are_enough() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    assert sum(len(mutant.dtypes) for mutant in MUTANTS) > 400


def test_every_kernel_has_mutants_of_forward_and_of_backward() -> None:
    functions = {case.function for case in CASES}
    for wrong in (True, False):
        assert {m.case.function for m in MUTANTS if m.forward_is_wrong == wrong} == functions


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_mutant_is_off_where_it_says(case: Case) -> None:
    right = off(case, case.make("float32"))
    for mutant in (each for each in MUTANTS if each.case is case):
        tried = off(case, mutant.make("float32", True))
        assert _off_in_the_right_place(mutant, right, tried), (mutant.name, tried)


def _off_in_the_right_place(mutant: KernelMutant, right: Off, tried: Off) -> bool:
    """A wrong forward is off in the output; a wrong backward in these gradients, and in no other."""
    if mutant.forward_is_wrong:
        return tried.output > 20 * right.output
    wrong = {name for name, error in tried.gradients.items() if error > 20 * right.gradients[name] + 1e-6}
    return tried.output <= right.output and bool(wrong) and wrong <= mutant.inputs


def test_one_gradient_of_a_kernel_is_scaled() -> None:
    (case,) = (each for each in CASES if each.name == "LayerNorm")
    wrong = off(case, case.make("float32", function=scaled(case.function, 1, 1.5)))
    assert wrong.gradients["w"] == pytest.approx(0.5, rel=1e-4)
    assert max(wrong.gradients["x"], wrong.gradients["b"]) < 1e-6


def results(*outcomes: KernelOutcome) -> KernelResults:
    """As if these had been measured."""
    alarm = Alarm("SwiGLU, length 5", 3, "float32", "factor", "error", "")
    found = Sharpness("SwiGLU", "float32", True, 1e-4, "up", 199, 200)
    return KernelResults(list(outcomes), Alarms(2_000, [alarm], 12.0), [found], 60.0, {"PyTorch": "2"})


def outcome(name: str, named: str, **fields: Any) -> KernelOutcome:
    """Of a mutant that should be called sign."""
    return KernelOutcome(name, ["sign"], named, True, 1.0, dtype="float32", **fields)


def test_the_section_of_the_page() -> None:
    text = section(
        results(
            outcome("SwiGLU: a", "sign", sharpness=1e-4, error=2.0),
            outcome("SwiGLU: b", "factor", sharpness=1e-4, error=1.0),
            outcome("SwiGLU: c", "nothing", sharpness=1e-4, error=5e-5),
        )
    )
    assert "| float32, with reference | 2 | 100 % | 50.0 % | 100 % |" in text
    assert "| SwiGLU: b | sign | factor | float32 |" in text
    assert "| SwiGLU: c | float32 | 5.0e-05 | 1.0e-04 |  |" in text
    assert "1 false alarms in 2,000 checks" in text
    assert "| SwiGLU | float32 | up | 1.0e-04 | 199 of 200 |" in text


def test_the_section_is_put_in_its_place_and_replaced(tmp_path: Path) -> None:
    page = tmp_path / "MUTATIONS.md"
    page.write_text("# Title\n\ntext\n\n## Rules\n\nrules\n", encoding="utf-8")
    for error in (3.0, 5.0):
        write_section(results(outcome("SwiGLU: a", "sign", sharpness=7.0, error=error)), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Title", "## Fused kernels", "## Rules",
    ]  # fmt: skip
    assert "5.0e+00" in text
    assert "3.0e+00" not in text
    assert text.endswith("\n\n## Rules\n\nrules\n")


# The checker

FEW = (
    "Softmax: scale left out",
    "RotaryHalves: each half from itself alone",  # in bfloat16, only float32 tells
    "QuantizedLinear: db negated",
    "CumulativeSum: forward, nothing carried from block to block",
)


def test_a_few_mutants_are_found_and_named() -> None:
    mutants = [mutant for mutant in MUTANTS if mutant.name in FEW]
    assert len(mutants) == len(FEW)
    outcomes = run_kernel_mutants(mutants, references=(True,))
    assert len(outcomes) == 2 * len(FEW)
    assert all(o.above for o in outcomes)
    assert all(o.detected and o.located is not False for o in outcomes)
    assert [(o.name, o.named, o.message) for o in outcomes if not o.right] == []


def test_a_few_right_kernels_pass() -> None:
    few = [check for check in checks(250) if check[0].reference and check[0].length == 5][::8]
    alarms = run_correct(few)
    assert alarms.checks > 3
    assert alarms.found == []


def test_what_cancels_in_backward_is_no_alarm() -> None:
    two = [
        check for check in checks(2000) if check[0].name.startswith("LayerNorm, length 1") and check[1] < 5
    ]
    assert run_correct(two).found == []


@pytest.mark.parametrize(("dtype", "reference", "least"), [("float32", True, 1e-3), ("bfloat16", False, 0.2)])
def test_an_error_of_the_stated_sharpness_is_found_in_most_seeds(
    dtype: str, reference: bool, least: float
) -> None:
    (case,) = (each for each in CASES if each.name == "Softmax")
    measured = sharpness_found(case, dtype, reference, 10)
    assert 0 < measured.stated < least
    assert measured.input == "x"
    assert measured.found == 10
