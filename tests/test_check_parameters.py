"""`cr.check` finds the parameters of an object wherever forward reads them, and names what it could not compare."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import chainrule as cr
from chainrule.arrays import Array
from chainrule.checking import CheckReport

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def verdicts(report: CheckReport) -> dict[str, str]:
    return {row.input: row.verdict for row in report.rows}


class Affine:
    """y = x W + b, by three methods that say where W, b and their gradients are; `wrong` is a factor on both."""

    def __init__(self, wrong: float = 1.0) -> None:
        self.wrong = wrong
        self.begin()

    def begin(self) -> None:
        """Make W and b."""

    def both(self) -> Any:
        raise NotImplementedError

    def keep(self, dW: Array, db: Array) -> None:
        raise NotImplementedError

    def forward(self, x: Array) -> Array:
        self.x = x
        W, b = self.both()
        return x @ W + b

    def backward(self, dy: Array) -> Array:
        self.keep(self.wrong * self.x.T @ dy, self.wrong * dy.sum(axis=0))
        return dy @ np.asarray(self.both()[0]).T


class Slots:
    __slots__ = ("d", "value")

    def __init__(self, value: Array) -> None:
        self.value, self.d = value, None


@dataclass
class Weights:
    kernel: Array = field(default_factory=W.copy)
    shift: Array = field(default_factory=B.copy)


Couple = namedtuple("Couple", "W b")


def held(value: str, gradient: str, make: Callable[..., Any] = SimpleNamespace) -> type[Affine]:
    """W and b on small objects: a value and its gradient, under these names."""

    class Held(Affine):
        def begin(self) -> None:
            self.first = make(**{value: W.copy(), gradient: np.zeros_like(W)})
            self.second = make(**{value: B.copy(), gradient: None})

        def both(self) -> Any:
            return getattr(self.first, value), getattr(self.second, value)

        def keep(self, dW: Array, db: Array) -> None:
            setattr(self.first, gradient, dW)
            setattr(self.second, gradient, db)

    return Held


def attributes(first: str, second: str, first_gradient: str, second_gradient: str) -> type[Affine]:
    """W and b as attributes of these names."""

    class Named(Affine):
        def begin(self) -> None:
            setattr(self, first, W.copy())
            setattr(self, second, B.copy())

        def both(self) -> Any:
            return getattr(self, first), getattr(self, second)

        def keep(self, dW: Array, db: Array) -> None:
            setattr(self, first_gradient, dW)
            setattr(self, second_gradient, db)

    return Named


def dicts(holder: str, gradients: str, key: str) -> type[Affine]:
    """W and b in a dict, their gradients in another, or on the object where that is called 'self'."""

    class Dicts(Affine):
        def begin(self) -> None:
            setattr(self, holder, {"W1": W.copy(), "b1": B.copy()})

        def both(self) -> Any:
            return getattr(self, holder)["W1"], getattr(self, holder)["b1"]

        def keep(self, dW: Array, db: Array) -> None:
            made = {key.format("W1"): dW, key.format("b1"): db}
            if gradients == "self":
                self.__dict__.update(made)
            else:
                setattr(self, gradients, made)

    return Dicts


class GradientsInADict(Affine):
    def begin(self) -> None:
        self.W, self.b, self.grads = W.copy(), B.copy(), {}

    def both(self) -> Any:
        return self.W, self.b

    def keep(self, dW: Array, db: Array) -> None:
        self.grads["dW"], self.grads["db"] = dW, db


class ListsOfLayers(Affine):
    def begin(self) -> None:
        self.weights_, self.biases = [W.copy()], [B.copy()]

    def both(self) -> Any:
        return self.weights_[0], self.biases[0]

    def keep(self, dW: Array, db: Array) -> None:
        self.nabla_w, self.nabla_b = [dW], [db]


class DictsOfDicts(Affine):
    def begin(self) -> None:
        self.params = {"layer1": {"W": W.copy(), "b": B.copy()}}

    def both(self) -> Any:
        return self.params["layer1"]["W"], self.params["layer1"]["b"]

    def keep(self, dW: Array, db: Array) -> None:
        self.grads = {"layer1": {"W": dW, "b": db}}


class OfADataclass(Affine):
    def begin(self) -> None:
        self.state = Weights()

    def both(self) -> Any:
        return self.state.kernel, self.state.shift

    def keep(self, dW: Array, db: Array) -> None:
        self.grad_state = Weights(dW, db)


class OfANamedTuple(Affine):
    def begin(self) -> None:
        self.params = Couple(W.copy(), B.copy())

    def both(self) -> Any:
        return self.params

    def keep(self, dW: Array, db: Array) -> None:
        self.grads = Couple(dW, db)


class ObjectArray(Affine):
    def begin(self) -> None:
        self.p = np.array([[W.copy(), None], [B.copy(), None]], dtype=object)

    def both(self) -> Any:
        return self.p[:, 0]

    def keep(self, dW: Array, db: Array) -> None:
        self.grads = np.array([[dW, None], [db, None]], dtype=object)


class KeysOfSeveral(Affine):
    """The gradients' keys are marked inside."""

    def begin(self) -> None:
        self.p, self.grads = {("W", 0): W.copy(), ("b", 0): B.copy()}, {}

    def both(self) -> Any:
        return self.p["W", 0], self.p["b", 0]

    def keep(self, dW: Array, db: Array) -> None:
        self.grads["dW", 0], self.grads["db", 0] = dW, db


