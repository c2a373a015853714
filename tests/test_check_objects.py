"""`cr.check` on objects as textbooks write them: their parameters are found, and the object is left as it is."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)
BESIDE = np.random.default_rng(1)
BESIDE_OLD = np.random.RandomState(2)  # what is checked may use it


class Affine:
    """y = x W + b; `spoiled` names the parameter whose gradient is twice what it should be."""

    def __init__(self, spoiled: str = "", W: Array = W, b: Array = B) -> None:
        self.spoiled = spoiled
        self.W, self.b = W.copy(order="K"), b.copy()
        self.keep(np.zeros_like(W), np.zeros_like(b))

    def keep(self, dW: Any, db: Any) -> None:
        self.dW, self.db = dW, db

    def weights(self) -> tuple[Array, Array]:
        return self.W, self.b

    def forward(self, x: Array) -> Array:
        self.x = x
        W, b = self.weights()
        return x @ W + b

    def backward(self, dy: Array) -> Array:
        dW = self.x.T @ dy * (2 if self.spoiled == "W" else 1)
        self.keep(dW, dy.sum(axis=0) * (2 if self.spoiled == "b" else 1))
        return dy @ self.weights()[0].T


def verdicts(report: CheckReport) -> dict[str, str]:
    return {row.input: row.verdict for row in report.rows}


def told(report: CheckReport) -> str:
    return "\n".join([report.summary(), *(f.advice for f in report.findings)])


# The object stays as it is --------------------------------------------------------------------------------


def test_the_object_is_neither_run_nor_changed() -> None:
    layer = Affine()
    before = dict(vars(layer))
    contents = {name: value.copy() for name, value in before.items() if isinstance(value, np.ndarray)}
    x = X.copy()
    cr.check(layer, x)
    assert vars(layer).keys() == before.keys()
    assert all(vars(layer)[name] is value for name, value in before.items())
    assert all(np.array_equal(getattr(layer, name), value) for name, value in contents.items())
    assert np.array_equal(x, X)


def test_read_only_arrays_are_enough() -> None:
    layer, x = Affine(), X.copy()
    for array in (layer.W, layer.b, x):
        array.flags.writeable = False
    assert cr.check(layer, x).passed
    assert not layer.W.flags.writeable


def test_what_wrecks_its_inputs_does_not_reach_ours() -> None:
    class Wrecks(Affine):
        def forward(self, x: Array) -> Array:
            y = super().forward(x.copy())
            x[...] = 0
            self.W *= 1
            return y

    layer, x = Wrecks(), X.copy()
    report = cr.check(layer, x)
    assert "mutates-input" in report.mistakes
    assert np.array_equal(x, X)
    assert np.array_equal(layer.W, W)


def test_global_random_numbers_go_on_as_if_nothing_was() -> None:
    class Noisy(Affine):
        def forward(self, x: Array) -> Array:
            self.mask = (np.random.random(x.shape) < 0.5) * (random.random() + 1)  # noqa: NPY002
            return super().forward(x) + self.mask @ np.ones((4, 3))

    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before, before_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    assert cr.check(Noisy(), X).passed
    after = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert random.getstate() == before_python


@pytest.mark.parametrize("how", ["numpy", "python", "module"])
def test_global_random_numbers_go_on_after_an_error(how: str) -> None:
    class Fails:
        def forward(self, x: Array) -> Array:
            np.random.random()  # noqa: NPY002
            random.random()
            BESIDE.random()
            raise ValueError("no")

        def backward(self, dy: Array) -> Array:
            return dy

    states: dict[str, Callable[[], Any]] = {
        "numpy": lambda: np.random.get_state()[2],  # noqa: NPY002
        "python": random.getstate,
        "module": lambda: BESIDE.bit_generator.state,
    }
    before = states[how]()
    assert cr.check(Fails(), X).mistakes == ("raises",)
    assert states[how]() == before


# Parameters are found -------------------------------------------------------------------------------------


def suffixed(pattern: str) -> type[Affine]:
    class Named(Affine):
        def keep(self, dW: Any, db: Any) -> None:
            setattr(self, pattern.format("W"), dW)
            setattr(self, pattern.format("b"), db)

    return Named


class Lists(Affine):
    """params and grads are lists, as in the textbook's Affine; the arrays of grads are written to in place."""

    def __init__(self, spoiled: str = "") -> None:
        self.spoiled = spoiled
        self.params, self.grads = [W.copy(), B.copy()], [np.zeros_like(W), np.zeros_like(B)]

    def weights(self) -> tuple[Array, Array]:
        return self.params[0], self.params[1]

    def keep(self, dW: Any, db: Any) -> None:
        self.grads[0][...], self.grads[1][...] = dW, db


