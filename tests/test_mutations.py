"""Wrong backwards, on purpose: the suite itself is sound, and `cr.check` finds and names a spread of them.

All of it runs by `PYTHONPATH=benchmarks python -m mutations`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import chainrule as cr

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from mutations import __main__ as command
from mutations.calling import callee_of
from mutations.corpus import all_mutants, checks, written_mutants
from mutations.correct import written_by_hand
from mutations.measuring import run_correct, run_mutants
from mutations.mutating import Mutant, mutants, mutated
from mutations.report import kernels_section
from mutations.targets import normal, on
from mutations.traces import differs, numerical, trace, upstream

#: How many of the mutants of each code are checked here.
EACH = 4

CODES = (
    "sign", "factor", "batch-mean", "transpose", "axis", "upstream-ignored", "activation-gradient-missing", "mask",
    "value-for-gradient", "fan-out", "broadcast", "mutates-upstream", "mutates-input", "aliases-upstream",
    "stale-state", "accumulates", "order", "zero", "shape", "dtype", "not-finite", "loss-disagrees", "label-shape",
    "stale-weights", "missing", "raises", "random", "unknown",
)  # fmt: skip


@cache
def every_mutant() -> list[Mutant]:
    """All of them, made when first asked for: that takes seconds."""
    return all_mutants()


def spread_of(code: str) -> list[Mutant]:
    """Some of the mutants that have this code and no other, from one end of the list to the other."""
    found = [mutant for mutant in every_mutant() if mutant.expected == {code}]
    chosen = np.linspace(0, len(found) - 1, min(EACH, len(found))).round().astype(int)
    return [found[i] for i in chosen]


# The suite itself


def test_names_are_unique() -> None:
    names = [mutant.name for mutant in every_mutant()]
    assert len(set(names)) == len(names)


def test_every_code_has_mutants() -> None:
    assert {code for mutant in every_mutant() for code in mutant.expected} == set(CODES)
    assert [code for code in CODES if len(spread_of(code)) < 2] == []


def test_every_layer_has_mutants() -> None:
    layers = {mutant.name.split(":")[0] for mutant in every_mutant() if mutant.name.startswith("cr.")}
    assert len(layers) == 43


def test_a_text_that_is_not_there_once_is_refused() -> None:
    class Twice:
        def forward(self, x: Any) -> Any:
            return x + x

    for old in ("x", "y"):
        with pytest.raises(ValueError, match="times in its source, not once"):
            mutated(Twice, "nothing", (old, "z"))


@pytest.mark.parametrize("correct", written_by_hand(), ids=lambda correct: correct.name)
def test_what_is_called_right_agrees_with_differences(correct: Any) -> None:
    def fresh() -> Any:
        return callee_of(correct.make_target(0, np.float64))

    callee = fresh()
    with np.errstate(all="ignore"):
        dy = upstream(callee.forward([np.copy(value) for value in callee.values]))
        gradients = callee.backward(dy)
    compared = 0
    for position in callee.positions:
        if gradients[position] is None:
            continue
        expected = numerical(fresh(), np.asarray(dy), position)
        np.testing.assert_allclose(gradients[position], expected, rtol=1e-6, atol=1e-7)
        compared += 1
    assert compared > 0


def test_every_mutant_differs_from_the_right_one() -> None:
    wrapped = [mutant for mutant in every_mutant() if mutant.name.startswith("cr.")]
    same = [
        mutant.name
        for mutant in (*written_mutants(), *wrapped[::5])
        if not differs(trace(mutant.make_target), trace(mutant.make_correct))
    ]
    assert same == []


def test_the_right_one_does_not_differ_from_itself() -> None:
    for mutant in written_mutants()[::10]:
        assert differs(trace(mutant.make_correct), trace(mutant.make_correct)) == []


def test_a_mutant_is_made_anew_each_time() -> None:
    class Doubled:
        def forward(self, x: Any) -> Any:
            return 2 * x

        def backward(self, dout: Any) -> Any:
            return 2 * dout

    (mutant,) = mutants(Doubled, on(normal(3)), ("factor", "three for two", "2 * dout", "3 * dout"))
    first, second = mutant.make_target(), mutant.make_target()
    assert first.target is not second.target
    np.testing.assert_array_equal(first.inputs[0], second.inputs[0])


def test_kernels_need_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(typer.BadParameter, match="--kernels needs PyTorch, which is not installed here"):
        command.main(kernels=True)


def test_what_the_page_says_of_kernels_stays() -> None:
    page = "# Title\n\n## Fused kernels\n\ntext\n\n## Rules\n\nrules\n"
    assert kernels_section(page) == "## Fused kernels\n\ntext\n"
    assert kernels_section("# Title\n\n## Rules\n") == ""


# The checker


@pytest.mark.parametrize("code", CODES)
def test_mutants_are_found_and_named(code: str) -> None:
    outcomes = run_mutants(spread_of(code))
    wrong = [f"{o.name}: {', '.join([o.named, *o.others])} {o.message}" for o in outcomes if not o.right]
    assert not wrong, "\n".join(wrong)


#: Each is named by something that no other mutant needs.
TELLING = (
    "RNNCell: tanh's gradient forgotten",
    "SigmoidWithLoss: logs of 0",
    "affine: x of the first call",
    "cr.Add: one element wrong by 1 %",
    "cr.Standardize: dy unchanged",
    "whiten: adds to the last call",
)


@pytest.mark.parametrize("name", TELLING)
def test_a_mutant_that_tells_is_named(name: str) -> None:
    (outcome,) = run_mutants([mutant for mutant in every_mutant() if mutant.name == name])
    assert outcome.right, outcome


def test_the_wrong_node_of_a_graph_is_located() -> None:
    outcomes = run_mutants([mutant for mutant in every_mutant() if mutant.node is not None][::26])
    assert [o.name for o in outcomes if not (o.right and o.located)] == []


def test_nothing_right_is_called_wrong() -> None:
    alarms = run_correct(few_of_each())
    assert alarms.checks >= 300
    wrong = [f"{a.name} in {a.dtype}: {a.named}, {a.message}" for a in alarms.found]
    assert not wrong, "\n".join(wrong)


def few_of_each() -> Iterator[tuple[Any, int, Any]]:
    """Every third of a round in float64 and of one in float32; the networks take long, and one will do."""
    networks = 0
    for correct, seed, dtype in list(checks(960))[::3]:
        networks += correct.name.startswith("network")
        if networks <= 1 or not correct.name.startswith("network"):
            yield correct, seed, dtype


def test_a_kink_is_no_failure() -> None:
    report = cr.check(cr.ReLU(), np.array([[0.0, 1.0, -1.0], [2.0, 0.0, -3.0]]))
    assert report.passed
    assert report.mistakes == ()