class Which(Enum):
    KERNEL = 0
    SHIFT = 1


class KeysOfAnyKind(Affine):
    def begin(self) -> None:
        self.p = {Which.KERNEL: W.copy(), Which.SHIFT: B.copy()}

    def both(self) -> Any:
        return list(self.p.values())

    def keep(self, dW: Array, db: Array) -> None:
        self.grads = {Which.KERNEL: dW, Which.SHIFT: db}


class OnTheClass(Affine):
    params: ClassVar[dict[str, Array]] = {"W": W.copy(), "b": B.copy()}
    grads: ClassVar[dict[str, Array]] = {}

    def both(self) -> Any:
        return self.params["W"], self.params["b"]

    def keep(self, dW: Array, db: Array) -> None:
        self.grads["W"], self.grads["b"] = dW, db


class InAListOnTheClass(Affine):
    params: ClassVar[Any] = [W.copy(), B.copy()]

    def both(self) -> Any:
        return self.params

    def keep(self, dW: Array, db: Array) -> None:
        self.grads = [dW, db]


class AnObjectOnTheClass(Affine):
    layer = Weights()

    def both(self) -> Any:
        return self.layer.kernel, self.layer.shift

    def keep(self, dW: Array, db: Array) -> None:
        self.layer.dkernel, self.layer.dshift = dW, db  # type: ignore[attr-defined]


class Plain:
    """A layer of other method names inside."""

    def __init__(self, wrong: float) -> None:
        self.w, self.bias, self.wrong = W.copy(), B.copy(), wrong

    def __call__(self, x: Array) -> Array:
        self.x = x
        return x @ self.w + self.bias

    def back(self, dy: Array) -> Array:
        self.dw, self.dbias = self.wrong * self.x.T @ dy, self.wrong * dy.sum(axis=0)
        return dy @ self.w.T


class Nested:
    def __init__(self, wrong: float = 1.0) -> None:
        self.inner = {"dense": [Plain(wrong)]}

    def forward(self, x: Array) -> Array:
        return self.inner["dense"][0](x)

    def backward(self, dy: Array) -> Array:
        return self.inner["dense"][0].back(dy)


class BoundMethods:
    """It keeps methods of a layer, and not the layer itself."""

    def __init__(self, wrong: float = 1.0) -> None:
        layer = Plain(wrong)
        self.forward_of, self.backward_of = layer.__call__, layer.back

    def forward(self, x: Array) -> Array:
        return self.forward_of(x)

    def backward(self, dy: Array) -> Array:
        return self.backward_of(dy)


class MadeInForward(Affine):
    """W and b are made by the first forward, of the shape of its input."""

    def build(self, width: int) -> None:
        self.W = np.random.randn(width, 3)  # noqa: NPY002
        self.b = np.zeros(3)
        self.built = True

    def both(self) -> Any:
        return self.W, self.b

    def forward(self, x: Array) -> Array:
        if not getattr(self, "built", False):
            self.build(x.shape[1])
        return super().forward(x)

    def keep(self, dW: Array, db: Array) -> None:
        self.dW, self.db = dW, db