class ListsAndNames(Affine):
    """The same arrays under two names: as W and b, and in params."""

    def __init__(self, spoiled: str = "") -> None:
        super().__init__(spoiled)
        self.params, self.grads = [self.W, self.b], [np.zeros_like(W), np.zeros_like(B)]

    def keep(self, dW: Any, db: Any) -> None:
        self.grads = [dW, db]


class Dicts(Affine):
    gradients_are_called, key = "grads", "{}"

    def __init__(self, spoiled: str = "") -> None:
        self.spoiled, self.params = spoiled, {"W": W.copy(), "b": B.copy()}

    def weights(self) -> tuple[Array, Array]:
        return self.params["W"], self.params["b"]

    def keep(self, dW: Any, db: Any) -> None:
        setattr(self, self.gradients_are_called, {self.key.format("W"): dW, self.key.format("b"): db})


class Gradients(Dicts):
    gradients_are_called = "gradients"


class DictsWithD(Dicts):
    key = "d{}"


class DictsWithGrad(Dicts):
    key = "{}_grad"


class ArraysShared(Dicts):
    """A network whose layers hold the arrays of its dict."""

    def __init__(self, spoiled: str = "") -> None:
        super().__init__(spoiled)
        self.layers = [Affine(spoiled)]
        self.layers[0].W, self.layers[0].b = self.params["W"], self.params["b"]

    def forward(self, x: Array) -> Array:
        return self.layers[0].forward(x)

    def backward(self, dy: Array) -> Array:
        dx = self.layers[0].backward(dy)
        self.keep(self.layers[0].dW, self.layers[0].db)
        return dx


class SlotsOnly:
    """The names stand in __slots__, and there is no __dict__ to read them from."""

    __slots__ = ("W", "b", "dW", "db", "spoiled", "x")

    __init__ = Affine.__init__  # type: ignore[assignment]
    keep, weights = Affine.keep, Affine.weights
    forward, backward = Affine.forward, Affine.backward


class OfTheClass(Affine):
    """The parameters stand on the class."""

    W, b = W.copy(), B.copy()

    def __init__(self, spoiled: str = "") -> None:
        self.spoiled = spoiled


STYLES = {
    **{pattern: suffixed(pattern) for pattern in ("d{}", "{}_grad", "grad_{}", "d_{}", "grad{}")},
    **{
        cls.__name__: cls
        for cls in (Lists, ListsAndNames, Dicts, Gradients, DictsWithD, DictsWithGrad, ArraysShared)
    },
    "SlotsOnly": SlotsOnly,
    "OfTheClass": OfTheClass,
}


@pytest.mark.parametrize("style", STYLES)
def test_parameters_are_found_by_their_names(style: str) -> None:
    make: Any = STYLES[style]
    assert not (right := cr.check(make(), X)).findings, told(right)
    assert list(verdicts(right).values()) == ["ok"] * 3
    for k, spoiled in enumerate(("W", "b"), start=1):
        report = cr.check(make(spoiled), X)
        assert report.mistakes == ("factor",), told(report)
        assert [each == "wrong" for each in verdicts(report).values()] == [i == k for i in range(3)]
        assert report.findings[0].input == [row.input for row in report.rows][k]


def test_parameters_of_a_class_stay_as_they_are() -> None:
    before = OfTheClass.W.copy()
    cr.check(OfTheClass(), X)
    assert np.array_equal(OfTheClass.W, before)


def test_a_gradient_of_a_parameter_may_be_returned() -> None:
    """backward returns dx, dW and db, and keeps nothing."""

    class Returns(Affine):
        def keep(self, dW: Any, db: Any) -> None:
            self.last = dW, db

        def backward(self, dy: Array) -> Any:
            return super().backward(dy), *self.last

    report = cr.check(Returns(), X)
    assert report.passed, told(report)
    assert list(verdicts(report).values()) == ["ok"] * 3
    assert cr.check(Returns("b"), X).mistakes == ("factor",)


