"""Every layer's backward against central differences of its forward, over the table of cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule.layers as layers
from chainrule.arrays import Array, Shape
from layer_cases import CASES, LayerCase, all_cases, all_layers, run_backward, strided

RELATIVE = 1e-6  # of the size of the terms; a gradient that is wrong by a thousandth is far outside
STEP = np.finfo(np.float64).eps ** (1 / 3)  # balances truncation against rounding in central differences

cases = pytest.mark.parametrize("case", all_cases(), ids=str)


@dataclass(frozen=True)
class Comparison:
    """A gradient, the differences it is held against, the size of the terms of each, and their rounding."""

    analytic: Array
    numeric: Array
    terms: Array
    rounding: Array

    def agrees(self, analytic: Array | None = None) -> bool:
        """Whether every element agrees; a NaN agrees with nothing."""
        gradient = self.analytic if analytic is None else analytic
        if gradient.shape != self.numeric.shape:
            return False
        floor = (
            1e-9 * self.terms.max(initial=0) + 1e-30
        )  # for truncation, and underflow, where the truth is 0
        allowed = RELATIVE * self.terms + 10 * self.rounding + floor
        return bool(np.all(np.abs(gradient - self.numeric) <= allowed))


def unbroadcast(gradient: Array, shape: Shape) -> Array:
    """The gradient summed over the axes along which an input of this shape was broadcast."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return np.asarray(gradient.sum(axis=stretched, keepdims=True))