class MadeUnseeded(MadeInForward):
    def build(self, width: int) -> None:
        super().build(width)
        self.W = np.random.default_rng().normal(size=(width, 3))


class NestedLists(Affine):
    """Parameters without NumPy: lists of floats."""

    def begin(self) -> None:
        self.W, self.b = W.tolist(), B.tolist()

    def both(self) -> Any:
        return self.W, self.b

    def keep(self, dW: Array, db: Array) -> None:
        self.grad_W, self.grad_b = dW.tolist(), db.tolist()


class Returns(Affine):
    """backward returns the gradients of its parameters, in one of several forms."""

    form: Any = staticmethod(lambda dx, dW, db: (dx, dW, db))

    def begin(self) -> None:
        self.kernel, self.shift = W.copy(), B.copy()

    def both(self) -> Any:
        return self.kernel, self.shift

    def keep(self, dW: Array, db: Array) -> None:
        self._last = dW, db

    def backward(self, dy: Array) -> Any:
        dx = super().backward(dy)
        (dW, db), self._last = self._last, (0, 0)
        return self.form(dx, dW, db)


def returning(form: Callable[..., Any]) -> type[Affine]:
    return type("Returning", (Returns,), {"form": staticmethod(form)})


STYLES: dict[str, Any] = {
    **{
        f"{value}/{gradient}": held(value, gradient)
        for value, gradient in (
            ("value", "grad"), ("data", "grad"), ("val", "d_val"), ("w", "dw"), ("weight", "grad"),
            ("value", "gradient"), ("x", "dx"), ("tensor", "gradient"), ("theta", "delta"), ("_value", "_grad"),
            ("numbers", "grad"),
        )
    },
    "slots": held("value", "d", lambda value, d: Slots(value)),
    **{
        " ".join(names): attributes(*names)
        for names in (
            ("weights", "bias", "dweights", "dbias"),
            ("weights", "biases", "weights_gradient", "biases_gradient"),
            ("weights", "bias", "grad_weights", "grad_bias"),
            ("W", "b", "W_gradient", "b_gradient"),
            ("W", "b", "delta_W", "delta_b"),
            ("w", "b", "nabla_w", "nabla_b"),
            ("weights", "bias", "weight_grad", "bias_grad"),
            ("weights", "biases", "dW", "db"),
            ("kernel", "shift", "gradKernel", "gradShift"),
            ("_weights", "_bias", "_d_weights", "_d_bias"),
            ("Wxh", "bh", "dL_dWxh", "dL_dbh"),
            ("W", "b", "W_d", "b_d"),
            ("W", "b", "gW", "gb"),
            ("kernels", "biases", "kernels_gradients", "biases_gradients"),
        )
    },
    **{
        " ".join(names): dicts(*names)
        for names in (
            ("params", "grads", "{}"), ("params", "gradients", "d{}"), ("params", "dparams", "{}"),
            ("params", "derivatives", "{}"), ("parameters", "gradients", "{}"), ("params", "self", "d{}"),
            ("params", "grads", "{}_grad"), ("weights", "weights_gradients", "{}"), ("p", "g", "d{}"),
            ("_params", "_grads", "{}"),
        )
    },
    **{
        cls.__name__: cls
        for cls in (
            GradientsInADict, ListsOfLayers, DictsOfDicts, OfADataclass, OfANamedTuple, Nested, MadeInForward,
            MadeUnseeded, NestedLists, ObjectArray, KeysOfSeveral, KeysOfAnyKind, OnTheClass, InAListOnTheClass,
            AnObjectOnTheClass, BoundMethods,
        )
    },
    "(dx, dW, db)": Returns,
    "(dx, [dW, db])": returning(lambda dx, dW, db: (dx, [dW, db])),
    "(dx, {})": returning(lambda dx, dW, db: (dx, {"kernel": dW, "shift": db})),
    "(dx, {d})": returning(lambda dx, dW, db: (dx, {"dkernel": dW, "dshift": db})),
    "{}": returning(lambda dx, dW, db: {"dx": dx, "dshift": db, "dkernel": dW}),
    "(dx, db, dW)": returning(lambda dx, dW, db: (dx, db, dW)),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_parameters_are_found(style: str) -> None:
    report = cr.check(STYLES[style](), X)
    assert report.passed, f"{report.summary()}\n{report.remarks}"
    assert not report.findings
    assert list(verdicts(report).values()) == ["ok"] * 3, verdicts(report)
    wrong = cr.check(STYLES[style](-1.0), X)
    assert wrong.mistakes == ("sign",), str(wrong)
    assert list(verdicts(wrong).values()) == ["ok", "wrong", "wrong"], verdicts(wrong)


def test_one_array_in_two_places_has_the_sum_of_its_gradients() -> None:
    class Shared:
        def __init__(self, wrong: float = 1.0) -> None:
            shared = W.copy()
            self.params, self.grads, self.wrong = (
                [shared, shared],
                [np.zeros_like(W), np.zeros_like(W)],
                wrong,
            )

        def forward(self, a: Array, b: Array) -> Array:
            self.a, self.b = a, b
            return a @ self.params[0] + b @ self.params[1]

        def backward(self, dy: Array) -> Any:
            self.grads[0][...], self.grads[1][...] = self.a.T @ dy, self.wrong * self.b.T @ dy
            return dy @ self.params[0].T, dy @ self.params[1].T

    assert verdicts(cr.check(Shared(), X, X[::-1])) == {"a": "ok", "b": "ok", "params[0]": "ok"}
    assert not cr.check(Shared(-1.0), X, X[::-1]).passed


def test_an_object_that_was_used_is_checked_where_it_stands() -> None:
    layer = MadeInForward()
    layer.backward(layer.forward(X))
    assert list(verdicts(cr.check(layer, X)).values()) == ["ok"] * 3
    kept = {name: np.array(value) for name, value in vars(layer).items()}
    assert all(np.array_equal(value, vars(layer)[name]) for name, value in kept.items())


def test_weights_of_a_class_that_makes_them_stay_unmade() -> None:
    layer = MadeInForward()
    cr.check(layer, X)
    assert set(vars(layer)) == {"wrong"}


# What nothing is known of ------------------------------------------------------------------------------------


class Gain:
    """y = gain * x; no name says where the gradient of the gain is."""

    def __init__(self, gain: Any) -> None:
        self.gain = gain

    def forward(self, x: Array) -> Array:
        self.x = x
        return x * np.asarray(self.gain)

    def backward(self, dy: Array) -> Array:
        self.found_elsewhere = (dy * self.x).sum(axis=0)
        return dy * np.asarray(self.gain)


@pytest.mark.parametrize(
    "gain", [np.ones(4), np.ones(4, np.float32), [1.0, 2.0, 0.5, 1.0], (1.0, 2.0, 0.5, 1.0)], ids=str
)
def test_what_the_output_depends_on_is_named(gain: Any) -> None:
    report = cr.check(Gain(gain), X)
    assert (report.verdict, report.uncompared) == ("incomplete", ("gain",))
    assert "Gain: incomplete: gain not compared; 1 gradient compared" in str(report)
    (remark,) = report.remarks
    assert 'gradients={"gain": "dgain"}' in remark
    assert 'ignore=["gain"]' in remark
    assert "Not compared: gain." in cr.draw(report).svg()
    assert cr.check(Gain(gain), X, ignore=["gain"]).passed
    named = cr.check(Gain(gain), X, gradients={"gain": "found_elsewhere"})
    assert (named.verdict, verdicts(named)) == ("passed", {"x": "ok", "gain": "ok"})


def test_a_gradient_that_is_named_may_be_wrong() -> None:
    class Wrong(Gain):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            self.found_elsewhere *= -1
            return dx

    assert cr.check(Wrong(np.ones(4)), X, gradients={"gain": "found_elsewhere"}).mistakes == ("sign",)


def test_a_wrong_gradient_is_more_than_an_unknown_one() -> None:
    class Wrong(Gain):
        def backward(self, dy: Array) -> Array:
            return -super().backward(dy)

    report = cr.check(Wrong(np.ones(4)), X)
    assert (report.verdict, report.uncompared) == ("wrong", ("gain",))


@pytest.mark.parametrize("ignore", [["inner.dense[0].w"], ["w"], ["inner.dense[0]"], ["inner"]])
def test_ignored_are_names_and_paths(ignore: list[str]) -> None:
    class Forgets(Nested):
        def backward(self, dy: Array) -> Array:
            dx = super().backward(dy)
            del self.inner["dense"][0].dw
            return dx

    assert cr.check(Forgets(), X).mistakes == ("missing",)
    report = cr.check(Forgets(), X, ignore=ignore)
    assert report.passed, str(report)
    assert not report.remarks


@pytest.mark.parametrize("ignore", ["gain", ["gian"], [3], 3])
def test_ignored_is_what_is_there(ignore: Any) -> None:
    with pytest.raises(cr.errors.ArgumentError, match="ignore"):
        cr.check(Gain(np.ones(4)), X, ignore=ignore)


def test_only_objects_have_something_to_ignore() -> None:
    with pytest.raises(cr.errors.ArgumentError, match="ignore"):
        cr.check(lambda x: x, X, backward=lambda dy, x: dy, ignore=["gain"])
    for target in (cr.ReLU(), cr.Graph(cr.ReLU()(cr.Input("x")))):
        with pytest.raises(cr.errors.ArgumentError, match="ignore"):
            cr.check(target, X, ignore=["gain"])


def test_what_a_class_holds_stays_as_it_is() -> None:
    assert cr.check(OnTheClass(), X).passed
    assert OnTheClass.grads == {}
    assert np.array_equal(OnTheClass.params["W"], W)


def test_a_name_with_a_dot_is_written_in_brackets() -> None:
    class States:
        def __init__(self) -> None:
            self.state = {"fc.gain": np.ones(4)}

        def forward(self, x: Array) -> Array:
            self.x = x
            return x * self.state["fc.gain"]

        def backward(self, dy: Array) -> Array:
            self.found = {("of", 1): (dy * self.x).sum(axis=0)}
            return dy * self.state["fc.gain"]

    name = "state['fc.gain']"
    assert cr.check(States(), X).uncompared == (name,)
    assert cr.check(States(), X, ignore=[name]).passed
    assert verdicts(cr.check(States(), X, gradients={name: "found[('of', 1)]"})) == {"x": "ok", name: "ok"}


class Normalization:
    """Batch normalization with running statistics; in training they are written, in evaluation they are read."""

    names = ("running_mean", "running_var")

    def __init__(self, training: bool) -> None:
        self.training, self.gamma = training, np.ones(4)
        self.kept = {self.names[0]: np.full(4, 0.3), self.names[1]: np.full(4, 2.0)}

    def forward(self, x: Array) -> Array:
        mean, var = x.mean(axis=0), x.var(axis=0)
        if self.training:
            for name, new in zip(self.names, (mean, var), strict=True):
                self.kept[name] = 0.9 * self.kept[name] + 0.1 * new
        else:
            mean, var = self.kept.values()
        self.std = np.sqrt(var + 1e-5)
        self.normal = (x - mean) / self.std
        return self.gamma * self.normal

    def backward(self, dy: Array) -> Array:
        self.dgamma = (dy * self.normal).sum(axis=0)
        g = dy * self.gamma
        if self.training:
            g = g - g.mean(axis=0) - self.normal * (g * self.normal).mean(axis=0)
        return g / self.std


@pytest.mark.parametrize(
    "names", [("running_mean", "running_var"), ("moving_avg", "movingVar"), ("ema_mu", "ema_sigma")]
)
def test_running_statistics_are_no_parameters(names: tuple[str, str]) -> None:
    kind = type("Kind", (Normalization,), {"names": names})
    training, evaluation = cr.check(kind(True), X), cr.check(kind(False), X)
    assert (training.passed, training.remarks) == (True, ())
    assert evaluation.passed
    assert len(evaluation.remarks) == 2
    assert all("running statistic" in remark for remark in evaluation.remarks)


def test_a_statistic_of_another_name_is_ignored_on_demand() -> None:
    kind = type("Kind", (Normalization,), {"names": ("m", "v")})
    assert cr.check(kind(True), X).passed
    assert cr.check(kind(False), X).uncompared == ("kept.m", "kept.v")
    assert cr.check(kind(False), X, ignore=["m", "kept.v"]).passed


def test_what_forward_writes_first_is_no_parameter() -> None:
    class Caches:
        def __init__(self) -> None:
            self.out, self.x, self.dx = np.zeros((5, 4)), np.zeros((5, 4)), np.zeros((5, 4))
            self.eps, self.rate, self.cache = 1e-5, 0.5, {"mean": np.zeros(5)}

        def forward(self, x: Array) -> Array:
            self.x = x
            self.cache["mean"] = x.mean(axis=1)
            np.multiply(x, x + self.eps, out=self.out)
            return self.rate * self.out

        def backward(self, dy: Array) -> Array:
            self.dx = self.rate * dy * (2 * self.x + self.eps)
            return self.dx

    report = cr.check(Caches(), X)
    assert report.passed, str(report)
    assert (verdicts(report), report.remarks) == ({"x": "ok"}, ())


def test_a_plain_number_that_is_a_weight_is_named() -> None:
    class Line:
        def __init__(self) -> None:
            self.w, self.eps = 2.0, 0.1

        def forward(self, x: Array) -> Array:
            return self.w * x + self.eps

        def backward(self, dy: Array) -> Array:
            return self.w * dy

    assert cr.check(Line(), X).uncompared == ("w",)


def test_a_hidden_state_that_forward_reads_is_named() -> None:
    class Cell:
        def __init__(self) -> None:
            self.h = np.full((5, 4), 0.5)

        def forward(self, x: Array) -> Array:
            self.h = np.tanh(x + self.h)
            return self.h

        def backward(self, dy: Array) -> Array:
            return dy * (1 - self.h**2)

    assert cr.check(Cell(), X).uncompared == ("h",)
    assert cr.check(Cell(), X, ignore=["h"]).passed


class Lists:
    """Weights in one list, biases in another, and all gradients in a third place."""

    def __init__(self, wrong: float = 1.0) -> None:
        self.weights, self.biases, self.wrong = [W.copy(), np.ones((3, 2))], [B.copy(), np.ones(2)], wrong

    def forward(self, x: Array) -> Array:
        self.inputs = []
        for w, b in zip(self.weights, self.biases, strict=True):
            self.inputs.append(x)
            x = x @ w + b
        return x

    def keep(self, found: list[tuple[Array, Array]]) -> None:
        self.gradients = found

    def backward(self, dy: Array) -> Array:
        found = []
        for w, x in zip(self.weights[::-1], self.inputs[::-1], strict=True):
            found.insert(0, (self.wrong * x.T @ dy, dy.sum(axis=0)))
            dy = dy @ w.T
        self.keep(found)
        return dy


class InOneList(Lists):
    def keep(self, found: list[tuple[Array, Array]]) -> None:
        self.grads = [each for pair in found for each in pair]


class InOneDict(Lists):
    def keep(self, found: list[tuple[Array, Array]]) -> None:
        self.grads = {
            f"d{name}{k}": each for k, pair in enumerate(found) for name, each in zip("Wb", pair, strict=True)
        }


@pytest.mark.parametrize("style", [Lists, InOneList, InOneDict])
def test_gradients_in_another_order_are_told_by_their_shapes(style: Any) -> None:
    report = cr.check(style(), X)
    assert report.passed, str(report)
    assert list(verdicts(report).values()) == ["ok"] * 5
    wrong = verdicts(cr.check(style(-1.0), X))
    assert [name for name, verdict in wrong.items() if verdict == "wrong"] == ["weights[0]", "weights[1]"]


def test_gradients_of_one_shape_in_no_known_order_are_left_uncompared() -> None:
    class Square(Lists):
        def __init__(self) -> None:
            super().__init__()
            self.weights, self.biases = [np.ones((4, 4)), np.eye(4)], [np.ones(4), np.zeros(4)]

    report = cr.check(Square(), X)
    assert (report.verdict, report.findings) == ("incomplete", ())
    assert report.uncompared == ("weights[0]", "weights[1]", "biases[0]", "biases[1]")
    assert 'gradients={"weights[0]": "dweights[0]"}' in report.remarks[0]