class Unusual(Affine):
    def __init__(self, spoiled: str = "") -> None:
        self.spoiled, self.matrix, self.shift = spoiled, W.copy(), B.copy()

    def weights(self) -> tuple[Array, Array]:
        return self.matrix, self.shift

    def keep(self, dW: Any, db: Any) -> None:
        self.slope, self.moved = dW, {"by": db}


def test_parameters_may_be_named() -> None:
    names = {"matrix": "slope", "shift": "moved['by']"}
    assert list(verdicts(cr.check(Unusual(), X, gradients=names))) == ["x", "matrix", "shift"]
    assert cr.check(Unusual("b"), X, gradients=names).findings[0].input == "shift"
    only_one = cr.check(Unusual("b"), X, gradients={"matrix": "slope"})
    assert list(verdicts(only_one)) == ["x", "matrix"]
    lists = cr.check(Lists("b"), X, gradients={"params[1]": "grads[1]"})
    assert [finding.input for finding in lists.findings] == ["params[1]"]


@pytest.mark.parametrize("names", [{"matrix": "nothing"}, {"nothing": "slope"}, "slope", {"matrix": 3}])
def test_parameters_that_are_not_there_are_told(names: Any) -> None:
    with pytest.raises(cr.errors.ArgumentError, match="gradients"):
        cr.check(Unusual(), X, gradients=names)


def test_a_parameter_without_a_gradient_is_missing() -> None:
    class Forgetful(Affine):
        def backward(self, dy: Array) -> Array:
            self.dW = self.x.T @ dy
            return dy @ self.W.T

        def keep(self, dW: Any, db: Any) -> None:
            self.dW = dW

    report = cr.check(Forgetful(), X)
    assert [(f.mistake, f.input) for f in report.findings] == [("missing", "b")]
    assert verdicts(report)["b"] == "not checked"


def test_one_array_under_two_names_is_one_parameter() -> None:
    class Tied:
        def __init__(self) -> None:
            self.W = self.V = RNG.normal(size=(4, 4))

        def forward(self, x: Array) -> Array:
            self.x, self.h = x, x @ self.W
            return self.h @ self.V

        def backward(self, dy: Array) -> Array:
            self.dW = self.dV = self.x.T @ (dy @ self.V.T) + self.h.T @ dy
            return dy @ self.V.T @ self.W.T

    report = cr.check(Tied(), X)
    assert report.passed, told(report)
    assert list(verdicts(report)) == ["x", "W"]


class Scale:
    """y = a x with a number a, not an array."""

    def __init__(self, a: Any, times: float = 1.0) -> None:
        self.a, self.times, self.da = a, times, None

    def forward(self, x: Array) -> Array:
        self.x = x
        return self.a * x

    def backward(self, dy: Array) -> Array:
        self.da = self.times * (dy * self.x).sum()
        return self.a * dy


@pytest.mark.parametrize("a", [2.0, np.float64(2.0), np.array(2.0), np.array([2.0]), 2], ids=repr)
def test_a_number_may_be_a_parameter(a: Any) -> None:
    assert verdicts(cr.check(Scale(a), X)) == {"x": "ok", "a": "ok"}
    assert verdicts(cr.check(Scale(a, times=0.5), X)) == {"x": "ok", "a": "wrong"}


def test_parameters_of_whole_numbers_are_parameters() -> None:
    layer = Affine("W", W=np.arange(12).reshape(4, 3), b=np.arange(3))
    assert verdicts(cr.check(layer, X)) == {"x": "ok", "W": "wrong", "b": "ok"}


def test_float32_parameters_are_checked_in_float64() -> None:
    layer = Affine(W=W.astype(np.float32), b=B.astype(np.float32))
    report = cr.check(layer, X)
    assert not report.findings, told(report)
    assert layer.W.dtype == np.float32
    assert max(row.error or 0 for row in report.rows) < 1e-6
    assert not cr.check(layer, X, dtype="float32").findings
    assert cr.check(Affine("W", W=W.astype(np.float32), b=B.astype(np.float32)), X).mistakes == ("factor",)


@pytest.mark.parametrize(
    "W", [np.asfortranarray(W), np.repeat(W, 2, axis=0)[::2], W[::-1]], ids=["fortran", "strided", "backward"]
)
def test_parameters_may_lie_in_memory_as_they_like(W: Array) -> None:
    assert not cr.check(Affine(W=W), X).findings
    assert cr.check(Affine("W", W=W), X).mistakes == ("factor",)


