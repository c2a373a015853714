"""How many forwards a check needs, and what it says of functions with many kinks that round to float32."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking.differences import Differences, Point, Slope, resolving, settled

RNG = np.random.default_rng(0)


class Counted:
    """x W, and how often that was computed."""

    calls = 0

    def __init__(self, W: Array) -> None:
        self.W = W

    def forward(self, x: Array) -> Array:
        Counted.calls += 1
        self.x = x
        return np.asarray(x @ self.W)

    def backward(self, dy: Array) -> Array:
        self.dW = self.x.T @ dy
        return np.asarray(dy @ self.W.T)


def test_ten_thousand_parameters_take_few_forwards() -> None:
    Counted.calls = 0
    report = cr.check(Counted(RNG.normal(size=(100, 100))), RNG.normal(size=(16, 100)))
    assert report.passed
    assert [row.checked for row in report.rows] == [32, 32]
    assert Counted.calls < 250


def test_where_something_disagrees_each_of_two_thousand_elements_is_compared() -> None:
    class Wrong(Counted):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            dx[3, 7] *= 1.01
            return dx

    report = cr.check(Wrong(RNG.normal(size=(100, 3))), RNG.normal(size=(16, 100)))
    assert not report.passed
    assert report.findings[0].element == (3, 7)
    assert report.rows[0].checked == 1600


def test_a_step_that_fits_is_the_last() -> None:
    tried = []

    def slopes(bends: list[float]):  # type: ignore[no-untyped-def]
        for bend in bends:
            tried.append(bend)
            yield Slope(1.0, 1.0, 0.0, bend=bend)

    assert settled(slopes([0.5, 0.001, 0.0])).bend == 0.001
    assert tried == [0.5, 0.001]
    assert np.isnan(settled(slopes([float("nan")])).bend)  # that is not settled, and there is no other


def test_shorter_steps_count_where_they_could_tell() -> None:
    clear, noisy = Slope(1.0, 1.0, 0.0, noise=0.01), Slope(1.0, 1.0, 0.0, noise=0.2)
    assert [each.noise for each in resolving(iter([noisy, clear]), 0.1)] == [pytest.approx(0.00375)]


def test_what_is_moved_is_said() -> None:
    """Whoever makes tensors of the values makes those that were not moved once."""
    seen = []

    def forward(values: Point) -> Array:
        seen.append((values.moved, values["x"].copy()))
        return np.asarray(values["x"] * values["w"])

    x = np.array([1.0, 2.0])
    differences = Differences(forward, {"x": x, "w": np.ones(2)}, np.ones(2))  # type: ignore[arg-type]
    differences.element("x", 1, 0.5)
    differences.along("w", np.ones(2), 0.5)
    assert [moved for moved, _ in seen] == ["x", "x", "w", "w"]
    assert [list(value) for _, value in seen] == [[1, 2.5], [1, 1.5], [1, 2], [1, 2]]


@pytest.mark.parametrize("seed", range(6))
def test_kinks_within_long_steps_are_no_mistakes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, V = (rng.normal(size=size).astype(np.float32) for size in ((16, 32), (32, 16)))

    def forward(x: Array, W: Array, V: Array) -> Array:
        h = np.maximum(x.astype(np.float32) @ W.astype(np.float32), 0)
        return np.asarray((h @ V.astype(np.float32)).astype(np.float64))

    def backward(dy: Array, x: Array, W: Array, V: Array) -> tuple[Array, Array, Array]:
        h = np.maximum(x @ W, 0)
        dh = (dy @ V.T) * (h > 0)
        return dh @ W.T, x.T @ dh, h.T @ dy

    report = cr.check(forward, rng.normal(size=(10, 16)), W, V, backward=backward)
    assert report.passed, report
