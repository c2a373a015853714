"""`cr.check` takes conventions for what they are: sums of gradients, updates in backward, stacks, kept results."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def verdicts(report: CheckReport) -> dict[str, str]:
    return {row.input: row.verdict for row in report.rows}


# Gradients that add up ---------------------------------------------------------------------------------------


class Adds:
    """y = x W + b; backward adds into dW and db, and `clear` is the method that sets them to zero."""

    wrong = 1.0

    def __init__(self) -> None:
        self.W, self.b = W.copy(), B.copy()
        self.dW, self.db = np.zeros_like(W), np.zeros_like(B)

    def clear(self) -> None:
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy: Array) -> Array:
        self.dW += self.wrong * self.x.T @ dy
        self.db += dy.sum(axis=0)
        return dy @ self.W.T


def clearing(name: str, base: type = Adds) -> Any:
    return type("Clearing", (base,), {name: Adds.clear})


@pytest.mark.parametrize(
    "name",
    [
        "zero_grad",
        "zero_grads",
        "clear_grads",
        "reset_gradients",
        "zeroGrad",
        "reset_grad",
        "clear_gradients",
    ],
)
def test_adding_is_a_contract_where_something_clears(name: str) -> None:
    report = cr.check(clearing(name)(), X)
    assert report.passed, str(report)
    assert verdicts(report) == {"x": "ok", "W": "ok", "b": "ok"}
    assert report.remarks == (
        f"Clearing adds into its gradients by contract: call {name}() between two backwards.",
    )

    class Wrong(Adds):
        wrong = -1.0

    assert cr.check(clearing(name, Wrong)(), X).mistakes == ("sign",)


def test_a_used_object_is_checked_from_gradients_of_zero() -> None:
    layer = clearing("zero_grad")()
    layer.backward(layer.forward(X))
    assert cr.check(layer, X).passed


def test_adding_to_all_from_zero_is_a_contract() -> None:
    report = cr.check(Adds(), X)
    assert report.passed, str(report)
    assert report.remarks == (
        "Adds adds into its gradients by contract: set them to 0 between two backwards.",
    )


def test_adding_to_one_of_two_is_a_mistake() -> None:
    class One(Adds):
        def backward(self, dy: Array) -> Array:
            self.db = np.zeros_like(self.b)
            return super().backward(dy)

    assert [(f.mistake, f.input) for f in cr.check(One(), X).findings] == [("accumulates", "W")]


def test_a_method_that_clears_one_of_two_leaves_a_mistake() -> None:
    class Half(Adds):
        def zero_grad(self) -> None:
            self.dW = np.zeros_like(self.W)

    assert [(f.mistake, f.input) for f in cr.check(Half(), X).findings] == [("accumulates", "b")]


def test_adding_to_what_an_earlier_use_left_is_a_mistake() -> None:
    layer = Adds()
    layer.backward(layer.forward(X))
    assert "accumulates" in cr.check(layer, X).mistakes


def test_adding_to_the_only_gradient_is_a_warning() -> None:
    class Alone:
        def __init__(self) -> None:
            self.W, self.dW = W.copy(), np.zeros_like(W)

        def forward(self, x: Array) -> Array:
            self.x = x
            return x @ self.W

        def backward(self, dy: Array) -> Array:
            self.dW += self.x.T @ dy
            return dy @ self.W.T

    report = cr.check(Alone(), X)
    assert report.passed
    assert [(f.mistake, f.severity) for f in report.findings] == [("accumulates", "warning")]


def test_adding_to_what_forward_cleared_is_a_contract() -> None:
    class Clears(Adds):
        def forward(self, x: Array) -> Array:
            self.clear()
            return super().forward(x)

    report = cr.check(Clears(), X)
    assert report.passed, str(report)
    assert "forward sets them to 0" in report.remarks[0]


def test_parameters_that_clear_their_own_gradients() -> None:
    class Parameter:
        def __init__(self, value: Array) -> None:
            self.value, self.grad = value.copy(), np.zeros_like(value)

        def zero_grad(self) -> None:
            self.grad.fill(0)

    class Holds:
        def __init__(self) -> None:
            self.parameters = [Parameter(W), Parameter(B)]

        def forward(self, x: Array) -> Array:
            self.x = x
            return x @ self.parameters[0].value + self.parameters[1].value

        def backward(self, dy: Array) -> Array:
            self.parameters[0].grad += self.x.T @ dy
            self.parameters[1].grad += dy.sum(axis=0)
            return dy @ self.parameters[0].value.T

    report = cr.check(Holds(), X)
    assert report.passed, str(report)
    assert verdicts(report) == {"x": "ok", "parameters[0].value": "ok", "parameters[1].value": "ok"}


# Backwards that update ---------------------------------------------------------------------------------------


class Updates:
    """y = x W + b; backward(dy, lr) updates W and b, and keeps no gradient of them."""

    wrong = 1.0
    early = False

    def __init__(self) -> None:
        self.weights, self.shift = W.copy(), B.copy()

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.weights + self.shift

    def update(self, lr: float, dW: Array, db: Array) -> None:
        self.weights = self.weights - lr * dW
        self.shift -= lr * db

    def step(self, dy: Array, lr: float) -> Array:
        dx = dy @ self.weights.T
        self.update(lr, self.wrong * self.x.T @ dy, dy.sum(axis=0))
        return dy @ self.weights.T if self.early else dx

    def backward(self, dy: Array, lr: float = 0.1) -> Array:
        return self.step(dy, lr)


class Required(Updates):
    def backward(self, output_gradient: Array, learning_rate: float) -> Array:
        return self.step(output_gradient, learning_rate)


class OnTheObject(Updates):
    def __init__(self) -> None:
        super().__init__()
        self.learning_rate = 0.05

    def backward(self, dy: Array) -> Array:  # type: ignore[override]
        return self.step(dy, self.learning_rate)


@pytest.mark.parametrize("base", [Updates, Required, OnTheObject])
def test_a_backward_that_updates_is_checked_by_that(base: Any) -> None:
    report = cr.check(base(), X)
    assert report.passed, str(report)
    assert not report.findings
    assert verdicts(report) == {"x": "ok", "weights": "ok", "shift": "ok"}
    assert "updates weights, shift: after each call they were put back" in report.remarks[0]
    wrong = cr.check(type("Wrong", (base,), {"wrong": -1.0})(), X)
    assert [(f.mistake, f.input) for f in wrong.findings] == [("sign", "weights")]
    early = cr.check(type("Early", (base,), {"early": True})(), X)
    assert early.mistakes == ("stale-weights",)


def test_the_object_itself_is_not_updated() -> None:
    layer = Updates()
    cr.check(layer, X)
    assert np.array_equal(layer.weights, W)


def test_a_backward_that_keeps_dW_and_updates_after_dx_is_right() -> None:
    class Keeps(Updates):
        def update(self, lr: float, dW: Array, db: Array) -> None:
            self.dweights, self.dshift = dW, db
            super().update(lr, dW, db)

        def backward(self, dy: Array) -> Array:  # type: ignore[override]
            return self.step(dy, 0.3)

    report = cr.check(Keeps(), X)
    assert report.passed, str(report)
    assert verdicts(report) == {"x": "ok", "weights": "ok", "shift": "ok"}
    assert cr.check(type("Wrong", (Keeps,), {"wrong": 3.0})(), X).mistakes == ("factor",)
    assert cr.check(type("Early", (Keeps,), {"early": True})(), X).mistakes == ("stale-weights",)


class Momentum(Updates):
    def update(self, lr: float, dW: Array, db: Array) -> None:
        self.speed = 0.9 * getattr(self, "speed", 0) - lr * dW
        self.weights = self.weights + self.speed


class Adam(Updates):
    def update(self, lr: float, dW: Array, db: Array) -> None:
        self.weights = self.weights - lr * dW / (np.abs(dW) + 1e-8)


class Decay(Updates):
    def update(self, lr: float, dW: Array, db: Array) -> None:
        self.weights = self.weights - lr * (dW + 0.1 * self.weights)


@pytest.mark.parametrize("base", [Momentum, Adam, Decay])
def test_an_update_by_a_rule_of_its_own_is_left_uncompared(base: Any) -> None:
    report = cr.check(base(), X, ignore=["shift"])
    assert (report.verdict, report.uncompared, verdicts(report)) == ("incomplete", ("weights",), {"x": "ok"})
    assert f"{base.__name__} updates its weights in backward by a rule of its own" in report.remarks[0]
    assert cr.check(type("Early", (base,), {"early": True})(), X, ignore=["shift"]).mistakes == (
        "stale-weights",
    )


# Stacks of past inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [list, deque])
def test_a_stack_of_past_inputs_is_no_stale_state(make: Any) -> None:
    class Cell:
        first = False

        def __init__(self) -> None:
            self.W, self.cache = W.copy(), make()

        def forward(self, x: Array) -> Array:
            y = np.tanh(x @ self.W)
            self.cache.append((x, y))
            return y

        def backward(self, dy: Array) -> Array:
            if self.first:
                x, y = self.cache[0]
                del self.cache[0]
            else:
                x, y = self.cache.pop()
            dz = dy * (1 - y**2)
            self.dW = x.T @ dz
            return dz @ self.W.T

    report = cr.check(Cell(), X)
    assert report.passed, str(report)
    assert not report.findings
    assert "in cache: backward has to be called as often as forward, in reverse" in report.remarks[0]

    class InOrder(Cell):
        first = True

    assert "stale-state" in cr.check(InOrder(), X).mistakes


# What is returned, and what is kept --------------------------------------------------------------------------


def test_the_parameters_own_statistics_are_none() -> None:
    class InDict:
        wrong = 1.0

        def __init__(self) -> None:
            self.params, self.grads = {"g": np.ones(4), "running_mean": np.zeros(4)}, dict[str, Array]()

        def forward(self, x: Array) -> Array:
            self.params["running_mean"] = 0.9 * self.params["running_mean"] + 0.1 * x.mean(axis=0)
            self.x = x
            return x * self.params["g"]

        def backward(self, dy: Array) -> Array:
            self.grads["g"] = self.wrong * (dy * self.x).sum(axis=0)
            return dy * self.params["g"]

    assert verdicts(cr.check(InDict(), X)) == {"x": "ok", "g": "ok"}
    assert cr.check(type("Wrong", (InDict,), {"wrong": -1.0})(), X).mistakes == ("sign",)


def test_gradients_are_returned_and_kept() -> None:
    class Both(Adds):
        def backward(self, dy: Array) -> Any:
            self.clear()
            return super().backward(dy), self.dW, self.db

    report = cr.check(Both(), X)
    assert report.passed, str(report)
    assert verdicts(report) == {"x": "ok", "W": "ok", "b": "ok"}
    assert cr.check(type("Wrong", (Both,), {"wrong": -1.0})(), X).mistakes == ("sign",)


def test_a_backward_that_returns_gradients_of_parameters_only() -> None:
    class Network(Adds):
        def backward(self, dy: Array) -> Any:
            return {"dW": self.wrong * self.x.T @ dy, "db": dy.sum(axis=0)}

    report = cr.check(Network(), X)
    assert (report.verdict, report.uncompared) == ("incomplete", ("x",))
    assert verdicts(report) == {"W": "ok", "b": "ok"}
    assert cr.check(Network(), X, ignore=["x"]).passed
    assert cr.check(type("Wrong", (Network,), {"wrong": -1.0})(), X).mistakes == ("sign",)


@pytest.mark.parametrize("training", [True, False, np.True_])
def test_a_truth_value_has_no_gradient(training: Any) -> None:
    class Dropout:
        wrong = False

        def forward(self, x: Array, training: bool) -> Array:
            self.mask = (np.random.random(x.shape) > 0.3) / 0.7 if training else np.ones(x.shape)  # noqa: NPY002
            return x * self.mask

        def backward(self, dy: Array) -> Array:
            return dy * (1 - self.mask if self.wrong else self.mask)

    report = cr.check(Dropout(), X, training)
    assert report.passed, str(report)
    assert verdicts(report) == {"x": "ok"}
    assert not cr.check(type("Wrong", (Dropout,), {"wrong": True})(), X, training).passed


def test_a_number_beside_an_array_is_handed_on_as_it_is() -> None:
    class Pad:
        def forward(self, x: Array, width: int, by: float) -> Array:
            assert isinstance(width, int)
            assert isinstance(by, float)
            self.width, self.by = width, by
            return np.pad(x, width) * by

        def backward(self, dy: Array) -> Array:
            return self.by * dy[self.width : -self.width, self.width : -self.width]

    assert verdicts(cr.check(Pad(), X, 2, 1.5)) == {"x": "ok"}


def test_a_number_with_a_gradient_is_compared() -> None:
    class Scale:
        def forward(self, x: Array, a: float) -> Array:
            self.x, self.a = x, a
            return a * x

        def backward(self, dy: Array) -> Any:
            return self.a * dy, (dy * self.x).sum() * self.times

        times = 1.0

    assert verdicts(cr.check(Scale(), X, 1.5)) == {"x": "ok", "a": "ok"}
    assert verdicts(cr.check(type("Wrong", (Scale,), {"times": 2.0})(), X, 1.5)) == {"x": "ok", "a": "wrong"}


@pytest.mark.parametrize("times", [1, -1])
def test_one_gradient_is_that_of_the_one_input_with_floats(times: int) -> None:
    def backward(dy: Array, cache: Any) -> Array:
        ids, W = cache
        dW = np.zeros_like(W)
        np.add.at(dW, ids, times * dy)
        return dW

    report = cr.check(lambda ids, W: (W[ids], (ids, W)), np.array([1, 3, 1]), W, backward=backward)
    assert verdicts(report) == {"W": "ok" if times == 1 else "wrong"}, str(report)


class Squares:
    """A loss whose backward takes the predictions and the answers."""

    times = 1.0

    def forward(self, y_pred: Array, y_true: Array) -> Any:
        return ((y_pred - y_true) ** 2).mean()

    def backward(self, y_pred: Array, y_true: Array) -> Array:
        return self.times * 2 * (y_pred - y_true) / y_pred.size


class OfEachSample(Squares):
    def forward(self, y_pred: Array, y_true: Array) -> Any:
        return ((y_pred - y_true) ** 2).sum(axis=1)

    def backward(self, y_pred: Array, y_true: Array) -> Array:
        return self.times * 2 * (y_pred - y_true)


class FromTheAnswers(Squares):
    def forward(self, y_pred: Array, y_true: Array) -> Any:
        self.y_pred = y_pred
        return super().forward(y_pred, y_true)

    def backward(self, y_true: Array) -> Array:  # type: ignore[override]
        return super().backward(self.y_pred, y_true)


@pytest.mark.parametrize("base", [Squares, OfEachSample, FromTheAnswers])
def test_a_loss_may_take_its_inputs_again(base: Any) -> None:
    report = cr.check(base(), X, X[::-1])
    assert report.passed, str(report)
    assert verdicts(report) == {"y_pred": "ok"}
    assert "factor" in cr.check(type("Wrong", (base,), {"times": 2.0})(), X, X[::-1]).mistakes


class Keeps:
    """forward and backward return nothing."""

    wrong = 1.0

    def __init__(self) -> None:
        self.weights, self.biases = W.copy(), B.copy()

    def forward(self, inputs: Array) -> None:
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues: Array) -> None:
        self.dweights, self.dbiases = self.inputs.T @ dvalues, dvalues.sum(axis=0)
        self.dinputs = self.wrong * dvalues @ self.weights.T


def test_results_may_be_kept_and_not_returned() -> None:
    report = cr.check(Keeps(), X)
    assert report.passed, str(report)
    assert verdicts(report) == {"inputs": "ok", "weights": "ok", "biases": "ok"}
    wrong = cr.check(type("Wrong", (Keeps,), {"wrong": -1.0})(), X)
    assert [(f.mistake, f.input) for f in wrong.findings] == [("sign", "inputs")]


def test_what_is_kept_under_no_known_name_is_told() -> None:
    class Hides(Keeps):
        def forward(self, inputs: Array) -> None:
            super().forward(inputs)
            self.something = self.__dict__.pop("output")

    (finding,) = cr.check(Hides(), X).findings
    assert finding.mistake == "raises"
    assert "must return an array" in finding.advice


@pytest.mark.parametrize("sign", [1, -1])
def test_an_embedding_may_return_the_gradient_of_its_own_table(sign: int) -> None:
    class Embedding:
        def __init__(self) -> None:
            self.table = W.copy()

        def forward(self, ids: Array) -> Array:
            self.ids = ids
            return self.table[ids]

        def backward(self, dy: Array) -> Array:
            dW = np.zeros_like(self.table)
            np.add.at(dW, self.ids, sign * dy)
            return dW

    assert verdicts(cr.check(Embedding(), np.array([1, 3, 1]))) == {"table": "ok" if sign == 1 else "wrong"}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_function_may_take_a_truth_value(sign: int) -> None:
    def forward(x: Array, square: bool, times: float) -> Any:
        assert isinstance(square, bool)
        return times * (x**2 if square else x), (x, square, times)

    def backward(dy: Array, cache: Any) -> Array:
        x, square, times = cache
        return sign * times * (2 * x * dy if square else dy)

    report = cr.check(forward, X, True, 1.5, backward=backward)
    assert verdicts(report) == {"x": "ok" if sign == 1 else "wrong"}, str(report)


class Cell:
    """A cell that is called once for each step, and keeps its hidden state."""

    adds = False

    def __init__(self) -> None:
        self.Wx, self.Wh = W.copy(), RNG.normal(size=(3, 3))
        self.h: Any = None
        self.cache: list[Any] = []

    def forward(self, x: Array) -> Array:
        before = np.zeros((len(x), 3)) if self.h is None else self.h
        self.h = np.tanh(x @ self.Wx + before @ self.Wh)
        self.cache.append((x, before, self.h))
        return self.h

    def backward(self, dy: Array) -> Array:
        x, before, h = self.cache.pop()
        dz = dy * (1 - h**2)
        self.dWx, self.dWh = x.T @ dz, before.T @ dz
        return dz @ self.Wx.T


def test_a_cell_that_keeps_its_hidden_state_is_no_stale_state() -> None:
    report = cr.check(Cell(), X)
    assert report.passed, str(report)
    assert not report.findings
    assert not any("random" in remark for remark in report.remarks)

    class Wrong(Cell):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            self.dWx *= 2
            return dx

    assert [(f.mistake, f.input) for f in cr.check(Wrong(), X).findings] == [("factor", "Wx")]


def test_a_cell_that_adds_to_what_it_kept_accumulates() -> None:
    class Adds(Cell):
        def __init__(self) -> None:
            super().__init__()
            self.kept = np.zeros_like(W)

        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            self.kept += self.dWx
            self.dWx = self.kept
            return dx

    assert "accumulates" in cr.check(Adds(), X).mistakes


class Square:
    """backward takes the input again, behind the upstream gradient or before it."""

    times = 2

    def forward(self, x: Array) -> Array:
        return x**2

    def backward(self, dy: Array, x: Array) -> Array:
        return dy * self.times * x


class InputFirst(Square):
    def backward(self, x: Array, grad: Array) -> Array:
        return grad * self.times * x


@pytest.mark.parametrize("base", [Square, InputFirst])
def test_a_backward_may_take_its_input_again(base: Any) -> None:
    assert cr.check(base(), X).passed
    assert cr.check(type("Wrong", (base,), {"times": 3})(), X).mistakes == ("factor",)


def test_a_network_that_updates_itself_layer_by_layer() -> None:
    class Network:
        wrong = 1.0

        def __init__(self) -> None:
            self.layers = [Updates(), Updates()]
            self.layers[1].weights, self.layers[1].shift = RNG.normal(size=(3, 2)), np.zeros(2)

        def forward(self, x: Array) -> Array:
            for layer in self.layers:
                x = np.tanh(layer.forward(x))
                layer.y = x  # type: ignore[attr-defined]
            return x

        def backward(self, dy: Array, learn_rate: float = 0.005) -> Array:
            for layer in reversed(self.layers):
                dy = layer.backward(dy * (1 - layer.y**2), self.wrong * learn_rate)  # type: ignore[attr-defined]
            return dy

    report = cr.check(Network(), X)
    assert report.passed, str(report)
    assert list(verdicts(report).values()) == ["ok"] * 5
    wrong = cr.check(type("Wrong", (Network,), {"wrong": 2.0})(), X)
    assert wrong.mistakes == ("factor",)
    assert list(verdicts(wrong).values()) == ["ok", *["wrong"] * 4]


@pytest.mark.parametrize("times", [1.0, 2.0])
def test_a_backward_may_be_that_of_the_mean_of_the_losses(times: float) -> None:
    class CrossEntropy:
        def forward(self, y_pred: Array, y_true: Array) -> Array:
            return -np.log(y_pred[np.arange(len(y_true)), y_true])

        def backward(self, dvalues: Array, y_true: Array) -> None:
            rows = np.arange(len(y_true))
            self.dinputs = np.zeros_like(dvalues)
            self.dinputs[rows, y_true] = -times / dvalues[rows, y_true] / len(rows)

    shares = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)
    report = cr.check(CrossEntropy(), shares, np.array([0, 1, 2, 3, 0]))
    assert report.passed == (times == 1), str(report)
    if report.passed:
        assert report.remarks == ("backward of CrossEntropy is that of the mean of what forward returns.",)