def freeze(value: Any) -> None:
    """Make every array inside refuse to be written to."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, dict):
        freeze(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for each in value:
            freeze(each)


def drawn(case: LayerCase, dtype: Any = np.float64) -> tuple[tuple[Array, ...], np.random.Generator]:
    rng = np.random.default_rng(sum(map(ord, str(case))))
    inputs = case.inputs(rng, dtype)
    freeze(inputs)
    return inputs, rng


def upstream(y: Array, rng: np.random.Generator) -> Array:
    """A random gradient: with ones, a softmax whose backward returns zeros would pass."""
    dy = np.asarray(
        (rng.normal(size=y.shape) + np.where(rng.random(y.shape) < 0.5, -0.5, 0.5)).astype(y.dtype)
    )
    freeze(dy)
    return dy


def compare(case: LayerCase, layer: Any, position: int, inputs: tuple[Array, ...], dy: Array) -> Comparison:
    y, saved, _ = case.forward(layer, inputs)
    freeze(saved)
    gradient = run_backward(layer, dy, saved, (True,) * len(inputs))[position]
    assert gradient is not None, f"{case}: input {position} was given no gradient"
    x = inputs[position]
    numeric, terms, rounding = np.zeros(x.shape), np.zeros(x.shape), np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = STEP * max(1.0, abs(x[index]) ** 0.5)
        above, below = x.copy(), x.copy()
        above[index] += step
        below[index] -= step
        change = dy * (
            case.forward(layer, (*inputs[:position], above, *inputs[position + 1 :]))[0]
            - case.forward(layer, (*inputs[:position], below, *inputs[position + 1 :]))[0]
        )
        width = above[index] - below[index]
        numeric[index] = change.sum() / width
        terms[index] = np.abs(change).sum() / width
        rounding[index] = np.finfo(np.float64).eps * np.abs(dy * y).sum() / width
    return Comparison(unbroadcast(gradient, x.shape), numeric, terms, rounding)


def assert_near(found: Array | None, expected: Array | None, relative: float) -> None:
    """Equal but for a fraction of each element and of the largest one."""
    assert found is not None
    assert expected is not None
    largest = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=10 * relative, atol=relative * largest)


@cache
def comparisons(case: LayerCase) -> dict[int, Comparison]:
    inputs, rng = drawn(case)
    layer = case.make()
    dy = upstream(case.forward(layer, inputs)[0], rng)
    return {position: compare(case, layer, position, inputs, dy) for position in case.positions(inputs)}


def test_every_layer_has_cases() -> None:
    without = [cls.__name__ for cls in all_layers() if cls not in CASES]
    assert not without, f"{without}: add rows to tests/layer_cases.py"


def test_every_layer_is_public() -> None:
    assert {cls.__name__ for cls in all_layers()} <= set(layers.__all__)
    assert len(all_layers()) == len({cls.__name__ for cls in all_layers()}) == 43


@cases
def test_gradient(case: LayerCase) -> None:
    for position, compared in comparisons(case).items():
        assert compared.agrees(), (
            f"{case}, input {position}: backward gives\n{compared.analytic}\n"
            f"where finite differences give\n{compared.numeric}"
        )


@cases
def test_one_gradient_per_input_in_dtype_and_shape(case: LayerCase) -> None:
    for dtype in (np.float32, np.float64):
        inputs, rng = drawn(case, dtype)
        layer = case.make()
        y, saved, state = case.forward(layer, inputs)
        assert y.dtype == dtype
        freeze(saved)
        gradients = run_backward(layer, upstream(y, rng), saved, (True,) * len(inputs))
        assert len(gradients) == len(inputs)
        for position, (x, gradient) in enumerate(zip(inputs, gradients, strict=True)):
            if position in case.positions(inputs):
                assert gradient is not None
                assert np.asarray(gradient).dtype == dtype
                assert unbroadcast(np.asarray(gradient), x.shape).shape == x.shape
            else:
                assert gradient is None or x.dtype.kind == "f"
        for name, value in (state or {}).items():
            assert value.dtype == dtype, name


@cases
def test_float32_agrees_with_float64(case: LayerCase) -> None:
    inputs, rng = drawn(case, np.float32)
    layer = case.make()
    wide = tuple(x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs)
    y, saved, _ = case.forward(layer, inputs)
    y_wide, saved_wide, _ = case.forward(layer, wide)
    dy = upstream(y, rng)
    needs = (True,) * len(inputs)
    gradients = run_backward(layer, dy, saved, needs)
    gradients_wide = run_backward(layer, dy.astype(np.float64), saved_wide, needs)
    assert_near(y, y_wide, 2e-5)
    for position in case.positions(inputs):
        assert_near(gradients[position], gradients_wide[position], 2e-5)


@cases
def test_forward_twice_gives_the_same(case: LayerCase) -> None:
    inputs, _ = drawn(case)
    layer = case.make()
    first, second = case.forward(layer, inputs), case.forward(layer, inputs)
    np.testing.assert_array_equal(first[0], second[0])
    assert {k: v for k, v in vars(layer).items() if k != "arguments"}.keys() == (
        vars(case.make()).keys() - {"arguments"}
    ), "forward left something on self"


@cases
def test_strides_do_not_matter(case: LayerCase) -> None:
    inputs, rng = drawn(case)
    layer = case.make()
    spread = tuple(strided(x) for x in inputs)
    freeze(spread)
    y, saved, _ = case.forward(layer, inputs)
    y_spread, saved_spread, _ = case.forward(layer, spread)
    dy = upstream(y, rng)
    dy_spread = strided(dy)
    freeze([saved, saved_spread, dy_spread])
    needs = (True,) * len(inputs)
    gradients = run_backward(layer, dy, saved, needs)
    gradients_spread = run_backward(layer, dy_spread, saved_spread, needs)
    assert_near(y_spread, y, 1e-12)
    for position in case.positions(inputs):
        assert_near(gradients_spread[position], gradients[position], 1e-12)


@pytest.mark.parametrize(
    "case", [c for c in all_cases() if "needs" in c.make().signature.backward_asks], ids=str
)
def test_needs_are_met_one_at_a_time(case: LayerCase) -> None:
    inputs, rng = drawn(case)
    layer = case.make()
    y, saved, _ = case.forward(layer, inputs)
    dy = upstream(y, rng)
    everything = run_backward(layer, dy, saved, (True,) * len(inputs))
    for position in range(len(inputs)):
        alone = run_backward(layer, dy, saved, tuple(i == position for i in range(len(inputs))))
        assert len(alone) == len(inputs)
        for i, (gradient, expected) in enumerate(zip(alone, everything, strict=True)):
            if i == position and expected is not None:
                np.testing.assert_array_equal(gradient, expected)
            elif i != position:
                assert gradient is None


def one_element(gradient: Array) -> Array:
    wrong = gradient.copy()
    wrong.flat[np.abs(wrong).argmax()] *= 1.001
    return wrong


MUTANTS: dict[str, Callable[[Array], Array]] = {
    "zero": np.zeros_like,
    "negated": np.negative,
    "doubled": lambda gradient: 2 * gradient,
    "wrong by 0.1 %": lambda gradient: 1.001 * gradient,
    "wrong by 0.1 % in one element": one_element,
    "NaN": lambda gradient: np.full_like(gradient, np.nan),
}


@pytest.mark.parametrize("wrong", MUTANTS)
@pytest.mark.parametrize("cls", all_layers(), ids=lambda cls: cls.__name__)
def test_a_wrong_backward_is_caught(cls: type[layers.Layer], wrong: str) -> None:
    """Whatever gradient is not zero in truth: the checker finds it out when it is mutated."""
    tried: set[int] = set()
    for case in CASES[cls]:
        for position, compared in comparisons(case).items():
            largest = np.abs(compared.numeric).max(initial=0)
            if largest > 0.1 * compared.terms.max(initial=0) > 0 and largest > 1e5 * compared.rounding.max():
                tried.add(position)
                assert not compared.agrees(MUTANTS[wrong](compared.analytic)), f"{case}, input {position}"
    used = {position for case in CASES[cls] for position in comparisons(case)}
    assert tried == used, "no case has a gradient that isn't zero"


def test_a_wrong_shape_is_caught() -> None:
    compared = comparisons(CASES[layers.Add][0])[0]
    assert not compared.agrees(compared.analytic[:1])
