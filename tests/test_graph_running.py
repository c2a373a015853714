"""Forward and backward: values, gradients, where they add up, what is kept and what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.errors import GraphError, NotComputedError
from chainrule.graph import unbroadcast


def shop() -> cr.Graph:
    """The apple shop of the textbook."""
    apple, apples = cr.Input("apple"), cr.Input("apples")
    orange, oranges, tax = cr.Input("orange"), cr.Input("oranges"), cr.Input("tax")
    apple_price = (apple * apples).named("apple_price")
    orange_price = (orange * oranges).named("orange_price")
    return cr.Graph((((apple_price + orange_price).named("all_price")) * tax).named("price"))


def test_the_apple_shop() -> None:
    graph = shop()
    price = graph.forward(apple=100, apples=2, orange=150, oranges=3, tax=1.1)
    assert price == pytest.approx(715, rel=1e-12)
    graph.backward()
    values = {"apple_price": 200, "orange_price": 450, "all_price": 650, "price": 715}
    for name, value in values.items():
        assert graph.values[name] == pytest.approx(value, rel=1e-12)
    gradients = {
        "apple": 2.2,
        "apples": 110,
        "orange": 3.3,
        "oranges": 165,
        "tax": 650,
        "apple_price": 1.1,
        "orange_price": 1.1,
        "all_price": 1.1,
        "price": 1,
    }
    assert set(graph.gradients) == set(gradients)
    for name, gradient in gradients.items():
        assert graph.gradients[name] == pytest.approx(gradient, rel=1e-12)


def test_sigmoid_as_a_graph_of_its_parts() -> None:
    x = cr.Input("x")
    drawn = cr.Graph(1 / (1 + cr.Exp()(x * -1)))
    whole = cr.Graph(cr.Sigmoid()(x))
    at = np.concatenate([np.linspace(-30, 30, 401), [-300.0, -1e-9, 0.0, 1e-300, 300.0]])
    dy = np.random.default_rng(0).normal(size=at.shape)
    np.testing.assert_allclose(drawn.forward(x=at), whole.forward(x=at), rtol=1e-12)
    np.testing.assert_allclose(
        drawn.backward(dy)["x"], whole.backward(dy)["x"], rtol=1e-12, atol=1e-12 * np.abs(dy).max()
    )
    for each in (0.0, -1.7, 2.5):
        assert drawn.forward(x=each) == pytest.approx(1 / (1 + np.exp(-each)), rel=1e-15)
        y = drawn.forward(x=each)
        assert drawn.backward()["x"] == pytest.approx(y * (1 - y), rel=1e-12)


def test_forward_returns_the_output_and_backward_the_gradients() -> None:
    x, w = cr.Input("x"), cr.Parameter("w", 3)
    graph = cr.Graph(x * w)
    assert graph.forward(x=2.0) == 6
    assert graph.forward({"x": 4.0}) == 12
    assert graph.forward(x=2.0, w=5.0) == 10
    assert graph.backward()["w"] == 2
    assert graph.gradients["x"] == graph.gradients[x] == 5
    assert graph.values["w"] == graph.values[w] == 5
    assert graph.forward(x=2.0) == 6, "feeding a parameter is for one run"


def test_gradients_add_up() -> None:
    x = cr.Input("x")
    square = cr.Graph(x * x)
    assert square.forward(x=3.0) == 9
    assert square.backward()["x"] == 6

    doubled = x * 2
    diamond = cr.Graph(doubled * doubled + doubled)
    assert diamond.forward(x=3.0) == 42
    assert diamond.backward()["x"] == 8 * 3 + 2

    three = cr.Graph(x * x * x + cr.Exp()(x) + x)
    three.forward(x=0.5)
    assert three.backward()["x"] == pytest.approx(3 * 0.25 + np.exp(0.5) + 1, rel=1e-15)

    same = cr.Graph(x - x)
    assert same.forward(x=3.0) == 0
    assert same.backward()["x"] == 0


def test_a_node_with_three_uses_at_several_depths() -> None:
    x = cr.Input("x")
    h = cr.Tanh()(x)
    graph = cr.Graph(cr.Sum()(h * cr.Exp()(h) + h))
    at = np.random.default_rng(1).normal(size=(2, 3))
    graph.forward(x=at)
    t = np.tanh(at)
    expected = (np.exp(t) * (1 + t) + 1) * (1 - t**2)
    np.testing.assert_allclose(graph.backward()["x"], expected, rtol=1e-13)


def test_backward_takes_an_upstream_gradient() -> None:
    graph = cr.Graph(cr.Input("x") * 2)
    graph.forward(x=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(graph.backward([1, -1, 10])["x"], [2, -2, 20])
    np.testing.assert_array_equal(graph.gradients["multiply1"], [1, -1, 10])
    graph.forward(x=1.0)
    assert graph.backward(5)["x"] == 10


def test_dy_is_copied() -> None:
    graph = cr.Graph(cr.Input("x") + 1)
    graph.forward(x=[1.0, 2.0])
    dy = np.array([3.0, 4.0])
    graph.backward(dy)
    dy[:] = 0
    np.testing.assert_array_equal(graph.gradients["x"], [3, 4])


def test_nothing_is_there_before_it_is_computed() -> None:
    graph = shop()
    assert len(graph.values) == len(graph.gradients) == 0
    assert "apple" not in graph.values
    with pytest.raises(NotComputedError, match=r"'price': it has no value yet; call forward\(\) first"):
        graph.values["price"]
    with pytest.raises(NotComputedError, match=r"call forward\(\) before backward\(\)"):
        graph.backward()
    graph.forward(apple=100, apples=2, orange=150, oranges=3, tax=1.1)
    with pytest.raises(NotComputedError, match=r"'tax': it has no gradient yet; call backward\(\)"):
        graph.gradients["tax"]


def test_a_new_forward_drops_the_old_gradients_and_a_failed_one_the_values() -> None:
    x = cr.Input("x")
    graph = cr.Graph(x * x)
    graph.forward(x=3.0)
    graph.backward()
    graph.forward(x=4.0)
    with pytest.raises(NotComputedError):
        graph.gradients["x"]
    assert graph.backward()["x"] == 8
    with pytest.raises(GraphError):
        graph.forward()
    assert len(graph.values) == len(graph.gradients) == 0


def test_a_failed_backward_drops_the_old_gradients() -> None:
    graph = cr.Graph(cr.Input("x") * 2)
    graph.forward(x=3.0)
    graph.backward()
    with pytest.raises(ValueError, match="expected dy"):
        graph.backward([1.0, 2.0])
    assert len(graph.gradients) == 0


def test_backward_twice_does_not_accumulate() -> None:
    graph = cr.Graph(cr.Input("x") * 3)
    graph.forward(x=1.0)
    graph.backward()
    assert graph.backward()["x"] == 3


def test_gradients_are_a_mapping() -> None:
    t = cr.Input("t")
    graph = cr.Graph(cr.SoftmaxCrossEntropy()(cr.Input("x"), t))
    graph.forward(x=np.zeros((2, 3)), t=[0, 2])
    graph.backward()
    assert list(graph.gradients) == ["x", "softmaxcrossentropy1"]
    assert set(graph.values) == {"x", "t", "softmaxcrossentropy1"}
    assert t not in graph.gradients
    assert graph.gradients.get("t") is None
    assert graph.gradients.get("nothing", 3) == 3
    assert graph.gradients.get("x") is not None
    with pytest.raises(NotComputedError, match=r"no gradient reaches it: whole numbers, such as labels"):
        graph.gradients[t]


def test_values_and_gradients_are_read_only_views() -> None:
    x, w = cr.Input("x"), cr.Parameter("w", [1.0, 2.0])
    graph = cr.Graph((x * w).named("y"))
    fed = np.array([3.0, 4.0])
    shown = [graph.forward(x=fed), *graph.values.values()]
    graph.backward([1.0, 1.0])
    shown += [*graph.gradients.values(), graph.evaluate({"x": fed}), graph.evaluate({"x": fed}, x)]
    shown.append(graph.evaluate({"x": fed}, w))
    for array in shown:
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7
    assert fed.flags.writeable
    assert np.shares_memory(graph.values["w"], w.value), "a view, not a copy"


def test_evaluate_keeps_nothing_and_computes_what_is_needed() -> None:
    x, z = cr.Input("x"), cr.Input("z")
    h = cr.Exp()(x)
    graph = cr.Graph(h * z)
    assert graph.evaluate({"x": 0.0}, h) == 1
    assert graph.evaluate({"x": 0.0, "z": 3.0}) == 3
    assert len(graph.values) == 0
    graph.forward(x=0.0, z=5.0)
    graph.evaluate({"x": 1.0, "z": 1.0})
    assert graph.values["z"] == 5
    assert graph.backward()["x"] == 5


class Spy(cr.Layer):
    """y = 2 x, and a record of every call of backward."""

    def __init__(self, calls: list[Any], label: str) -> None:
        self.calls, self.label = calls, label

    def forward(self, x: Array) -> tuple[Array, None]:
        return 2 * x, None

    def backward(self, dy: Array, saved: None, *, needs: tuple[bool, ...]) -> Array:
        self.calls.append((self.label, needs))
        return 2 * dy


def test_wrt_computes_only_what_is_needed() -> None:
    calls: list[Any] = []
    x, w, z = cr.Input("x"), cr.Parameter("w", 3.0), cr.Input("z")
    left = Spy(calls, "left")(x)
    middle = Spy(calls, "middle")(w)
    right = Spy(calls, "right")(z)
    graph = cr.Graph(Spy(calls, "top")(left * middle + right))
    graph.forward(x=1.0, z=5.0)

    def called() -> list[Any]:
        found = [label for label, _ in calls]
        calls.clear()
        return found

    assert graph.backward(wrt=["w"])["w"] == 8
    assert called() == ["top", "middle"]
    assert {left, right, x, z}.isdisjoint(map(graph.__getitem__, graph.gradients))
    with pytest.raises(NotComputedError, match=r"backward\(wrt=...\) leaves out"):
        graph.gradients["x"]
    assert graph.backward(wrt=[x, z])["z"] == 4
    assert graph.gradients["x"] == 24
    assert called() == ["top", "right", "left"]
    assert graph.backward(wrt=[left])[left] == 12
    assert called() == ["top"]
    graph.backward(wrt=[])
    assert called() == []
    graph.backward()
    assert called() == ["top", "right", "middle", "left"]
    assert graph.gradients["w"] == 8


def test_needs_says_which_gradients_are_wanted() -> None:
    seen: list[tuple[bool, ...]] = []

    class Both(cr.Layer):
        def forward(self, a: Array, b: Array) -> tuple[Array, None]:
            return a + b, None

        def backward(self, dy: Array, saved: None, *, needs: tuple[bool, ...]) -> tuple[Any, ...]:
            seen.append(needs)
            return tuple(dy if need else None for need in needs)

    graph = cr.Graph(Both()(cr.Input("a"), cr.Input("b")))
    graph.forward(a=1.0, b=2.0)
    for wrt in (None, ["a"], ["b"], ["a", "b"]):
        graph.backward(wrt=wrt)
    assert seen == [(True, True), (True, False), (False, True), (True, True)]


def test_wrt_several_nodes_of_one_path() -> None:
    x = cr.Input("x")
    h = (x * x).named("h")
    graph = cr.Graph(h * h)
    graph.forward(x=2.0)
    gradients = graph.backward(wrt=["x", h])
    assert gradients["h"] == 8
    assert gradients["x"] == 32


def test_an_optional_input_may_be_left_out() -> None:
    x, t, weight = cr.Input("x"), cr.Input("t"), cr.Input("weight", optional=True)
    graph = cr.Graph(cr.MeanSquaredError()(x, t, weight))
    with_weights = graph.forward(x=[1.0, 2.0], t=[0.0, 0.0], weight=[1.0, 0.0])
    without = graph.forward(x=[1.0, 2.0], t=[0.0, 0.0])
    assert with_weights != without
    assert "weight" not in graph.values
    graph.backward()
    assert set(graph.gradients) == {"x", "t", "meansquarederror1"}


def test_the_first_value_that_is_not_finite() -> None:
    x = cr.Input("x")
    graph = cr.Graph(cr.Exp()(cr.Log()(x) * 2))
    assert graph.first_not_finite() is None
    graph.forward(x=[1.0, 2.0])
    assert graph.first_not_finite() is None
    graph.forward(x=[1.0, 0.0])
    assert graph.first_not_finite() == "log1"


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ((3, 4), (3, 4)),
        ((3, 4), (1, 4)),
        ((3, 4), (4,)),
        ((3, 4), ()),
        ((2, 3, 4), (3, 1)),
        ((0, 4), (1, 4)),
        ((), ()),
    ],
)
def test_unbroadcast_sums_over_what_was_broadcast(have: tuple[int, ...], want: tuple[int, ...]) -> None:
    gradient = np.random.default_rng(2).normal(size=have)
    value, ones = np.ones(want), np.ones(have)
    assert (value * ones).shape == have
    summed = unbroadcast(np.asarray(gradient), want)
    assert summed.shape == want
    direction = np.random.default_rng(3).normal(size=want)
    np.testing.assert_allclose(
        (summed * direction).sum(), (gradient * direction).sum(), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize(
    ("have", "want"), [((3,), (4,)), ((1, 4), (3, 4)), ((4,), (1, 4)), ((), (1,)), ((1,), (0,))]
)
def test_unbroadcast_refuses_what_cannot_have_been_broadcast(have: Any, want: Any) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        unbroadcast(np.zeros(have), want)
