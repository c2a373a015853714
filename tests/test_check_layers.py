"""`cr.check` on layers of chainrule: every one passes, and a wrong one does not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport
from layer_cases import CASES, LayerCase, all_cases, all_layers

first_cases = pytest.mark.parametrize(
    "case", [CASES[cls][0] for cls in all_layers()], ids=lambda case: case.layer.__name__
)

#: The exponent of a negative base has no gradient, as the table says too; see the test of its own below.
HALF_DEFINED = [case for case in all_cases() if case.layer is cr.Power and case.differentiable is not None]


def told(report: CheckReport) -> str:
    return "\n".join([report.summary(), *(f.advice for f in report.findings)])


def inputs_of(case: LayerCase) -> tuple[Array, ...]:
    return case.inputs(np.random.default_rng(sum(map(ord, str(case)))), np.float64)


@first_cases
def test_every_layer_passes_without_inputs(case: LayerCase) -> None:
    report = cr.check(case.make())
    assert report.passed, told(report)
    assert not report.findings
    assert report.rows
    assert all(row.verdict == "ok" and row.checked == row.of > 0 for row in report.rows)


@pytest.mark.parametrize("case", [c for c in all_cases() if c not in HALF_DEFINED], ids=str)
def test_every_case_passes(case: LayerCase) -> None:
    inputs = inputs_of(case)
    report = cr.check(case.make(), *inputs, training=case.training)
    assert not report.findings, told(report)
    compared = {row.input for row in report.rows}
    names = case.make().signature.inputs
    if not issubclass(case.layer, cr.layers.Loss) and not case.make().signature.variadic:
        assert {names[i] for i in case.positions(inputs)} <= compared
    assert all(row.verdict == "ok" for row in report.rows)


@pytest.mark.parametrize("case", HALF_DEFINED, ids=str)
def test_where_the_function_ends_nothing_is_held_against_the_gradient(case: LayerCase) -> None:
    """x^p of a negative x is defined for whole p only: there is no slope along p, so no gradient to be wrong."""
    report = cr.check(case.make(), *inputs_of(case))
    assert not report.findings, told(report)
    verdicts = {row.input: row.verdict for row in report.rows}
    assert verdicts["x"] == "ok"
    assert report.verdict == ("passed" if verdicts["p"] == "ok" else "incomplete")


@first_cases
def test_every_layer_passes_in_float32(case: LayerCase) -> None:
    report = cr.check(case.make(), dtype="float32")
    assert not report.findings, told(report)
    assert report.dtype == "float32"


@pytest.mark.parametrize("seed", [1])
def test_no_seed_makes_a_right_layer_wrong(seed: int) -> None:
    for cls in all_layers():
        report = cr.check(CASES[cls][0].make(), seed=seed)
        assert not report.findings, told(report)


class Cube(cr.Layer):
    """A wrong one: 2 stands where 3 belongs."""

    def forward(self, x: Array) -> tuple[Array, Array]:
        return x**3, x

    def backward(self, dy: Array, x: Array) -> Array:
        return dy * 2 * x**2


def test_a_wrong_layer_is_found_and_its_numbers_told() -> None:
    x = np.array([1.0, 2.0, 3.0])
    report = cr.check(Cube(), x)
    assert not report.passed
    (finding,) = report.findings
    assert (finding.mistake, finding.node, finding.input, finding.severity) == (
        "factor",
        "Cube",
        "x",
        "error",
    )
    assert finding.element == (2,)
    assert finding.analytic is not None
    assert finding.numerical == pytest.approx(1.5 * finding.analytic, rel=1e-6)
    assert finding.error == pytest.approx(1 / 3, rel=1e-5)
    assert finding.source is not None
    assert finding.source.startswith("test_check_layers.py:")
    assert report.rows[0].verdict == "wrong"


def test_the_element_told_is_the_one_furthest_off() -> None:
    class OneOff(Cube):
        def backward(self, dy: Array, x: Array) -> Array:
            dx = dy * 3 * x**2
            dx[1, 2] *= 1.5
            dx[0, 0] *= 1.001
            return dx

    report = cr.check(OneOff(), np.arange(1.0, 7.0).reshape(2, 3))
    assert report.findings[0].element == (1, 2)


def test_the_same_seed_gives_the_same_report() -> None:
    def content(seed: int) -> dict[str, Any]:
        found = cr.check(Cube(), seed=seed).to_dict()
        del found["seconds"]
        json.dumps(found)
        return found

    assert content(3) == content(3)
    assert content(3) != content(4)


def test_training_decides_how_a_layer_computes() -> None:
    class Doubles(cr.Layer):
        """Right while training only."""

        def forward(self, x: Array, *, training: bool) -> tuple[Array, None]:
            return (x if training else 3 * x), None

        def backward(self, dy: Array, saved: None) -> Array:
            return dy

    assert cr.check(Doubles()).passed
    assert not cr.check(Doubles(), training=False).passed


@pytest.mark.parametrize(
    "layer", [cr.ReLU(), cr.LeakyReLU(), cr.Max(axis=1)], ids=lambda each: type(each).__name__
)
def test_kinks_are_no_mistakes(layer: cr.Layer) -> None:
    report = cr.check(layer, np.array([[0.0, 0.0, -1.0], [2.0, 2.0, 1.0]]))
    assert report.passed, told(report)
    assert {finding.severity for finding in report.findings} <= {"note"}


@pytest.mark.parametrize(
    "loss", [cr.MeanSquaredError(), cr.MeanAbsoluteError(), cr.Huber()], ids=lambda each: type(each).__name__
)
def test_a_loss_of_nothing_is_no_mistake(loss: cr.Layer) -> None:
    """Where the prediction is the answer, the gradient is 0 for every dy: it does not ignore dy."""
    x = np.array([-1.0, 0.5, 2.0])
    report = cr.check(loss, x, x)
    assert report.passed, told(report)


def test_a_softmax_without_a_gradient_is_found() -> None:
    """With an upstream gradient of ones it would pass: the probabilities sum to 1."""

    class Zero(cr.Softmax):
        def backward(self, dy: Array, saved: Any) -> Array:
            return np.zeros_like(dy)

    assert cr.check(Zero()).mistakes == ("zero",)


def test_errors_come_before_notes() -> None:
    class Both(cr.Layer):
        """The first input stands at a kink, the gradient of the second is wrong."""

        def forward(self, a: Array, b: Array) -> tuple[Array, Any]:
            return np.abs(a) + b * b, (a, b)

        def backward(self, dy: Array, saved: Any) -> tuple[Array, Array]:
            a, b = saved
            return dy * np.where(a < 0, -1, 1), dy * b

    report = cr.check(Both(), np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    assert [finding.severity for finding in report.findings] == ["error", "note"]


def test_too_many_gradients_are_told() -> None:
    class Many(cr.Layer):
        def forward(self, a: Array, b: Array) -> tuple[Array, Any]:
            return a * b, (a, b)

        def backward(self, dy: Array, saved: Any) -> tuple[Array, ...]:
            a, b = saved
            return dy * b, dy * a, dy

    assert not cr.check(Many()).passed


def test_the_import_does_not_bring_the_checks() -> None:
    """`import chainrule` brings neither the checks nor what they print with."""
    import subprocess
    import sys

    code = (
        "import sys, chainrule; "
        "print([m for m in ('chainrule.checking', 'rich', 'torch') if m in sys.modules], 'check' in dir(chainrule))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[] True"


def test_the_docstring_tells_the_tolerances_of_the_code() -> None:
    from chainrule.checking import comparison, differences, elements

    text = " ".join((cr.check.__doc__ or "").split())

    def plain(number: float) -> str:
        return f"{number:.0e}".replace("e-0", "e-")

    relative, largest = differences.RELATIVE, differences.OF_LARGEST
    assert f"{plain(relative['float64'])} (float32: {plain(relative['float32'])}) of the sum of" in text
    assert f"{plain(largest['float64'])} ({plain(largest['float32'])}) of the largest such sum" in text
    assert "ten times what the difference rounds" in text
    slope = differences.Slope(value=0.0, terms=2.0, rounding=7.0)
    for dtype in ("float64", "float32"):
        expected = relative[dtype] * 2 + largest[dtype] * 5 + 10 * 7 + 3
        assert elements.tolerance(slope, dtype, 5.0, 3.0) == pytest.approx(expected, rel=1e-12)
        values, dy = {"x": np.array([3.0, 4.0])}, np.array([-7.0, 1.0])
        least = differences.Differences(lambda given: given["x"], values, dy).least("x", dtype)
        assert least == differences.OF_UPSTREAM[dtype] * float(np.finfo(dtype).eps) * 7
    assert f"{differences.OF_UPSTREAM['float64']} machine epsilons of the largest |dy|" in text
    assert np.finfo(float).eps ** (1 / 3) == differences.CUBE_ROOT
    words = {2: "two", 3: "three", 4: "four"}
    assert f"Up to {comparison.EVERY_ELEMENT:,} elements" in text
    assert f"{words[comparison.DIRECTIONS]} random directions, one more" in text
    assert f"and {comparison.SAMPLED[1]} elements" in text
    assert f"up to {comparison.EVERY_WHEN_WRONG:,} elements" in text
    assert f"within {comparison.WORK:,} numbers" in text
    assert f"down to {comparison.SAMPLED[0]}" in text
    assert f"{comparison.SAMPLED_WHEN_WRONG[1]} elements and those found by halving" in text