def test_an_input_may_be_called_as_a_parameter() -> None:
    class Same(Affine):
        def forward(self, W: Array) -> Array:
            return super().forward(W)

    assert list(verdicts(cr.check(Same(), X))) == ["W", "self.W", "b"]


# Random numbers -------------------------------------------------------------------------------------------


class Dropout:
    def draw(self, shape: Any) -> Array:
        return np.random.random(shape)  # noqa: NPY002

    def forward(self, x: Array) -> Array:
        self.mask = self.draw(x.shape) < 0.5
        return x * self.mask

    def backward(self, dy: Array) -> Array:
        return dy * self.mask


class OwnGenerator(Dropout):
    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)

    def draw(self, shape: Any) -> Array:
        return self.rng.random(shape)


class OwnRandomState(OwnGenerator):
    def __init__(self) -> None:
        self.rng: Any = np.random.RandomState(3)


class OwnPython(Dropout):
    def __init__(self) -> None:
        self.rng = random.Random(3)

    def draw(self, shape: Any) -> Array:
        return np.array([self.rng.random() for _ in range(int(np.prod(shape)))]).reshape(shape)


class ModuleGenerator(Dropout):
    def draw(self, shape: Any) -> Array:
        return BESIDE.random(shape)


class ModuleRandomState(Dropout):
    def draw(self, shape: Any) -> Array:
        return BESIDE_OLD.random(shape)


class ClassGenerator(Dropout):
    rng = np.random.default_rng(4)

    def draw(self, shape: Any) -> Array:
        return self.rng.random(shape)


DROPOUTS = [
    Dropout,
    OwnGenerator,
    OwnRandomState,
    OwnPython,
    ModuleGenerator,
    ModuleRandomState,
    ClassGenerator,
]


@pytest.mark.parametrize("cls", DROPOUTS, ids=lambda cls: cls.__name__)
def test_random_numbers_are_held(cls: type[Dropout]) -> None:
    report = cr.check(cls(), X)
    assert not report.findings, told(report)

    class Wrong(cls):  # type: ignore[misc, valid-type]
        def backward(self, dy: Array) -> Array:
            return dy * ~self.mask

    assert cr.check(Wrong(), X).mistakes == ("mask",)


@pytest.mark.parametrize("cls", [OwnGenerator, ModuleGenerator, ModuleRandomState, ClassGenerator])
def test_generators_go_on_as_if_nothing_was(cls: type[Dropout]) -> None:
    before = [BESIDE.bit_generator.state, BESIDE_OLD.get_state()[2], ClassGenerator.rng.bit_generator.state]
    layer = cls()
    cr.check(layer, X)
    assert before == [
        BESIDE.bit_generator.state,
        BESIDE_OLD.get_state()[2],
        ClassGenerator.rng.bit_generator.state,
    ]
    if isinstance(layer, OwnGenerator):
        assert layer.rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


def test_what_is_truly_random_cannot_be_checked() -> None:
    class True_(Dropout):
        def draw(self, shape: Any) -> Array:
            return np.random.default_rng().random(shape)

    report = cr.check(True_(), X)
    assert report.mistakes == ("random",)
    assert verdicts(report) == {"x": "not checked"}
    assert not report.passed


# Mistakes beside the numbers ------------------------------------------------------------------------------


def test_two_wrong_parameters_are_both_named() -> None:
    class Both(Affine):
        def keep(self, dW: Any, db: Any) -> None:
            self.dW, self.db = 2 * dW, -db

    report = cr.check(Both(), X)
    assert [(f.mistake, f.input) for f in report.findings] == [("factor", "W"), ("sign", "b")]


def test_adding_to_an_array_in_place_is_not_taken_for_a_wrong_number() -> None:
    class Adds(Lists):
        def keep(self, dW: Any, db: Any) -> None:
            self.grads[0] += dW
            self.grads[1] += db

    report = cr.check(Adds(), X)
    assert report.passed, told(report)
    (remark,) = report.remarks
    assert "adds into its gradients by contract" in remark
    assert set(verdicts(report).values()) == {"ok"}


def test_writing_to_dy_is_not_taken_for_a_wrong_number() -> None:
    class Writes:
        def forward(self, x: Array) -> Array:
            self.negative = x < 0
            return np.maximum(x, 0)

        def backward(self, dy: Array) -> Array:
            dy[self.negative] = 0
            return dy

    report = cr.check(Writes(), X)
    assert "mutates-upstream" in report.mistakes, told(report)
    assert set(report.mistakes) <= {"mutates-upstream", "aliases-upstream"}, told(report)
    assert verdicts(report) == {"x": "ok"}


# Objects that are hard to handle --------------------------------------------------------------------------


class Refuses:
    def __deepcopy__(self, memo: Any) -> Refuses:
        raise RuntimeError("there is only one of me")


@pytest.mark.parametrize(
    "make", [threading.Lock, Path(__file__).open, Refuses], ids=["lock", "file", "refuses"]
)
def test_what_cannot_be_copied_is_used_or_refused_by_name(make: Callable[[], Any]) -> None:
    """Either the check works with the part that has no copy, or it says what to do."""
    layer = Affine()
    layer.part = make()  # type: ignore[attr-defined]
    try:
        assert cr.check(layer, X).passed
    except cr.errors.ArgumentError as error:
        assert "cop" in str(error)  # noqa: PT017
    finally:
        getattr(layer.part, "close", lambda: None)()  # type: ignore[attr-defined]


def test_backward_of_a_loss_may_have_a_default() -> None:
    class Loss:
        def forward(self, x: Array, t: Array) -> Any:
            self.x, self.t = x, t
            return ((x - t) ** 2).sum() / 2

        def backward(self, dout: float = 1) -> Array:
            return dout * (self.x - self.t)

    report = cr.check(Loss(), X, X[::-1])
    assert not report.findings, told(report)
    assert verdicts(report) == {"x": "ok"}, "answers have no gradient"


def test_labels_stay_whole_numbers() -> None:
    class SoftmaxWithLoss:
        def forward(self, x: Array, t: Array) -> Any:
            p = np.exp(x - x.max(axis=1, keepdims=True))
            self.p, self.t = p / p.sum(axis=1, keepdims=True), t
            return -np.log(self.p[np.arange(len(t)), t]).mean()

        def backward(self, dout: float = 1) -> Array:
            dx = self.p.copy()
            dx[np.arange(len(self.t)), self.t] -= 1
            return dout * dx / len(self.t)

    report = cr.check(SoftmaxWithLoss(), X / 10, [0, 1, 2, 3, 0])
    assert verdicts(report) == {"x": "ok"}, told(report)
    assert "raises" not in report.mistakes


def test_a_loss_that_ignores_dout_is_found() -> None:
    class Loss:
        def forward(self, x: Array, t: Array) -> Any:
            self.x, self.t = x, t
            return ((x - t) ** 2).sum() / 2

        def backward(self, dout: float = 1) -> Array:
            return self.x - self.t

    assert cr.check(Loss(), X, X[::-1]).mistakes == ("upstream-ignored",)


def test_a_forward_that_remembers_is_judged_from_a_fresh_start() -> None:
    class Counts:
        n = 0

        def forward(self, x: Array) -> Array:
            self.n += 1
            return x * self.n

        def backward(self, dy: Array) -> Array:
            return dy * self.n

    assert verdicts(cr.check(Counts(), X)) == {"x": "ok"}


def test_backward_of_a_loss_may_take_nothing() -> None:
    class Loss:
        times = 1.0

        def forward(self, x: Array, t: Array) -> Any:
            self.x, self.t = x, t
            return ((x - t) ** 2).sum() / 2

        def backward(self) -> Array:
            return self.times * (self.x - self.t)

    class Wrong(Loss):
        times = 2.0

    report = cr.check(Loss(), X, X[::-1])
    assert report.passed, told(report)
    assert "factor" in cr.check(Wrong(), X, X[::-1]).mistakes


@pytest.mark.parametrize("how", ["tuple", "list", "dict", "dict of d"])
def test_gradients_come_in_many_forms(how: str) -> None:
    class Product:
        def forward(self, a: Array, b: Array) -> Array:
            self.a, self.b = a, b
            return a * b

        def backward(self, dy: Array) -> Any:
            da, db = dy * self.b, dy * self.a
            return {
                "tuple": (da, db),
                "list": [da, db],
                "dict": {"b": db, "a": da},
                "dict of d": {"db": db, "da": da},
            }[how]

    assert not cr.check(Product(), X, X + 1).findings


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_batches_may_be_small(rows: int) -> None:
    assert not cr.check(Affine(), X[:rows]).findings
    report = cr.check(Affine("W"), X[:rows])
    assert report.passed == (rows == 0), "the sum over no rows is 0, and so is twice the sum"


def test_an_output_may_be_the_same_array_every_time() -> None:
    class Buffer:
        def forward(self, x: Array) -> Array:
            self.x = x
            if not hasattr(self, "out"):
                self.out = np.empty_like(x)
            return np.multiply(x, x, out=self.out)

        def backward(self, dy: Array) -> Array:
            return 2 * self.x * dy

    report = cr.check(Buffer(), X)
    assert report.passed, told(report)


def test_random_numbers_that_were_held_are_told() -> None:
    x = np.arange(1.0, 7.0).reshape(2, 3)
    assert cr.check(cr.Dropout(0.5), x).remarks == (
        "Dropout draws random numbers: every call drew the same ones, to be one function.",
    )
    assert cr.check(cr.Dropout(0.5), x, training=False).remarks == ()
    assert cr.check(cr.ReLU(), x).remarks == ()


def test_an_array_of_which_nothing_is_known_is_told() -> None:
    class Filter:
        def __init__(self) -> None:
            self.kernel = np.ones((3, 2))

        def forward(self, x: Array) -> Array:
            return x @ self.kernel

        def backward(self, dy: Array) -> Array:
            return dy @ self.kernel.T

    report = cr.check(Filter(), np.arange(1.0, 7.0).reshape(2, 3))
    assert (report.verdict, report.passed, report.uncompared) == ("incomplete", False, ("kernel",))
    (remark,) = report.remarks
    assert "Filter.kernel was not compared" in remark
    assert 'gradients={"kernel": "dkernel"}' in remark
    assert 'ignore=["kernel"]' in remark
    assert remark.split(" ")[0] in str(report)
    assert report.to_dict()["remarks"] == [remark]


class Dense:
    """y = x W + b; the gradient of b is a mean where `wrong`."""

    def __init__(self, n: int, m: int, wrong: bool = False) -> None:
        rng = np.random.default_rng(n + m)
        self.W, self.b = rng.normal(size=(n, m)), rng.normal(size=m)
        self.wrong = wrong

    def forward(self, x: Array) -> Array:
        self.x = x
        self.y = x @ self.W + self.b
        return self.y

    def backward(self, dy: Array) -> Array:
        self.dW = self.x.T @ dy
        self.db = dy.mean(axis=0) if self.wrong else dy.sum(axis=0)
        self.dx = dy @ self.W.T
        return self.dx


class Composed:
    """Two layers, kept in a list."""

    def __init__(self, wrong: bool) -> None:
        self.layers = [Dense(4, 5), Dense(5, 3, wrong)]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


def test_the_parameters_of_the_layers_of_an_object_are_checked() -> None:
    x = np.random.default_rng(1).normal(size=(6, 4))
    right = cr.check(Composed(False), x)
    assert right.mistakes == ()
    assert {row.input for row in right.rows} == {
        "x", "layers[0].W", "layers[0].b", "layers[1].W", "layers[1].b",
    }  # fmt: skip
    (finding,) = cr.check(Composed(True), x).findings
    assert (finding.mistake, finding.input) == ("axis", "layers[1].b")


@pytest.mark.parametrize("rows", [6, 3])
def test_an_object_that_was_used_is_checked_like_a_new_one(rows: int) -> None:
    x = np.random.default_rng(1).normal(size=(6, 4))
    dense = Dense(4, 5)
    dense.forward(x[:rows])
    dense.backward(np.ones((rows, 5)))
    report = cr.check(dense, x)
    assert report.mistakes == ()
    assert [row.input for row in report.rows] == ["x", "W", "b"]
    assert report.remarks == ()


def test_a_parameter_without_a_gradient_in_the_dict_of_gradients_is_told() -> None:
    class Forgets:
        def __init__(self) -> None:
            self.params = {"W1": np.ones((4, 2)), "b1": np.ones(2)}
            self.grads: dict[str, Array] = {}

        def forward(self, x: Array) -> Array:
            self.x = x
            return x @ self.params["W1"] + self.params["b1"]

        def backward(self, dy: Array) -> Array:
            self.grads["W1"] = self.x.T @ dy
            return dy @ self.params["W1"].T

    (finding,) = cr.check(Forgets(), np.arange(8.0).reshape(2, 4)).findings
    assert (finding.mistake, finding.input) == ("missing", "b1")
